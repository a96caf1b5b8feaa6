"""The kubelet as a program of its own: it joins a control plane that a kubeconfig names.

    python -m localcluster kubelet --kubeconfig admin.conf --node-name laptop

The control plane has to run on this machine, for the node announces itself at 127.0.0.1: its
scheduler then gives pods to this node, and they run here as processes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import ssl
import sys
from pathlib import Path
from typing import NamedTuple

from kubernetes import client as official
from kubernetes import config
from kubernetes.config import ConfigException

from ..addresses import Addresses
from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import Client
from ..apimachinery.httptransport import HttpTransport
from ..errors import ClusterError
from ..images.imagestore import Images, remove_tree
from ..locks import lock_file
from ..paths import State, plain_link
from . import authorization, certificate, server
from .kubelet import Kubelet
from .processes import Processes

log = logging.getLogger(__name__)

TAINT = {"key": "localcluster/stand-in", "value": "true", "effect": "NoSchedule"}
NO_SERVICES = (
    "Services do not lead to the pods of this node: they have loopback addresses, which "
    "Kubernetes refuses as endpoints. On this machine, reach such a pod at its own address "
    "(`kubectl get pods -o wide`) or with `kubectl port-forward pod/NAME`."
)
_STOP_SECONDS = 2.0


class Settings(NamedTuple):
    """How the kubelet runs.

    Args:
        kubeconfig: Of an administrator.
        context: The context in it; default: the current one.
        home: Whose images pods get, and where the node's state lies.
        client_ca: The CA of the API server's own certificate; default: the cluster's.
        schedulable: Whether pods come here that do not tolerate the node's taint.
    """

    kubeconfig: Path
    node_name: str
    context: str | None = None
    home: Path | None = None
    client_ca: Path | None = None
    schedulable: bool = False


class ControlPlane(NamedTuple):
    """What a kubeconfig says."""

    client: Client
    ca: Path


def load_kubeconfig(kubeconfig: Path, context: str | None = None) -> ControlPlane:
    """Read the kubeconfig as the official client does.

    Raises:
        ClusterError: It cannot be used.
    """
    found = official.Configuration()
    try:
        config.load_kube_config(  # type: ignore[no-untyped-call]
            str(kubeconfig), context, client_configuration=found
        )
    except (ConfigException, OSError) as error:
        raise ClusterError(f"The kubeconfig {kubeconfig} cannot be used: {error}") from None
    except Exception:  # its words may quote a key from the file
        raise ClusterError(f"{kubeconfig} does not have the form of a kubeconfig.") from None
    if not found.ssl_ca_cert or not found.host.startswith("https://"):
        raise ClusterError(
            f"The kubeconfig {kubeconfig} names no CA or no https server. A kubelet needs both,"
            " to know its control plane."
        )
    trust = ssl.create_default_context(cafile=found.ssl_ca_cert)
    if found.cert_file:
        trust.load_cert_chain(found.cert_file, found.key_file)
    # The name under which a configuration keeps the token differs between versions of the client.
    token = found.auth_settings().get("BearerToken", {}).get("value") or ""
    token = token.removeprefix("Bearer ")
    return ControlPlane(Client(HttpTransport(found.host, token, trust)), Path(found.ssl_ca_cert))


def run(settings: Settings) -> None:
    """Join the control plane, and run the node's pods until a signal comes.

    Raises:
        ClusterError: It cannot join.
    """
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", settings.node_name):
        raise ClusterError(
            f"{settings.node_name!r} is no name for a node. Use small letters, digits and dashes."
        )
    state = State(State.of(settings.home).root.with_name(f"node-{settings.node_name}")).create()
    lock = lock_file(state.daemon_lock, wait=False)
    if lock is None:
        raise ClusterError(f"A kubelet of the node {settings.node_name} runs already.")
    os.umask(0o077)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    try:
        asyncio.run(_run(settings, state))
    except (ApiError, OSError) as error:
        raise ClusterError(f"The node cannot join the cluster: {error}") from None
    finally:
        os.close(lock)


async def _run(settings: Settings, state: State) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    for path in list(state.pods.iterdir()):
        remove_tree(path)
    control_plane = load_kubeconfig(settings.kubeconfig, settings.context)
    Images(State.of(settings.home).create()).prepare()
    processes = Processes()
    link = plain_link(state.root.parent)
    processes.start(state.reaper_lock, link)
    home = link or state.root.parent
    images = Images(State.of(home))
    kubelet = Kubelet(
        control_plane.client,
        State(home / state.root.name),
        Addresses(str(state.root), images.ports()),
        images,
        processes,
        settings.node_name,
    )
    if not settings.schedulable:
        kubelet.node.taints = [TAINT]
    context = await certificate.serving_context(
        control_plane.client,
        settings.node_name,
        kubelet.addresses.node,
        state.root,
        settings.client_ca or control_plane.ca,
    )
    authorize = authorization.by_certificate(control_plane.client, settings.node_name)
    listening, kubelet.node.port = server.listen(kubelet, context, authorize)
    processes.ready()
    log.warning(NO_SERVICES)
    running = asyncio.create_task(kubelet.run())
    waiting = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        await kubelet.stop(_STOP_SECONDS)
        running.cancel()
        if kubelet.node.registered:
            await kubelet.node.deregister()
        listening.stop()
        processes.stop()
        for path in list(state.pods.iterdir()):
            remove_tree(path)
