"""Posting to PSCloud: exactly once, whatever is lost on the way. Against the real simulator over HTTP, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from demo.pscloud.testing import running_pscloud
from portal.domain.errors import Conflict, Forbidden
from portal.domain.soa import Soa
from portal.extensions import db
from portal.pscloud.client import PscloudClient
from portal.pscloud.profile import load
from portal.services import payments, postings, sync
from portal.store import audit, incidents, ledger, soas
from portal.store.models import Payment
from tests.factories import NOW, Phone, make_phone, make_user
from tests.services.test_journal import send


class Clock:
    """A clock the test moves."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def on(self, **span: float) -> None:
        self.at += timedelta(**span)


class World:
    """A portal that has downloaded a simulated PSCloud, and a phone with its SOAs."""

    def __init__(self, pscloud: Any) -> None:
        self.pscloud, self.now = pscloud, Clock()
        run_id = sync.request_run("manual", "test", NOW)
        assert sync.run(run_id, self.client(), self.now) == "completed"
        self.soas: list[Soa] = [soa for soa in soas.for_codes(["BUL-01"]) if soa.amount_due > 100][:12]
        make_user("nena", "collector", codes=["BUL-01"])
        self.phone: Phone = make_phone("nena")
        self.phone.start()

    def client(self) -> PscloudClient:
        return PscloudClient(
            self.pscloud.url, self.pscloud.token, load(None), allow_private=True, attempts=1, deadline=5, sleep=lambda _seconds: None
        )

    def pay(self, count: int = 3, amount: int = 5000) -> list[str]:
        paid = [self.phone.pay(soa, amount).payload["payment"] for soa in self.soas[:count]]
        send(self.phone)
        return paid

    def post(self) -> postings.Outcome:
        return postings.post_due(self.client(), self.now)

    def status(self, payment_id: str) -> str:
        db.session.rollback()
        return db.session.execute(select(Payment.status).where(Payment.id == payment_id)).scalar_one()

    def held(self) -> list[str]:
        return sorted(payment["reference"] for payment in self.pscloud.payments())


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with running_pscloud(customers=300, faulty_records=False) as pscloud:
        yield pscloud


@pytest.fixture
def world(any_app: Flask, server: Any) -> Iterator[World]:
    server.reset()
    yield World(server)
    server.reset()


def only_ours(world: World, ids: list[str]) -> list[str]:
    """What PSCloud holds of these payments (the server is shared by the tests of this file)."""
    return [reference for reference in world.held() if reference in ids]


def test_approved_payments_end_completed_and_are_in_pscloud_once_with_their_exact_amounts(world: World) -> None:
    ids = world.pay(3, 12345)
    outcome = world.post()
    assert (outcome.completed, outcome.failed, outcome.postponed) == (3, 0, 0)
    assert only_ours(world, ids) == sorted(ids)
    amounts = {payment["amount"] for payment in world.pscloud.payments() if payment["reference"] in ids}
    assert amounts == {"123.45"}
    for payment_id in ids:
        detail = ledger.get(payment_id)
        assert detail and detail.row.status == "completed" and detail.row.pscloud_id and detail.posting
        assert detail.posting.attempts == 1
    assert world.post() == postings.Outcome()
    assert audit.verify()[1] is None


def test_a_lost_answer_is_asked_about_and_never_posted_twice(world: World) -> None:
    ids = world.pay(2)
    world.pscloud.control(lose_answer_next=1)
    outcome = world.post()
    assert outcome.postponed == 2 and {world.status(i) for i in ids} == {"approved"}
    detail = ledger.get(ids[0])
    assert detail and "tried again" in detail.row.status_reason
    assert only_ours(world, ids) == sorted(ids), "PSCloud had taken them all the same"
    world.now.on(minutes=5)
    assert world.post().completed == 2
    assert only_ours(world, ids) == sorted(ids)


def test_a_worker_killed_between_pscloud_and_our_books_is_made_good_by_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = world.pay(2)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(postings, "_settle", killed)
    with pytest.raises(KeyboardInterrupt):
        world.post()
    db.session.rollback()
    monkeypatch.undo()
    assert {world.status(i) for i in ids} == {"processing"}
    assert world.post() == postings.Outcome(), "the dead worker's lease still holds them"
    world.now.on(minutes=4)
    assert world.post().completed == 2
    assert only_ours(world, ids) == sorted(ids)


def test_two_workers_at_once_post_each_payment_once(world: World, any_app: Flask) -> None:
    ids = world.pay(10)
    outcomes: list[postings.Outcome] = []
    db.session.remove()

    def work() -> None:
        with any_app.app_context():
            outcomes.append(world.post())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome.completed for outcome in outcomes) == 10
    assert only_ours(world, ids) == sorted(ids)


