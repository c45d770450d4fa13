"""One suite over every connector profile that comes with the portal, each against a server of its own shape: what a day needs, and what
may go wrong on it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from portal import doorbell
from portal.pscloud import mapping, payments_list
from portal.pscloud.client import AuthFailed, PscloudClient, Rejected, Retryable
from portal.pscloud.mapping import PaymentToPost
from portal.pscloud.profile import load
from portal.services import sync
from portal.store import collector_codes, soas, sync_runs
from portal.store.soas import SoaFilter
from portal.store.sync_runs import RunRow
from tests.pscloud.shapes.base import Heard, Say, Shape, books, serving
from tests.pscloud.shapes.frappe import COLLECTION, INVOICE, RESOURCE, Frappe
from tests.pscloud.shapes.odata import Odata
from tests.pscloud.shapes.rest import Rest

NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
SHAPES: tuple[type[Shape], ...] = (Rest, Frappe, Odata)


@pytest.fixture(params=SHAPES, ids=lambda kind: kind.__name__.lower())
def shape(request: pytest.FixtureRequest) -> Iterator[Shape]:
    made: Shape = request.param()
    with serving(made):
        yield made


@pytest.fixture
def frappe() -> Iterator[Frappe]:
    made = Frappe()
    with serving(made):
        yield made


@pytest.fixture
def odata() -> Iterator[Odata]:
    made = Odata()
    with serving(made):
        yield made


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "ring", lambda *_, **__: True)


def connect(shape: Shape, **options: Any) -> PscloudClient:
    """A client by the shape's profile. What it would have waited is in `pauses`."""
    pauses: list[float] = []
    profile = options.pop("profile", None) or load(shape.profile)
    client = PscloudClient(shape.url, options.pop("token", shape.credential), profile, allow_private=True, sleep=pauses.append, **options)
    client.pauses = pauses  # type: ignore[attr-defined]
    return client


def download(shape: Shape, now: datetime = NOW, kind: str = "full", **options: Any) -> RunRow:
    run_id = sync.request_run("manual", "cora", now, kind)
    with connect(shape, **options) as client:
        sync.run(run_id, client, lambda: now)
    row = sync_runs.get(run_id)
    assert row is not None
    return row


def visible() -> dict[str, str]:
    return {row.id: row.status for row in soas.list_page(SoaFilter(status="all"), NOW.date(), limit=1000).rows}


# --- the whole list


def test_every_shape_ends_in_the_same_soas(app: Flask, shape: Shape) -> None:
    row = download(shape)
    assert (row.status, row.error, row.note) == ("completed", "", "")
    assert (row.total, row.succeeded, row.failed, row.added, row.closed) == (7, 7, 0, 7, 0)
    assert row.amount_due == row.pscloud_amount_due == Decimal("10598.00") and row.pscloud_count == 7
    assert row.pages >= 3, "the pages are small, so that paging is used"
    assert row.as_of and row.as_of <= datetime.now(UTC)
    detail = soas.get("SOA-0003")
    truth = shape.books.known("SOA-0003")
    assert detail and truth
    soa = detail.soa
    assert (soa.customer_id, soa.account_number, soa.customer_name) == ("CUST-0003", "HP-00003", "Maria Santos 3")
    assert (soa.address, soa.contact_number, soa.tin) == ("3 Rizal Street, Malolos", "0917 555 0003", "123-456-789-000")
    assert (soa.soa_number, soa.issued_on, soa.due_date, soa.collector_code) == ("2026-00003", truth.issued, truth.due, "COL-01")
    assert (soa.amount_due, soa.penalty, soa.updated_at) == (Decimal("1513.00"), Decimal("10.00"), truth.changed)
    assert [(one.invoice_number, one.balance, one.penalty, one.vat_amount, one.vat_type, one.description) for one in soa.invoices] == [
        ("SI-00031", Decimal("1000.00"), Decimal("10.00"), Decimal("120.00"), "vatable", "Lawn lot, monthly"),
        ("SI-00032", Decimal("503.00"), Decimal("0.00"), Decimal("120.00"), "vatable", "Lawn lot, monthly"),
    ]
    codes = {code.code for code in collector_codes.overview(NOW.date())}
    assert codes >= {"COL-01", "COL-02"}


