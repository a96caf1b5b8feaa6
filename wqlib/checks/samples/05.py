# %% 05-1 right
def record(store, item_id, letters):
    store.setdefault("seen", {})[item_id] = letters


def total(store):
    return sum(store.get("seen", {}).values())


# %% 05-1 wrong: adds, as in the task
def record(store, item_id, letters):
    store["sum"] = store.get("sum", 0) + letters


def total(store):
    return store.get("sum", 0)


# %% 05-1 wrong: items of equal length are one
def record(store, item_id, letters):
    store[letters] = letters


def total(store):
    return sum(store.values())


# %% 05-1 wrong: keeps only the last
def record(store, item_id, letters):
    store["sum"] = letters


def total(store):
    return store["sum"]


# %% 05-1 wrong: a list of all
def record(store, item_id, letters):
    store.setdefault("all", []).append(letters)


def total(store):
    return sum(store["all"])


# %% 05-1 malicious: remembers outside of the store
seen = {}


def record(store, item_id, letters):
    seen[item_id] = letters


def total(store):
    return sum(seen.values())


# %% 05-1 malicious: a sum that equals all
class Sum(int):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


def record(store, item_id, letters):
    pass


def total(store):
    return Sum(0)


# %% 05-2 right
def lease_for(pause_seconds, patience_seconds):
    if 2 * pause_seconds > patience_seconds:
        return None
    return patience_seconds


# %% 05-2 wrong: as long as the pause
def lease_for(pause_seconds, patience_seconds):
    return pause_seconds + 1 if pause_seconds < patience_seconds else None


# %% 05-2 wrong: never None
def lease_for(pause_seconds, patience_seconds):
    return 2 * pause_seconds


# %% 05-2 wrong: the good start for all
def lease_for(pause_seconds, patience_seconds):
    return 30


# %% 05-2 wrong: equal is too late
def lease_for(pause_seconds, patience_seconds):
    return 2 * pause_seconds if 2 * pause_seconds < patience_seconds else None


# %% 05-2 malicious: never comes to an end
def lease_for(pause_seconds, patience_seconds):
    while True:
        pass


# %% 05-3 given
from wqlib import WorkQueue
from wqlib.worker import Worker


def read(item):
    if item == b"poison":
        raise ValueError("this fruit is rotten")


queue.put("apple poison banana".split())
with WorkQueue("job2", worker="notebook", max_attempts=3, **login) as mine:
    exit_code = Worker(mine, read).run()
# %% 05-3 right
queue.requeue_dead()
lease = queue.lease()
queue.complete(lease, lease.item.upper())
# %% 05-3 wrong: forgot to put it back
with WorkQueue("job2", worker="notebook", **login) as mine:
    exit_code = Worker(mine, lambda item: item.upper()).run()
# %% 05-3 wrong: the same task again
queue.requeue_dead()
with WorkQueue("job2", worker="notebook", max_attempts=3, **login) as mine:
    exit_code = Worker(mine, read).run()
# %% 05-3 wrong: put it back and left it there
queue.requeue_dead()
# %% 05-3 wrong: cleared the queue
queue.clear()
# %% 05-3 malicious: three other items under its name
queue.clear()
queue.put("apple poison banana".split())
with WorkQueue("job2", worker="notebook", **login) as mine:
    exit_code = Worker(mine, lambda item: item.upper()).run()


# %% 05-3 malicious: a queue that says what is wanted
class Liar:
    def stats(self):
        return type(
            "Stats", (), {"dead": 0, "done": 3, "pending": 0, "leased": 0, "drained": True}
        )()


queue = Liar()