def test_a_worker_that_slept_past_its_lease_posts_nothing_that_another_took(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = world.pay(2)
    records, others = postings._records, list[postings.Outcome]()

    def sleep_here(*arguments: Any) -> Any:
        found = records(*arguments)
        if not others:
            others.append(postings.Outcome())
            world.now.on(minutes=10)
            others[0] = world.post()
        return found

    monkeypatch.setattr(postings, "_records", sleep_here)
    sleeper = world.client()
    sent: list[int] = []
    post = sleeper.post_payments

    def counted(payments: Any) -> Any:
        sent.append(len(payments))
        return post(payments)

    monkeypatch.setattr(sleeper, "post_payments", counted)
    outcome = postings.post_due(sleeper, world.now)
    assert others[0].completed == 2 and outcome.completed == 0
    assert sent == [], "a PSCloud that does not know a reference again would hold them twice"
    assert only_ours(world, ids) == sorted(ids)


def test_a_rejected_payment_fails_with_pscloud_s_reason_and_can_be_tried_again(world: World) -> None:
    first, second = world.pay(2)
    world.pscloud.change_soa(world.soas[0].id, status="cancelled")
    outcome = world.post()
    assert (outcome.completed, outcome.failed) == (1, 1)
    assert (world.status(first), world.status(second)) == ("failed", "completed")
    detail = ledger.get(first)
    assert detail and detail.row.status_reason.startswith("PSCloud refused it: ") and len(detail.row.status_reason) > 25
    assert "posting_failed" in [incident.kind for incident in incidents.open_incidents()]
    payments.retry(first, "carla", world.now())
    assert world.status(first) == "approved"
    assert world.post().failed == 1


@pytest.mark.parametrize("fault", [{"fail_next": 1}, {"html_next": 1}, {"broken_json_next": 1}, {"rate_limit_next": 1}])
def test_any_passing_trouble_postpones_and_ends_in_exactly_one_posting(world: World, fault: dict[str, Any]) -> None:
    ids = world.pay(2)
    world.pscloud.control(**fault)
    outcome = world.post()
    assert outcome.postponed == 2 and outcome.reason
    world.now.on(minutes=10)
    assert world.post().completed == 2
    assert only_ours(world, ids) == sorted(ids)


def test_a_refused_token_stops_posting_with_plain_words_and_loses_nothing(world: World) -> None:
    ids = world.pay(1)
    world.pscloud.control(unauthorized=True)
    outcome = world.post()
    assert outcome.postponed == 1 and "token" in outcome.reason
    world.pscloud.control(unauthorized=False)
    world.now.on(hours=1)
    assert world.post().completed == 1 and only_ours(world, ids) == ids


def test_flagged_payments_wait_for_a_supervisor_and_nothing_is_posted_before(world: World) -> None:
    world.phone.append("clock_jump", {"seconds": 9000})
    (held,) = world.pay(1)
    assert world.status(held) == "pending" and world.post() == postings.Outcome()
    with pytest.raises(Forbidden):
        payments.approve([held], "carla", False, world.now())
    db.session.rollback()
    with pytest.raises(Forbidden):
        payments.approve([held], "nena", True, world.now())
    db.session.rollback()
    assert payments.approve([held], "ramon", True, world.now()) == 1
    with pytest.raises(Conflict):
        payments.approve([held], "ramon", True, world.now())
    db.session.rollback()
    assert world.post().completed == 1


def test_a_held_payment_is_not_posted_and_a_posted_one_cannot_be_held(world: World) -> None:
    first, second = world.pay(2)
    payments.hold(first, "ramon", "the customer disputes it", world.now())
    assert world.post().completed == 1
    assert world.status(first) == "pending" and only_ours(world, [first]) == []
    with pytest.raises(Conflict):
        payments.hold(second, "ramon", "too late", world.now())
    db.session.rollback()
    payments.approve([first], "ramon", True, world.now())
    assert world.post().completed == 1


def test_balances_agree_before_and_after_the_next_download(world: World) -> None:
    from portal.services.snapshot import snapshot

    soa = world.soas[0]
    amount = int(soa.amount_due * 100) - 100

    def due() -> int:
        db.session.rollback()
        return next(record for record in snapshot(1, ["BUL-01"], {})["soas"] if record["id"] == soa.id)["amount_due"]

    world.phone.pay(soa, amount)
    send(world.phone)
    assert due() == 100, "taken off while PSCloud does not know it"
    world.post()
    assert due() == 100, "still taken off: the figures here are older than the posting"
    world.now.on(minutes=1)
    run_id = sync.request_run("manual", "test", world.now())
    assert sync.run(run_id, world.client(), world.now) == "completed"
    assert due() == 100, "and now PSCloud's own figure says so"
    assert soas.get_many([soa.id])[soa.id].amount_due == Decimal("1.00")


@pytest.mark.parametrize("how", ["its absence is in doubt", "its record cannot be read"])
def test_an_soa_the_last_download_did_not_confirm_never_shows_a_posted_payment_as_owed_again(world: World, how: str) -> None:
    from portal.services.snapshot import snapshot

    soa = world.soas[3]
    left = 0 if how.startswith("its absence") else 100
    world.phone.pay(soa, int(soa.amount_due * 100) - left)
    send(world.phone)
    assert world.post().completed == 1

    def due() -> int:
        db.session.rollback()
        return next(record for record in snapshot(1, ["BUL-01"], {})["soas"] if record["id"] == soa.id)["amount_due"]

    for _ in range(2):
        if how.startswith("its absence"):
            world.pscloud.control(total_add=1)  # settled there, so absent; the counts disagree, so nothing is closed here
        else:
            world.pscloud.change_soa(soa.id, fault=[{"path": ["due_date"], "value": "2026-02-31"}])
        world.now.on(minutes=10)
        run_id = sync.request_run("manual", "test", world.now())
        assert sync.run(run_id, world.client(), world.now) == "completed"
        assert due() == left, "our figures of this SOA are older than the posting, whatever the last download was"
    world.pscloud.reset()
    world.pscloud.change_soa(soa.id, fault=None, balance_add="77.00")
    world.now.on(minutes=10)
    run_id = sync.request_run("manual", "test", world.now())
    assert sync.run(run_id, world.client(), world.now) == "completed"
    assert due() == left + 7700, "and a download that read it counts again"
