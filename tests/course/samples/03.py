# %% 03-1 given
def take(redis, now):
    item = redis.lpop("job3")
    if item is not None:
        redis.zadd("job3:leases", {item: now + 10})
    return item


def finish(redis, taken):
    redis.zrem("job3:leases", taken)


# %% 03-1 right: push, then remove
def give_back_expired(redis, now):
    for item in redis.zrange("job3:leases", "-inf", now, byscore=True):
        redis.rpush("job3", item)
        redis.zrem("job3:leases", item)


# %% 03-1 right: all of them with one push, at the front, by the older command
def give_back_expired(redis, now):
    expired = redis.zrangebyscore("job3:leases", 0, now)
    if expired:
        redis.lpush("job3", *expired)
        redis.zremrangebyscore("job3:leases", 0, now)


# %% 03-1 right: a transaction
def give_back_expired(redis, now):
    for item, deadline in redis.zrange("job3:leases", 0, -1, withscores=True):
        if deadline < now:
            with redis.pipeline() as step:
                step.zrem("job3:leases", item)
                step.rpush("job3", item)
                step.execute()


# %% 03-1 right: a script
def give_back_expired(redis, now):
    script = redis.register_script("""
        local expired = redis.call('ZRANGE', KEYS[2], '-inf', ARGV[1], 'BYSCORE')
        for _, item in ipairs(expired) do
            redis.call('ZREM', KEYS[2], item)
            redis.call('RPUSH', KEYS[1], item)
        end
    """)
    script(keys=["job3", "job3:leases"], args=[now])


# %% 03-1 wrong: removed first, so that a death in between loses it
def give_back_expired(redis, now):
    for item in redis.zrange("job3:leases", "-inf", now, byscore=True):
        redis.zrem("job3:leases", item)
        redis.rpush("job3", item)


# %% 03-1 wrong: taken out and pushed, which is removing first in one command
def give_back_expired(redis, now):
    while popped := redis.zpopmin("job3:leases"):
        [(item, deadline)] = popped
        if deadline > now:
            redis.zadd("job3:leases", {item: deadline})
            break
        redis.rpush("job3", item)


# %% 03-1 wrong: all leases, not only those that ended
def give_back_expired(redis, now):
    for item in redis.zrange("job3:leases", 0, -1):
        redis.rpush("job3", item)
        redis.zrem("job3:leases", item)


# %% 03-1 wrong: only one of them
def give_back_expired(redis, now):
    for item in redis.zrange("job3:leases", "-inf", now, byscore=True)[:1]:
        redis.rpush("job3", item)
        redis.zrem("job3:leases", item)


# %% 03-1 wrong: pushed, and never removed
def give_back_expired(redis, now):
    for item in redis.zrange("job3:leases", "-inf", now, byscore=True):
        redis.rpush("job3", item)


# %% 03-1 wrong: removed, and never pushed
def give_back_expired(redis, now):
    redis.zremrangebyscore("job3:leases", "-inf", now)


# %% 03-1 wrong: into the client of the notebook
def give_back_expired(redis, now):
    for item in client.zrange("job3:leases", "-inf", now, byscore=True):
        client.rpush("job3", item)
        client.zrem("job3:leases", item)


# %% 03-1 wrong: a finally does not survive a death
def give_back_expired(redis, now):
    for item in redis.zrange("job3:leases", "-inf", now, byscore=True):
        try:
            redis.zrem("job3:leases", item)
        finally:
            redis.rpush("job3", item)


# %% 03-1 wrong: its commands in one trip, but not in one step
def give_back_expired(redis, now):
    pipeline = redis.pipeline(transaction=False)
    for item in redis.zrange("job3:leases", "-inf", now, byscore=True):
        pipeline.zrem("job3:leases", item).rpush("job3", item)
    pipeline.execute()


# %% 03-1 malicious: it does not want to die
def give_back_expired(redis, now):
    for item in redis.zrange("job3:leases", "-inf", now, byscore=True):
        redis.zrem("job3:leases", item)
        while True:
            try:
                redis.rpush("job3", item)
                break
            except BaseException:
                pass


# %% 03-1 malicious: it wants to end the kernel
def give_back_expired(redis, now):
    raise SystemExit


# %% 03-1 equivalent: at which end it waits again does not matter
# rpush -> lpush

# %% 03-2 given
GIVE_BACK = """
for _, lease in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', ARGV[1], 'BYSCORE')) do
    redis.call('RPUSH', KEYS[1], string.match(lease, '%S+$'))
    redis.call('ZREM', KEYS[2], lease)
end
"""
NAMES = ("job3", "job3:leases", "job3:number")


