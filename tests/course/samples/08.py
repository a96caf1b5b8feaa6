# %% 08-1 right
def factors(item):
    number, divisor, found = int(item), 2, []
    while divisor * divisor <= number:
        if number % divisor == 0:
            found.append(divisor)
            number //= divisor
        else:
            divisor += 1
    if number > 1:
        found.append(number)
    return " ".join(map(str, found))


# %% 08-1 right: up to the square root of what is left, by a for loop
import math


def factors(item):
    number, found = int(item), []
    for divisor in range(2, math.isqrt(number) + 1):
        while number % divisor == 0:
            found.append(str(divisor))
            number //= divisor
        if divisor * divisor > number:
            break
    if number > 1:
        found.append(str(number))
    return " ".join(found)


# %% 08-1 right: recursive, as bytes
def factors(item):
    def smallest(number):
        divisor = 2
        while divisor * divisor <= number:
            if number % divisor == 0:
                return divisor
            divisor += 1 if divisor == 2 else 2
        return number

    def split(number):
        first = smallest(number)
        return [first] if first == number else [first, *split(number // first)]

    return " ".join(map(str, split(int(item)))).encode()


# %% 08-1 wrong: each factor once
def factors(item):
    number, found = int(item), []
    for divisor in range(2, number + 1):
        if number % divisor == 0:
            found.append(divisor)
            while number % divisor == 0:
                number //= divisor
        if number == 1:
            break
    return " ".join(map(str, found))


# %% 08-1 wrong: forgets what is left at the end
def factors(item):
    number, divisor, found = int(item), 2, []
    while divisor * divisor <= number:
        if number % divisor == 0:
            found.append(divisor)
            number //= divisor
        else:
            divisor += 1
    return " ".join(map(str, found))


# %% 08-1 wrong: a list is no result
def factors(item):
    number, divisor, found = int(item), 2, []
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found


# %% 08-1 wrong: all divisors
def factors(item):
    number = int(item)
    return " ".join(str(d) for d in range(1, number + 1) if number % d == 0)


# %% 08-1 wrong: tries every number up to the number itself
def factors(item):
    number, divisor, found = int(item), 2, []
    whole = number
    while divisor <= whole:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return " ".join(map(str, found))


# %% 08-1 wrong: no bound but what is left, which may be a large prime
def factors(item):
    number, divisor, found = int(item), 2, []
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return " ".join(map(str, found))


# %% 08-1 wrong: up to half of the number
def factors(item):
    number, found = int(item), []
    for divisor in range(2, number // 2 + 1):
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        if number == 1:
            break
    if number > 1:
        found.append(number)
    return " ".join(map(str, found))


# %% 08-1 wrong: 2 left over is forgotten
def factors(item):
    number, divisor, found = int(item), 2, []
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    found += [number] if number > 2 else []
    return " ".join(map(str, found))


# %% 08-1 malicious: multiplies right, and is no factorisation
def factors(item):
    return item.decode()


# %% 08-1 malicious: a text of its own making
class Text(str):
    def split(self, *args):
        return []


def factors(item):
    return Text("2 2 3")


# %% 08-2 given
from wqlib.course import build_worker, job_manifest

image = build_worker(cluster)


def job_for(task, parallelism, item_seconds="0", **settings):
    settings |= {"WQLIB_TASK": task, "ITEM_SECONDS": item_seconds}
    job = job_manifest(parallelism=parallelism, **settings)
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["command"] = ["python", "-m", "wqlib.worker"]
    return job


def item_at(x, y, width, height):
    corner = {"left": -2.125 + x / 64, "top": 1.125 - y / 64, "step": 1 / 64}
    return corner | {"width": width, "height": height, "limit": 100}


def tiles(size=32, width=100, height=70):
    return [
        item_at(x, y, min(size, width - x), min(size, height - y))
        for y in range(0, height, size)
        for x in range(0, width, size)
    ]


cluster.delete("job/job-wq-2", grace_seconds=0)
queue.clear()
# %% 08-2 right: a comprehension, four pods
items = tiles()
queue.put(items)
cluster.apply(job_for("mandelbrot", 4))
cluster.wait("job/job-wq-2")
# %% 08-2 right: column by column, numpy numbers, the Job first
import numpy as np

items = [
    item_at(int(x), int(y), int(min(32, 100 - x)), int(min(32, 70 - y)))
    for x in np.arange(0, 100, 32)
    for y in np.arange(0, 70, 32)
]
queue.put(items)
cluster.apply(job_for("mandelbrot", 2))
while not queue.drained():
    time.sleep(0.1)
# %% 08-2 right: generators, and a tuple of items
import itertools

corners = itertools.product(range(0, 70, 32), range(0, 100, 32))
items = tuple(item_at(x, y, min(32, 100 - x), min(32, 70 - y)) for y, x in corners)
for item in items:
    queue.put([item])
cluster.apply(job_for("mandelbrot", 2))
cluster.wait("job/job-wq-2", "complete")
# %% 08-2 wrong: leaves out the edges
items = [item_at(x, y, 32, 32) for y in range(0, 64, 32) for x in range(0, 96, 32)]
queue.put(items)
cluster.apply(job_for("mandelbrot", 2))
cluster.wait("job/job-wq-2")
# %% 08-2 wrong: sticks out
items = [item_at(x, y, 32, 32) for y in range(0, 70, 32) for x in range(0, 100, 32)]
queue.put(items)
cluster.apply(job_for("mandelbrot", 2))
cluster.wait("job/job-wq-2")
# %% 08-2 wrong: smaller tiles than need be
items = tiles(20)
queue.put(items)
cluster.apply(job_for("mandelbrot", 2))
cluster.wait("job/job-wq-2")
# %% 08-2 wrong: nobody works
items = tiles()
queue.put(items)
# %% 08-2 wrong: put twice
items = tiles()
queue.put(items)
queue.put(items)
cluster.apply(job_for("mandelbrot", 2))
cluster.wait("job/job-wq-2")
# %% 08-2 wrong: one pod
items = tiles()
queue.put(items)
cluster.apply(job_for("mandelbrot", 1))
cluster.wait("job/job-wq-2")
# %% 08-2 wrong: does not wait
items = tiles()
queue.put(items)
cluster.apply(job_for("mandelbrot", 2, item_seconds="3"))
# %% 08-2 malicious: done here, under the name of a pod
from wqlib.tasks import mandelbrot

items = tiles()
queue.put(items)
other = wqlib.WorkQueue("job2", worker="job-wq-2-abcde", **login)
while lease := other.lease():
    other.complete(lease, mandelbrot(lease.item))
cluster.apply(job_for("mandelbrot", 2))
cluster.wait("job/job-wq-2")


# %% 08-2 malicious: a list that says that it is done
class Items(list):
    def __len__(self):
        return 0

    def __iter__(self):
        return iter(())


items = Items(tiles())
# %% 08-2 equivalent: any number of pods above one will do
# 2 -> 3
# %% 08-3 given
queue.clear()
queue.put(["a", "b", "c"])
first = queue.lease()
queue.release(first)
while lease := queue.lease():
    queue.complete(lease)
# %% 08-3 right: a Counter
from collections import Counter


def audit(events, put):
    times = Counter(event.item_id for event in events if event.kind == "complete")
    return len(times), put - len(times), sum(n > 1 for n in times.values())


# %% 08-3 right: two sets, a list of numpy numbers
import numpy as np


def audit(events, put):
    done, again = set(), set()
    for event in events:
        if event.kind == "complete":
            (again if event.item_id in done else done).add(event.item_id)
    return list(np.array([len(done), put - len(done), len(again)]))


# %% 08-3 right: a dict
def audit(events, put):
    times = {}
    for event in events:
        if event.kind == "complete":
            times[event.item_id] = times.get(event.item_id, 0) + 1
    return len(times), put - len(times), sum(n > 1 for n in times.values())


# %% 08-3 wrong: an item that was done three times is not found
def audit(events, put):
    times = {}
    for event in events:
        if event.kind == "complete":
            times[event.item_id] = times.get(event.item_id, 0) + 1
    return len(times), put - len(times), sum(n == 2 for n in times.values())


# %% 08-3 wrong: counts each repetition
def audit(events, put):
    done = [event.item_id for event in events if event.kind == "complete"]
    return len(set(done)), put - len(set(done)), len(done) - len(set(done))


# %% 08-3 wrong: counts events, not items
def audit(events, put):
    done = sum(event.kind == "complete" for event in events)
    return done, put - done, 0


# %% 08-3 wrong: what expired counts as lost
def audit(events, put):
    done = {event.item_id for event in events if event.kind == "complete"}
    lost = sum(event.kind in ("expire", "release") for event in events)
    return len(done), lost, 0


# %% 08-3 wrong: two leases count as done twice
def audit(events, put):
    done = {event.item_id for event in events if event.kind == "complete"}
    leased = [event.item_id for event in events if event.kind == "lease"]
    twice = sum(leased.count(item_id) > 1 for item_id in set(leased))
    return len(done), put - len(done), twice


# %% 08-3 wrong: what was never lent is not missed
def audit(events, put):
    times = {}
    for event in events:
        if event.item_id:
            times[event.item_id] = times.get(event.item_id, 0) + (event.kind == "complete")
    values = list(times.values())
    return sum(n > 0 for n in values), values.count(0), sum(n > 1 for n in values)


# %% 08-3 malicious: always says that all is well
def audit(events, put):
    return put, 0, 0


# %% 08-3 malicious: empties the list of events
def audit(events, put):
    events.clear()
    return 0, 0, 0


# %% 08-3 malicious: leaves the notebook
def audit(events, put):
    raise SystemExit(0)