def test_the_same_again_changes_nothing_and_what_is_gone_is_closed(app: Flask, shape: Shape) -> None:
    download(shape)
    again = download(shape, NOW + timedelta(hours=1))
    assert (again.added, again.changed, again.unchanged, again.closed) == (0, 0, 7, 0)
    shape.books.statements[4].active = False
    third = download(shape, NOW + timedelta(hours=2))
    assert (third.status, third.closed, third.note) == ("completed", 1, "")
    assert visible()["SOA-0005"] == "closed"


def test_a_quick_download_reads_what_changed_and_sees_what_was_settled(app: Flask, shape: Shape) -> None:
    download(shape)
    for one in shape.books.statements:
        one.changed -= timedelta(days=1)
    download(shape, NOW + timedelta(hours=1))
    changed, settled = shape.books.statements[1], shape.books.statements[5]
    changed.amount_due -= 500
    changed.bills[0].balance -= 500
    settled.active = False
    changed.changed = settled.changed = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
    before = len(shape.heard)
    row = download(shape, NOW + timedelta(hours=2), "quick")
    assert (row.status, row.changed, row.closed) == ("completed", 2, 1), row.note
    assert row.succeeded == 2 and len(shape.heard) > before
    assert visible()["SOA-0006"] == "closed"


def test_bad_records_are_set_aside_each_with_its_reason_and_stop_nobody_else(app: Flask, shape: Shape) -> None:
    for number, wrong in enumerate(("amount", "customer", "date"), 1):
        shape.books.statements[number].spoiled = wrong
    row = download(shape)
    assert (row.status, row.succeeded, row.failed) == ("completed", 4, 3)
    reasons = {failure.pscloud_id: failure.reason for failure in sync_runs.failures(row.id)}
    assert "1,250.00" in reasons["SOA-0002"] and "empty" in reasons["SOA-0003"] and "0000-00-00" in reasons["SOA-0004"]
    for failure in sync_runs.failures(row.id):
        assert failure.pscloud_id and failure.pscloud_id in failure.raw and json.loads(failure.raw)
    for one in shape.books.statements:
        one.spoiled = ""
    with connect(shape) as client:
        again = sync.retry_failed(row.id, "cora", client, NOW + timedelta(minutes=5))
    assert (again.repaired, again.still_failed) == (3, 0)
    assert len(visible()) == 7


def test_a_record_that_is_no_record_is_set_aside_too(app: Flask, shape: Shape) -> None:
    shape.books.statements[3].spoiled = "shape"
    row = download(shape)
    assert (row.status, row.succeeded, row.failed) == ("completed", 6, 1)
    assert "not an object" in sync_runs.failures(row.id)[0].reason


# --- what moves while it is read


def test_an_soa_that_leaves_a_page_already_read_closes_nobody(app: Flask, shape: Shape) -> None:
    """The list is read by pages of three. When the first SOA leaves it after page one, offsets shift and another is never sent."""
    download(shape)

    def leave(number: int) -> None:
        if number == shape.served and shape.served == marked + 1:
            shape.books.statements[0].active = False
            shape.books.statements[-1].active = True  # and another one comes, so that the count stays what it was

    marked = shape.served
    shape.after_page = leave
    row = download(shape, NOW + timedelta(hours=1))
    shape.after_page = lambda number: None
    assert row.status == "completed" and row.closed == 0, row.note
    assert all(status == "active" for status in visible().values())
    settled = download(shape, NOW + timedelta(hours=2))
    assert (settled.status, settled.closed, settled.note) == ("completed", 1, "")
    assert visible()["SOA-0001"] == "closed" and visible()["SOA-0008"] == "active"


def test_a_list_whose_length_disagrees_closes_nobody(app: Flask, shape: Shape) -> None:
    download(shape)
    shape.books.statements[2].active = False
    shape.total = 9
    row = download(shape, NOW + timedelta(hours=1))
    assert row.status == "completed" and row.closed == 0 and "stays open" in row.note
    assert visible()["SOA-0003"] == "active"


