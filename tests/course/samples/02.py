# %% 02-1 given
client.delete("job2")
client.rpush("job2", *"apple banana cherry date fig grape lemon melon orange kiwi".split())

# %% 02-1 right: one at each end
client.rpush("job2", "plum")
client.lpush("job2", "mango")

# %% 02-1 right: with redis-cli, inside the pod
for line in ("rpush job2 plum", "lpush job2 mango"):
    script = f'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli {line}'
    cluster.exec("redis", ["sh", "-c", script])

# %% 02-1 right: the whole list anew
items = client.lrange("job2", 0, -1)
client.delete("job2")
client.rpush("job2", "mango", *items, "plum")

# %% 02-1 right: in one step
pipeline = client.pipeline()
pipeline.rpush("job2", b"plum").lpush("job2", b"mango").execute()

# %% 02-1 wrong: both at the end
client.rpush("job2", "plum", "mango")

# %% 02-1 wrong: both at the front
client.lpush("job2", "plum", "mango")

# %% 02-1 wrong: the ends mixed up
client.lpush("job2", "plum")
client.rpush("job2", "mango")

# %% 02-1 wrong: pushed twice
for _ in range(2):
    client.rpush("job2", "plum")
    client.lpush("job2", "mango")

# %% 02-1 wrong: the mango put in the place of the apple
client.lset("job2", 0, "mango")
client.rpush("job2", "plum")

# %% 02-1 wrong: into another list
client.rpush("job", "plum")
client.lpush("job", "mango")


# %% 02-1 malicious: a client that shows what one likes to see
class Painted:
    def lrange(self, *args):
        return [b"mango", b"plum"]

    def __getattr__(self, name):
        return lambda *args: 12


client = Painted()
client.lpush("job2", "mango")


# %% 02-2 right: batches of 500
def fill(client, name, items):
    for start in range(0, len(items), 500):
        client.rpush(name, *items[start : start + 500])


# %% 02-2 right: a pipeline, executed every 500 items
def fill(client, name, items):
    pipeline = client.pipeline(transaction=False)
    for number, item in enumerate(items, 1):
        pipeline.rpush(name, item)
        if number % 500 == 0:
            pipeline.execute()
    pipeline.execute()


# %% 02-2 wrong: one by one
def fill(client, name, items):
    for item in items:
        client.rpush(name, item)


# %% 02-2 wrong: batches of 100
def fill(client, name, items):
    for start in range(0, len(items), 100):
        client.rpush(name, *items[start : start + 100])


# %% 02-2 wrong: batches of 499
def fill(client, name, items):
    for start in range(0, len(items), 499):
        client.rpush(name, *items[start : start + 499])


# %% 02-2 wrong: the last batch is forgotten
def fill(client, name, items):
    for batch in range(len(items) // 500):
        client.rpush(name, *items[batch * 500 : (batch + 1) * 500])


# %% 02-2 right: all at once
def fill(client, name, items):
    if items:
        client.rpush(name, *items)


# %% 02-2 right: one pipeline for all
def fill(client, name, items):
    with client.pipeline() as pipeline:
        for item in items:
            pipeline.rpush(name, item)
        pipeline.execute()


# %% 02-2 right: smaller batches in a larger pipeline
def fill(client, name, items):
    pipeline = client.pipeline(transaction=False)
    while items:
        batch, items = items[:100], items[100:]
        pipeline.rpush(name, *batch)
    pipeline.execute()


# %% 02-2 wrong: an empty list is not thought of
def fill(client, name, items):
    client.rpush(name, *items[:500])
    for start in range(500, len(items), 500):
        client.rpush(name, *items[start : start + 500])


# %% 02-2 wrong: the pipeline is never executed
def fill(client, name, items):
    pipeline = client.pipeline(transaction=False)
    for item in items:
        pipeline.rpush(name, item)


# %% 02-2 wrong: pushed at the wrong end
def fill(client, name, items):
    for start in range(0, len(items), 500):
        client.lpush(name, *items[start : start + 500])


# %% 02-2 wrong: the list itself, not its items
def fill(client, name, items):
    client.rpush(name, items)


# %% 02-2 malicious: each item by a connection of its own, so that nobody counts
import redis


def fill(client, name, items):
    other = redis.Redis(**login)
    for item in items:
        other.rpush(name, item)


# %% 02-2 malicious: it never comes back
def fill(client, name, items):
    while True:
        pass


# %% 02-2 malicious: it wants to end the kernel
def fill(client, name, items):
    raise SystemExit


# %% 02-3 given
other = wqlib.WorkQueue("job2", worker="worker-b", lease_seconds=60, **login)
queue.clear()

# %% 02-3 right: as it is meant
queue.put(["apple", "banana", "cherry"])
first, second = other.lease(), other.lease()
other.complete(first)

# %% 02-3 right: complete one and lease the next in one call
queue.put(["apple", "banana", "cherry"])
held = other.complete_and_lease(other.lease())

# %% 02-3 right: pushed to the list, and leased by two workers
client.rpush("job2", "apple", "banana", "cherry")
queue.complete(queue.lease())
other.lease()

# %% 02-3 right: in another order
queue.put("banana")
held = other.lease()
queue.put(["apple", "cherry"])
other.complete(other.lease())

# %% 02-3 wrong: only put
queue.put(["apple", "banana", "cherry"])

# %% 02-3 wrong: the second completed, not the first
queue.put(["apple", "banana", "cherry"])
first, second = other.lease(), other.lease()
other.complete(second)

# %% 02-3 wrong: leased once only
queue.put(["apple", "banana", "cherry"])
first = other.lease()
other.complete(first)

# %% 02-3 wrong: both completed
queue.put(["apple", "banana", "cherry"])
for lease in (other.lease(), other.lease()):
    other.complete(lease)

# %% 02-3 wrong: two items
queue.put(["apple", "banana"])
first, second = other.lease(), other.lease()
other.complete(first)

# %% 02-3 wrong: popped, not leased
queue.put(["apple", "banana", "cherry"])
client.lpop("job2")
other.lease()

# %% 02-3 wrong: three times the same
queue.put(["apple", "apple", "apple"])
first, second = other.lease(), other.lease()
other.complete(first)


# %% 02-3 malicious: a queue that says what one likes to hear
class Stats:
    pending, leased, done = 1, 1, 1


class NoQueue:
    def stats(self):
        return Stats()


queue = other = NoQueue()
