"""What makes the names of Services resolve inside the Python of a pod, and the Python its own.

There is no DNS for pods that are plain processes. Pods of Python images therefore find this file,
as `sitecustomize`, on their PYTHONPATH. It answers for the names that the cluster knows, from a
file that the kubelet keeps (one line for each Service: name, address, which port stands for
which), and leaves every other name to the system. A program of the environment that the cluster
runs in is given to the pod's own Python, so that it finds, and installs, what is the pod's. This
file stands alone and imports nothing of this package.
https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # To import it would make each program start later.
    from typing import Any

NAMES, NAMESPACE = "LOCALCLUSTER_NAMES", "LOCALCLUSTER_NAMESPACE"
DOMAIN = ".svc.cluster.local"
PYTHON = "LOCALCLUSTER_PYTHON"
# In the copy that pods find: the environment that the cluster runs in.
HERE = ""


def full_name(host: str, namespace: str) -> str:
    """Return `name.namespace` for any of the forms in which a pod may name a Service."""
    host = host.rstrip(".").lower()
    for ending in (DOMAIN, ".svc"):
        if host.endswith(ending):
            host = host[: -len(ending)]
            break
    return host if "." in host else f"{host}.{namespace}"


def find_service(host: object) -> tuple[str, dict[str, str]] | None:
    """Return the address and the moved ports of the Service with that name, if there is one."""
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "replace")
    if not isinstance(host, str) or not host or ":" in host:
        return None
    if host == os.environ.get("HOSTNAME"):
        return os.environ.get("LOCALCLUSTER_POD_IP", "127.0.0.1"), {}
    wanted = full_name(host, os.environ.get(NAMESPACE, "default"))
    try:
        with open(os.environ[NAMES], encoding="ascii") as file:
            for line in file:
                name, address, *ports = line.split()
                if name == wanted:
                    return address, dict(part.split("=") for part in ports)
    except (KeyError, OSError, ValueError):
        return None
    return None


def translate(host: object, port: object) -> tuple[object, object]:
    """Return the address and the port that stand for those a program asked for."""
    found = find_service(host)
    if found is None:
        return host, port
    address, ports = found
    number = ports.get(str(port))
    return address, port if number is None else type(port)(number)  # type: ignore[call-arg]


def patch_socket(socket: Any) -> None:
    """Make the module `socket` resolve the names of Services."""
    getaddrinfo, by_name, by_name_ex = (
        socket.getaddrinfo,
        socket.gethostbyname,
        socket.gethostbyname_ex,
    )
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def place(address: Any) -> Any:
        if isinstance(address, tuple) and len(address) >= 2:
            return (*translate(*address[:2]), *address[2:])
        return address

    def getaddrinfo_of_pod(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        return getaddrinfo(*translate(host, port), *args, **kwargs)

    socket.getaddrinfo = getaddrinfo_of_pod
    socket.gethostbyname = lambda name: by_name(translate(name, 0)[0])
    socket.gethostbyname_ex = lambda name: by_name_ex(translate(name, 0)[0])
    socket.gethostname = lambda: os.environ.get("HOSTNAME", "")
    socket.socket.connect = lambda self, address: connect(self, place(address))
    socket.socket.connect_ex = lambda self, address: connect_ex(self, place(address))


class _Finder:
    """Waits for the first import of `socket`: most small programs never need it."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "socket":
            return None
        sys.meta_path.remove(cls)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                execute = spec.loader.exec_module

                def run(module: Any, execute: Any = execute) -> None:
                    execute(module)
                    patch_socket(module)

                spec.loader.exec_module = run  # type: ignore[method-assign]
                return spec
        return None


def _next_customization() -> None:
    """Run the `sitecustomize` that would have been found without this one."""
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in sys.path:
        other = os.path.join(folder, "sitecustomize.py")
        if os.path.abspath(folder) != here and os.path.isfile(other):
            with open(other, "rb") as file:
                code = compile(file.read(), other, "exec")
            exec(code, {"__name__": "sitecustomize", "__file__": other})
            return


def _become_pods_python() -> None:
    """Go on as the pod's own Python, if this is the one that the cluster runs in."""
    own = os.environ.get(PYTHON)
    if own and sys.prefix == HERE != own:
        program = f"{own}/bin/python"
        os.execv(program, [program, *sys.orig_argv[1:]])


def _install() -> None:
    _become_pods_python()
    if "socket" in sys.modules:
        patch_socket(sys.modules["socket"])
    else:
        sys.meta_path.insert(0, _Finder)
    _next_customization()


if __name__ == "sitecustomize":
    _install()
