"""The cluster's certificates, token and kubeconfig: made anew at each start."""

from __future__ import annotations

import base64
import json
import os
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

CONTEXT = "wqlib-local"
NAMESPACE = "wq-course"


@dataclass(frozen=True)
class Credentials:
    """What the server shows, and what a client needs."""

    ca_pem: bytes
    token: str
    server_context: ssl.SSLContext

    def client_context(self) -> ssl.SSLContext:
        """Return a TLS context that trusts this cluster only."""
        return ssl.create_default_context(cadata=self.ca_pem.decode())


def make(folder: Path) -> Credentials:
    """Make a CA, a certificate for 127.0.0.1 and a token."""
    authority = trustme.CA(organization_name="wqlib local cluster")
    certificate = authority.issue_cert("127.0.0.1", "localhost", "kubernetes", "::1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The standard library reads keys from files only: this one is ours alone, and soon gone.
    key_file = folder / "server.pem"
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.private_key_and_cert_chain_pem.bytes())
        context.load_cert_chain(key_file)
    finally:
        key_file.unlink()
    return Credentials(authority.cert_pem.bytes(), secrets.token_urlsafe(32), context)


def write_kubeconfig(path: Path, server: str, credentials: Credentials) -> None:
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
                "context": {"cluster": CONTEXT, "user": CONTEXT, "namespace": NAMESPACE},
            }
        ],
    }
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        # JSON is YAML, and the standard library writes it.
        json.dump(config, file, indent=2)
    draft.replace(path)
