# %% 06-1 right
def store(client, item_id, number):
    client.hset("sold", item_id, number)


def total(client):
    return sum(int(number) for number in client.hvals("sold"))


# %% 06-1 right
def store(client, item_id, number):
    client.set(f"sold:{item_id}", number)


def total(client):
    return sum(int(client.get(key)) for key in client.scan_iter("sold:*"))


# %% 06-1 right
def store(client, item_id, number):
    with client.pipeline() as pipe:
        pipe.hset("sold", item_id, number)
        pipe.sadd("sold-items", item_id)
        pipe.execute()


def total(client):
    return sum(int(client.hget("sold", name)) for name in client.smembers("sold-items"))


# %% 06-1 wrong: adds
def store(client, item_id, number):
    client.incrby("sold", number)


def total(client):
    return int(client.get("sold") or 0)


# %% 06-1 wrong: appends
def store(client, item_id, number):
    client.rpush("sold", number)


def total(client):
    return sum(int(number) for number in client.lrange("sold", 0, -1))


# %% 06-1 wrong: a set of numbers, so equal numbers count once
def store(client, item_id, number):
    client.sadd("sold", number)


def total(client):
    return sum(int(number) for number in client.smembers("sold"))


# %% 06-1 wrong: remembers in Python
seen = set()


def store(client, item_id, number):
    if item_id not in seen:
        seen.add(item_id)
        client.incrby("sold", number)


def total(client):
    return int(client.get("sold") or 0)


# %% 06-1 wrong: adds, then remembers, and may die between
def store(client, item_id, number):
    if not client.sismember("sold-seen", item_id):
        client.incrby("sold", number)
        client.sadd("sold-seen", item_id)


def total(client):
    return int(client.get("sold") or 0)


# %% 06-1 wrong: remembers, then adds, and may die between
def store(client, item_id, number):
    if client.sadd("sold-seen", item_id):
        client.incrby("sold", number)


def total(client):
    return int(client.get("sold") or 0)


