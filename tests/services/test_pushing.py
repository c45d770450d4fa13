"""The circuit of pushes (F18): after failures in a row nobody asks PSCloud for a while, then one push finds out. On both databases."""

from __future__ import annotations

from datetime import timedelta

from portal.services import pushing
from tests.services.test_postings import World, only_ours, server, world  # noqa: F401 - fixtures


def push(world: World) -> bool:  # noqa: F811
    """What the worker does; whether it asked."""
    if not pushing.lets_through(world.now()):
        return False
    pushing.push(world.client(), world.now)
    return True


def test_it_opens_after_three_failures_doubles_its_pause_and_closes_when_pscloud_takes_something(world: World) -> None:  # noqa: F811
    ids = world.pay(3)
    world.pscloud.control(fail_every=1)
    for _ in range(pushing.OPENS_AFTER):
        assert pushing.paused() is None and push(world)
        world.now.on(minutes=20)  # past each payment's own pause
    found = pushing.paused()
    assert found is not None and found.reason and only_ours(world, ids) == []
    pauses = []
    for _ in range(8):
        found = pushing.paused()
        assert found is not None
        world.now.at = found.until - timedelta(seconds=1)
        assert not push(world), "nobody asks while it is open"
        world.now.at = max(found.until, world.now.at + timedelta(minutes=20))
        assert push(world)
        again = pushing.paused()
        assert again is not None and again.since == found.since
        pauses.append((again.until - world.now()).total_seconds())
    assert pauses == [40, 80, 160, 320, 640, 900, 900, 900]
    world.pscloud.control(fail_every=0)
    world.now.on(minutes=20)
    assert push(world) and pushing.paused() is None and only_ours(world, ids) == sorted(ids)
    assert all(world.status(one) == "completed" for one in ids)


def test_somebody_who_knows_better_lets_everything_go_at_once(world: World) -> None:  # noqa: F811
    ids = world.pay(2)
    world.pscloud.control(fail_every=1)
    for _ in range(6):
        world.now.on(minutes=20)
        pushing.push(world.client(), world.now)
    world.pscloud.control(fail_every=0)
    assert not push(world)
    pushing.try_now(world.now())
    assert push(world) and only_ours(world, ids) == sorted(ids)


def test_a_refusal_of_one_payment_is_an_answer_and_opens_nothing(world: World) -> None:  # noqa: F811
    ids = world.pay(1)
    world.pscloud.control(fail_every=1)
    for _ in range(pushing.OPENS_AFTER - 1):
        assert push(world)
        world.now.on(minutes=20)
    world.pscloud.control(fail_every=0, reject_next=1)
    assert push(world) and world.status(ids[0]) == "failed"
    world.pay(1, 7000)
    world.pscloud.control(fail_every=1)
    assert push(world) and pushing.paused() is None, "counted from the beginning again"