# --- refusals and faults


def test_a_wrong_credential_stops_at_once_with_a_plain_reason(app: Flask, shape: Shape) -> None:
    row = download(shape, token="wrong:" + "x" * 20)
    assert row.status == "failed" and "PSCLOUD_TOKEN" in row.error and "xxxx" not in row.error
    assert len(shape.heard) == 1, "nobody's account is locked by trying again"


def test_401_in_mid_sync_changes_nothing(app: Flask, shape: Shape) -> None:
    download(shape)
    shape.books.statements[2].active = False
    served = shape.served
    shape.fail(lambda heard: shape.is_soa_list(heard) and shape.served > served, Say({"error": {"message": "expired"}}, 401), times=99)
    row = download(shape, NOW + timedelta(hours=1))
    assert row.status == "failed" and "401" in row.error and "What everybody sees is unchanged" in row.error
    assert visible()["SOA-0003"] == "active" and len(visible()) == 7


def test_429_waits_as_long_as_it_is_asked_to(app: Flask, shape: Shape) -> None:
    shape.fail(shape.is_soa_list, Say(None, 429, {"Retry-After": "7"}), times=2)
    with connect(shape) as client:
        pages = list(client.soa_pages())
        assert sum(len(page.records) for page in pages) == 7
        assert sum(client.pauses) >= 14  # type: ignore[attr-defined]
    shape.fail(shape.is_soa_list, Say(None, 429, {"Retry-After": "3600"}))
    row = download(shape)
    assert row.status == "failed" and "429" in row.error


def test_faults_that_pass_are_waited_out(app: Flask, shape: Shape) -> None:
    shape.fail(shape.is_soa_list, Say(b"<html>maintenance</html>", 200), times=1)
    shape.fail(shape.is_soa_list, Say(None, 503), times=1)
    assert download(shape).status == "completed"


@pytest.mark.parametrize("where", ["same", "foreign", "endless"])
def test_paging_that_does_not_end_or_leads_away_is_refused(app: Flask, shape: Shape, where: str) -> None:
    shape.next_goes = where
    row = download(shape)
    if where == "foreign" and not isinstance(shape, Odata):
        assert all(heard.path.startswith("/api/") for heard in shape.heard), "a cursor or an offset leads nowhere else"
        return
    assert row.status == "failed", row.note
    assert "another server (elsewhere.example)" in row.error if where == "foreign" else "end" in row.error
    assert len(shape.heard) < 600 and visible() == {}


def test_links_to_other_ports_schemes_and_users_are_foreign(odata: Odata) -> None:
    port = int(odata.url.rpartition(":")[2])
    for link in (
        f"http://127.0.0.1:{port + 1}/odata/v4/Statements",
        f"https://127.0.0.1:{port}/odata/v4/Statements",
        f"http://user:secret@127.0.0.1:{port}/odata/v4/Statements",
        "//elsewhere.example/odata/v4/Statements",
        "http://[::1/odata",
        "file:///etc/passwd",
        f"http://127.0.0.1:{port}\\@elsewhere.example/",
    ):
        odata.heard.clear()
        odata.fail(odata.is_soa_list, Say({"value": [], "@odata.count": 7, "@odata.nextLink": link}))
        with connect(odata) as client, pytest.raises(Rejected, match="another server") as caught:
            list(client.soa_pages())
        assert "secret" not in str(caught.value) and sum(odata.is_soa_list(heard) for heard in odata.heard) == 1


# --- payments


def payment(number: int, soa: str = "SOA-0001", **fields: Any) -> PaymentToPost:
    invoice = f"INV-{soa[-4:]}-1"
    given: dict[str, Any] = {
        "reference": str(uuid.UUID(int=number, version=4)),
        "receipt_number": f"T07-{number:08d}",
        "soa_id": soa,
        "amount": Decimal("1110.10"),
        "tender": "check",
        "tender_reference": "BPI 000123",
        "collected_at": datetime(2026, 11, 20, 8, 15, 30, 250000, tzinfo=UTC),
        "collector_code": "COL-01",
        "allocations": (
            (invoice, "penalty", Decimal("10.00")),
            (invoice, "principal", Decimal("1000.00")),
            (None, "advance", Decimal("100.10")),
        ),
    }
    return PaymentToPost(**{**given, **fields})


