"""Our books beside PSCloud's: each kind of difference is found once and told with both values, nothing is changed, nothing is stuck."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from demo.pscloud.testing import RunningPSCloud, running_pscloud
from portal import doorbell
from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.domain.reconciliation import CASES
from portal.extensions import db
from portal.pscloud.client import AuthFailed, PscloudClient, Retryable
from portal.pscloud.profile import BUILT_IN, load
from portal.services import payments, postings, sync, void_postings, voids, waiting
from portal.services import reconciliation as service
from portal.store import audit, models, soas
from portal.store import reconciliations as store
from portal.store import voids as void_store
from portal.store.reconciliations import DifferenceFilter, DifferenceRow, ReportRow
from portal.store.soas import SoaFilter
from tests.factories import NOW, make_soa, make_user, store_soas
from tests.services.test_journal import send
from tests.services.test_postings import Clock, World

LISTING = Path(__file__).parents[2] / "demo" / "pscloud" / "profile.toml"


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    heard: list[tuple[Any, ...]] = []

    def ring(job_name: str, *args: int | str, job_id: str | None = None) -> bool:
        heard.append((job_name, *args))
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    monkeypatch.setattr(doorbell, "is_waiting", lambda *args: False)
    return heard


@pytest.fixture
def server() -> Iterator[RunningPSCloud]:
    with running_pscloud(customers=60, faulty_records=False) as running:
        yield running


@pytest.fixture
def world(any_app: Flask, server: RunningPSCloud) -> World:
    make_user("cora", "office")
    return World(server)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The profile of the simulator with pages of seven SOAs."""
    profile = tmp_path / "small.toml"
    profile.write_text(LISTING.read_text().replace("limit = 500\n\n[summary]", "limit = 7\n\n[summary]"))
    assert load(profile).soas.pagination.limit == 7
    return profile


def client(world: World, profile: Path = LISTING) -> PscloudClient:
    found = PscloudClient(world.pscloud.url, world.pscloud.token, load(profile), allow_private=True, attempts=1, deadline=5)
    found.sleep = lambda _seconds: None
    return found


def compare(world: World, profile: Path = LISTING, since: date | None = None, status: str | None = "completed") -> ReportRow:
    number = service.request("cora", since, world.now())
    with client(world, profile) as asked:
        assert service.run(number, asked, world.now) == status
    return row(number)


def row(number: int) -> ReportRow:
    found = store.get(number)
    db.session.rollback()
    assert found
    return found


def found(report: ReportRow, **wanted: str) -> list[DifferenceRow]:
    rows = list(store.iterate(DifferenceFilter(report.id, **wanted)))
    db.session.rollback()
    return rows


def cases(report: ReportRow, **wanted: str) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for one in found(report, **wanted):
        told.setdefault(one.reason, []).append(one.record_id)
    return told


def books() -> dict[str, Any]:
    """Everything that a comparison must not touch."""
    tables = (
        models.Soa,
        models.Invoice,
        models.SoaChange,
        models.SyncRun,
        models.Payment,
        models.PaymentAllocation,
        models.Posting,
        models.Void,
    )
    kept = {table.__tablename__: sorted(map(repr, db.session.execute(select(table.__table__)).all())) for table in tables}
    db.session.rollback()
    return kept


def leftovers() -> int:
    count = db.session.scalar(select(func.count()).select_from(models.ReconciliationStaged)) or 0
    db.session.rollback()
    return count


# --- what is found


def test_equal_books_are_equal_and_nothing_is_changed(world: World) -> None:
    paid = world.pay(3)
    assert world.post().completed == 3
    assert sync.run(sync.request_run("manual", "test", NOW), world.client(), world.now) == "completed"
    before, held = books(), world.pscloud.payments()
    report = compare(world)
    assert report.equal and report.differences == 0 and report.note == "" and report.error == ""
    active = soas.totals(SoaFilter(), NOW.date())
    assert report.counts("soa") == {"equal": active.count, "different": 0, "only_here": 0, "only_pscloud": 0, "unreadable": 0}
    assert report.payments_equal == len(paid) == 3 and report.payments_listed
    assert (report.here_count, report.here_amount) == (report.pscloud_count, report.pscloud_amount) == (active.count, active.amount_due)
    assert (books(), world.pscloud.payments()) == (before, held) and leftovers() == 0
    assert audit.verify()[1] is None


