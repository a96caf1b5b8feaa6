# %% 00-1 right
def failing(checks):
    return [check.name for check in checks if not check.ok]


# %% 00-1 wrong: printed, not returned
def failing(checks):
    for check in checks:
        if not check.ok:
            print(check.name)


# %% 00-1 wrong: those that are well
def failing(checks):
    return [check.name for check in checks if check.ok]


# %% 00-1 wrong: the checks, not their names
def failing(checks):
    return [check for check in checks if not check.ok]


# %% 00-1 wrong: the return is inside the loop
def failing(checks):
    names = []
    for check in checks:
        if not check.ok:
            names.append(check.name)
        return names


# %% 00-1 wrong: the checks of the notebook, whatever the function is given
def failing(checks):
    return []


# %% 00-1 malicious: a list that is equal to everything
class Everything(list):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


def failing(checks):
    return Everything()


# %% 00-1 malicious: it wants to end the kernel
def failing(checks):
    raise SystemExit


# %% 00-2 given
def talking_pod(name, text):
    container = {"name": "main", "image": "python:3.11-slim", "command": ["echo", text]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }


cluster.apply(talking_pod("hello", "hello from a pod"))
cluster.wait("pod/hello", "succeeded")

# %% 00-2 right
cluster.apply(talking_pod("mine", "my first pod"))
cluster.wait("pod/mine", "succeeded")
said = cluster.logs("pod/mine")

# %% 00-2 wrong: described, not started
mine = talking_pod("mine", "my first pod")
said = "my first pod"

# %% 00-2 wrong: the log of the other pod
cluster.apply(talking_pod("mine", "my first pod"))
cluster.wait("pod/mine", "succeeded")
said = cluster.logs("pod/hello")

# %% 00-2 wrong: a pod of another name
cluster.apply(talking_pod("my-pod", "my first pod"))
cluster.wait("pod/my-pod", "succeeded")
said = cluster.logs("pod/my-pod")

# %% 00-2 wrong: a pod with nothing to say
cluster.apply(talking_pod("mine", ""))
cluster.wait("pod/mine", "succeeded")
said = cluster.logs("pod/mine")

# %% 00-2 wrong: what wait gives, not the log
cluster.apply(talking_pod("mine", "my first pod"))
said = cluster.wait("pod/mine", "succeeded")


# %% 00-2 malicious: a cluster that is none
class NoCluster:
    namespace = "wq-course"

    def logs(self, target):
        return "my first pod"

    def __getattr__(self, name):
        return self


cluster = NoCluster()
said = "my first pod"