def for_shape(shape: Shape, one: PaymentToPost) -> PaymentToPost:
    """The OData service numbers its invoices."""
    if not isinstance(shape, Odata):
        return one
    parts = tuple((part and str(int(part.replace("INV-", "").replace("-", ""))), kind, amount) for part, kind, amount in one.allocations)
    return replace(one, allocations=parts)


def post(client: PscloudClient, shape: Shape, *payments: PaymentToPost) -> list[mapping.PaymentResult]:
    """As many requests as the profile needs."""
    records = [mapping.to_payment(for_shape(shape, one), client.profile) for one in payments]
    size = client.profile.payments.limit
    return [result for start in range(0, len(records), size) for result in client.post_payments(records[start : start + size])]


def test_a_payment_arrives_whole_and_each_has_its_own_result(shape: Shape) -> None:
    shape.books.refuse.add("T07-00000002")
    with connect(shape) as client:
        results = post(client, shape, payment(1), payment(2), payment(3, "SOA-9999"), payment(4, "SOA-0002"))
    assert [one.status for one in results] == ["accepted", "rejected", "rejected", "accepted"]
    assert "closed" in results[1].error_message and results[1].error_code and "<" not in results[1].error_message
    assert "SOA-9999" in results[2].error_message and results[0].pscloud_id and json.loads(results[1].raw)
    assert "Traceback" not in results[1].error_message
    assert len(shape.books.receipts) == 2
    held, sent = shape.books.receipts[payment(1).reference], payment(1)
    assert (held.number, held.soa, held.amount, held.collector) == (sent.receipt_number, sent.soa_id, sent.amount, "COL-01")
    assert (held.method, held.method_reference, held.collected_at) == ("check", "BPI 000123", sent.collected_at)
    assert held.parts == list(for_shape(shape, sent).allocations)


def test_the_same_payment_again_is_never_taken_twice(shape: Shape) -> None:
    with connect(shape) as client:
        (first,) = post(client, shape, payment(1))
        try:
            (second,) = post(client, shape, payment(1))
            assert second.status == "duplicate"
        except Rejected as refusal:
            assert refusal.status == 409, "then PSCloud is asked what it holds"
        (held,) = client.find_payments([payment(1).reference])
    assert held.status == "accepted" and held.pscloud_id == first.pscloud_id and len(shape.books.receipts) == 1


def test_what_is_asked_by_reference_is_found_also_among_many(shape: Shape) -> None:
    with connect(shape) as client:
        post(client, shape, *(payment(number) for number in range(1, 9)))
        wanted = [payment(number).reference for number in range(1, 121)]
        found = client.find_payments(wanted)
    assert {one.reference for one in found} == set(wanted[:8]) and {one.status for one in found} == {"accepted"}


def test_an_answer_that_is_lost_leaves_the_outcome_unknown_and_asking_settles_it(shape: Shape) -> None:
    shape.lose_answer = 1
    with connect(shape) as client:
        with pytest.raises(Retryable) as caught:
            post(client, shape, payment(1))
        assert caught.value.outcome_unknown
        assert sum(shape.is_post(heard) for heard in shape.heard) == 1, "a post is never repeated by itself"
        (held,) = client.find_payments([payment(1).reference])
        assert held.status == "accepted"
        assert client.find_payments([payment(2).reference]) == []


@pytest.mark.parametrize(("status", "unknown"), [(500, True), (503, True), (502, True), (429, False)])
def test_whether_a_refused_post_may_have_arrived(shape: Shape, status: int, unknown: bool) -> None:
    shape.fail(shape.is_post, Say(None, status))
    with connect(shape) as client, pytest.raises(Retryable) as caught:
        post(client, shape, payment(1))
    assert caught.value.outcome_unknown is unknown


