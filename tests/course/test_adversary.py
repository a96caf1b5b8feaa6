"""The adversary of notebook 03, on a real Redis: what it finds, and that nobody escapes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from wqlib.course.adversary import Adversary, Strange
from wqlib.redisserver import RedisServer

LEND = """
for _, lease in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', ARGV[1], 'BYSCORE')) do
    redis.call('RPUSH', KEYS[1], string.match(lease, '%S+$'))
    redis.call('ZREM', KEYS[2], lease)
end
local item = redis.call('LPOP', KEYS[1])
if item then
    local lease = redis.call('INCR', KEYS[3]) .. ' ' .. item
    redis.call('ZADD', KEYS[2], ARGV[1] + 10, lease)
    return lease
end
"""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def adversary(server: RedisServer) -> Adversary:
    return Adversary(host=server.host, port=server.port, password=server.password)


def pop(redis: Any, now: int) -> Any:
    return redis.lpop("job3")


def nothing(redis: Any, taken: Any) -> None:
    """All was done by taking the item."""


def note(redis: Any, now: int) -> Any:
    if item := redis.lpop("job3"):
        redis.zadd("job3:leases", {item: now + 10})
    return item


def forget(redis: Any, taken: Any) -> bool:
    return bool(redis.zrem("job3:leases", taken))


def lend(redis: Any, now: int) -> Any:
    return redis.eval(LEND, 3, "job3", "job3:leases", "job3:number", now)


def test_an_item_that_was_only_popped_is_lost(
    adversary: Adversary, capsys: pytest.CaptureFixture[str]
) -> None:
    adversary.kill(pop, nothing)
    assert capsys.readouterr().out == (
        "killed at work, after LPOP: 'apple' is nowhere\ndeaths: 1, lost: 1, stuck: 0\n"
    )


def test_an_item_that_nobody_takes_from_where_it_is_is_stuck(adversary: Adversary) -> None:
    lost, stuck = adversary.deaths(note, forget)
    assert str(lost) == "killed in take, after LPOP: 'apple' is nowhere"
    assert str(stuck) == "killed at work, after ZADD: 'apple' is stuck in job3:leases"


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("rpush", "zrem", "nothing lost, 'apple' done twice"),
        ("zrem", "rpush", "'apple' is nowhere"),
    ],
)
def test_whoever_gives_back_is_killed_between_its_two_commands(
    adversary: Adversary, first: str, second: str, said: str
) -> None:
    def give_back(redis: Any, now: int) -> None:
        for item in redis.zrange("job3:leases", "-inf", now, byscore=True):
            for command in (first, second):
                getattr(redis, command)("job3" if command == "rpush" else "job3:leases", item)

    found = [str(one) for one in adversary.deaths(note, forget, give_back)]
    assert f"killed in give_back_expired, after {first.upper()}: {said}" in found


@pytest.mark.parametrize("survives", ["finally", "except"])
def test_nothing_that_a_dead_worker_still_wants_to_do_is_done(
    adversary: Adversary, survives: str
) -> None:
    def take(redis: Any, now: int) -> Any:
        item = redis.lpop("job3")
        try:
            redis.ping()
        except BaseException:
            if survives == "except":
                redis.rpush("job3", item)
            raise
        finally:
            if survives == "finally":
                redis.lrange("job3", 0, -1)
        return item

    assert all(one.lost == ["apple"] for one in adversary.deaths(take, nothing))


@pytest.mark.parametrize(("transaction", "deaths"), [(True, 1), (False, 2)])
def test_a_transaction_is_one_step_and_a_plain_pipeline_is_not(
    adversary: Adversary, transaction: bool, deaths: int
) -> None:
    def take(redis: Any, now: int) -> Any:
        with redis.pipeline(transaction=transaction) as pipeline:
            pipeline.lpop("job3")
            pipeline.ping()
            return pipeline.execute()[0]

    assert len(adversary.deaths(take, nothing)) == deaths


def test_a_script_with_a_number_for_each_lease_survives_everything(adversary: Adversary) -> None:
    assert [str(one) for one in adversary.deaths(lend, forget)] == [
        "killed at work, after EVAL: nothing lost"
    ]
    assert adversary.lateness(lend, forget) == (True, ["apple"])


def test_a_late_worker_that_is_not_turned_away_costs_an_item(
    adversary: Adversary, capsys: pytest.CaptureFixture[str]
) -> None:
    alike = LEND.replace("redis.call('INCR', KEYS[3]) .. ' ' .. item", "item")

    def take(redis: Any, now: int) -> Any:
        return redis.eval(alike, 3, "job3", "job3:leases", "job3:number", now)

    assert adversary.lateness(take, forget) == (False, [])
    adversary.late(take, forget)
    assert "the apple is nowhere" in capsys.readouterr().out


def test_between_two_looks_the_last_item_moves(adversary: Adversary) -> None:
    def drained(redis: Any) -> bool:
        return bool(redis.zcard("job3:leases") == 0 and redis.llen("job3") == 0)

    wrong = [moment for moment, said, right in adversary.moments(drained) if said != right]
    assert wrong == ["the last item is lent between ZCARD and LLEN"]


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (lambda redis, now: None, "No command reached Redis"),
        (lambda redis, now: redis.lindex("job3", 0), "never ends"),
        (lambda redis, now: redis.get("job4"), "nobody was killed"),
        (lambda redis, now: [redis.ping() for _ in range(99)], "more than 60 commands"),
    ],
)
def test_what_does_not_work_without_a_death_is_said(
    adversary: Adversary, take: Any, said: str
) -> None:
    with pytest.raises(Strange, match=said):
        adversary.deaths(take, nothing)


def test_two_workers_that_get_the_same_item_are_found(adversary: Adversary) -> None:
    def take(redis: Any, now: int) -> Any:
        item = redis.lindex("job3", 0)
        if item:
            redis.lrem("job3", 1, item)
        return item

    with pytest.raises(Strange, match="both got 'apple'"):
        adversary.deaths(take, nothing)


def test_the_learners_own_data_is_left_alone(server: RedisServer, adversary: Adversary) -> None:
    import redis

    with redis.Redis.from_url(server.url) as client:
        client.rpush("job3", "mine")
        adversary.deaths(lend, forget)
        assert client.lrange("job3", 0, -1) == [b"mine"]
