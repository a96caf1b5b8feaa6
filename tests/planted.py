"""Bugs to plant into the queue's scripts: proof that the tests of the queue can fail."""

from __future__ import annotations

from scripts import Change

BUGS = {
    "the deadline of a lease is not looked at": Change(
        "return deadline and tonumber(deadline) > now", "return deadline"
    ),
    "nor is it looked at whether the lease is there": Change(
        "return deadline and tonumber(deadline) > now", "return true"
    ),
    "a lease still lives at its deadline": Change(
        "return deadline and tonumber(deadline) > now",
        "return deadline and tonumber(deadline) >= now",
    ),
    "drained ignores leases": Change(
        "pending, redis.call('ZCARD', leases), redis", "pending, 0, redis", ("stats",)
    ),
    "the end is told while something is leased": Change(
        "if ended and pending == 0 and redis.call('ZCARD', leases) == 0 then",
        "if ended and pending == 0 then",
    ),
    "the end is told to nobody who waits": Change(
        "redis.call('RPUSH', drained, '1')", "redis.call('DEL', drained)", ("lease", "give_back")
    ),
    "a completed lease stays": Change(
        "redis.call('ZREM', leases, lease_id)\n    redis.call('HDEL', leased, lease_id)\n    local",
        "local",
        ("lease",),
    ),
    "items are taken back before their leases run out": Change(
        "'-inf', whole(now)", "'-inf', whole(now + 6000)", ("lease",)
    ),
    "an item that is lent is forgotten": Change(
        "redis.call('HSET', leased, unpack(lent))",
        "redis.call('HSET', leased, lent[1], '')",
        ("lease",),
    ),
    "a repeated call is made twice": Change("if tonumber(ARGV[1]) > number then", "if true then"),
    "a late call is made twice": Change(
        "if tonumber(ARGV[1]) > number then", "if tonumber(ARGV[1]) ~= number then"
    ),
    "a release counts as a failure": Change("if kind ~= 'release' then", "if true then"),
    "an item gets one attempt too many": Change(
        "record.failed >= max_attempts", "record.failed > max_attempts"
    ),
    "an attempt has the number of the one before": Change(
        "attempt = whole(attempt + 1)", "attempt = whole(attempt)", ("lease",)
    ),
    "what comes back goes to the end of the line": Change(
        "redis.call('LPUSH', list, item)", "redis.call('RPUSH', list, item)"
    ),
    "a lost lease does not stop the lending": Change(
        "    wanted = 0\n", "    wanted = wanted\n", ("lease",)
    ),
}
