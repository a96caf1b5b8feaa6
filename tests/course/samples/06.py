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


# %% 06-2 right
def choose_lease(pauses, most_away):
    least = 2 * max(pauses)
    return least if least <= most_away else None


# %% 06-2 right
def choose_lease(pauses, most_away):
    if max(pauses) <= most_away / 2:
        return most_away
    return None


# %% 06-2 wrong: just the longest pause
def choose_lease(pauses, most_away):
    return max(pauses) if max(pauses) <= most_away else None


# %% 06-2 wrong: never None
def choose_lease(pauses, most_away):
    return 2 * max(pauses)


# %% 06-2 wrong: as long as allowed
def choose_lease(pauses, most_away):
    return most_away


# %% 06-2 wrong: the mean pause
def choose_lease(pauses, most_away):
    least = 2 * sum(pauses) / len(pauses)
    return least if least <= most_away else None


# %% 06-2 wrong: the good start
def choose_lease(pauses, most_away):
    return 30


# %% 06-2 malicious: a number that fits everywhere
class Fits(float):
    def __le__(self, other):
        return True

    def __gt__(self, other):
        return True

    def __truediv__(self, other):
        return 1e9


def choose_lease(pauses, most_away):
    return Fits(1.0)


# %% 06-2 malicious: changes what it is given
def choose_lease(pauses, most_away):
    pauses[:] = [0.0]
    return min(most_away, 1e-9)


# %% 06-2 malicious: not a number
def choose_lease(pauses, most_away):
    return float("nan")


# %% 06-3 given
import contextlib
import io

from wqlib import WorkQueue
from wqlib.worker import Worker


def cents(item):
    return str(round(float(item.decode()) * 100))


def work(task):
    with WorkQueue("job2", worker="notebook", max_attempts=3, **login) as mine:
        Worker(mine, task).run()


queue.put(["3.50", "1,20", "2.75"])
work(cents)


# %% 06-3 right
def cents(item):
    return str(round(float(item.decode().replace(",", ".")) * 100))


queue.requeue_dead()
work(cents)


# %% 06-3 right
def cents(item):
    whole, rest = item.decode().replace(",", ".").split(".")
    return str(int(whole) * 100 + int(rest))


queue.requeue_dead([dead.item_id for dead in queue.dead_items()])
work(cents)
# %% 06-3 wrong: nothing done
pass
# %% 06-3 wrong: requeued with the old task
queue.requeue_dead()
work(cents)


# %% 06-3 wrong: put in anew
def cents(item):
    return str(round(float(item.decode().replace(",", ".")) * 100))


queue.put("1,20")
work(cents)


# %% 06-3 wrong: requeued, and no worker
def cents(item):
    return str(round(float(item.decode().replace(",", ".")) * 100))


queue.requeue_dead()


# %% 06-3 wrong: the comma is left out
def cents(item):
    return str(round(float(item.decode().replace(",", "")) * 100))


queue.requeue_dead()
work(cents)


# %% 06-3 wrong: began again with a clean queue
def cents(item):
    return str(round(float(item.decode().replace(",", ".")) * 100))


queue.clear()
queue.put(["3.50", "1,20", "2.75"])
work(cents)


# %% 06-3 malicious: a queue that says what is wanted
class Liar:
    def stats(self):
        return type("Stats", (), {"done": 3, "dead": 0, "pending": 0, "leased": 0})()


queue = Liar()


# %% 06-3 malicious: one price, hard-coded
def cents(item):
    return "120"


queue.requeue_dead()
work(cents)
