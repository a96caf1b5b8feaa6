"""Which Kubernetes the cluster behaves like, under a name that says it is not the real one."""

MAJOR, MINOR = 1, 36
GIT_VERSION = f"v{MAJOR}.{MINOR}.2+localcluster"
