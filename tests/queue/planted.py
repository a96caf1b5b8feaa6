"""Bugs to plant into the queue's scripts: proof that the tests of the queue can fail."""

from __future__ import annotations

from scripts import Change

_REMEMBERS = ("lease", "give_back", "put", "clear", "requeue_dead", "drop_dead")
_IS_LATER = "tonumber(ARGV[1]) > tonumber(string.match(before, '^%d+'))"
_TELL = "if ended and pending == 0 and call('ZCARD', leases) == 0 then"

BUGS = {
    "whoever lost a lease may still complete": [
        Change("call('HDEL', leased, lease_id) == 1", "call('HDEL', leased, lease_id)", ("lease",))
    ],
    "whoever lost a lease may still make the quick exchange": [
        Change(
            "and call('ZREM', leases, ARGV[7]) == 1 then",
            "and call('ZREM', leases, ARGV[7]) then",
            ("lease",),
        )
    ],
    "whoever lost a lease may still give back": [
        Change(
            "if not ends or tonumber(ends) <= now then\n    digits",
            "if not ends then\n    digits",
            ("give_back",),
        )
    ],
    "whoever lost a lease may still renew": [
        Change("if ends and tonumber(ends) > now then", "if ends then", ("renew",))
    ],
    "a lease lives on at its deadline": [
        Change(
            "call('ZCOUNT', leases, '-inf', now)",
            "call('ZCOUNT', leases, '-inf', now - 1)",
            ("lease",),
        )
    ],
    "items are taken back before their leases run out": [
        Change(
            "call('ZCOUNT', leases, '-inf', now)",
            "call('ZCOUNT', leases, '-inf', now + 6000)",
            ("lease",),
        ),
        Change("leases, '-inf', now, 'LIMIT'", "leases, '-inf', now + 6000, 'LIMIT'", ("lease",)),
    ],
    "drained ignores leases": [
        Change("now, pending, call('ZCARD', leases)", "now, pending, 0", ("snapshot",))
    ],
    "the end is told while something is leased": [
        Change(_TELL, "if ended and pending == 0 then", ("lease",), times=2)
    ],
    "the end is not told to whoever waits": [
        Change("call('RPUSH', drained, '1')", "call('LLEN', drained)", ("lease",), times=2)
    ],
    "a completed lease stays": [
        Change("call('HDEL', leased, unpack(lease_ids))", "call('HLEN', leased)", ("lease",))
    ],
    "an item that is lent is forgotten": [
        Change(
            "call('HSET', leased, unpack(answer, 5))",
            "call('HSET', leased, answer[5], '')",
            ("lease",),
        )
    ],
    "a repeated call is made twice": [Change(_IS_LATER, "true", _REMEMBERS)],
    "a call that comes late is made twice": [
        Change(_IS_LATER, _IS_LATER.replace(">", "~="), _REMEMBERS)
    ],
    "a release counts as a failure": [
        Change("(kind == 'release' and 0 or 1)", "1", ("lease", "give_back"))
    ],
    "an item gets one attempt too many": [
        Change(
            "record.failed >= max_attempts", "record.failed > max_attempts", ("lease", "give_back")
        )
    ],
    "an attempt has the number of the one before": [
        Change("item_id .. '-' .. attempt + 1", "item_id .. '-' .. attempt", ("lease",))
    ],
    "what comes back goes to the end of the line": [
        Change("call('LPUSH', list, item)", "call('RPUSH', list, item)", ("lease", "give_back"))
    ],
    "a lost lease does not stop the lending": [
        Change("    wanted = 0\n", "    wanted = wanted\n", ("lease",))
    ],
}
