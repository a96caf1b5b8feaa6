"""One object for a cluster, with the verbs that kubectl users know.

`connect()` gives the local cluster, and a real one only if it is named. What comes after
that line is the same for both::

    cluster = connect()
    cluster.apply("manifests/redis.yaml")
    cluster.wait("pod/redis", "ready")
    with cluster.port_forward("service/redis", 6379) as forward:
        ...

All objects go into one namespace and carry our label, and `clean_up()` takes away just
those. `cluster.core` and `cluster.batch` are the official client, for everything else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import ClusterError
from . import namespaces
from .builder import CommandBuilder
from .cluster import LOCAL, NODES, Cluster
from .kube import client_for, translate_errors
from .kubeconfig import (
    context_entry,
    context_namespace,
    find_context,
    kubeconfig_choosing,
    kubeconfig_files,
)
from .podstream import ExecResult
from .portforward import PortForward
from .states import Pod

__all__ = [
    "LOCAL",
    "NODES",
    "Cluster",
    "ExecResult",
    "Pod",
    "PortForward",
    "connect",
    "for_kubectl",
    "named_namespace",
]


@translate_errors
def connect(
    context: str | None = None,
    *,
    namespace: str | None = None,
    kubeconfig: str | Path | None = None,
    nodes: int = NODES,
    leave_as_found: bool = False,
) -> Cluster:
    """Connect to a cluster: the local one, unless you name a real one.

    Args:
        context: A context of your kubeconfig, e.g. "kind-wq". None means the variable
            WQLIB_CONTEXT, and without that the local cluster, which is started if it does
            not run. "local" means the local cluster whatever the variable says.
        namespace: Where everything goes; made, with our label, if it is not there. By
            default WQLIB_NAMESPACE; without that the context's own namespace in the kubeconfig,
            if its name begins with "wq-", as in a class; or else "wq-course".
        kubeconfig: The file that has the context; by default KUBECONFIG or ~/.kube/config.
        nodes: How many nodes the local cluster gets, if it does not run yet.
        leave_as_found: Stop the local cluster when this connection is closed, if it did not run
            before. A real cluster is never stopped.

    Raises:
        ClusterError: If there is no such context; the message lists those that there are.
        ClusterUnreachable: If the API server does not answer.

    Example:
        >>> cluster = connect()
        >>> cluster
        Cluster(namespace='wq-course')
    """
    chosen = context or os.environ.get("WQLIB_CONTEXT")
    if kubeconfig and not chosen:
        raise ClusterError(
            "A kubeconfig was named, but no context. Name the context too, as in "
            "connect('kind-wq', kubeconfig=…); without one, connect() uses the local cluster."
        )
    chosen = chosen or LOCAL
    namespace = namespace or named_namespace(chosen, kubeconfig) or namespaces.DEFAULT
    if chosen == LOCAL:
        from . import local  # a real cluster needs no package `localcluster`

        return local.connect(namespace, nodes=nodes, leave_as_found=leave_as_found)
    files = kubeconfig_files(kubeconfig)
    path = find_context(files, chosen)
    api = client_for(files, chosen)
    builder = CommandBuilder(chosen, lambda: namespaces.images_provided(api, namespace))
    return Cluster(chosen, namespace, path, api, builder)


def named_namespace(context: str | None = None, kubeconfig: str | Path | None = None) -> str:
    """Return the namespace that WQLIB_NAMESPACE or the context names for us; "" if neither does.

    A context's own counts only if its name begins with "wq-".

    Args:
        context: As in `connect`.
        kubeconfig: As in `connect`.

    Raises:
        ClusterError: If there is no such context.
    """
    context = context or os.environ.get("WQLIB_CONTEXT") or LOCAL
    own = ""
    if context != LOCAL:
        own = context_namespace(find_context(kubeconfig_files(kubeconfig), context), context)
    own = own if own.startswith(namespaces.PREFIX) else ""
    return os.environ.get(namespaces.VARIABLE) or own


def for_kubectl() -> tuple[list[Path], dict[str, Any]]:
    """Return what a plain kubectl needs to speak to the cluster and namespace of `connect()`.

    Returns:
        The kubeconfig files that have the keys (the local cluster's is there while it runs), and
        the content of one to name before them in KUBECONFIG: kubectl merges them.

    Raises:
        ClusterError: If WQLIB_CONTEXT names a context that is not there.
    """
    context = os.environ.get("WQLIB_CONTEXT") or LOCAL
    if context == LOCAL:
        from . import local

        context, files = local.CONTEXT, [local.kubeconfig()]
        entry = {"cluster": local.CONTEXT, "user": local.CONTEXT}
        namespace = named_namespace(LOCAL)
    else:
        files = [path.absolute() for path in kubeconfig_files(None)]
        entry = context_entry(find_context(files, context), context)
        namespace = named_namespace(context)
    chosen = {**entry, "namespace": namespace or namespaces.DEFAULT}
    return files, kubeconfig_choosing(context, chosen)
