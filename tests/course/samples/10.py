# %% 10-1 right
import math


def pods_for(deadline_seconds, items, item_seconds, start_seconds):
    each = math.floor((deadline_seconds - start_seconds) / item_seconds)
    return math.ceil(items / each) if each >= 1 else 0


# %% 10-1 wrong: parts of items
import math


def pods_for(deadline_seconds, items, item_seconds, start_seconds):
    return math.ceil(items * item_seconds / (deadline_seconds - start_seconds))


# %% 10-1 wrong: forgot the start
import math


def pods_for(deadline_seconds, items, item_seconds, start_seconds):
    each = deadline_seconds // item_seconds
    return math.ceil(items / each) if each else 0


# %% 10-1 wrong: rounded down
def pods_for(deadline_seconds, items, item_seconds, start_seconds):
    each = (deadline_seconds - start_seconds) // item_seconds
    return items // each if each >= 1 else 0


# %% 10-1 wrong: fails when it cannot be done
def pods_for(deadline_seconds, items, item_seconds, start_seconds):
    each = (deadline_seconds - start_seconds) // item_seconds
    return -(-items // each)


# %% 10-1 wrong: one pod more, to be safe
def pods_for(deadline_seconds, items, item_seconds, start_seconds):
    each = (deadline_seconds - start_seconds) // item_seconds
    return items // each + 1 if each > 0 else 0


# %% 10-1 malicious: ends the program
def pods_for(deadline_seconds, items, item_seconds, start_seconds):
    raise SystemExit(0)


# %% 10-2 right
left_after_kill = {"no file": 0, "everysec": 5, "always": 5}
left_after_power_cut = {"no file": 0, "everysec": 3, "always": 5}
# %% 10-2 wrong: everysec loses a second in a kill, too
left_after_kill = {"no file": 0, "everysec": 3, "always": 5}
left_after_power_cut = {"no file": 0, "everysec": 3, "always": 5}
# %% 10-2 wrong: everysec loses all
left_after_kill = {"no file": 0, "everysec": 5, "always": 5}
left_after_power_cut = {"no file": 0, "everysec": 0, "always": 5}
# %% 10-2 wrong: no file keeps what is old
left_after_kill = {"no file": 3, "everysec": 5, "always": 5}
left_after_power_cut = {"no file": 0, "everysec": 3, "always": 5}
# %% 10-2 wrong: one left blank
left_after_kill = {"no file": 0, "everysec": 5, "always": 5}
left_after_power_cut = {"no file": 0, "everysec": ..., "always": 5}


# %% 10-2 wrong: a restart keeps the memory
left_after_kill = {"no file": 5, "everysec": 5, "always": 5}
left_after_power_cut = {"no file": 0, "everysec": 3, "always": 5}


# %% 10-2 malicious: equal to everything
class Any(dict):
    def __eq__(self, other):
        return True

    def __getitem__(self, key):
        return self

    def __ne__(self, other):
        return False


left_after_kill = left_after_power_cut = Any({"no file": 0, "everysec": 0, "always": 0})


# %% 10-3 right
def alarms(before, now):
    words = []
    if now.expired - before.expired > (now.leases - before.leases) / 10:
        words.append("expiring")
    if now.pending and now.done <= before.done:
        words.append("stuck")
    if now.dead:
        words.append("dead")
    return words


# %% 10-3 wrong: expired on the whole
def alarms(before, now):
    words = ["dead"] if now.dead else []
    if now.pending and now.done == before.done:
        words.append("stuck")
    if now.expired > now.leases / 10:
        words.append("expiring")
    return words


# %% 10-3 wrong: an idle queue is stuck
def alarms(before, now):
    words = ["dead"] if now.dead else []
    if now.done == before.done:
        words.append("stuck")
    if now.expired - before.expired > (now.leases - before.leases) / 10:
        words.append("expiring")
    return words


# %% 10-3 wrong: only the first alarm
def alarms(before, now):
    if now.dead:
        return ["dead"]
    if now.pending and now.done == before.done:
        return ["stuck"]
    if now.expired - before.expired > (now.leases - before.leases) / 10:
        return ["expiring"]
    return []


# %% 10-3 wrong: a long queue
def alarms(before, now):
    return ["stuck"] if now.pending > 100 else []


# %% 10-3 malicious: a list that holds everything
class Everything(list):
    def __contains__(self, word):
        return True


def alarms(before, now):
    return Everything()


# %% 10-3 wrong: divides by zero when nothing was lent
def alarms(before, now):
    found = []
    if (now.expired - before.expired) / (now.leases - before.leases) > 0.1:
        found.append("expiring")
    if now.dead:
        found.append("dead")
    if now.pending and now.done == before.done:
        found.append("stuck")
    return found


# %% 10-3 malicious: changes the numbers until all is well
def alarms(before, now):
    for name in ("dead", "pending", "expired"):
        object.__setattr__(now, name, 0)
        object.__setattr__(before, name, 0)
    return []
