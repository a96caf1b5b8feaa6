# %% 02-1 given
client.delete("job2")
client.rpush("job2", *"apple banana cherry date fig grape lemon melon orange kiwi".split())

# %% 02-1 right
client.rpush("job2", "plum")
client.lpush("job2", "mango")

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


# %% 02-2 right
def fill(client, name, items):
    for start in range(0, len(items), 500):
        client.rpush(name, *items[start : start + 500])


# %% 02-2 right
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


# %% 02-2 wrong: the last batch is forgotten
def fill(client, name, items):
    for batch in range(len(items) // 500):
        client.rpush(name, *items[batch * 500 : (batch + 1) * 500])


# %% 02-2 wrong: all at once
def fill(client, name, items):
    if items:
        client.rpush(name, *items)


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

# %% 02-3 right
prediction = {"pending": 0, "leased": 1, "done": 1, "drained": False}
queue.put(["apple", "apple"])
first, second = other.lease(), other.lease()
other.complete(second)

# %% 02-3 wrong: believes that the empty list is the end
prediction = {"pending": 0, "leased": 1, "done": 1, "drained": True}
queue.put(["apple", "apple"])
first, second = other.lease(), other.lease()
other.complete(first)

# %% 02-3 wrong: believes that what is leased is pending too
prediction = {"pending": 1, "leased": 1, "done": 1, "drained": False}
queue.put(["apple", "apple"])
first, second = other.lease(), other.lease()
other.complete(first)

# %% 02-3 wrong: predicted, not done
prediction = {"pending": 0, "leased": 1, "done": 1, "drained": False}

# %% 02-3 wrong: leased once only
prediction = {"pending": 1, "leased": 0, "done": 1, "drained": False}
queue.put(["apple", "apple"])
first = other.lease()
other.complete(first)

# %% 02-3 wrong: both completed
prediction = {"pending": 0, "leased": 0, "done": 2, "drained": True}
queue.put(["apple", "apple"])
first, second = other.lease(), other.lease()
other.complete(first)
other.complete(second)

# %% 02-3 wrong: one apple
prediction = {"pending": 0, "leased": 0, "done": 1, "drained": True}
queue.put("apple")
other.complete(other.lease())

# %% 02-3 wrong: one number is missing
prediction = {"pending": 0, "leased": 1, "done": 1}
queue.put(["apple", "apple"])
first, second = other.lease(), other.lease()
other.complete(first)


# %% 02-3 malicious: a prediction that is equal to everything, of a queue that is none
class Always(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class Stats:
    pending, leased, done, drained = 0, 1, 1, False


class NoQueue:
    def stats(self):
        return Stats()


queue = other = NoQueue()
prediction = dict.fromkeys(["pending", "leased", "done", "drained"], Always())
