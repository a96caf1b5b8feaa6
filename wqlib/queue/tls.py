"""What can be wrong with certificates, in words. Waiting mends none of it."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import QueueError

# Results of OpenSSL's check of a certificate (X509_V_ERR_...), as in its x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _UNKNOWN_AUTHORITY, _OTHER_NAME = 9, 10, (18, 19, 20, 21), (62, 64)

# What the other side says, or is found to do, and what that means.
_ANSWERS = (
    (
        "alert certificate required",
        "requires a client certificate, and none was given. Name its files with ssl_certfile and "
        "ssl_keyfile",
    ),
    (
        "alert (unknown ca|bad certificate|certificate|unsupported certificate|access denied)",
        "rejected our client certificate ({why}). Name one that it accepts with ssl_certfile and "
        "ssl_keyfile",
    ),
    (
        "wrong version number|record layer failure|http request",
        "does not speak TLS. Use redis:// instead of rediss://, or the port that it has for TLS",
    ),
    (
        "alert (handshake failure|protocol version|insufficient security)|unsupported protocol|"
        "no (shared )?cipher|no protocols",
        "and this client have no TLS version or cipher in common ({why}), or it requires a client "
        "certificate. See ssl_min_version, ssl_ciphers and ssl_certfile",
    ),
)


def explain_tls(error: BaseException, where: str) -> str | None:
    """Return why there is no TLS with Redis at `where`, and what to do.

    Args:
        error: What came instead of a connection, or of a reply.

    Returns:
        The message; None if it is no error of TLS, or one that may pass: a broken connection.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of Redis at {where} {_unaccepted(error)}."
    if isinstance(error, ssl.SSLError):
        why = _plain(str(error))
        words = f"{error.reason or ''} {why}".replace("_", " ").lower()
        for pattern, meaning in _ANSWERS:
            if re.search(pattern, words):
                return f"Redis at {where} {meaning.format(why=why)}."
    return None


def _unaccepted(error: ssl.SSLCertVerificationError) -> str:
    code, said = error.verify_code, error.verify_message.rstrip(".")
    if code in _OTHER_NAME:
        return (
            f"is for another host ({said}). Use a host name that it contains, or check only who "
            "signed it, with ssl_check_hostname=false"
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"is signed by an unknown authority ({said}). Name the file with the certificate of "
            "that authority (or with this one, if it is self-signed), as in "
            "rediss://host:6379/0?ssl_ca_certs=/path/to/ca.crt"
        )
    if code in (_NOT_YET_VALID, _EXPIRED):
        return f"is not valid now ({said}). Give Redis a new one, or correct the clock here"
    return (
        f"was not accepted ({said}). Give Redis another one; if it only lacks what Python 3.13 "
        "insists on, use ssl_exclude_verify_flags=VERIFY_X509_STRICT"
    )


def check_files(options: Mapping[str, Any]) -> None:
    """Refuse what redis-py could not use for TLS, before it tries.

    Args:
        options: Arguments of redis-py's SSLConnection.

    Raises:
        QueueError: A file cannot be read, or is not what it should be.
    """
    given, context = options.get, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        if path := given(name):
            with _used(f"{name} {path}"), open(path, "rb"):
                pass
    if path := given("ssl_ca_path"):
        with _used(f"ssl_ca_path {path}"):
            os.listdir(path)
    if given("ssl_ca_certs") or given("ssl_ca_data"):
        with _used(f"ssl_ca_certs {given('ssl_ca_certs') or '(ssl_ca_data)'}"):
            context.load_verify_locations(given("ssl_ca_certs"), cadata=given("ssl_ca_data"))
    certificate, key = given("ssl_certfile"), given("ssl_keyfile")
    if key and not certificate:
        raise QueueError("Cannot use ssl_keyfile for TLS without ssl_certfile.")
    if certificate:
        with _used(f"ssl_certfile {certificate} with ssl_keyfile {key or certificate}"):
            # OpenSSL would ask a terminal for the password that an encrypted key lacks.
            password = given("ssl_password") or ""
            context.load_cert_chain(certificate, key, lambda: password)
    if ciphers := given("ssl_ciphers"):
        with _used("ssl_ciphers"):
            context.set_ciphers(ciphers)


@contextlib.contextmanager
def _used(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        why = _plain(getattr(error, "strerror", None) or str(error))
        if "PEM" in why:
            why = "a certificate and its key are needed, and for an encrypted key ssl_password"
        raise QueueError(f"Cannot use {what} for TLS: {why}.") from None


def _plain(text: str) -> str:
    """Return what OpenSSL said without the marks of Python's module."""
    return re.sub(r"^\[.*?\] | \(_ssl.*|[('),.]+$|^\('", "", text)