def test_every_difference_of_soas_is_told_with_both_values(world: World) -> None:
    ours = soas.for_codes(["BUL-01", "BUL-02"])
    changed, gone, settled, new = ours[:4]
    world.pscloud.change_soa(changed.id, penalty_add="12.50", collector_code="BUL-03")
    world.pscloud.change_soa(gone.id, hidden=True)
    world.pscloud.change_soa(settled.id, status="settled")
    world.pscloud.change_soa(ours[5].id, fault=[{"path": ["amount_due"], "value": "12,5O0.00"}])
    db.session.execute(delete(models.SoaChange).where(models.SoaChange.soa_id == new.id))
    db.session.execute(delete(models.Invoice).where(models.Invoice.soa_id == new.id))
    db.session.execute(delete(models.Soa).where(models.Soa.id == new.id))
    db.session.execute(update(models.Soa).where(models.Soa.id == ours[4].id).values(status="closed", closed_on=NOW.date(), version="x"))
    db.session.commit()
    report = compare(world)
    assert cases(report) == {
        "soa_changed": [changed.id],
        "soa_gone_unknown": [gone.id],
        "soa_gone_settled": [settled.id],
        "soa_new": [new.id],
        "soa_reopened": [ours[4].id],
        "soa_unreadable": [ours[5].id],
    }
    counts = report.counts("soa")
    assert {kind: counts[kind] for kind in counts if kind != "equal"} == {
        "different": 2,
        "only_here": 2,
        "only_pscloud": 1,
        "unreadable": 1,
    }
    assert sum(counts.values()) == len(set(world_ids(world)) | {gone.id, settled.id})
    assert not report.equal
    fields = {field.name: (field.here, field.pscloud) for field in found(report, kind="different", field="amount_due")[0].fields}
    assert fields["amount_due"] == (f"{changed.amount_due:.2f}", f"{changed.amount_due + Decimal('12.50'):.2f}")
    assert fields["collector_code"] == (changed.collector_code, "BUL-03")
    assert report.fields["amount_due"] == 1 and report.fields["status"] == 1 and report.fields["invoices"] == 1
    assert [one.record_id for one in found(report, field="status")] == [ours[4].id]
    bad = found(report, kind="unreadable")[0]
    assert "amount_due" in bad.detail and "12,5O0.00" in bad.raw and bad.customer_name
    assert [one.record_id for one in found(report, q=f"{changed.customer_name} {changed.soa_number}")] == [changed.id]


def world_ids(world: World) -> list[str]:
    return [record["id"] for record in world.pscloud.records("active")]


def test_every_difference_of_payments_is_told_in_its_case(world: World) -> None:
    make_user("sonia", "supervisor")
    forgotten, amount, voided, fine, refused = world.pay(5)
    world.pscloud.control(reject_next=1)
    assert world.post().failed == 1
    failed = next(one for one in (forgotten, amount, voided, fine, refused) if world.status(one) == "failed")
    good = [one for one in (forgotten, amount, voided, fine, refused) if one != failed]
    world.pscloud.change_payment(good[0], forget=True)
    world.pscloud.change_payment(good[1], amount="51.25")
    world.pscloud.change_payment(good[2], voided=True)
    stranger = world.pscloud.add_payment(world.soas[0].id, "77.00")
    assert sync.run(sync.request_run("manual", "test", NOW), world.client(), world.now) == "completed"
    waits = world.pay(1)
    before = books()
    report = compare(world)
    assert cases(report) == {
        "payment_missing": [good[0]],
        "payment_changed": [good[1]],
        "payment_voided_there": [good[2]],
        "payment_refused": [failed],
        "payment_waiting": waits,
        "payment_stranger": [stranger],
    }
    assert report.counts("payment") == {"equal": 1, "waiting": 1, "different": 2, "only_here": 2, "only_pscloud": 1, "unreadable": 0}
    changed = found(report, record="payment", field="amount")[0]
    assert (changed.amount_here, changed.amount_pscloud) == (Decimal("50.00"), Decimal("51.25"))
    assert [(field.here, field.pscloud) for field in changed.fields] == [("50.00", "51.25")]
    odd = found(report, kind="only_pscloud")[0]
    assert (odd.amount_pscloud, odd.number, odd.account_number) == (Decimal("77.00"), "COUNTER", world.soas[0].id)
    assert books() == before
    assert {one.reason for one in found(report)} <= CASES.keys()


