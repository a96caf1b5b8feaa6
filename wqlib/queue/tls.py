"""What can be wrong with certificates, in words: nothing of it passes by waiting."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from ..errors import QueueError

_HOST = 62, 64  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH
_UNKNOWN_CA = 18, 19, 20, 21


def explain_tls(error: BaseException | None, where: str) -> str | None:
    """Return why Redis at `where` and we do not trust each other, and what to do.

    Args:
        error: What came instead of a connection, or of a reply.

    Returns:
        The message; None if it is no error of TLS, and may pass.
    """
    while error and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if not error:
        return None
    return f"Redis at {where}: {error}"


def check_files(options: Mapping[str, Any]) -> None:
    """Refuse files of certificates that cannot be used, with a QueueError.

    Args:
        options: Those of redis-py whose names begin with `ssl_`.
    """
    for name in ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"):
        if path := options.get(name):
            try:
                with open(path, "rb"):
                    pass
            except IsADirectoryError:
                pass
            except OSError as error:
                raise QueueError(
                    f"The file {path} of {name} cannot be read: {error.strerror}."
                ) from None
