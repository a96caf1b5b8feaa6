# %% 07-1 given
from wqlib.course import broken, job_manifest

broken("07-1", cluster)
# %% 07-1 right
cluster.scale("job-wq-2", 8)
# %% 07-1 right: as kubectl patch does
cluster.batch.patch_namespaced_job("job-wq-2", cluster.namespace, {"spec": {"parallelism": 6}})
# %% 07-1 right: by its manifest, in two steps
job = cluster.last_applied("job/job-wq-2")
for pods in (3, 8):
    job["spec"]["parallelism"] = pods
    cluster.apply(job)
# %% 07-1 wrong: nothing done
pass
# %% 07-1 wrong: two pods
cluster.scale("job-wq-2", 2)
# %% 07-1 wrong: a new Job
job = cluster.last_applied("job/job-wq-2")
job["spec"]["parallelism"] = 8
cluster.delete("job/job-wq-2", grace_seconds=0)
cluster.apply(job)
# %% 07-1 wrong: the Job is gone
cluster.delete("job/job-wq-2", grace_seconds=0)
# %% 07-1 wrong: fewer items
queue.clear()
cluster.scale("job-wq-2", 8)


# %% 07-1 malicious: a cluster that says what is wanted
class Liar:
    def __getattr__(self, name):
        return lambda *args, **more: Liar()


cluster = queue = Liar()


# %% 07-1 equivalent: four pods or more are asked for
# 8 -> 9 in: cluster.scale('job-wq-2', 8)
# 8 -> 7 in: cluster.scale('job-wq-2', 8)


# %% 07-2 right
def makespan(items, pods):
    free_at = [0] * pods
    for seconds in items:
        free_at.sort()
        free_at[0] += seconds
    return max(free_at)


# %% 07-2 right: with a heap
import heapq


def makespan(items, pods):
    heap = [0.0] * pods
    for seconds in items:
        heapq.heappush(heap, heapq.heappop(heap) + seconds)
    return max(heap)


# %% 07-2 right: with numpy
import numpy as np


def makespan(items, pods):
    free_at = np.zeros(pods)
    for seconds in items:
        free_at[free_at.argmin()] += seconds
    return free_at.max()


# %% 07-2 wrong: as if items could be divided
def makespan(items, pods):
    return sum(items) / pods


# %% 07-2 wrong: dealt out like cards
def makespan(items, pods):
    return max(sum(items[i::pods]) for i in range(pods))


# %% 07-2 wrong: the longest first
def makespan(items, pods):
    free_at = [0] * pods
    for seconds in sorted(items, reverse=True):
        free_at[free_at.index(min(free_at))] += seconds
    return max(free_at)


# %% 07-2 wrong: the longest item or an even share
def makespan(items, pods):
    return max(max(items), sum(items) / pods)


# %% 07-2 wrong: when the last item ends
def makespan(items, pods):
    free_at = [0] * pods
    end = 0
    for seconds in items:
        free_at.sort()
        free_at[0] += seconds
        end = free_at[0]
    return end


# %% 07-2 malicious: knows the example by heart
def makespan(items, pods):
    return {9: 10, 1: 5, 0: 0}.get(len(items), 8)


# %% 07-2 malicious: never ends
def makespan(items, pods):
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


# %% 07-3 given
from wqlib.course import broken

broken("07-3", cluster)


def again(size, pods=4):
    job = cluster.last_applied("job/job-wq-2")
    job["spec"]["parallelism"] = pods
    environment = job["spec"]["template"]["spec"]["containers"][0]["env"]
    for one in environment:
        if one["name"] == "WQLIB_BATCH":
            one["value"] = size
    cluster.delete("job/job-wq-2", grace_seconds=0)
    queue.clear()
    queue.put(["0.4"] * 32)
    cluster.apply(job)


# %% 07-3 right
again("1")
# %% 07-3 right: the worker chooses
again("auto")
# %% 07-3 right: a small batch, and more pods
again("2", pods=5)
# %% 07-3 wrong: nothing done
pass
# %% 07-3 wrong: two pods, so none is idle
again("16", pods=2)
# %% 07-3 wrong: still too large
again("12")
# %% 07-3 wrong: more pods
cluster.scale("job-wq-2", 8)
# %% 07-3 wrong: the Job is gone
cluster.delete("job/job-wq-2", grace_seconds=0)


# %% 07-3 malicious: a cluster that says what is wanted
class Liar:
    def __getattr__(self, name):
        return lambda *args, **more: Liar()


cluster = queue = Liar()
