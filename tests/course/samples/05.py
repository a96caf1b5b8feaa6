# %% 05-1 given
import copy


# %% 05-1 right
def changed(job, pods, lease_seconds):
    new = copy.deepcopy(job)
    new["spec"]["parallelism"] = pods
    for variable in new["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "WQLIB_LEASE_SECONDS":
            variable["value"] = str(lease_seconds)
    return new


# %% 05-1 right
def changed(job, pods, lease_seconds):
    import json

    new = json.loads(json.dumps(job))
    new["spec"]["parallelism"] = pods
    container = new["spec"]["template"]["spec"]["containers"][0]
    others = [one for one in container["env"] if one["name"] != "WQLIB_LEASE_SECONDS"]
    container["env"] = [*others, {"name": "WQLIB_LEASE_SECONDS", "value": f"{lease_seconds}"}]
    return new


# %% 05-1 wrong: changes the manifest that it was given
def changed(job, pods, lease_seconds):
    job["spec"]["parallelism"] = pods
    for variable in job["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "WQLIB_LEASE_SECONDS":
            variable["value"] = str(lease_seconds)
    return job


# %% 05-1 wrong: copies the outermost dict only
def changed(job, pods, lease_seconds):
    new = dict(job)
    new["spec"]["parallelism"] = pods
    for variable in new["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "WQLIB_LEASE_SECONDS":
            variable["value"] = str(lease_seconds)
    return new


# %% 05-1 wrong: a number as the value of a variable
def changed(job, pods, lease_seconds):
    new = copy.deepcopy(job)
    new["spec"]["parallelism"] = pods
    for variable in new["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "WQLIB_LEASE_SECONDS":
            variable["value"] = lease_seconds
    return new


# %% 05-1 wrong: the lease time in the wrong place
def changed(job, pods, lease_seconds):
    new = copy.deepcopy(job)
    new["spec"]["parallelism"] = pods
    new["metadata"]["annotations"] = {"WQLIB_LEASE_SECONDS": str(lease_seconds)}
    return new


# %% 05-1 wrong: returns nothing
def changed(job, pods, lease_seconds):
    new = copy.deepcopy(job)
    new["spec"]["parallelism"] = pods


# %% 05-1 malicious: a dict that is equal to all
class Equal(dict):
    def __eq__(self, other):
        return True

    __hash__ = None


def changed(job, pods, lease_seconds):
    return Equal(copy.deepcopy(job))


# %% 05-1 malicious: hard-coded
def changed(job, pods, lease_seconds):
    new = copy.deepcopy(job)
    new["spec"]["parallelism"] = 4
    return new


# %% 05-2 right
def who_did_what(events):
    names, done = {}, {}
    for event in events:
        if event.kind == "lease":
            names[event.lease_id] = event.item
        elif event.kind == "complete":
            done.setdefault(event.worker, []).append(names[event.lease_id])
    return {worker: sorted(items) for worker, items in done.items()}


# %% 05-2 right
def who_did_what(events):
    names = {event.item_id: event.item for event in events if event.kind == "lease"}
    done = {}
    for event in events:
        if event.kind == "complete":
            done[event.worker] = sorted([*done.get(event.worker, []), names[event.item_id]])
    return done


# %% 05-2 wrong: counts leases
def who_did_what(events):
    done = {}
    for event in events:
        if event.kind == "lease":
            done.setdefault(event.worker, []).append(event.item)
    return {worker: sorted(items) for worker, items in done.items()}


# %% 05-2 wrong: takes the name from the completion
def who_did_what(events):
    done = {}
    for event in events:
        if event.kind == "complete":
            done.setdefault(event.worker, []).append(event.item)
    return {worker: sorted(items) for worker, items in done.items()}


# %% 05-2 wrong: how many, not which
def who_did_what(events):
    from collections import Counter

    return dict(Counter(event.worker for event in events if event.kind == "complete"))


# %% 05-2 wrong: equal items count once
def who_did_what(events):
    names, done = {}, {}
    for event in events:
        if event.kind == "lease":
            names[event.lease_id] = event.item
        elif event.kind == "complete":
            done.setdefault("pod", set()).add(names[event.lease_id])
    return {worker: sorted(items) for worker, items in done.items()}


# %% 05-2 malicious: a dict that is equal to all
class Equal(dict):
    def __eq__(self, other):
        return True

    def __contains__(self, key):
        return False

    __hash__ = None


def who_did_what(events):
    return Equal()


# %% 05-2 malicious: ends the notebook
def who_did_what(events):
    raise SystemExit(0)


# %% 05-3 given
import copy

from wqlib.course import build_worker, job_manifest

build_worker(cluster)
broken = job_manifest(ITEM_SECONDS="0.2")
broken["spec"]["completions"] = 6
container = broken["spec"]["template"]["spec"]["containers"][0]
container["command"] = ["sh", "-c", "python worker.py; test -e report.txt"]
mended = copy.deepcopy(broken)
container = mended["spec"]["template"]["spec"]["containers"][0]
# %% 05-3 right
del mended["spec"]["completions"]
del container["command"]
# %% 05-3 right
del mended["spec"]["completions"]
container["command"] = ["sh", "-c", "exec python worker.py"]
# %% 05-3 wrong: as it was
pass
# %% 05-3 wrong: only the command is mended
del container["command"]
# %% 05-3 wrong: only the completions are gone
del mended["spec"]["completions"]
# %% 05-3 wrong: the exit code is hidden
del mended["spec"]["completions"]
container["command"] = ["sh", "-c", "python worker.py; true"]
# %% 05-3 wrong: one completion, so one pod
mended["spec"]["completions"] = 1
del container["command"]
# %% 05-3 malicious: pods that do nothing, and do it well
del mended["spec"]["completions"]
container["command"] = ["true"]
# %% 05-3 malicious: not a manifest
mended = {"kind": "Job", "spec": [], "metadata": {}}


# %% 05-3 malicious: a dict that lies
class Liar(dict):
    def __getitem__(self, key):
        return 2


mended = Liar()