def test_an_answer_to_a_post_that_cannot_be_read_leaves_its_outcome_unknown(shape: Shape) -> None:
    bodies: list[dict[str, Any]] = [{}, {"data": {}, "results": [{}], "value": []}]
    bodies.append({"data": {"docstatus": 0}, "State": "Draft", "results": []})
    for body in bodies:
        shape.fail(shape.is_post, Say(body))
        with connect(shape) as client:
            try:
                results = post(client, shape, payment(1))
            except Retryable as error:
                assert error.outcome_unknown
            else:
                assert results == [], "a payment without a result is asked about"


def void(client: PscloudClient, one: PaymentToPost, reason: str = "Wrong {reference} account") -> mapping.PaymentResult:
    record = mapping.to_void(reason, datetime(2026, 11, 20, 9, 0, tzinfo=UTC), "ramon", client.profile)
    return client.void_payment(one.reference, record)


def test_a_void_is_done_once_however_often_it_is_sent(shape: Shape) -> None:
    with connect(shape) as client:
        post(client, shape, payment(1))
        assert void(client, payment(1)).status == "voided"
        assert shape.books.receipts[payment(1).reference].void_reason == "Wrong {reference} account", "a person's words stay as they are"
        assert void(client, payment(1)).status == "voided"
        assert [one.status for one in client.find_payments([payment(1).reference])] == ["voided"]


def test_a_void_of_what_was_never_posted_and_one_that_pscloud_refuses(shape: Shape) -> None:
    with connect(shape) as client:
        with pytest.raises(Rejected) as caught:
            void(client, payment(9))
        assert caught.value.status == 404
        post(client, shape, payment(1))
        shape.books.refuse.add(payment(1).receipt_number)
        with pytest.raises(Rejected) as caught:
            void(client, payment(1))
        assert caught.value.status == 409 and "period" in caught.value.message


def test_a_void_whose_answer_is_lost_is_sent_again_with_one_effect(shape: Shape) -> None:
    with connect(shape) as client:
        post(client, shape, payment(1))
        shape.lose_answer = 1
        with pytest.raises(Retryable) as caught:
            void(client, payment(1))
        assert caught.value.outcome_unknown
        assert void(client, payment(1)).status == "voided"


def test_no_credential_is_in_any_message(shape: Shape) -> None:
    secret = shape.credential.rpartition(":")[2]
    for say in (Say({"error": {"message": "no"}}, 401), Say(None, 403), Say(None, 500), Say(b"<html>"), Say({"x": 1}, 400)):
        shape.fail(lambda heard: True, say, times=9)
        with connect(shape, attempts=1) as client, pytest.raises((AuthFailed, Rejected, Retryable)) as caught:
            client.summary()
        assert secret not in str(caught.value)
        shape.faults.clear()


# --- sessions


def test_a_session_is_begun_once_renewed_on_401_and_ended(app: Flask, odata: Odata) -> None:
    row = download(odata)
    assert row.status == "completed" and odata.logins == 1
    assert not odata.sessions, "it was logged out at the end"
    odata.after_page = lambda number: odata.end_sessions() if number == odata.served and odata.logins == 2 and number > 4 else None
    again = download(odata, NOW + timedelta(hours=1))
    assert (again.status, again.unchanged, again.note) == ("completed", 7, "")
    assert odata.logins == 3, "one for the second download, and one renewal in its middle"


def test_a_session_that_ends_again_and_again_is_renewed_exactly_once(app: Flask, odata: Odata) -> None:
    odata.after_page = lambda number: odata.end_sessions()
    row = download(odata)
    assert row.status == "failed" and odata.logins == 2
    assert "shortly after it was renewed" in row.error and "Nothing more was tried" in row.error