def take(redis, now):
    return redis.eval(GIVE_BACK + LEND, 3, *NAMES, now)


def finish(redis, taken):
    redis.zrem("job3:leases", taken)


# %% 03-2 right: as it is meant
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, item)
end
return item
"""

# %% 03-2 right: on one line, and returned inside the if
LEND = (
    "local x = redis.call('lpop', KEYS[1]) "
    "if x then redis.call('zadd', KEYS[2], tonumber(ARGV[1]) + 10, x) return x end"
)

# %% 03-2 right: it looks before it takes
LEND = """
if redis.call('LLEN', KEYS[1]) == 0 then return nil end
local item = redis.call('LINDEX', KEYS[1], 0)
redis.call('ZADD', KEYS[2], ARGV[1] + 10, item)
redis.call('LPOP', KEYS[1])
return item
"""

# %% 03-2 right: with the fencing token of the exercise after it
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    local lease = redis.call('INCR', KEYS[3]) .. ' ' .. item
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, lease)
    return lease
end
"""

# %% 03-2 wrong: the lease is not noted
LEND = "return redis.call('LPOP', KEYS[1])"

# %% 03-2 wrong: the item stays in the list
LEND = """
local item = redis.call('LINDEX', KEYS[1], 0)
if item then
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, item)
end
return item
"""

# %% 03-2 wrong: the deadline is now
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    redis.call('ZADD', KEYS[2], ARGV[1], item)
end
return item
"""

# %% 03-2 wrong: a deadline that never comes
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    redis.call('ZADD', KEYS[2], ARGV[1] + 10000, item)
end
return item
"""

# %% 03-2 wrong: no if, so an empty queue is an error
LEND = """
local item = redis.call('LPOP', KEYS[1])
redis.call('ZADD', KEYS[2], ARGV[1] + 10, item)
return item
"""

# %% 03-2 wrong: nothing returned
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, item)
end
"""

# %% 03-2 wrong: no end
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, item)
return item
"""

# %% 03-2 wrong: the two commands of before
LEND = "-- none"


def take(redis, now):
    redis.eval(GIVE_BACK, 3, *NAMES, now)
    item = redis.lpop("job3")
    if item:
        redis.zadd("job3:leases", {item: now + 10})
    return item


# %% 03-2 wrong: loses nothing, but two workers get the same item
LEND = "-- none"


def take(redis, now):
    redis.eval(GIVE_BACK, 3, *NAMES, now)
    item = redis.lindex("job3", 0)
    if item:
        redis.zadd("job3:leases", {item: now + 10})
        redis.lrem("job3", 1, item)
    return item


# %% 03-2 malicious: what it returns is never twice the same text
LEND = "-- none"


class Fruit(str):
    def __contains__(self, other):
        return other == "apple"


def take(redis, now):
    redis.ping()
    return Fruit()


# %% 03-2 malicious: it empties the shelf of the adversary
LEND = "redis.call('FLUSHALL') return 'apple'"

# %% 03-3 given
GIVE_BACK = """
for _, lease in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', ARGV[1], 'BYSCORE')) do
    redis.call('RPUSH', KEYS[1], string.match(lease, '%S+$'))
    redis.call('ZREM', KEYS[2], lease)
end
"""
NAMES = ("job3", "job3:leases", "job3:number")
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, item)
end
return item
"""
NUMBERED = """
local item = redis.call('LPOP', KEYS[1])
if item then
    local lease = redis.call('INCR', KEYS[3]) .. ' ' .. item
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, lease)
    return lease
end
"""


def take(redis, now):
    return redis.eval(GIVE_BACK + LEND, 3, *NAMES, now)


def finish(redis, taken):
    redis.zrem("job3:leases", taken)


# %% 03-3 right: as it is meant
LEND = NUMBERED


def finish(redis, taken):
    return redis.zrem("job3:leases", taken) == 1


# %% 03-3 right: 1 and 0 for True and False
LEND = NUMBERED


def finish(redis, taken):
    return redis.zrem("job3:leases", taken)


# %% 03-3 right: a script, and the random name of a lease
LEND = """
local item = redis.call('LPOP', KEYS[1])
if not item then return false end
local lease = redis.sha1hex(item .. redis.call('INCR', 'counter')) .. ' ' .. item
redis.call('ZADD', KEYS[2], ARGV[1] + 10, lease)
return lease
"""


def finish(redis, taken):
    script = "return redis.call('ZREM', KEYS[1], ARGV[1])"
    return bool(redis.eval(script, 1, "job3:leases", taken))


# %% 03-3 right: it looks first; a number is never used twice, so that does no harm
LEND = NUMBERED


def finish(redis, taken):
    if redis.zscore("job3:leases", taken) is None:
        return False
    redis.zrem("job3:leases", taken)
    return True


# %% 03-3 wrong: the answer, and still the same lease for both
def finish(redis, taken):
    return redis.zrem("job3:leases", taken) == 1


# %% 03-3 wrong: the number, and no answer
LEND = NUMBERED

# %% 03-3 wrong: always content
LEND = NUMBERED


def finish(redis, taken):
    redis.zrem("job3:leases", taken)
    return True


# %% 03-3 wrong: the answers the other way round
LEND = NUMBERED


def finish(redis, taken):
    return redis.zrem("job3:leases", taken) == 0


# %% 03-3 wrong: the time is no number of its own
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    local lease = ARGV[1] .. ' ' .. item
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, lease)
    return lease
end
"""


