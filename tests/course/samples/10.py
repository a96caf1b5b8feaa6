# %% 10-1 right: a set, with numpy
import numpy as np


def alarms(before, now):
    done, leases, expired = np.array([now.done, now.leases, now.expired]) - np.array(
        [before.done, before.leases, before.expired]
    )
    tests = {
        "dead": now.dead,
        "stuck": now.pending and done == 0,
        "expiring": 10 * expired > leases,
    }
    return {word for word, true in tests.items() if true}


# %% 10-1 right: a comprehension
def alarms(before, now):
    return [
        word
        for word, true in (
            ("expiring", (now.expired - before.expired) * 10 > now.leases - before.leases),
            ("dead", now.dead != 0),
            ("stuck", now.pending >= 1 and not now.done - before.done),
        )
        if true
    ]


# %% 10-1 right: words added one by one
def alarms(before, now):
    words = []
    if now.expired - before.expired > (now.leases - before.leases) / 10:
        words.append("expiring")
    if now.pending and now.done <= before.done:
        words.append("stuck")
    if now.dead:
        words.append("dead")
    return words


# %% 10-1 wrong: only what has died since
def alarms(before, now):
    words = ["dead"] if now.dead > before.dead else []
    if now.pending and now.done == before.done:
        words.append("stuck")
    if now.expired - before.expired > (now.leases - before.leases) / 10:
        words.append("expiring")
    return words


# %% 10-1 wrong: a single item may wait
def alarms(before, now):
    words = ["dead"] if now.dead else []
    if now.pending > 1 and now.done == before.done:
        words.append("stuck")
    if now.expired - before.expired > (now.leases - before.leases) / 10:
        words.append("expiring")
    return words


# %% 10-1 wrong: expired on the whole
def alarms(before, now):
    words = ["dead"] if now.dead else []
    if now.pending and now.done == before.done:
        words.append("stuck")
    if now.expired > now.leases / 10:
        words.append("expiring")
    return words


# %% 10-1 wrong: an idle queue is stuck
def alarms(before, now):
    words = ["dead"] if now.dead else []
    if now.done == before.done:
        words.append("stuck")
    if now.expired - before.expired > (now.leases - before.leases) / 10:
        words.append("expiring")
    return words


# %% 10-1 wrong: only the first alarm
def alarms(before, now):
    if now.dead:
        return ["dead"]
    if now.pending and now.done == before.done:
        return ["stuck"]
    if now.expired - before.expired > (now.leases - before.leases) / 10:
        return ["expiring"]
    return []


# %% 10-1 wrong: a long queue
def alarms(before, now):
    return ["stuck"] if now.pending > 100 else []


# %% 10-1 malicious: a list that holds everything
class Everything(list):
    def __contains__(self, word):
        return True


def alarms(before, now):
    return Everything()


# %% 10-1 wrong: divides by zero when nothing was lent
def alarms(before, now):
    found = []
    if (now.expired - before.expired) / (now.leases - before.leases) > 0.1:
        found.append("expiring")
    if now.dead:
        found.append("dead")
    if now.pending and now.done == before.done:
        found.append("stuck")
    return found


# %% 10-1 malicious: changes the numbers until all is well
def alarms(before, now):
    for name in ("dead", "pending", "expired"):
        object.__setattr__(now, name, 0)
        object.__setattr__(before, name, 0)
    return []


# %% 10-2 given
import redis
from wqlib.course import broken

broken("10-2", cluster)
client = redis.Redis(**login)
# %% 10-2 right: no limit
client.config_set("maxmemory", 0)
# %% 10-2 right: refuses, and the cache is gone
client.config_set("maxmemory-policy", "noeviction")
client.delete(*client.keys("cache:*"))
# %% 10-2 right: only keys that expire by themselves, and more room, from the pod
room = "redis-cli config set maxmemory-policy volatile-lru; redis-cli config set maxmemory 100mb"
cluster.exec("redis", ["sh", "-c", f'export REDISCLI_AUTH="$REDIS_PASSWORD"; {room}'])
# %% 10-2 right: a new Redis from the manifest
from wqlib.course import start_redis

start_redis(cluster)
# %% 10-2 wrong: more room, for now
client.config_set("maxmemory", "100mb")
# %% 10-2 wrong: full, and refuses everything
client.config_set("maxmemory-policy", "noeviction")
# %% 10-2 wrong: throws out others
client.config_set("maxmemory-policy", "allkeys-random")
client.config_set("maxmemory", "50mb")
# %% 10-2 wrong: only puts the items again
with wqlib.WorkQueue("orders", **login) as orders:
    orders.put(range(200))
# %% 10-2 malicious: another client, which says that all is well


class Client:
    def config_get(self, *names):
        return {"maxmemory": "0", "maxmemory-policy": "noeviction"}


client = Client()

# %% 10-3 given
import redis
from wqlib.course import broken

broken("10-3", cluster)


def restart():
    for pod in cluster.pods():
        if pod.name.startswith("endless-"):
            cluster.kill_pod(pod.name)


# %% 10-3 right: Redis gets the new password, and the pods start again
redis.Redis(**login).config_set("requirepass", cluster.secret("redis"))
restart()
# %% 10-3 right: from the pod of Redis; the Deployment is applied anew
change = 'export REDISCLI_AUTH="$REDIS_PASSWORD"; redis-cli config set requirepass '
cluster.exec("redis", ["sh", "-c", change + cluster.secret("redis")])
cluster.delete("deployment/endless")
cluster.apply("manifests/endless.yaml")
# %% 10-3 right: the user has both passwords
redis.Redis(**login).acl_setuser("default", passwords=["+" + cluster.secret("redis")], enabled=True)
restart()
# %% 10-3 right: the old password again, and new pods
import base64

old = {"data": {"password": base64.b64encode(login["password"].encode()).decode()}}
cluster.core.patch_namespaced_secret("redis", cluster.namespace, old)
restart()
# %% 10-3 wrong: only the pods start again
restart()
# %% 10-3 wrong: Redis without a file is started again, and the items are gone
from wqlib.course import start_redis

start_redis(cluster)
restart()
# %% 10-3 wrong: done in the notebook
with wqlib.WorkQueue("job2", **login) as mine:
    while lease := mine.lease():
        mine.complete(lease)
redis.Redis(**login).config_set("requirepass", cluster.secret("redis"))
restart()
# %% 10-3 wrong: no workers any more
redis.Redis(**login).config_set("requirepass", cluster.secret("redis"))
cluster.delete("deployment/endless")
# %% 10-3 malicious: the queue is emptied
redis.Redis(**login).config_set("requirepass", cluster.secret("redis"))
wqlib.WorkQueue("job2", **login | {"password": cluster.secret("redis")}).clear()
restart()
# %% 10-3 equivalent: a container that crashed is started again by itself, a little later
# drop: for pod in cluster.pods():
# drop: if pod.name.startswith('endless-'):
# 'endless-' -> 'endless-x'
# drop: cluster.kill_pod(pod.name)
