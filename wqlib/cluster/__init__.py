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

from ..errors import ClusterError
from . import builder, namespaces
from .cluster import Cluster
from .kube import client_for, in_words
from .kubeconfig import find_context, kubeconfig_files
from .notice import Notice
from .podstream import ExecResult
from .portforward import PortForward
from .states import Pod

LOCAL = "local"  # the name by which `context` and WQLIB_CONTEXT mean the local cluster

__all__ = ["Cluster", "ExecResult", "Pod", "PortForward", "connect", "named_namespace"]


@in_words
def connect(
    context: str | None = None,
    *,
    namespace: str | None = None,
    kubeconfig: str | Path | None = None,
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

    Raises:
        ClusterError: If there is no such context; the message lists those that there are.
        ClusterUnreachable: If the API server does not answer.

    Example:
        >>> cluster = connect()
        >>> cluster
        Cluster(namespace='wq-course')
    """
    context = context or os.environ.get("WQLIB_CONTEXT") or None
    if context in (None, LOCAL):
        if kubeconfig and context is None:
            raise ClusterError(
                "A kubeconfig was named, but no context. Name the context too, as in "
                "connect('kind-wq', kubeconfig=…); without one, connect() uses the local cluster."
            )
        namespace = namespace or namespaces.named() or namespaces.USUAL
        return _connect_local(namespace)
    files = kubeconfig_files(kubeconfig)
    path = find_context(files, str(context))
    namespace = namespace or namespaces.named(path, str(context)) or namespaces.USUAL
    api = client_for(files, context)
    images = builder.Images(api, namespace, str(context))
    return Cluster(str(context), namespace, path, api, images, context=str(context))


def named_namespace(context: str | None = None) -> str:
    """The namespace that WQLIB_NAMESPACE or the context names for us; "" if neither does.

    Args:
        context: As in `connect`.

    Raises:
        ClusterError: If there is no such context.
    """
    context = context or os.environ.get("WQLIB_CONTEXT") or LOCAL
    if context == LOCAL:
        return namespaces.named()
    return namespaces.named(find_context(kubeconfig_files(None), context), context)


def _connect_local(namespace: str) -> Cluster:
    from . import local

    with Notice() as notice:
        path = local.start(namespaces.USUAL, tell=notice.tell)
    api = client_for([path], None)
    return Cluster(LOCAL, namespace, path, api, local.Images(), answer_seconds=20)
