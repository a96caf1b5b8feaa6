"""The kubelet's certificate on a control plane of its own: asked for there, as a real one does.

https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#certificate-rotation
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .. import tls
from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import Client
from ..apimachinery.jsontypes import Obj, now, random_suffix
from ..errors import ClusterError

log = logging.getLogger(__name__)

_REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_SIGNER = "kubernetes.io/kubelet-serving"
_WAIT_SECONDS = 120.0


async def serving_context(
    client: Client, node: str, address: str, folder: Path, client_ca: Path
) -> ssl.SSLContext:
    """Get a certificate for the node's server from the cluster's CA.

    Args:
        client_ca: Whose certificates clients may show.

    Raises:
        ClusterError: The cluster gives none.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    chain = await _signed(client, node, _request(key, node, address))
    context = tls.tidy(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(client_ca)
    # Who shows no certificate is answered 401, and who shows a wrong one nothing at all.
    context.verify_mode = ssl.CERT_OPTIONAL
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # The standard library reads keys from files only: this one is ours alone, and soon gone.
    file = folder / "serving.pem"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(private + chain)
        context.load_cert_chain(file)
    finally:
        file.unlink()
    return context


def _request(key: ec.EllipticCurvePrivateKey, node: str, address: str) -> bytes:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
    names = [x509.DNSName(node), x509.IPAddress(ipaddress.ip_address(address))]
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM)


async def _signed(client: Client, node: str, request: bytes) -> bytes:
    """Have the request signed; return the certificate's chain."""
    name = f"csr-{node}-{random_suffix()}"
    body: Obj = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(request).decode(),
            "signerName": _SIGNER,
            "usages": ["digital signature", "key encipherment", "server auth"],
        },
    }
    try:
        made = await client.create(_REQUESTS, body)
        await _approve(client, made)
        return await _wait(client, name)
    except ApiError as error:
        raise ClusterError(
            f"The cluster gives this node no certificate for its server: {error}. Use the"
            " kubeconfig of an administrator."
        ) from None
    finally:
        try:
            await client.delete(f"{_REQUESTS}/{name}")
        except (ApiError, OSError) as error:
            log.warning("removing the certificate request %s: %s", name, error)


async def _approve(client: Client, made: Obj) -> None:
    """Approve the request ourselves, if we may; otherwise somebody else has to."""
    name = made["metadata"]["name"]
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "KubeletStarted",
        "message": "approved by the administrator who started this kubelet",
        "lastUpdateTime": now(),
    }
    try:
        await client.replace(
            f"{_REQUESTS}/{name}/approval", {**made, "status": {"conditions": [condition]}}
        )
    except ApiError as error:
        if error.code != 403:
            raise
        log.warning("an administrator has to approve it: kubectl certificate approve %s", name)


async def _wait(client: Client, name: str) -> bytes:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_SECONDS
    while loop.time() < deadline:
        status = (await client.get(f"{_REQUESTS}/{name}")).get("status") or {}
        if status.get("certificate"):
            return base64.b64decode(status["certificate"])
        for condition in status.get("conditions") or []:
            if condition["type"] in ("Denied", "Failed"):
                raise ClusterError(
                    "The cluster refuses a certificate for this node's server:"
                    f" {condition.get('message', condition['type'])}."
                )
        await asyncio.sleep(0.1)
    raise ClusterError(
        f"Nobody signed the certificate of this node's server within {_WAIT_SECONDS:.0f} s. Does"
        " the cluster's controller manager run, and may you approve certificates?"
    )
