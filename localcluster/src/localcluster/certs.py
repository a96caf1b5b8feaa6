"""The cluster's certificates, token and kubeconfig.

The token is new at each start. CA and certificate are kept in the state folder and used again for
as long as they are valid; they are made by a process of its own, because what it needs for that
is large and would stay in the daemon's memory.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import secrets
import ssl
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from . import tls
from .locks import lock_file

CONTEXT = "localcluster"
_AUTHORITY, _SERVER, _EXPIRY = "ca.pem", "server.pem", "certificates-until"
_NAMES = ("127.0.0.1", "localhost", "kubernetes", "::1")
_DAYS = 90


class Credentials(NamedTuple):
    """What the server shows, and what a client needs."""

    ca_pem: bytes
    token: str
    server_context: ssl.SSLContext

    def client_context(self) -> ssl.SSLContext:
        """Return a TLS context that trusts this cluster only."""
        return tls.tidy(ssl.create_default_context(cadata=self.ca_pem.decode()))


def prepare(folder: Path) -> subprocess.Popen[bytes] | None:
    """Begin to make the certificates, unless there are good ones; return what to wait for."""
    if _valid(folder):
        return None
    # Started with the daemon's own search path, wherever the package lies.
    program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import create; create()"
    return subprocess.Popen(
        [sys.executable, "-I", "-c", program, str(folder)], stdin=subprocess.DEVNULL
    )


def load(folder: Path, making: subprocess.Popen[bytes] | None) -> Credentials:
    """Return the credentials, once what `prepare` began is done."""
    if making is not None and making.wait() != 0:
        raise RuntimeError("the certificates could not be made; the lines above say why")
    return _read(folder)


def _read(folder: Path) -> Credentials:
    context = tls.tidy(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / _SERVER)
    return Credentials((folder / _AUTHORITY).read_bytes(), secrets.token_urlsafe(32), context)


def create() -> None:
    """Make a CA and a certificate for 127.0.0.1 in the folder that the command line names."""
    import trustme

    folder = Path(sys.argv[1])
    # A daemon that was killed while it started leaves this process to finish: one at a time.
    lock_file(folder / "certificates.lock", wait=True)
    if _valid(folder):
        return
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=_DAYS)
    authority = trustme.CA(organization_name="localcluster")
    certificate = authority.issue_cert(*_NAMES, not_after=ends)
    (folder / _EXPIRY).unlink(missing_ok=True)
    _write(folder / _AUTHORITY, authority.cert_pem.bytes())
    _write(folder / _SERVER, certificate.private_key_and_cert_chain_pem.bytes())
    # Last, because it says that the others are whole.
    _write(folder / _EXPIRY, " ".join([ends.isoformat(), *_NAMES]).encode())


def _valid(folder: Path) -> bool:
    """Tell whether there are certificates for our names and another week, kept to ourselves."""
    with contextlib.suppress(OSError, ValueError, TypeError):  # whatever the files hold
        _read(folder).client_context()
        ends, *names = (folder / _EXPIRY).read_text("ascii").split(" ")
        left = datetime.datetime.fromisoformat(ends) - datetime.datetime.now(datetime.UTC)
        closed = all((folder / name).stat().st_mode & 0o077 == 0 for name in (_SERVER, _AUTHORITY))
        return closed and names == list(_NAMES) and left > datetime.timedelta(days=7)
    return False


def _write(path: Path, data: bytes) -> None:
    """Write a file for the owner's eyes only, all at once."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    draft.replace(path)


def write_kubeconfig(path: Path, server: str, credentials: Credentials, namespace: str) -> None:
    """Write the kubeconfig for the owner's eyes only, all at once."""
    ca = base64.b64encode(credentials.ca_pem).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [
            {"name": CONTEXT, "cluster": {"server": server, "certificate-authority-data": ca}}
        ],
        "users": [{"name": CONTEXT, "user": {"token": credentials.token}}],
        "contexts": [
            {
                "name": CONTEXT,
                "context": {"cluster": CONTEXT, "user": CONTEXT, "namespace": namespace},
            }
        ],
    }
    # JSON is YAML, and the standard library writes it.
    _write(path, json.dumps(config, indent=2).encode())