def lost(world: World) -> tuple[str, ReportRow]:
    """A payment that PSCloud accepted and knows no more, and the comparison that found it."""
    payment = world.pay(2)[0]
    assert world.post().completed == 2
    world.pscloud.change_payment(payment, forget=True)
    report = compare(world)
    assert cases(report, kind="only_here") == {"payment_missing": [payment]}
    return payment, report


def test_a_payment_that_pscloud_lost_is_sent_again_once_and_audited(world: World) -> None:
    payment, report = lost(world)
    world.now.on(seconds=60)
    payments.send_again(payment, report.id, "sonia", "  Their backup was put back.  ", world.now())
    assert world.status(payment) == "approved"
    told = db.session.execute(select(models.AuditEntry).where(models.AuditEntry.action == "payment_sent_again")).scalar_one()
    assert (told.who, told.subject) == ("sonia", payment)
    assert json.loads(told.detail) == {"reason": "Their backup was put back.", "reconciliation": report.id}
    db.session.rollback()
    with pytest.raises(Conflict, match="sent again already"):
        payments.send_again(payment, report.id, "sonia", "Twice", world.now())
    db.session.rollback()
    assert world.post().completed == 1 and world.status(payment) == "completed"
    assert world.held().count(payment) == 1
    with pytest.raises(Conflict, match="sent again already"):
        payments.send_again(payment, report.id, "sonia", "Twice", world.now())
    db.session.rollback()
    world.now.on(seconds=60)
    assert compare(world).counts("payment")["only_here"] == 0


def test_a_payment_sent_again_is_asked_about_when_the_answer_is_lost(world: World) -> None:
    payment, report = lost(world)
    world.now.on(seconds=60)
    payments.send_again(payment, report.id, "sonia", "Deleted there", world.now())
    world.pscloud.control(lose_answer_next=1)
    assert world.post().postponed == 1 and world.status(payment) == "approved"
    world.now.on(minutes=30)
    sent: list[Any] = []
    asked = world.client()
    asked.post_payments = sent.append  # type: ignore[method-assign, assignment]
    assert postings.post_due(asked, world.now).completed == 1 and sent == []
    assert world.status(payment) == "completed" and world.held().count(payment) == 1


def test_only_what_the_latest_report_misses_is_sent_again_with_a_reason_by_another_person(world: World) -> None:
    payment, report = lost(world)
    other = next(one for one in world.held() if one != payment)
    refused = [
        (payment, report.id, "nena", "Mine", Forbidden, "collected themselves"),
        (payment, report.id, "sonia", " ", InvalidInput, "Say why"),
        (payment, report.id + 1, "sonia", "Lost", Conflict, "later comparison"),
        (other, report.id, "sonia", "Lost", Conflict, "does not say"),
        ("0" * 36, report.id, "sonia", "Lost", NotFound, "no such payment"),
    ]
    for payment_id, report_id, who, reason, error, words in refused:
        with pytest.raises(error, match=words):
            payments.send_again(payment_id, report_id, who, reason, world.now())
        db.session.rollback()
    entry = next(one for one in world.phone.entries if one.payload.get("payment") == payment)
    world.phone.ask_void(entry)
    send(world.phone)
    with pytest.raises(Conflict, match="void"):
        payments.send_again(payment, report.id, "sonia", "Lost", world.now())
    db.session.rollback()
    assert world.status(payment) == "completed"


def test_without_a_list_payments_are_asked_for_by_reference_and_the_report_says_so(world: World) -> None:
    paid = world.pay(3)
    world.post()
    world.pscloud.change_payment(paid[0], forget=True)
    world.pscloud.change_payment(paid[1], voided=True)
    world.pscloud.add_payment(world.soas[0].id, "77.00")
    report = compare(world, BUILT_IN)
    assert not report.payments_listed and report.payments_only_pscloud == 0
    assert cases(report)["payment_missing"] == [paid[0]] and cases(report)["payment_voided_there"] == [paid[1]]
    assert report.payments_equal == 1


