# %% 04-1 right
def pods_to_start(parallelism, active, succeeded):
    return 0 if succeeded else max(parallelism - active, 0)


# %% 04-1 wrong: goes on after a success
def pods_to_start(parallelism, active, succeeded):
    return max(0, parallelism - active)


# %% 04-1 wrong: less than none
def pods_to_start(parallelism, active, succeeded):
    return 0 if succeeded else parallelism - active


# %% 04-1 wrong: as with completions
def pods_to_start(parallelism, active, succeeded):
    return max(0, parallelism - active - succeeded)


# %% 04-1 wrong: returns nothing
def pods_to_start(parallelism, active, succeeded):
    print(parallelism - active)


# %% 04-1 malicious: a number that equals all
class Any(int):
    def __eq__(self, other):
        return True

    __ne__ = None


def pods_to_start(parallelism, active, succeeded):
    return Any(0)


# %% 04-2 right
from collections import Counter


def shares(events):
    return dict(Counter(event.worker for event in events if event.kind == "complete"))


# %% 04-2 wrong: counts leases
def shares(events):
    counted = {}
    for event in events:
        if event.kind == "lease":
            counted[event.worker] = counted.get(event.worker, 0) + 1
    return counted


# %% 04-2 wrong: counts only whether
def shares(events):
    return {event.worker: 1 for event in events if event.kind == "complete"}


# %% 04-2 wrong: workers with none are in it
def shares(events):
    counted = {event.worker: 0 for event in events if event.worker}
    for event in events:
        if event.kind == "complete":
            counted[event.worker] += 1
    return counted | {"worker-0": 0}


# %% 04-2 wrong: the number on the whole
def shares(events):
    return sum(event.kind == "complete" for event in events)


# %% 04-2 malicious: a dict that equals all
class Any(dict):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


def shares(events):
    return Any()


# %% 04-2 malicious: changes what it was given
def shares(events):
    events.clear()
    return {}


# %% 04-3 given
from wqlib.course import build_worker, job_manifest

image = build_worker(cluster)
queue.put("apple banana cherry date fig".split())
broken = job_manifest(ITEM_SECONDS="0.1", WQLIB_QUEUE="job-2")
broken["metadata"]["name"] = "job-broken"
# %% 04-3 right
cluster.apply(broken)
cluster.wait("job/job-broken", "complete")
cluster.delete("job/job-broken")
for variable in broken["spec"]["template"]["spec"]["containers"][0]["env"]:
    if variable["name"] == "WQLIB_QUEUE":
        variable["value"] = "job2"
cluster.apply(broken)
cluster.wait("job/job-broken", "complete")
# %% 04-3 wrong: run as it is
cluster.apply(broken)
cluster.wait("job/job-broken", "complete")
# %% 04-3 wrong: mended but not run
broken = job_manifest(ITEM_SECONDS="0.1", WQLIB_QUEUE="job2")
# %% 04-3 wrong: put the items where it looks, and left the others
other = wqlib.WorkQueue("job-2", **login)
other.put("apple banana cherry date fig".split())
cluster.apply(broken)
cluster.wait("job/job-broken", "complete")
# %% 04-3 wrong: done by the notebook
cluster.apply(broken)
cluster.wait("job/job-broken", "complete")
lease = queue.lease()
while lease:
    lease = queue.complete_and_lease(lease)


# %% 04-3 malicious: a cluster and a queue that say what is wanted
class Liar:
    def __getattr__(self, name):
        return lambda *args, **more: []


queue = Liar()
cluster = Liar()
# %% 04-3 malicious: cleared the queue
cluster.apply(broken)
cluster.wait("job/job-broken", "complete")
queue.clear()
