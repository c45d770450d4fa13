"""Voids and PSCloud: held while they wait, never posted once approved, undone there exactly once. Against the real simulator over HTTP, on
both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from flask import Flask

from demo.pscloud.testing import running_pscloud
from portal.domain.errors import Conflict
from portal.extensions import db
from portal.pscloud.client import PaymentResult, PscloudClient
from portal.services import payments, postings, void_postings, voids
from portal.services.snapshot import snapshot, tag
from portal.store import audit, incidents, ledger
from portal.store import voids as store
from portal.store.voids import VoidRow
from tests.factories import make_user
from tests.services.test_journal import send
from tests.services.test_postings import World


class VoidWorld(World):
    """A World whose collector asks for voids and whose supervisors are Ramon and Sonia."""

    def __init__(self, pscloud: Any) -> None:
        super().__init__(pscloud)
        for name in ("ramon", "sonia"):
            make_user(name, "supervisor")

    def entry(self, payment_id: str) -> Any:
        return next(entry for entry in self.phone.entries if entry.kind == "payment" and entry.payload["payment"] == payment_id)

    def ask(self, payment_id: str, reason: str = "Wrong amount typed") -> int:
        """The void of a payment, asked for and arrived; its id."""
        number = self.phone.ask_void(self.entry(payment_id), reason).payload["void_number"]
        assert send(self.phone, now=self.now()).verdicts[-1]["status"] == "stored"
        void = store.by_number(number)
        assert void
        return void.id

    def approve(self, void_id: int) -> bool:
        return voids.approve(void_id, "ramon", "", self.now())

    def tell(self, client: PscloudClient | None = None) -> void_postings.Outcome:
        return void_postings.post_due(client or self.client(), self.now)

    def void(self, void_id: int) -> VoidRow:
        db.session.rollback()
        found = store.get(void_id)
        assert found
        return found

    def there(self, payment_id: str) -> str | None:
        """What PSCloud says of a payment: accepted, voided, or None."""
        found = [payment for payment in self.pscloud.payments() if payment["reference"] == payment_id]
        assert len(found) < 2
        return found[0]["status"] if found else None

    def due(self, soa_id: str) -> int:
        """What the phone is told to collect, in centavos."""
        db.session.rollback()
        return next(record for record in snapshot(1, ["BUL-01"], {})["soas"] if record["id"] == soa_id)["amount_due"]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with running_pscloud(customers=300, faulty_records=False) as pscloud:
        yield pscloud


@pytest.fixture
def world(any_app: Flask, server: Any) -> Iterator[VoidWorld]:
    server.reset()
    yield VoidWorld(server)
    server.reset()


def kinds() -> list[str]:
    return [incident.kind for incident in incidents.open_incidents()]


def while_posting(monkeypatch: pytest.MonkeyPatch, client: PscloudClient, name: str, meanwhile: Callable[[], object]) -> PscloudClient:
    """A client during whose next call of that name something else happens."""
    call, happened = getattr(client, name), list[object]()

    def called(*arguments: Any) -> Any:
        if not happened:
            happened.append(None)
            meanwhile()
        return call(*arguments)

    monkeypatch.setattr(client, name, called)
    return client


def test_while_a_void_waits_nothing_is_posted_and_after_a_refusal_the_payment_goes_on(world: VoidWorld) -> None:
    held, other = world.pay(2)
    void_id = world.ask(held)
    assert not postings.anything_due(world.now()) or world.post().completed == 1
    assert world.post() == postings.Outcome()
    assert world.there(held) is None and world.there(other) == "accepted"
    assert world.status(held) == "approved", "a void is a mark beside the status, never a status"
    assert not postings.anything_due(world.now()), "the sweep must not ring for what is held"
    voids.refuse(void_id, "ramon", "The receipt is right", world.now())
    assert postings.anything_due(world.now())
    assert world.post().completed == 1 and world.there(held) == "accepted"
    assert world.tell() == void_postings.Outcome()


def test_a_void_approved_before_anything_was_sent_is_never_posted_and_owed_again_at_once(world: VoidWorld) -> None:
    soa = world.soas[0]
    before, earlier = world.due(soa.id), tag(1, ["BUL-01"], {})
    (paid,) = world.pay(1, 5000)
    void_id = world.ask(paid)
    assert world.due(soa.id) == before - 5000, "a request alone gives nothing back"
    waiting = tag(1, ["BUL-01"], {})
    assert world.approve(void_id) is False
    for _ in range(3):
        world.now.on(hours=1)
        assert world.post() == postings.Outcome() and world.tell() == void_postings.Outcome()
    assert world.there(paid) is None and world.due(soa.id) == before
    assert len({earlier, waiting, tag(1, ["BUL-01"], {})}) == 3, "phones must hear of it"
    for attempt in (
        lambda: payments.hold(paid, "sonia", "some reason", world.now()),
        lambda: payments.approve([paid], "sonia", True, world.now()),
        lambda: payments.retry(paid, "sonia", world.now()),
    ):
        with pytest.raises(Conflict):
            attempt()
        db.session.rollback()
    totals = ledger.totals(ledger.PaymentFilter())
    assert (totals.active_collection, totals.voided) == (Decimal("0.00"), Decimal("50.00"))


def test_a_pending_payment_whose_void_waits_cannot_be_approved(world: VoidWorld) -> None:
    world.phone.append("clock_jump", {"seconds": 9000})
    (held,) = world.pay(1)
    world.ask(held)
    with pytest.raises(Conflict, match="void"):
        payments.approve([held], "sonia", True, world.now())
    db.session.rollback()
    assert world.status(held) == "pending"


def test_a_void_of_a_posted_payment_is_undone_in_pscloud_with_its_reason_and_its_approver(world: VoidWorld) -> None:
    (paid,) = world.pay(1, 7777)
    assert world.post().completed == 1
    void_id = world.ask(paid, "Paid by the neighbour, ₱77.77 <sic>")
    owed = Decimal(world.pscloud.soa(world.soas[0].id)["amount_due"])
    assert world.tell() == void_postings.Outcome() and world.there(paid) == "accepted", "a request is not a void"
    assert world.approve(void_id) is True and void_postings.anything_due(world.now())
    assert world.tell() == void_postings.Outcome(completed=1)
    assert world.there(paid) == "voided" and Decimal(world.pscloud.soa(world.soas[0].id)["amount_due"]) == owed + Decimal("77.77")
    void = world.void(void_id)
    assert (void.posting_status, void.attempts, void.posted_at, void.payment_status) == ("completed", 1, world.now(), "completed")
    (held,) = [payment for payment in world.pscloud.payments() if payment["reference"] == paid]
    assert held["void_reason"] == "Paid by the neighbour, ₱77.77 <sic>"
    assert world.tell() == void_postings.Outcome() and not void_postings.anything_due(world.now())
    assert audit.verify()[1] is None and "voided_in_pscloud" not in kinds()


def test_an_answer_lost_after_pscloud_voided_is_sent_again_and_restores_the_balance_once(world: VoidWorld) -> None:
    (paid,) = world.pay(1, 5000)
    world.post()
    owed = Decimal(world.pscloud.soa(world.soas[0].id)["amount_due"])
    void_id = world.ask(paid)
    world.approve(void_id)
    world.pscloud.control(lose_answer_next=1)
    assert world.tell().postponed == 1
    assert world.there(paid) == "voided" and world.void(void_id).posting_status == "due"
    assert world.tell() == void_postings.Outcome(), "not before the pause is over"
    world.now.on(minutes=5)
    assert world.tell().completed == 1
    assert Decimal(world.pscloud.soa(world.soas[0].id)["amount_due"]) == owed + 50


@pytest.mark.parametrize("fault", [{"fail_next": 1}, {"html_next": 1}, {"broken_json_next": 1}, {"rate_limit_next": 1}])
def test_any_passing_trouble_postpones_the_void_call(world: VoidWorld, fault: dict[str, Any]) -> None:
    (paid,) = world.pay(1)
    world.post()
    world.approve(world.ask(paid))
    world.pscloud.control(**fault)
    outcome = world.tell()
    assert outcome.postponed == 1 and outcome.reason
    world.now.on(minutes=10)
    assert world.tell().completed == 1 and world.there(paid) == "voided"


def test_a_refused_token_stops_the_void_call_and_loses_nothing(world: VoidWorld) -> None:
    (paid,) = world.pay(1)
    world.post()
    world.approve(world.ask(paid))
    world.pscloud.control(unauthorized=True)
    assert "token" in world.tell().reason
    world.pscloud.control(unauthorized=False)
    world.now.on(hours=1)
    assert world.tell().completed == 1


def test_a_worker_killed_after_pscloud_voided_is_made_good_by_the_next(world: VoidWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    (paid,) = world.pay(1)
    world.post()
    void_id = world.ask(paid)
    world.approve(void_id)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(void_postings, "_finish", killed)
    with pytest.raises(KeyboardInterrupt):
        world.tell()
    monkeypatch.undo()
    assert world.void(void_id).posting_status == "claimed"
    assert world.tell() == void_postings.Outcome(), "the dead worker's lease still holds it"
    world.now.on(minutes=4)
    assert void_postings.anything_due(world.now()) and world.tell().completed == 1
    assert world.there(paid) == "voided"


def test_a_worker_whose_lease_ran_out_meanwhile_writes_nothing_over_the_other_s_result(
    world: VoidWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    (paid,) = world.pay(1)
    world.post()
    void_id = world.ask(paid)
    world.approve(void_id)

    def another_worker() -> None:
        world.now.on(minutes=10)
        assert world.tell().completed == 1

    outcome = world.tell(while_posting(monkeypatch, world.client(), "void_payment", another_worker))
    assert outcome == void_postings.Outcome()
    assert world.void(void_id).posting_status == "completed" and world.there(paid) == "voided"


def test_two_workers_at_once_void_each_payment_once(world: VoidWorld, any_app: Flask) -> None:
    ids = world.pay(8)
    world.post()
    for paid in ids:
        world.approve(world.ask(paid))
    outcomes: list[void_postings.Outcome] = []
    db.session.remove()

    def work() -> None:
        with any_app.app_context():
            outcomes.append(world.tell())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.tell()
    assert {world.there(paid) for paid in ids} == {"voided"}
    assert sum(outcome.completed for outcome in outcomes) <= 8 and not void_postings.anything_due(world.now())
    assert {world.void(row.id).attempts for row in store.list_page("approved")[0]} == {1}


def test_a_closed_period_ends_failed_and_visible_and_can_be_sent_again(world: VoidWorld) -> None:
    (paid,) = world.pay(1)
    world.post()
    void_id = world.ask(paid)
    world.approve(void_id)
    world.pscloud.control(close_period_before="2026-12-01")
    assert world.tell().failed == 1
    void = world.void(void_id)
    assert (void.posting_status, void.state) == ("failed", "approved") and "closed" in void.last_error
    assert "void_failed" in kinds() and world.there(paid) == "accepted"
    world.now.on(hours=1)
    assert world.tell() == void_postings.Outcome(), "sending it again cannot help before a person did something"
    world.pscloud.control(close_period_before=None)
    voids.retry(void_id, "ramon", world.now())
    assert world.tell().completed == 1 and world.there(paid) == "voided"
    with pytest.raises(Conflict):
        voids.retry(void_id, "ramon", world.now())
    db.session.rollback()


def test_voided_there_with_another_reason_ends_failed_and_visible(world: VoidWorld) -> None:
    (paid,) = world.pay(1)
    world.post()
    void_id = world.ask(paid)
    client = world.client()
    client.void_payment(paid, {"reason": "done by hand", "voided_at": world.now().isoformat(), "approved_by": "PSCloud's office"})
    world.approve(void_id)
    assert world.tell().failed == 1
    assert "done by hand" in world.void(void_id).last_error and "void_failed" in kinds()


def test_a_payment_pscloud_does_not_know_ends_failed_and_visible(world: VoidWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    (paid,) = world.pay(1)
    client = world.client()
    monkeypatch.setattr(client, "post_payments", lambda records: [PaymentResult(paid, "accepted", "P-1", "", "", "{}")])
    assert postings.post_due(client, world.now).completed == 1
    void_id = world.ask(paid)
    world.approve(void_id)
    assert world.tell().failed == 1 and "404" in world.void(void_id).last_error


def test_a_void_asked_for_and_approved_while_the_payment_is_on_its_way_follows_when_it_ended(
    world: VoidWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    (paid,) = world.pay(1)
    found: list[int] = []

    def meanwhile() -> None:
        found.append(world.ask(paid))
        assert world.approve(found[0]) is False, "nobody knows yet whether PSCloud will hold it"

    client = while_posting(monkeypatch, world.client(), "post_payments", meanwhile)
    assert postings.post_due(client, world.now).completed == 1
    assert world.void(found[0]).posting_status == "due" and world.there(paid) == "accepted"
    assert world.tell().completed == 1 and world.there(paid) == "voided"


def test_a_void_asked_for_right_before_the_request_leaves_keeps_the_payment_here(world: VoidWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    held, other = world.pay(2)
    records, found = postings._records, list[int]()

    def meanwhile(*arguments: Any) -> Any:
        if not found:
            found.append(world.ask(held))
        return records(*arguments)

    monkeypatch.setattr(postings, "_records", meanwhile)
    outcome = world.post()
    assert (outcome.completed, outcome.held) == (1, 1)
    assert (world.there(held), world.there(other)) == (None, "accepted") and world.status(held) == "approved"
    voids.refuse(found[0], "ramon", "The receipt is right", world.now())
    assert world.post().completed == 1


@pytest.mark.parametrize("arrived", [True, False], ids=["it had arrived", "it had not"])
@pytest.mark.parametrize("decision", ["approved", "refused", "waiting"])
def test_a_payment_that_may_have_reached_pscloud_is_asked_about_and_never_newly_sent(
    world: VoidWorld, monkeypatch: pytest.MonkeyPatch, arrived: bool, decision: str
) -> None:
    (paid,) = world.pay(1)
    world.pscloud.control(**({"lose_answer_next": 1} if arrived else {"fail_next": 1}))
    assert world.post().postponed == 1
    void_id = world.ask(paid)
    if decision == "approved":
        assert world.approve(void_id) is False, "not known yet whether PSCloud holds it"
    elif decision == "refused":
        voids.refuse(void_id, "ramon", "The receipt is right", world.now())
    world.now.on(minutes=10)
    client, sent = world.client(), list[int]()
    post = client.post_payments

    def counted(records: Any) -> Any:
        sent.append(len(records))
        return post(records)

    monkeypatch.setattr(client, "post_payments", counted)
    outcome = postings.post_due(client, world.now)
    world.tell()
    world.now.on(hours=1)
    assert postings.post_due(client, world.now) == postings.Outcome()
    if arrived:
        assert outcome.completed == 1 and sent == []
        assert world.there(paid) == ("voided" if decision == "approved" else "accepted")
    elif decision == "refused":
        assert sent == [1] and world.there(paid) == "accepted"
    else:
        assert outcome.held == 1 and sent == [] and world.there(paid) is None
        if decision == "waiting":
            assert world.approve(void_id) is False
        assert postings.post_due(client, world.now) == postings.Outcome() and world.there(paid) is None


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_in_whatever_order_both_books_end_alike(world: VoidWorld, seed: int) -> None:
    """Requests, decisions, faults and workers in random order; at rest PSCloud holds what is not voided here, and nothing else."""
    random = Random(seed)
    ids = world.pay(6)
    asked: dict[str, int] = {}
    decided: dict[str, str] = {}
    for _ in range(40):
        world.now.on(seconds=random.choice((1, 60, 900)))
        match random.randrange(6):
            case 0 if len(asked) < len(ids):
                paid = random.choice([paid for paid in ids if paid not in asked])
                asked[paid] = world.ask(paid)
            case 1 if set(asked) - set(decided):
                paid = random.choice(sorted(set(asked) - set(decided)))
                decided[paid] = random.choice(("approved", "refused"))
                if decided[paid] == "approved":
                    world.approve(asked[paid])
                else:
                    voids.refuse(asked[paid], "sonia", "no reason to void", world.now())
            case 2:
                world.pscloud.control(**{random.choice(("fail_next", "lose_answer_next", "html_next", "rate_limit_next")): 1})
            case 3 | 4:
                world.post()
            case _:
                world.tell()
    for paid, void_id in asked.items():
        if paid not in decided:
            decided[paid] = "approved"
            world.approve(void_id)
    world.pscloud.reset()
    for _ in range(4):
        world.now.on(hours=1)
        world.post()
        world.tell()
    for paid in ids:
        if decided.get(paid) == "approved":
            assert world.there(paid) in {None, "voided"}
            detail = ledger.get(paid)
            assert detail and (world.there(paid) == "voided") == (detail.row.status == "completed")
        else:
            assert world.there(paid) == "accepted" and world.status(paid) == "completed"
    assert not postings.anything_due(world.now()) and not void_postings.anything_due(world.now())
    assert audit.verify()[1] is None and "void_failed" not in kinds()


def test_the_longest_pause_between_two_calls_is_a_quarter_of_an_hour(world: VoidWorld) -> None:
    (paid,) = world.pay(1)
    world.post()
    void_id = world.ask(paid)
    world.approve(void_id)
    world.pscloud.stop()
    try:
        for _ in range(12):
            assert world.tell().postponed == 1
            waiting = world.void(void_id).next_attempt_at
            assert waiting and world.now() < waiting <= world.now() + timedelta(minutes=20)
            world.now.at = waiting
    finally:
        world.pscloud.start()
    assert world.tell().completed == 1


def test_uploads_decisions_and_workers_at_once_never_stand_in_each_other_s_way(world: VoidWorld, any_app: Flask) -> None:
    ids = world.pay(12)
    for paid in ids[:6]:
        world.ask(paid)
    trouble: list[BaseException] = []
    db.session.remove()

    def each(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            with any_app.app_context():
                try:
                    for _ in range(8):
                        work()
                        db.session.rollback()
                except BaseException as error:
                    trouble.append(error)
                db.session.remove()

        return run

    def upload() -> None:
        left = [paid for paid in ids[6:] if paid not in asked]
        if left:
            asked.append(left[0])
            world.phone.ask_void(world.entry(left[0]))
        for told in send(world.phone, now=world.now()).voids:
            if told["void_number"] not in noted:
                noted.add(told["void_number"])
                world.phone.write_down(told)

    def decide() -> None:
        for row in store.list_page("requested")[0]:
            try:
                voids.approve(row.id, "ramon", "", world.now())
            except Conflict:
                db.session.rollback()

    asked, noted = list[str](), set[str]()
    threads = [threading.Thread(target=each(work)) for work in (upload, decide, decide, world.post, world.post, world.tell)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    decide()
    for _ in range(2):
        upload()
        world.now.on(hours=1)
        world.post()
        world.tell()
    assert {world.there(paid) for paid in ids} <= {None, "voided"} and not store.not_written_down(world.phone.terminal.id)
    assert audit.verify()[1] is None and "quarantined" not in kinds() and "void_failed" not in kinds()