def test_a_pscloud_without_the_list_its_profile_names_is_asked_by_reference(world: World, tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(LISTING.read_text().replace("/api/v1/payments/list", "/api/v1/no-such-list"))
    world.pay(2)
    world.post()
    report = compare(world, profile)
    assert report.payments_equal == 2 and not report.payments_listed and "list of payments could not be read" in report.note


def test_only_payments_from_the_chosen_day_on_are_compared(world: World) -> None:
    world.pay(2)
    world.post()
    assert compare(world, since=date(2026, 11, 20)).payments_equal == 2
    later = compare(world, since=date(2026, 11, 21))
    assert later.counts("payment") == dict.fromkeys(later.counts("payment"), 0)
    assert "payments" not in later.note


def test_voids_on_their_way_wait_and_those_refused_there_are_told(world: World) -> None:
    make_user("sonia", "supervisor")
    entries = [world.phone.pay(soa, 5000) for soa in world.soas[:2]]
    send(world.phone)
    world.post()
    for entry in entries:
        world.phone.ask_void(entry)
    send(world.phone)
    for asked in void_store.list_page("requested")[0]:
        voids.approve(asked.id, "sonia", "Rightly asked", world.now())
    assert set(cases(compare(world), record="payment")) == {"void_waiting"}
    world.pscloud.control(close_period_before="2027-01-01")
    void_postings.post_due(world.client(), world.now)
    report = compare(world)
    assert set(cases(report, record="payment")) == {"void_missing"} and report.payments_different == 2


def test_a_payment_posted_between_two_looks_is_on_its_way_and_no_difference(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = world.pay(2)
    world.pscloud.control(reject_next=2)
    assert world.post().failed == 2
    asked = PscloudClient.held_payments

    def while_it_is_retried(self: PscloudClient, references: Any) -> Any:
        answer = asked(self, references)
        for one in refused:
            payments.retry(one, "cora", world.now())
        return answer

    monkeypatch.setattr(PscloudClient, "held_payments", while_it_is_retried)
    report = compare(world)
    assert cases(report) == {"payment_moving": sorted(refused)} and report.equal
    assert world.post().completed == 2, "and then it is posted"


# --- what may happen meanwhile


def test_a_download_in_between_is_noticed_and_all_are_compared_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = world.soas[0]
    pages = PscloudClient.soa_pages
    times: list[int] = []

    def with_a_download_in_between(self: PscloudClient, since: Any = None) -> Any:
        times.append(1)
        yield from pages(self, since)
        if len(times) == 1:
            world.pscloud.change_soa(changed.id, penalty_add="1.00")
            monkeypatch.setattr(PscloudClient, "soa_pages", pages)
            assert sync.run(sync.request_run("manual", "test", NOW), world.client(), world.now) == "completed"
            monkeypatch.setattr(PscloudClient, "soa_pages", with_a_download_in_between)

    monkeypatch.setattr(PscloudClient, "soa_pages", with_a_download_in_between)
    report = compare(world)
    assert len(times) == 2 and report.equal and "compared again" in report.note


def test_downloads_without_end_let_it_fail_with_a_reason(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = iter(range(100))
    monkeypatch.setattr(service, "_mark", lambda: (next(marks),))
    report = compare(world, status="failed")
    assert "Downloads changed the SOAs" in report.error and found(report) == [] and leftovers() == 0


def test_a_download_under_way_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = sync.request_run("manual", "test", NOW)
    number = service.request("cora", None, NOW)
    phases: list[str] = []

    def sleep(_seconds: float) -> None:
        phases.append(row(number).phase)
        if len(phases) == 3:
            sync.cancel(run_id, "test", NOW)

    with client(world) as asked:
        asked.sleep = sleep
        assert service.run(number, asked, world.now) == "completed"
    assert phases == ["waiting"] * 3


def test_a_list_that_repeats_records_is_counted_once(world: World, small: Path) -> None:
    changed = world.soas[0]
    world.pscloud.change_soa(changed.id, penalty_add="1.00")
    world.pscloud.control(page_shift=-2)
    report = compare(world, small)
    world.pscloud.reset()
    assert report.soas_different == 1 and report.soas_equal + 1 == len(world_ids(world)) and report.fields["amount_due"] == 1


def test_a_forgotten_list_is_read_from_the_start(world: World, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.pscloud.change_soa(world.soas[0].id, penalty_add="1.00")
    pages = service._compare_page
    seen: list[int] = []

    def expire_once(work: Any, page: Any) -> None:
        pages(work, page)
        seen.append(len(page.records))
        if len(seen) == 4:
            world.pscloud.control(expire_cursors=True)

    monkeypatch.setattr(service, "_compare_page", expire_once)
    report = compare(world, small)
    assert report.soas_different == 1 and report.soas_equal + 1 == len(world_ids(world)) < sum(seen)


# --- one at a time, cancelled, killed, unheard of


def test_two_starts_at_once_are_one(world: World, rings: list[tuple[Any, ...]]) -> None:
    number = service.request("cora", None, NOW)
    with pytest.raises(Conflict, match="already waiting or running"):
        service.request("carla", None, NOW)
    assert ("reconcile", number) in rings
    with client(world) as one, client(world) as other:
        assert service.run(number, one, world.now) == "completed"
        assert service.run(number, other, world.now) is None
    assert service.request("carla", None, NOW) > number


def during(world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> int:
    """Begin a comparison, and do something when the first page is compared; its number."""
    number = service.request("cora", None, NOW)
    page = service._compare_page

    def then(work: Any, one: Any) -> None:
        page(work, one)
        db.session.rollback()
        act(number)

    monkeypatch.setattr(service, "_compare_page", then)
    monkeypatch.setattr(service, "HEARTBEAT", timedelta(0))
    return number


def test_what_is_cancelled_ends_at_the_next_step_and_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.pscloud.change_soa(world.soas[0].id, penalty_add="1.00")
    number = during(world, monkeypatch, lambda one: service.cancel(one, "cora", NOW))
    with client(world) as asked:
        assert service.run(number, asked, world.now) is None
    ended = row(number)
    assert (ended.status, ended.error) == ("cancelled", "Cancelled by cora.") and found(ended) == [] and leftovers() == 0
    with pytest.raises(Conflict):
        service.cancel(number, "cora", NOW)
    with pytest.raises(NotFound):
        service.cancel(999, "cora", NOW)
    assert audit.verify()[1] is None


def test_a_killed_worker_s_comparison_fails_with_a_reason_within_two_minutes_and_can_be_started_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.pscloud.change_soa(world.soas[0].id, penalty_add="1.00")

    def die(_number: int) -> None:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        number = during(world, patch, die)
        patch.setattr(service, "_tidy", lambda _number: None)
        with client(world) as asked, pytest.raises(SystemExit):
            service.run(number, asked, world.now)
    db.session.rollback()
    assert row(number).status == "processing" and leftovers() > 0
    service.sweep(NOW + service.SILENCE)
    assert row(number).status == "processing"
    assert service.SILENCE + timedelta(seconds=18) < timedelta(minutes=2)
    service.sweep(NOW + service.SILENCE + timedelta(seconds=1))
    dead = row(number)
    assert dead.status == "failed" and "worker stopped" in dead.error and "Compare now" in dead.error
    service.sweep(NOW + service.SILENCE + timedelta(seconds=2))
    assert leftovers() == 0 and found(dead) == []
    assert compare(world).soas_different == 1


def test_a_comparison_nobody_hears_of_is_rung_again_and_given_up(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    number = service.request("cora", None, NOW)
    heard: list[int] = []
    monkeypatch.setattr(doorbell, "ring", lambda name, one, job_id: heard.append(one) or True)  # type: ignore[func-returns-value]
    service.sweep(NOW + timedelta(seconds=5))
    assert heard == []
    service.sweep(NOW + waiting.RING_AGAIN)
    assert heard == [number]
    service.sweep(NOW + service.PATIENCE.for_worker)
    assert row(number).status == "failed" and "within an hour" in row(number).error
    number = service.request("cora", None, NOW)
    monkeypatch.setattr(doorbell, "ring", lambda *args, **named: False)
    service.sweep(NOW + waiting.NO_JOB)
    assert row(number).status == "failed" and "Redis" in row(number).error


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ({"unauthorized": True}, "token"),
        ({"html_next": 50}, ""),
        ({"fail_next": 50}, ""),
        ({"maintenance": True, "retry_after": "600"}, ""),
    ],
)
def test_trouble_with_pscloud_ends_it_with_its_reason_and_changes_nothing(world: World, switch: dict[str, Any], words: str) -> None:
    before = books()
    world.pscloud.control(**switch)
    report = compare(world, status="failed")
    world.pscloud.reset()
    assert report.status == "failed" and report.error and words in report.error and books() == before and leftovers() == 0


def test_trouble_while_payments_are_asked_for_ends_it_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.pay(1)

    def away(*_: Any) -> Any:
        raise Retryable("PSCloud does not answer.")

    monkeypatch.setattr(PscloudClient, "held_payments", away)
    report = compare(world, status="failed")
    assert report.error == "PSCloud does not answer." and found(report) == [] and leftovers() == 0


def test_without_control_totals_the_report_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_self: PscloudClient) -> Any:
        raise AuthFailed("PSCloud does not let us ask.", 403)

    monkeypatch.setattr(PscloudClient, "summary", none)
    report = compare(world)
    assert report.equal and report.pscloud_count is None and "PSCloud does not let us ask." in report.note


def test_an_unforeseen_error_is_told_without_its_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(service, "_compare_absent", broken)
    report = compare(world, status="failed")
    assert "ValueError" in report.error and "secret" not in report.error


# --- kept as it is


def test_a_finished_report_and_its_differences_cannot_be_changed(world: World) -> None:
    world.pscloud.change_soa(world.soas[0].id, penalty_add="1.00")
    report = compare(world)
    difference = models.ReconciliationDifference
    for statement in (
        update(models.Reconciliation).values(soas_different=0),
        delete(models.Reconciliation),
        update(difference).values(kind="waiting"),
        delete(difference),
        insert(difference).values(report_id=report.id, record="soa", kind="different", reason="soa_changed", record_id="X"),
    ):
        with pytest.raises((IntegrityError, OperationalError), match="kept as it is"):
            db.session.execute(statement)
        db.session.rollback()
    service.sweep(NOW + timedelta(days=400))
    assert len(found(row(report.id))) == report.differences == 1


def test_differences_page_by_keyset_both_ways(any_app: Flask) -> None:
    number = service.request("cora", None, NOW)
    store.add_differences(
        number, [store.NewDifference("soa", "only_here", "soa_gone", f"S{one:03d}", customer_name="Añonuevo") for one in range(120)]
    )
    db.session.commit()
    wanted = DifferenceFilter(number, record="soa", kind="only_here", q="anonuevo")
    first = store.list_page(wanted)
    second = store.list_page(wanted, after=int(first.next or 0))
    third = store.list_page(wanted, after=int(second.next or 0))
    pages = [[one.record_id for one in page.rows] for page in (first, second, third)]
    assert [one for page in pages for one in page] == [f"S{one:03d}" for one in range(120)] and [len(page) for page in pages] == [
        50,
        50,
        20,
    ]
    assert first.previous is None and third.next is None
    back = store.list_page(wanted, before=int(third.previous or 0))
    assert [one.record_id for one in back.rows] == pages[1] and back.next and back.previous
    assert store.list_page(DifferenceFilter(number, kind="different")).rows == []
    assert store.count(wanted) == 120 and store.count(wanted, 100) == 100


def test_the_demo_s_profile_is_the_default_one_and_asks_for_the_list() -> None:
    default = BUILT_IN.read_text().partition("\n\n")[2].rstrip("\n")
    assert default in LISTING.read_text(), "demo/pscloud/profile.toml must follow the default profile"
    assert load(LISTING).payments.listing and load(BUILT_IN).payments.listing is None


def test_memory_does_not_grow_with_the_pages(any_app: Flask, server: RunningPSCloud, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held between two pages does not grow: ids and findings are in the database, the sets of a page are its own."""
    store_soas(*(make_soa(f"X{one:04d}") for one in range(1200)))
    world_now = Clock()
    held: list[int] = []
    page = service._compare_page

    def watched(work: Any, one: Any) -> None:
        page(work, one)
        held.append(sum(len(json.dumps(value, default=str)) for value in vars(work).values() if isinstance(value, dict | list)))

    monkeypatch.setattr(service, "_compare_page", watched)
    asked = PscloudClient(server.url, server.token, load(small), allow_private=True)
    number = service.request("cora", None, NOW)
    assert service.run(number, asked, world_now) == "completed"
    report = row(number)
    assert report.soas_only_here == 1200 and report.soas_only_pscloud == len([*server.records("active")])
    assert len(held) > 5 and held[-1] <= held[1] + 20
    assert "soa_gone_unknown" in cases(report) and len(cases(report)["soa_gone_unknown"]) == service.ASKED_ONE_BY_ONE