def test_a_session_may_be_renewed_again_after_a_while(odata: Odata, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with connect(odata) as client:
        for _ in range(4):
            client.summary()
            odata.end_sessions()
            now[0] += 1900
        assert odata.logins == 4


def test_a_session_that_is_refused_although_the_log_in_works_stops(odata: Odata) -> None:
    odata.fail(lambda heard: "Login" not in heard.path, Say({"error": {"message": "not licensed"}}, 401), times=99)
    with connect(odata) as client, pytest.raises(AuthFailed, match="in the new session too") as caught:
        client.summary()
    assert odata.logins == 2 and "not licensed" in caught.value.message


def test_a_locked_account_is_tried_once(odata: Odata) -> None:
    odata.locked = True
    with connect(odata) as client, pytest.raises(AuthFailed, match="does not let us log in"):
        client.summary()
    assert odata.logins == 1


def test_a_post_turned_away_with_401_is_sent_in_a_new_session_once(odata: Odata) -> None:
    with connect(odata) as client:
        client.summary()
        odata.end_sessions()
        (result,) = post(client, odata, payment(1))
        assert result.status == "accepted" and odata.logins == 2 and len(odata.books.receipts) == 1


def test_a_log_in_that_breaks_off_leaves_no_payment_in_doubt(odata: Odata) -> None:
    odata.fail(lambda heard: heard.path.endswith("/Login"), Say(None, 500))
    with connect(odata) as client, pytest.raises(Retryable) as caught:
        post(client, odata, payment(1))
    assert not caught.value.outcome_unknown


def changed_profile(tmp_path: Path, kind: type[Shape], *replacements: tuple[str, str]) -> Any:
    text = Path(kind.profile or "portal/pscloud/profiles/default.toml").read_text()
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    file = tmp_path / "profile.toml"
    file.write_text(text)
    return load(file)


def test_a_session_may_be_a_token_in_the_answer(odata: Odata, tmp_path: Path) -> None:
    profile = changed_profile(
        tmp_path,
        Odata,
        ('style = "session" ', 'prefix = "Session "\nheader = "X-Session"\nstyle = "session" '),
        ('logout_path = "/odata/v4/Logout"', 'token = "SessionId"'),
    )
    odata.by_header = True
    with connect(odata, profile=profile) as client:
        client.summary()
        odata.end_sessions()
        client.summary()
    assert odata.heard[-1].headers["x-session"].startswith("Session s2-") and "authorization" not in odata.heard[-1].headers


# --- joins


INVOICES = ("[joins.invoices]\n", '[joins.invoices]\nsorted = "text"\n')
BY_STATEMENT = ('[joins.invoices.query]\norder_by = "name asc"', '[joins.invoices.query]\norder_by = "statement asc"')


def test_two_lists_in_the_same_order_are_read_side_by_side(app: Flask, frappe: Frappe, tmp_path: Path) -> None:
    profile = changed_profile(tmp_path, Frappe, INVOICES, BY_STATEMENT)
    by_keys = download(frappe)
    asked = [heard for heard in frappe.heard if heard.path == RESOURCE + INVOICE]
    assert by_keys.status == "completed" and all('"in"' in heard.one("filters") for heard in asked)
    frappe.heard.clear()
    row = download(frappe, NOW + timedelta(hours=1), profile=profile)
    assert (row.status, row.unchanged, row.note) == ("completed", 7, "")
    asked = [heard for heard in frappe.heard if heard.path == RESOURCE + INVOICE]
    assert asked and all("in" not in heard.one("filters") for heard in asked)


def test_lists_in_different_orders_are_refused(app: Flask, frappe: Frappe, tmp_path: Path) -> None:
    descending = (BY_STATEMENT[0], '[joins.invoices.query]\norder_by = "statement desc"')
    row = download(frappe, profile=changed_profile(tmp_path, Frappe, INVOICES, descending))
    assert row.status == "failed" and 'sorted = "no"' in row.error


def test_an_invoice_that_comes_while_both_lists_are_read_starts_them_again(app: Flask, frappe: Frappe, tmp_path: Path) -> None:
    profile = changed_profile(tmp_path, Frappe, INVOICES, BY_STATEMENT)

    def insert(number: int) -> None:
        if number == 1:
            bills = frappe.books.statements[0].bills
            bills.append(replace(bills[0], id="INV-0000-9", number="SI-0009"))

    frappe.after_page = insert
    row = download(frappe, profile=profile)
    assert row.status == "completed" and "read again from the start" in row.note
    detail = soas.get("SOA-0001")
    assert detail and len(detail.soa.invoices) == 3


def test_a_filter_that_pscloud_does_not_understand_is_noticed(app: Flask, frappe: Frappe, tmp_path: Path) -> None:
    profile = changed_profile(
        tmp_path, Frappe, ('template = \'[["statement", "in", {keys}], ', 'template = \'[["statement", "!=", {keys}], ')
    )
    row = download(frappe, profile=profile)
    assert row.status == "failed" and "joins.invoices" in row.error


def test_a_customer_that_is_missing_stops_only_its_own_soa(app: Flask, frappe: Frappe) -> None:
    frappe.books.statements[1].customer = "CUST-0003"
    frappe.books.statements[1].name = "Maria Santos 3"
    frappe.fail(lambda heard: heard.path == f"{RESOURCE}Customer" and "CUST-0001" in heard.one("filters"), Say({"data": []}))
    row = download(frappe)
    assert row.status == "completed" and row.failed == 3
    assert {failure.field for failure in sync_runs.failures(row.id)} == {"holder.customer_name"}


def test_keys_never_break_out_of_a_query(frappe: Frappe, odata: Odata) -> None:
    nasty = ["a'b", 'c"d', "e or Reference ne 'x", "f]g", "h,i"]
    for shape in (frappe, odata):
        with connect(shape) as client:
            assert client.find_payments(nasty) == []
            assert client.soa("x' or 'a' eq 'a") is None
    asked = next(heard for heard in frappe.heard if heard.path == RESOURCE + COLLECTION)
    assert json.loads(asked.one("filters")) == [["reference", "in", nasty]]


# --- without control totals


def test_without_control_totals_nothing_is_ever_closed(app: Flask, shape: Shape, tmp_path: Path) -> None:
    text = Path(shape.profile or "portal/pscloud/profiles/default.toml").read_text()
    start = text.index("[summary]")
    end = text.index("[", start + 10)
    end = text.index("\n[", start) + 1 if "\n[" in text[start:] else end
    file = tmp_path / "none.toml"
    file.write_text(text[:start] + '[summary]\nstyle = "none"\n\n' + text[end:].lstrip("# -abcdefghijklmnopqrstuvwxyz,\n"))
    profile = load(file)
    download(shape, profile=profile)
    shape.books.statements[2].active = False
    row = download(shape, NOW + timedelta(hours=1), profile=profile)
    assert row.status == "completed" and row.closed == 0 and "stays open" in row.note
    assert row.pscloud_amount_due is None and visible()["SOA-0003"] == "active"


def test_totals_made_by_reading_twice_do_not_vouch_for_a_list_that_changed_between(app: Flask, odata: Odata) -> None:
    download(odata)
    odata.books.statements[2].active = False
    calls: list[Heard] = []

    def settle(heard: Heard) -> bool:
        if heard.one("$select") == "Code,AmountDue":
            calls.append(heard)
            odata.books.statements[4].active = False
        return False

    odata.fail(settle, Say(None))
    row = download(odata, NOW + timedelta(hours=1))
    assert calls and row.status == "completed" and row.closed == 0 and "stays open" in row.note


# --- other ways of paging, on the Frappe-like server behind a translation of its answers


class Paged(Frappe):
    """The Frappe shape, its SOAs paged in another way."""

    way = "page"

    def answer(self, heard: Heard) -> Say:
        if not self.is_soa_list(heard):
            return super().answer(heard)
        page = int(heard.one("page", "1"))
        start = str((page - 1) * self.cap)
        said = super().answer(replace(heard, query=[*heard.query, ("limit_start", start), ("limit_page_length", str(self.cap))]))
        if self.way == "link" and said.body["data"]:
            query = urlencode([*((name, value) for name, value in heard.query if name != "page"), ("page", str(page + 1))])
            said.headers["Link"] = f'<{self.url}/x>; rel="prev", <?{query}>; title="a, b"; rel="last next"'
        return said


PAGING: dict[str, str] = {
    "page": 'style = "page"\nparameter = "page"\n',
    "link": 'style = "link_header"\n',
}


@pytest.mark.parametrize("way", PAGING)
def test_pages_by_number_and_by_link_header(app: Flask, tmp_path: Path, way: str) -> None:
    old = '[soas.pagination]\nstyle = "offset"\nparameter = "limit_start"\nlimit_parameter = "limit_page_length"\nlimit = 500\n'
    profile = changed_profile(tmp_path, Frappe, (old, f"[soas.pagination]\n{PAGING[way]}"))
    server = Paged()
    server.way = way
    with serving(server):
        row = download(server, profile=profile)
    assert (row.status, row.succeeded, row.note) == ("completed", 7, "")


def test_one_record_a_page_is_slow_but_whole(app: Flask, shape: Shape) -> None:
    shape.cap = 1
    row = download(shape)
    assert (row.status, row.succeeded, row.note) == ("completed", 7, "")


def test_a_page_cap_below_what_was_asked_for_loses_nothing(app: Flask, shape: Shape) -> None:
    shape.books = books(23)
    shape.cap = 5
    row = download(shape)
    assert (row.status, row.succeeded, row.note) == ("completed", 23, "")
    assert all(len(detail.soa.invoices) == 2 for number in (1, 12, 23) if (detail := soas.get(f"SOA-{number:04d}")))


def test_money_travels_as_the_profile_says(shape: Shape) -> None:
    with connect(shape) as client:
        post(client, shape, payment(1, amount=Decimal("0.10"), allocations=((None, "advance", Decimal("0.10")),)))
    sent = next(heard for heard in shape.heard if shape.is_post(heard)).body
    assert (b'"0.10"' in sent) is isinstance(shape, Rest) and b"0.10" in sent


# --- what reconciliation asks for


def test_payments_are_read_back_with_what_reconciliation_compares(shape: Shape) -> None:
    paid = [payment(number) for number in (1, 2, 3)]
    late = payment(4, collected_at=datetime(2026, 11, 21, tzinfo=UTC))
    with connect(shape) as client:
        post(client, shape, *paid, late)
        client.void_payment(paid[1].reference, mapping.to_void("Typed twice", NOW, "ramon", client.profile))
        held = client.held_payments([one.reference for one in paid] + [str(uuid.uuid4())])
        assert {reference: one.voided for reference, one in held.items()} == {one.reference: one is paid[1] for one in paid}
        told = held[paid[0].reference]
        if isinstance(shape, Rest):
            assert client.profile.payments.listing is None and told.amount is None
            with pytest.raises(ValueError, match="cannot list"):
                next(client.listed_payments(None))
            return
        assert (told.amount, told.soa_id, told.receipt_number) == (Decimal("1110.10"), "SOA-0001", "T07-00000001")
        shape.cap = 2
        everything = [one for page in client.listed_payments(None) for one in page.payments]
        assert {one.reference for one in everything} == {one.reference for one in (*paid, late)}
        since = [one for page in client.listed_payments(datetime(2026, 11, 20, 16, tzinfo=UTC)) for one in page.payments]
        assert [(one.reference, one.amount, one.reason) for one in since] == [(late.reference, late.amount, "")]


def test_a_payment_that_cannot_be_read_back_is_told_with_its_reason() -> None:
    profile = load(Frappe.profile)
    odd = payments_list.read(b'{"reference": "r1", "docstatus": 7, "paid_amount": 5}', profile)
    assert odd and (odd.reference, odd.amount) == ("r1", None) and "7" in odd.reason
    money = payments_list.read(b'{"reference": "r1", "docstatus": 1, "paid_amount": "5,00.1"}', profile)
    assert money and money.reason.startswith("paid_amount: ")
    assert payments_list.read(b'{"reference": null, "docstatus": 1}', profile) is None, "a payment of PSCloud's own counter"