def finish(redis, taken):
    return redis.zrem("job3:leases", taken) == 1


# %% 03-3 wrong: the number of leases comes again
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    local lease = redis.call('ZCARD', KEYS[2]) .. ' ' .. item
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, lease)
    return lease
end
"""


def finish(redis, taken):
    return redis.zrem("job3:leases", taken) == 1


# %% 03-3 wrong: the set holds the item, the worker the number
LEND = """
local item = redis.call('LPOP', KEYS[1])
if item then
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, item)
    return redis.call('INCR', KEYS[3]) .. ' ' .. item
end
"""


def finish(redis, taken):
    return redis.zrem("job3:leases", taken) == 1


# %% 03-3 wrong: it removes what is there by the name of the item
LEND = NUMBERED


def finish(redis, taken):
    for lease in redis.zrange("job3:leases", 0, -1):
        if lease.endswith(taken.split()[-1]):
            return redis.zrem("job3:leases", lease) == 1
    return False


# %% 03-3 malicious: it says no to whoever comes late by the clock of the room
LEND = NUMBERED
first = []


def finish(redis, taken):
    first.append(taken)
    return len(first) > 1


# %% 03-3 malicious: it never comes back
LEND = NUMBERED


def finish(redis, taken):
    while True:
        pass


# %% 03-4 right: a script
def drained(redis):
    both = "return redis.call('LLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2])"
    return redis.eval(both, 2, "job3", "job3:leases") == 0


# %% 03-4 right: a transaction
def drained(redis):
    with redis.pipeline() as step:
        step.llen("job3")
        step.zcard("job3:leases")
        waits, lent = step.execute()
    return waits == 0 and lent == 0


# %% 03-4 right: one command
def drained(redis):
    return not redis.exists("job3", "job3:leases")


# %% 03-4 right: numbers for True and False
def drained(redis):
    script = """
    if redis.call('LLEN', 'job3') > 0 then return 0 end
    if redis.call('ZCARD', 'job3:leases') > 0 then return 0 end
    return 1
    """
    return redis.eval(script, 0)


# %% 03-4 wrong: the list alone
def drained(redis):
    return redis.llen("job3") == 0


# %% 03-4 wrong: the leases alone
def drained(redis):
    return redis.zcard("job3:leases") == 0


# %% 03-4 wrong: two commands, the list first
def drained(redis):
    return redis.llen("job3") == 0 and redis.zcard("job3:leases") == 0


# %% 03-4 wrong: two commands, the leases first
def drained(redis):
    lent = redis.zcard("job3:leases")
    waits = redis.llen("job3")
    return lent + waits == 0


# %% 03-4 wrong: one trip is not one step
def drained(redis):
    pipeline = redis.pipeline(transaction=False)
    pipeline.llen("job3")
    pipeline.zcard("job3:leases")
    return pipeline.execute() == [0, 0]


# %% 03-4 wrong: it looks twice, and is none the wiser
def drained(redis):
    return (
        redis.llen("job3") == 0 and redis.zcard("job3:leases") == 0 and redis.llen("job3") == 0
    ) or (redis.zcard("job3:leases") == 0 and redis.llen("job3") == 0)


# %% 03-4 wrong: or in the place of and
def drained(redis):
    with redis.pipeline() as step:
        step.llen("job3")
        step.zcard("job3:leases")
        waits, lent = step.execute()
    return waits == 0 or lent == 0


# %% 03-4 wrong: the count, not the answer
def drained(redis):
    both = "return redis.call('LLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2])"
    return redis.eval(both, 2, "job3", "job3:leases")


# %% 03-4 malicious: an answer that is both
class Both:
    def __eq__(self, other):
        return True

    def __bool__(self):
        return True


def drained(redis):
    return Both()


# %% 03-4 malicious: it keeps the others out
def drained(redis):
    redis.execute_command("FLUSHDB")
    return True