# %% 06-1 malicious: a total that is equal to all
class Equal(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


def store(client, item_id, number):
    pass


def total(client):
    return Equal(1)


# %% 06-1 malicious: ends the notebook
def store(client, item_id, number):
    raise SystemExit(0)


def total(client):
    return 0


# %% 06-2 given
from wqlib.course import broken, job_manifest

broken("06-2", cluster)


def environment(job):
    container = job["spec"]["template"]["spec"]["containers"][0]
    return {one["name"]: one for one in container["env"]}


def again(job):
    cluster.delete("job/job-wq-2", grace_seconds=0)
    cluster.apply(job)


# %% 06-2 right: a lease longer than the work
job = cluster.last_applied("job/job-wq-2")
environment(job)["WQLIB_LEASE_SECONDS"]["value"] = "5"
again(job)
# %% 06-2 right: the worker of the course, which renews
again(job_manifest(parallelism=2, ITEM_SECONDS="1", WQLIB_LEASE_SECONDS="0.5"))
# %% 06-2 right: more pods as well, and from the start
job = job_manifest(parallelism=3, ITEM_SECONDS="1", WQLIB_LEASE_SECONDS="30")
cluster.delete("job/job-wq-2", grace_seconds=0)
queue.clear()
queue.put(["apple", "banana", "cherry", "date"])
cluster.apply(job)
# %% 06-2 wrong: nothing changed
pass
# %% 06-2 wrong: more pods
cluster.scale("job-wq-2", 4)
# %% 06-2 wrong: a little longer, and too short still
job = cluster.last_applied("job/job-wq-2")
environment(job)["WQLIB_LEASE_SECONDS"]["value"] = "0.7"
again(job)
# %% 06-2 wrong: no work at all
job = cluster.last_applied("job/job-wq-2")
environment(job)["ITEM_SECONDS"]["value"] = "0"
again(job)
# %% 06-2 wrong: an empty queue
cluster.delete("job/job-wq-2", grace_seconds=0)
queue.clear()
cluster.apply(job_manifest(parallelism=1, ITEM_SECONDS="1"))
# %% 06-2 wrong: the Job is gone
cluster.delete("job/job-wq-2", grace_seconds=0)
# %% 06-2 wrong: done in the notebook
from wqlib.worker import Worker

cluster.delete("job/job-wq-2", grace_seconds=0)
Worker(queue, lambda item: time.sleep(1) or f"{len(item)} letters").run()
cluster.apply(job_manifest())


# %% 06-2 malicious: a queue and a cluster that say what is wanted
class Liar:
    def __getattr__(self, name):
        return lambda *args, **more: Liar()

    def __bool__(self):
        return True


queue = cluster = Liar()

# %% 06-3 given
from wqlib import WorkQueue
from wqlib.course import broken
from wqlib.worker import Worker

broken("06-3", cluster)


def run(change, *, requeue=True):
    job = cluster.last_applied("job/job-wq-2")
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    command[2] = command[2].replace("item.decode()", change)
    cluster.delete("job/job-wq-2", grace_seconds=0)
    if requeue:
        queue.requeue_dead()
    cluster.apply(job)
    cluster.wait("job/job-wq-2", "complete")


# %% 06-3 right: a better task
run('item.decode().replace(",", ".")')
# %% 06-3 right: a better item
[dead] = queue.dead_items()
queue.drop_dead([dead.item_id])
queue.put("1.20")
run("item.decode()", requeue=False)


# %% 06-3 right: a worker in the notebook
def cents(item):
    whole, rest = item.decode().replace(",", ".").split(".")
    return str(int(whole) * 100 + int(rest))


queue.requeue_dead([one.item_id for one in queue.dead_items()])
with WorkQueue("job2", worker="notebook", **login) as mine:
    Worker(mine, cents).run()
# %% 06-3 wrong: nothing done
pass
# %% 06-3 wrong: requeued with the old task
run("item.decode()")
# %% 06-3 wrong: the dead item is thrown away
queue.drop_dead([dead.item_id for dead in queue.dead_items()])
# %% 06-3 wrong: put in anew, and the dead one is still there
queue.put("1.20")
run("item.decode()", requeue=False)
# %% 06-3 wrong: requeued, and no worker
cluster.delete("job/job-wq-2", grace_seconds=0)
queue.requeue_dead()
# %% 06-3 wrong: the comma is left out
run('item.decode().replace(",", "")')
# %% 06-3 malicious: one price, hard-coded
run('"0.01"')


# %% 06-3 malicious: a queue that says what is wanted
class Liar:
    def stats(self):
        return type("Stats", (), {"done": 3, "dead": 0, "pending": 0, "leased": 0})()


queue = Liar()

# %% 06-4 given
from wqlib import WorkQueue
from wqlib.course import broken
from wqlib.worker import Worker

broken("06-4", cluster)
job = cluster.last_applied("job/photos-never")
container = job["spec"]["template"]["spec"]["containers"][0]


def again(job):
    cluster.delete("job/photos-never", grace_seconds=0)
    cluster.apply(job)


# %% 06-4 right: more memory
container["resources"]["limits"]["memory"] = "512Mi"
again(job)
# %% 06-4 right: no limit, and the container is restarted
del container["resources"]["limits"]
job["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
again(job)
# %% 06-4 right: a Job of another name
job["metadata"]["name"] = "photos-large"
container["resources"]["limits"]["memory"] = "1Gi"
cluster.apply(job)
cluster.wait("job/photos-large", "complete")
# %% 06-4 wrong: nothing done
pass
# %% 06-4 wrong: the same again
again(job)
# %% 06-4 wrong: more failures allowed
job["spec"]["backoffLimit"] = 2
again(job)
# %% 06-4 wrong: the request instead of the limit
container["resources"]["requests"]["memory"] = "128Mi"
again(job)
# %% 06-4 wrong: without the large photo
photos = WorkQueue("photos-never", **login)
photos.clear()
photos.put(["8", "8", "8"])
again(job)
# %% 06-4 wrong: done in the notebook
with WorkQueue("photos-never", worker="notebook", **login) as mine:
    Worker(mine, lambda item: f"{int(item)} MB").run()


# %% 06-4 malicious: a cluster that says what is wanted
class Liar:
    def __getattr__(self, name):
        return lambda *args, **more: Liar()


cluster = Liar()
