"""The simulator keeps docs/pscloud-api.yaml, judged by openapi-core over real HTTP, and its switches do what they say."""

import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse
from openapi_core.exceptions import OpenAPIError

from demo.pscloud import money
from demo.pscloud.app import create_app
from demo.pscloud.seed import FAULTS
from demo.pscloud.testing import RunningPSCloud, running_pscloud

ROOT = Path(__file__).resolve().parents[2]
CENTAVO_TEXT = re.compile(r"[0-9]+\.[0-9]{2}")


@cache
def contract() -> dict[str, Any]:
    """The contract as it stands in docs, itself checked to be a valid OpenAPI document."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "pscloud-api.yaml").read_text(encoding="utf-8"))
    OpenAPI.from_dict(loaded)
    return loaded


class Caller:
    """Calls the API with the token and has every answer judged against the contract."""

    def __init__(self, server: RunningPSCloud) -> None:
        self.server = server
        # contract() is a valid document: checked once, not for each test.
        self.contract = OpenAPI.from_dict(contract() | {"servers": [{"url": server.url}]}, config=Config(spec_validator_cls=None))
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {server.token}"

    def send(self, method: str, path: str, *, judge_request: bool = True, **options: Any) -> requests.Response:
        """The answer, after openapi-core has accepted the request (unless it is wrong on purpose) and the answer."""
        request = requests.Request(method, f"{self.server.url}/api/v1{path}", **options)
        prepared = self.session.prepare_request(request)
        answer = self.session.send(prepared, timeout=20)
        judged = RequestsOpenAPIRequest(prepared)
        if judge_request:
            self.contract.validate_request(judged)
        self.contract.validate_response(judged, RequestsOpenAPIResponse(answer))
        return answer

    def pages(self, limit: int = 7, **query: Any) -> list[dict[str, Any]]:
        """Every page of a listing, first to last."""
        found = [self.send("GET", "/soas", params={"limit": limit, **query}).json()]
        while found[-1]["next_cursor"] is not None:
            found.append(self.send("GET", "/soas", params={"limit": limit, "cursor": found[-1]["next_cursor"]}).json())
        return found

    def records(self, **query: Any) -> list[dict[str, Any]]:
        """Every record of a listing."""
        return [record for page in self.pages(limit=1000, **query) for record in page["data"]]

    def post(self, *payments: dict[str, Any]) -> list[dict[str, Any]]:
        """Posts payments and returns their results."""
        results: list[dict[str, Any]] = self.send("POST", "/payments", json={"payments": list(payments)}).json()["results"]
        return results


@pytest.fixture
def caller() -> Iterator[Caller]:
    with running_pscloud(customers=60, faulty_records=False) as server:
        yield Caller(server)


@pytest.fixture
def faulty() -> Iterator[Caller]:
    with running_pscloud(customers=20) as server:
        yield Caller(server)


def payment_for(record: dict[str, Any], *parts: tuple[str | None, str, str], **changes: Any) -> dict[str, Any]:
    """A cash payment of an SOA; parts are (invoice id, kind, amount)."""
    payment = {
        "reference": str(uuid.uuid4()),
        "receipt_number": "T07-00000001",
        "soa_id": record["id"],
        "amount": str(sum(Decimal(amount) for _, _, amount in parts)),
        "method": "cash",
        "method_reference": None,
        "collected_at": "2026-11-20T09:30:00.123+08:00",
        "collector_code": "BUL-01",
        "allocations": [{"invoice_id": invoice, "kind": kind, "amount": amount} for invoice, kind, amount in parts],
    }
    return payment | changes


def pays_everything(record: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A payment of all that is due on an SOA, penalties and balances apart."""
    parts = [(invoice["id"], "penalty", invoice["penalty"]) for invoice in record["invoices"] if Decimal(invoice["penalty"])]
    parts += [(invoice["id"], "principal", invoice["balance"]) for invoice in record["invoices"] if Decimal(invoice["balance"])]
    return payment_for(record, *parts, **changes)


def first(records: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    return next(record for record in records if record["status"] == wanted.get("status", "active"))


def with_penalty(records: list[dict[str, Any]]) -> dict[str, Any]:
    return next(record for record in records if record["status"] == "active" and Decimal(record["invoices"][0]["penalty"]) > 0)


def refused(answer: requests.Response, status: int, code: str) -> bool:
    """Whether an answer is this error in the contract's form."""
    error = answer.json()["error"]
    return answer.status_code == status and error["code"] == code and bool(error["message"].strip())


# The contract, judged by openapi-core


def test_status_needs_no_token(caller: Caller) -> None:
    del caller.session.headers["Authorization"]
    answer = caller.send("GET", "/status", judge_request=False).json()
    assert abs(datetime.fromisoformat(answer["time"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_every_page_keeps_the_contract_and_the_order(caller: Caller) -> None:
    pages = caller.pages()
    records = [record for page in pages for record in page["data"]]
    assert len(records) == 60 == pages[0]["total"]
    assert len({record["id"] for record in records}) == 60
    assert {page["as_of"] for page in pages} == {pages[0]["as_of"]}
    places = [(datetime.fromisoformat(record["updated_at"]), record["id"]) for record in records]
    assert places == sorted(places)
    assert len({at for at, _ in places}) < 60, "several records share an instant, as after a nightly run"


def test_the_judge_is_awake(faulty: Caller) -> None:
    """Records that break the contract's own schema are refused by openapi-core: a green judge means something."""
    names = dict(zip(faulty.server.state()["faulty_ids"], FAULTS, strict=True))
    schema_sees = {"customer name missing", "impossible due date", "unknown status word", "unknown vat_type word"}
    for soa_id, name in names.items():
        if name in schema_sees:
            with pytest.raises(OpenAPIError):
                faulty.send("GET", f"/soas/{soa_id}")
        else:
            assert faulty.send("GET", f"/soas/{soa_id}").status_code == 200


def test_money_is_exact_and_adds_up(caller: Caller) -> None:
    seen = set()
    for record in caller.records():
        invoices = record["invoices"]
        assert 1 <= len(invoices) <= 6
        for text in (record["amount_due"], record["penalty"]):
            assert CENTAVO_TEXT.fullmatch(text)
        for invoice in invoices:
            for name in ("amount", "balance", "penalty", "vat_amount"):
                assert CENTAVO_TEXT.fullmatch(invoice[name])
            vat = (Decimal(invoice["amount"]) * 12 / 112).quantize(Decimal("0.01"), ROUND_HALF_UP)
            assert Decimal(invoice["vat_amount"]) == (vat if invoice["vat_type"] == "vatable" else 0)
            seen.add(invoice["vat_type"])
        assert Decimal(record["penalty"]) == sum(Decimal(invoice["penalty"]) for invoice in invoices)
        assert Decimal(record["amount_due"]) == sum(Decimal(invoice["balance"]) for invoice in invoices) + Decimal(record["penalty"])
        assert (Decimal(record["amount_due"]) > 0) == (record["status"] == "active")
    assert seen == {"vatable", "exempt", "zero_rated"}


def test_filters_by_status_and_by_change(caller: Caller) -> None:
    everything = caller.records()
    for status in ("active", "settled", "cancelled"):
        wanted = [record["id"] for record in everything if record["status"] == status]
        assert wanted
        assert [record["id"] for record in caller.records(status=status)] == wanted
    since = everything[30]["updated_at"]
    later = [record["id"] for record in everything if record["updated_at"] >= since]
    assert 0 < len(later) < 60
    assert [record["id"] for record in caller.records(updated_since=since)] == later
    as_utc = datetime.fromisoformat(since).astimezone(UTC).isoformat()
    assert [record["id"] for record in caller.records(updated_since=as_utc)] == later


def test_one_soa_and_the_collectors(caller: Caller) -> None:
    for record in caller.records()[:5]:
        assert caller.send("GET", f"/soas/{record['id']}").json() == record
    collectors = caller.send("GET", "/collectors").json()["data"]
    codes = {collector["code"] for collector in collectors}
    assert 6 <= len(codes) <= 8
    used = {record["collector_code"] for record in caller.records()}
    assert None in used
    assert len(used - codes - {None}) == 1, "one code on statements that the list of collectors does not know"


@pytest.mark.parametrize("status", [None, "active", "settled", "cancelled"])
def test_summary_is_the_sum_of_the_pages(caller: Caller, status: str | None) -> None:
    query = {"status": status} if status else {}
    records = caller.records(**query)
    summary = caller.send("GET", "/soas/summary", params=query).json()
    assert summary["count"] == len(records) == sum(line["count"] for line in summary["collectors"])
    assert summary["invoice_count"] == sum(len(record["invoices"]) for record in records)
    for name in ("amount_due", "penalty"):
        assert Decimal(summary[name]) == sum(Decimal(record[name]) for record in records)
    for line in summary["collectors"]:
        of_code = [record for record in records if record["collector_code"] == line["code"]]
        assert line["count"] == len(of_code)
        assert Decimal(line["amount_due"]) == sum(Decimal(record["amount_due"]) for record in of_code)


def test_payment_in_full_settles_and_void_brings_it_back(caller: Caller) -> None:
    record = with_penalty(caller.records())
    payment = pays_everything(record)
    [accepted] = caller.post(payment)
    assert (accepted["reference"], accepted["status"], accepted["error"]) == (payment["reference"], "accepted", None)
    settled = caller.send("GET", f"/soas/{record['id']}").json()
    assert (settled["status"], settled["amount_due"], settled["penalty"]) == ("settled", "0.00", "0.00")
    assert settled["updated_at"] > record["updated_at"]

    held = {"reference": payment["reference"], "status": "accepted", "pscloud_id": accepted["pscloud_id"], "error": None}
    look_up = {"reference": [payment["reference"], str(uuid.uuid4())]}
    assert caller.send("GET", "/payments", params=look_up).json()["data"] == [held]

    void = {"reason": "Wrong account", "voided_at": "2026-11-20T10:00:00+08:00", "approved_by": "M. Reyes"}
    path = f"/payments/{payment['reference']}/void"
    assert caller.send("POST", path, json=void).status_code == 200
    after = caller.send("GET", f"/soas/{record['id']}").json()
    assert {**after, "updated_at": None} == {**record, "updated_at": None}
    assert caller.send("GET", "/payments", params=look_up).json()["data"] == [held | {"status": "voided"}]

    assert caller.send("POST", path, json=void).status_code == 200, "the same void again is answered the same"
    assert caller.send("GET", f"/soas/{record['id']}").json() == after, "and changes nothing"
    assert caller.send("POST", path, json=void | {"reason": "Other"}).status_code == 409
    assert caller.send("POST", f"/payments/{uuid.uuid4()}/void", json=void).status_code == 404
    assert caller.post(payment)[0]["status"] == "duplicate", "a voided payment is not booked a second time"
    assert caller.send("GET", f"/soas/{record['id']}").json() == after


def test_partial_payment_and_advance(caller: Caller) -> None:
    record = with_penalty(caller.records())
    invoice = record["invoices"][0]
    payment = payment_for(record, (invoice["id"], "penalty", "1.00"), (invoice["id"], "principal", "250.25"), (None, "advance", "500.00"))
    assert caller.post(payment)[0]["status"] == "accepted"
    after = caller.send("GET", f"/soas/{record['id']}").json()
    assert Decimal(after["penalty"]) == Decimal(record["penalty"]) - 1
    assert Decimal(after["amount_due"]) == Decimal(record["amount_due"]) - Decimal("251.25")
    assert after["status"] == "active"
    assert caller.server.soa(record["id"])["credit"] == "500.00"
    void = {"reason": "Bounced", "voided_at": "2026-11-20T10:00:00+08:00", "approved_by": "M. Reyes"}
    caller.send("POST", f"/payments/{payment['reference']}/void", json=void)
    assert caller.server.soa(record["id"])["credit"] == "0.00"


def test_a_closed_period_cannot_be_voided(caller: Caller) -> None:
    payment = pays_everything(first(caller.records()))
    caller.post(payment)
    caller.server.control(close_period_before="2026-11-21")
    void = {"reason": "Wrong account", "voided_at": "2026-11-21T08:00:00+08:00", "approved_by": "M. Reyes"}
    assert refused(caller.send("POST", f"/payments/{payment['reference']}/void", json=void), 409, "period_closed")
    assert caller.server.soa(payment["soa_id"])["status"] == "settled"


def test_repeats_and_conflicts_of_a_reference(caller: Caller) -> None:
    records = [record for record in caller.records() if record["status"] == "active"]
    payment = payment_for(records[0], (records[0]["invoices"][0]["id"], "principal", "100.50"))
    [accepted] = caller.post(payment)
    before = caller.server.soa(records[0]["id"])
    respelt = payment | {"amount": 100.5, "collected_at": "2026-11-20T01:30:00.123Z", "reference": payment["reference"].upper()}
    for repeat in (payment, respelt):
        [result] = caller.post(repeat)
        assert (result["status"], result["pscloud_id"]) == ("duplicate", accepted["pscloud_id"])
    conflicts = [
        payment_for(records[0], (records[0]["invoices"][0]["id"], "principal", "100.51")),
        payment_for(records[1], (records[1]["invoices"][0]["id"], "principal", "100.50")),
        payment | {"receipt_number": "T07-00000002"},
        payment | {"method": "check", "method_reference": "0012345"},
        payment | {"collector_code": "BUL-02"},
    ]
    for conflict in conflicts:
        [result] = caller.post(conflict | {"reference": payment["reference"]})
        assert (result["status"], result["error"]["code"]) == ("rejected", "reference_conflict")
    assert caller.server.soa(records[0]["id"]) == before
    assert len(caller.server.payments()) == 1


def test_one_rejection_does_not_touch_the_others(caller: Caller) -> None:
    records = caller.records()
    active = [record for record in records if record["status"] == "active"]
    record, invoice = active[0], active[0]["invoices"][0]
    left = Decimal(invoice["balance"]) - 1  # a good payment of 1.00 stands first in the batch
    above = str(left + Decimal("0.01"))
    bad = {
        "soa_not_found": [payment_for({"id": "SOA999999"}, (invoice["id"], "principal", "1.00"))],
        "soa_closed": [
            payment_for(closed, (closed["invoices"][0]["id"], "principal", "1.00"))
            for closed in (first(records, status="settled"), first(records, status="cancelled"))
        ],
        "invalid": [
            payment_for(record, (invoice["id"], "principal", above)),
            payment_for(record, (invoice["id"], "principal", str(left)), (invoice["id"], "principal", "0.01")),
            payment_for(record, (active[1]["invoices"][0]["id"], "principal", "1.00")),
            payment_for(record, (invoice["id"], "principal", "1.00"), amount="1.01"),
            payment_for(record, (None, "advance", "0.00")),
            payment_for(record, (None, "principal", "1.00")),
            payment_for(record, (invoice["id"], "advance", "1.00")),
            payment_for(record, (invoice["id"], "principal", "1.001")),
            payment_for(record, amount="5.00"),
        ],
    }
    good = [payment_for(other, (other["invoices"][0]["id"], "principal", "1.00")) for other in active[:5]]
    batch = [good[0]]
    expected: list[tuple[str, str | None]] = [("accepted", None)]
    for code, payments in bad.items():
        batch += payments
        expected += [("rejected", code)] * len(payments)
    batch, expected = batch + good[1:], expected + [("accepted", None)] * 4
    results = caller.post(*batch)
    assert [result["reference"] for result in results] == [payment["reference"] for payment in batch]
    assert [(result["status"], result["error"] and result["error"]["code"]) for result in results] == expected
    assert [held["reference"] for held in caller.server.payments()] == [payment["reference"] for payment in good]
    assert Decimal(caller.server.soa(record["id"])["amount_due"]) == Decimal(record["amount_due"]) - 1


def test_wrong_fields_of_a_payment_are_named(caller: Caller) -> None:
    record = first(caller.records())
    fine = payment_for(record, (record["invoices"][0]["id"], "principal", "1.00"))
    wrong: dict[str, Any] = {
        "reference": "not-a-uuid",
        "method": "barter",
        "collected_at": "2026-11-20T09:30:00",
        "amount": True,
        "receipt_number": "",
        "soa_id": 7,
        "collector_code": None,
        "allocations": {},
        "method_reference": 12,
    }
    for name, value in wrong.items():
        body = {"payments": [fine | {name: value}]}
        [result] = caller.send("POST", "/payments", json=body, judge_request=False).json()["results"]
        assert (result["status"], result["error"]["code"]) == ("rejected", "invalid")
        assert name in result["error"]["message"]
    assert caller.server.payments() == []


# Errors


def test_errors_of_the_contract(caller: Caller) -> None:
    assert refused(caller.send("GET", "/soas/SOA999999"), 404, "soa_not_found")
    assert refused(caller.send("GET", "/soas", params={"cursor": "nobody.knows"}), 410, "cursor_expired")
    record = first(caller.records())
    many = [payment_for(record, (None, "advance", "1.00")) for _ in range(201)]
    assert refused(caller.send("POST", "/payments", json={"payments": many}, judge_request=False), 413, "too_many_payments")
    assert caller.server.payments() == []
    assert [result["status"] for result in caller.post(*many[:200])] == ["accepted"] * 200


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer ", "Basic abc", "Bearer \u00e9"])
def test_without_the_right_token_nothing_is_told(caller: Caller, header: str | None) -> None:
    del caller.session.headers["Authorization"]
    headers = {"Authorization": header.encode("latin-1")} if header else {}
    void = {"reason": "x", "voided_at": "2026-11-20T10:00:00+08:00", "approved_by": "x"}
    calls: list[tuple[str, str, Any]] = [("GET", "/soas", None), ("POST", "/payments", {"payments": []})]
    for method, path, body in calls:
        assert refused(caller.send(method, path, headers=headers, json=body, judge_request=False), 401, "unauthorized")
    others: list[tuple[str, str, Any]] = [
        ("GET", "/soas/summary", None),
        ("GET", "/soas/SOA000001", None),
        ("GET", "/collectors", None),
        ("GET", "/payments?reference=x", None),
        ("POST", "/payments/x/void", void),
        ("GET", "/nothing-here", None),
    ]
    for method, path, body in others:
        answer = caller.session.request(method, f"{caller.server.url}/api/v1{path}", headers=headers, json=body, timeout=5)
        assert refused(answer, 401, "unauthorized")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=ten", "limit=", "status=open", "updated_since=yesterday", "updated_since=2026-11-20T10:00:00"],
)
def test_broken_questions(caller: Caller, query: str) -> None:
    assert refused(caller.session.get(f"{caller.server.url}/api/v1/soas?{query}", timeout=5), 400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff",
        b'{"payments": {}}',
        b'{"payments": []}',
        b'{"payments": [1]}',
        b'{"payments": [{"reference": 5}]}',
        b'{"payments": [{"reference": "\\ud800"}]}',
        b'{"payments": [{"reference": "a", "amount": NaN}]}',
        b'{"payments": [{"reference": "a", "reference": "b"}]}',
        b"[" * 100_000,
        b'{"payments": [{"reference": "a", "amount": ' + b"9" * 5000 + b"}]}",
    ],
)
def test_broken_bodies(caller: Caller, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = caller.session.post(f"{caller.server.url}/api/v1/payments", data=body, headers=headers, timeout=5)
    assert refused(answer, 400, "bad_request")
    assert caller.server.payments() == []


def test_other_broken_requests(caller: Caller) -> None:
    base = f"{caller.server.url}/api/v1"
    assert refused(caller.session.post(f"{base}/payments", data="{}", timeout=5), 415, "unsupported_media_type")
    assert refused(caller.session.post(f"{base}/payments", json={"payments": ["x" * 5_000_000]}, timeout=5), 413, "too_large")
    assert refused(caller.session.get(f"{base}/nothing-here", timeout=5), 404, "not_found")
    assert refused(caller.session.delete(f"{base}/soas", timeout=5), 405, "method_not_allowed")
    assert refused(caller.session.get(f"{base}/payments", timeout=5), 400, "bad_request")
    too_many = "&".join(f"reference={number}" for number in range(201))
    assert refused(caller.session.get(f"{base}/payments?{too_many}", timeout=5), 400, "bad_request")
    assert refused(caller.session.post(f"{base}/payments/x/void", json={"reason": " "}, timeout=5), 400, "bad_request")


# Paging


def test_pages_stay_complete_while_payments_come_in(caller: Caller) -> None:
    before = {record["id"]: record for record in caller.records()}
    started = caller.send("GET", "/soas", params={"limit": 9}).json()
    page, seen, paid = started, list(started["data"]), 0
    to_pay = [record for record in before.values() if record["status"] == "active"]
    while page["next_cursor"] is not None:
        # One already read and one still to come are paid between two pages.
        for record in (to_pay[paid], to_pay[-1 - paid]):
            assert caller.post(pays_everything(record))[0]["status"] == "accepted"
        paid += 1
        page = caller.send("GET", "/soas", params={"limit": 9, "cursor": page["next_cursor"]}).json()
        assert (page["total"], page["as_of"]) == (started["total"], started["as_of"])
        seen += page["data"]
    assert paid >= 5
    assert len(seen) == started["total"] == 60
    assert {record["id"]: record for record in seen} == before, "each record once, as it stood when the first page was given"

    changed = caller.records(updated_since=started["as_of"])
    paid_ids = {record["id"] for record in to_pay[:paid] + to_pay[-paid:]}
    assert {record["id"] for record in changed} == paid_ids, "the next incremental question finds exactly what was missed"


def test_cursors_are_bound_to_their_filter_and_can_expire(caller: Caller) -> None:
    cursor = caller.send("GET", "/soas", params={"limit": 5, "status": "active"}).json()["next_cursor"]
    assert caller.send("GET", "/soas", params={"limit": 5, "cursor": cursor}).status_code == 200
    assert caller.send("GET", "/soas", params={"limit": 9, "cursor": cursor, "status": "active"}).status_code == 200
    mixed = caller.session.get(f"{caller.server.url}/api/v1/soas", params={"cursor": cursor, "status": "settled"}, timeout=5)
    assert refused(mixed, 400, "bad_request")
    forged = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    for gone in (forged, cursor[:-1], "", "\u00f1.\u00f1"):
        assert refused(caller.send("GET", "/soas", params={"cursor": gone}), 410, "cursor_expired")
    caller.server.control(expire_cursors=True)
    assert refused(caller.send("GET", "/soas", params={"cursor": cursor}), 410, "cursor_expired")


def test_an_old_cursor_expires_by_the_clock(tmp_path: Path) -> None:
    now = [datetime(2026, 11, 20, 2, 0, tzinfo=UTC)]
    with running_pscloud(customers=10, data_file=tmp_path / "a.sqlite3", clock=lambda: now[0]) as server:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {server.token}"
        cursor = session.get(f"{server.url}/api/v1/soas", params={"limit": 5}, timeout=5).json()["next_cursor"]
        now[0] += timedelta(minutes=59)
        assert session.get(f"{server.url}/api/v1/soas", params={"cursor": cursor}, timeout=5).status_code == 200
        now[0] += timedelta(minutes=2)
        assert session.get(f"{server.url}/api/v1/soas", params={"cursor": cursor}, timeout=5).status_code == 410


def test_the_same_batch_from_many_connections_is_booked_once(caller: Caller) -> None:
    active = [record for record in caller.records() if record["status"] == "active"][:12]
    batch = [payment_for(record, (record["invoices"][0]["id"], "principal", "10.00")) for record in active]

    def send(_: int) -> list[dict[str, Any]]:
        answer = requests.post(
            f"{caller.server.url}/api/v1/payments",
            json={"payments": batch},
            headers={"Authorization": f"Bearer {caller.server.token}"},
            timeout=20,
        )
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    for index, record in enumerate(active):
        statuses = sorted(answer[index]["status"] for answer in answers)
        assert statuses == ["accepted"] + ["duplicate"] * 7
        assert len({answer[index]["pscloud_id"] for answer in answers}) == 1
        assert Decimal(caller.server.soa(record["id"])["amount_due"]) == Decimal(record["amount_due"]) - 10
    assert len(caller.server.payments()) == len(batch)


# Records that are wrong on purpose


def test_wrong_records_are_served_and_counted_with_zero_pesos(faulty: Caller) -> None:
    ids = faulty.server.state()["faulty_ids"]
    assert len(ids) == len(FAULTS) >= 6
    records = faulty.server.records(status="active")
    wrong = {record["id"]: record for record in records if record["id"] in ids}
    assert sorted(wrong) == ids
    summary = faulty.send("GET", "/soas/summary", params={"status": "active"}).json()
    assert summary["count"] == len(records)
    sound = [record for record in records if record["id"] not in wrong]
    assert Decimal(summary["amount_due"]) == sum(Decimal(record["amount_due"]) for record in sound)
    assert Decimal(summary["penalty"]) == sum(Decimal(record["penalty"]) for record in sound)
    by_name = dict(zip(FAULTS, (wrong[soa_id] for soa_id in ids), strict=True))
    assert by_name["letter O in an amount"]["invoices"][0]["amount"] == "12,5O0.00"
    assert "name" not in by_name["customer name missing"]["customer"]
    assert by_name["impossible due date"]["due_date"] == "2026-02-31"
    assert by_name["negative balance"]["invoices"][0]["balance"] == "-250.00"
    assert by_name["amount due is not a number"]["amount_due"] == "NaN"
    assert by_name["amount with three decimals"]["invoices"][0]["amount"] == "1500.005"


def test_a_wrong_record_takes_no_payment_until_it_is_repaired(faulty: Caller) -> None:
    soa_id = faulty.server.state()["faulty_ids"][0]
    invoice = faulty.server.soa(soa_id)["invoices"][0]
    payment = payment_for({"id": soa_id}, (invoice["id"], "principal", "1.00"))
    assert faulty.post(payment)[0]["error"]["code"] == "invalid"
    faulty.server.change_soa(soa_id, fault=None)
    assert faulty.send("GET", f"/soas/{soa_id}").json()["invoices"][0]["amount"] == invoice["amount"]
    assert soa_id not in faulty.server.state()["faulty_ids"]
    assert faulty.post(payment)[0]["status"] == "accepted"


def test_without_wrong_records_there_are_none(caller: Caller) -> None:
    assert caller.server.state()["faulty_ids"] == []


# Switches


def test_failing_limiting_and_spoiling_switches(caller: Caller) -> None:
    url = f"{caller.server.url}/api/v1/collectors"

    def get() -> requests.Response:
        return caller.session.get(url, timeout=5)

    caller.server.control(fail_next=2)
    assert refused(get(), 500, "internal_error")
    assert refused(get(), 500, "internal_error")
    assert get().status_code == 200
    caller.server.control(rate_limit_next=1)
    limited = caller.send("GET", "/soas")
    assert refused(limited, 429, "too_many_requests")
    assert limited.headers["Retry-After"] == "1"
    caller.server.control(html_next=1)
    page = get()
    assert (page.status_code, page.headers["Content-Type"].split(";")[0]) == (200, "text/html")
    assert "<html" in page.text
    caller.server.control(broken_json_next=1)
    broken = get()
    assert broken.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        broken.json()
    caller.server.control(maintenance=True, retry_after=7)
    closed = caller.send("GET", "/soas")
    assert refused(closed, 503, "maintenance")
    assert closed.headers["Retry-After"] == "7"
    caller.server.control(maintenance=False, unauthorized=True)
    assert refused(get(), 401, "unauthorized")
    assert caller.send("GET", "/status").status_code == 200
    caller.server.reset()
    caller.server.control(fail_every=3)
    assert [get().status_code for _ in range(6)] == [200, 200, 500, 200, 200, 500]
    state = caller.server.reset()
    assert state["switches"]["fail_every"] == 0
    assert get().status_code == 200
    assert caller.server.state()["requests"] == {"GET /api/v1/collectors": 1}


def test_switches_can_be_kept_to_some_paths(caller: Caller) -> None:
    caller.server.control(fail_next=1, paths="/api/v1/payments")
    assert caller.send("GET", "/collectors").status_code == 200
    record = first(caller.records())
    assert (
        caller.session.post(f"{caller.server.url}/api/v1/payments", json={"payments": [pays_everything(record)]}, timeout=5).status_code
        == 500
    )
    assert caller.server.payments() == []
    assert caller.server.state()["switches"]["fail_next"] == 0


def test_slow_answers(caller: Caller) -> None:
    caller.server.control(delay_ms=300)
    assert caller.send("GET", "/collectors").elapsed >= timedelta(milliseconds=300)
    caller.server.control(delay_ms=0, drip_bytes_per_second=2000)
    started = datetime.now(UTC)
    assert len(caller.send("GET", "/collectors").json()["data"]) == 8
    assert datetime.now(UTC) - started > timedelta(milliseconds=250)


def test_a_lost_answer_is_committed_and_safe_to_send_again(caller: Caller) -> None:
    record = first(caller.records())
    payment = pays_everything(record)
    caller.server.control(lose_answer_next=1)
    with pytest.raises(requests.ConnectionError):
        caller.session.post(f"{caller.server.url}/api/v1/payments", json={"payments": [payment]}, timeout=5)
    assert [held["reference"] for held in caller.server.payments()] == [payment["reference"]]
    assert caller.server.soa(record["id"])["status"] == "settled"
    assert caller.post(payment)[0]["status"] == "duplicate"
    assert len(caller.server.payments()) == 1


def test_a_payment_can_be_refused_on_demand(caller: Caller) -> None:
    one, two = [record for record in caller.records() if record["status"] == "active"][:2]
    caller.server.control(reject_next=1)
    results = caller.post(pays_everything(one), pays_everything(two))
    assert [result["status"] for result in results] == ["rejected", "accepted"]


def test_pages_can_shift_and_totals_can_lie(caller: Caller) -> None:
    everything = [record["id"] for record in caller.records()]
    caller.server.control(page_shift=2)
    skipped = [record["id"] for page in caller.pages(limit=20) for record in page["data"]]
    assert skipped == everything[:20] + everything[22:42] + everything[44:]
    caller.server.control(page_shift=-3)
    pages = [[record["id"] for record in page["data"]] for page in caller.pages(limit=20)]
    assert pages[1] == everything[17:37]
    assert {soa_id for page in pages for soa_id in page} == set(everything)
    caller.server.control(page_shift=0, total_add=5, summary_amount_add="-10.00")
    honest = sum(Decimal(record["amount_due"]) for record in caller.records())
    summary = caller.send("GET", "/soas/summary").json()
    assert (summary["count"], Decimal(summary["amount_due"])) == (65, honest - 10)
    assert caller.pages(limit=1000)[0]["total"] == 65


def test_the_office_of_pscloud_can_change_statements(caller: Caller) -> None:
    record = with_penalty(caller.records())
    caller.server.change_soa(record["id"], penalty_add="10.00")
    after = caller.send("GET", f"/soas/{record['id']}").json()
    assert Decimal(after["amount_due"]) == Decimal(record["amount_due"]) + 10
    assert after["updated_at"] > record["updated_at"]
    caller.server.change_soa(record["id"], office_payment=str(Decimal(after["amount_due"]) + 25))
    assert caller.server.soa(record["id"])["credit"] == "25.00"
    assert caller.send("GET", f"/soas/{record['id']}").json()["status"] == "settled"
    caller.server.change_soa(record["id"], balance_add="75.50", customer_name="Ñ Q", due_date="2027-01-31", collector_code=None)
    changed = caller.send("GET", f"/soas/{record['id']}").json()
    assert (changed["status"], changed["amount_due"], changed["due_date"]) == ("active", "75.50", "2027-01-31")
    assert (changed["customer"]["name"], changed["collector_code"]) == ("Ñ Q", None)
    caller.server.change_soa(record["id"], hidden=True)
    assert caller.send("GET", f"/soas/{record['id']}").status_code == 404
    assert len(caller.records()) == 59 == caller.send("GET", "/soas/summary").json()["count"]
    assert caller.post(pays_everything(changed))[0]["error"]["code"] == "soa_not_found"
    caller.server.change_soa(record["id"], hidden=False, status="cancelled")
    assert caller.send("GET", f"/soas/{record['id']}").json()["amount_due"] == "0.00"
    other = first(caller.records())
    edits = [{"path": ["invoices", 0, "amount"], "value": 12.345}, {"path": ["customer"], "remove": True}]
    caller.server.change_soa(other["id"], fault=edits)
    raw = next(found for found in caller.server.records() if found["id"] == other["id"])
    assert raw["invoices"][0]["amount"] == 12.345
    assert "customer" not in raw


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"no_such_switch": 1}),
        ("", {"fail_next": -1}),
        ("", {"fail_next": True}),
        ("", {"unauthorized": "yes"}),
        ("", {"paths": "soas"}),
        ("", {"close_period_before": "soon"}),
        ("", {"summary_amount_add": "1.005"}),
        ("/soas/SOA000001", {}),
        ("/soas/SOA000001", {"colour": 1}),
        ("/soas/SOA000001", {"penalty_add": "-1.00"}),
        ("/soas/SOA000001", {"status": "gone"}),
        ("/soas/SOA000001", {"hidden": 1}),
        ("/soas/SOA000001", {"fault": [{"path": ["nothing", "here"], "value": 1}]}),
        ("/soas/SOA000001", {"due_date": "2026-02-31"}),
    ],
)
def test_wrong_switches_change_nothing(caller: Caller, path: str, body: dict[str, Any]) -> None:
    before = (caller.server.state()["switches"], caller.server.soa("SOA000001"))
    assert refused(requests.post(f"{caller.server.url}/_control{path}", json=body, timeout=5), 400, "bad_request")
    assert (caller.server.state()["switches"], caller.server.soa("SOA000001")) == before


def test_switches_answer_this_machine_and_json_only(caller: Caller) -> None:
    for path in ("", "/payments", "/soas/SOA000001"):
        with caller.server.app.test_client().get(f"/_control{path}", environ_base={"REMOTE_ADDR": "192.0.2.7"}) as elsewhere:
            assert elsewhere.status_code == 403
    form = requests.post(f"{caller.server.url}/_control", data={"fail_next": "1"}, timeout=5)
    assert refused(form, 400, "bad_request")


def test_the_front_page_says_demo(caller: Caller) -> None:
    page = requests.get(f"{caller.server.url}/", timeout=5)
    assert page.status_code == 200
    assert "DEMO PSCloud" in page.text
    assert "lose_answer_next" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


# Seeding


def published(folder: Path, name: str, now: datetime, **options: Any) -> list[dict[str, Any]]:
    app = create_app(folder / name, "token", clock=lambda: now, **options)
    records: list[dict[str, Any]] = []
    with app.test_client() as client:
        query: dict[str, Any] = {"limit": 1000}
        while query.get("cursor", "") is not None:
            page = client.get("/api/v1/soas", query_string=query, headers={"Authorization": "Bearer token"}).get_json()
            records += page["data"]
            query["cursor"] = page["next_cursor"]
    return records


def test_same_seed_and_day_give_the_same_data(tmp_path: Path) -> None:
    morning, evening = datetime(2026, 11, 19, 16, 0, tzinfo=UTC), datetime(2026, 11, 20, 15, 59, tzinfo=UTC)
    one = published(tmp_path, "1", morning, seed=4, customers=80)
    assert published(tmp_path, "2", evening, seed=4, customers=80) == one, "both instants are 20 November in Manila"
    assert published(tmp_path, "3", morning, seed=5, customers=80) != one
    assert published(tmp_path, "1", evening + timedelta(days=9), seed=9, customers=3) == one, "a file that exists is used as it is"


def test_seeding_is_quick_and_has_what_a_demo_needs(tmp_path: Path) -> None:
    now = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    started = datetime.now(UTC)
    create_app(tmp_path / "data", "token", clock=lambda: now)
    assert datetime.now(UTC) - started < timedelta(seconds=3)
    records = published(tmp_path, "data", now)
    assert len(records) == 3000 + len(FAULTS)
    sound = [record for record in records if int(record["id"][3:]) <= 3000]
    today = date(2026, 11, 20)
    due = [date.fromisoformat(record["due_date"]) for record in sound if record["status"] == "active"]
    assert min(due.count(today), sum(day < today for day in due), sum(day > today for day in due)) > 200
    for record in sound:
        assert date.fromisoformat(record["issued_on"]) <= datetime.fromisoformat(record["updated_at"]).date() < today
        for invoice in record["invoices"]:
            late = date.fromisoformat(invoice["due_date"]) < today
            assert (Decimal(invoice["penalty"]) > 0) == (late and record["status"] == "active")
    for name in ("id", "soa_number"):
        assert len({record[name] for record in sound}) == 3000
    assert len({record["customer"]["account_number"] for record in sound}) == 3000
    names = {record["customer"]["name"] for record in sound}
    assert len(names) > 2500
    for part in ("Dela Cruz", "De los Santos", "ñ", "Ma. ", "Jr.", "Heirs of", "Sps. "):
        assert any(part in name for name in names)
    contacts = {record["customer"]["contact_number"] for record in sound} - {None}
    assert all(re.fullmatch(r"09\d\d \d{3} \d{4}", number) for number in contacts)


def test_a_small_demo_has_every_kind_too(tmp_path: Path) -> None:
    now = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    records = published(tmp_path, "data", now, customers=40, faulty_records=False)
    assert {record["status"] for record in records} == {"active", "settled", "cancelled"}
    due = {(date.fromisoformat(record["due_date"]) > date(2026, 11, 20)) - (record["due_date"] < "2026-11-20") for record in records}
    assert due == {-1, 0, 1}
    assert len({record["collector_code"] for record in records}) >= 8


def test_money_is_read_exactly_or_not_at_all() -> None:
    exact = {"0.10": 10, "1234.5": 123450, 7: 700, Decimal("12.50"): 1250, Decimal("1E+2"): 10000, "-3.05": -305}
    assert {value: money.parse(value) for value in exact} == exact
    bad_text = ["", " 1", "1,000.00", "1.005", "NaN", "1e3", "\u0661", "1_000", "+1", ".5", "1."]
    for value in [*bad_text, True, None, 12.5, Decimal("NaN"), Decimal("1E+30"), [1]]:
        with pytest.raises(money.NotMoney):
            money.parse(value)
    assert [money.text(value) for value in (0, 5, 123450, -305)] == ["0.00", "0.05", "1234.50", "-3.05"]
    assert [money.vat_inside(value) for value in (11200, 100, 14)] == [1200, 11, 2]


# The program


def test_the_program_serves_keeps_payments_and_ends_cleanly(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "demo.pscloud",
        "--port",
        str(port),
        "--data",
        str(tmp_path / "deep" / "data.sqlite3"),
        "--customers",
        "30",
    ]
    payment: dict[str, Any] | None = None
    for expected in ("accepted", "duplicate"):
        program = subprocess.Popen(
            [*command, "--no-faulty-records"],
            cwd=ROOT,
            env={"PSCLOUD_TOKEN": "secret"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert program.stdout is not None
            assert f"http://127.0.0.1:{port}" in program.stdout.readline(), "it says where it listens, once it does"
            session = requests.Session()
            session.headers["Authorization"] = "Bearer secret"
            page = session.get(f"http://127.0.0.1:{port}/api/v1/soas", timeout=5).json()
            assert page["total"] == 30
            payment = payment or pays_everything(first(page["data"]))
            answer = session.post(f"http://127.0.0.1:{port}/api/v1/payments", json={"payments": [payment]}, timeout=5).json()
            assert answer["results"][0]["status"] == expected
            program.send_signal(signal.SIGTERM)
            _, errors = program.communicate(timeout=10)
            assert (program.returncode, errors) == (0, "")
        finally:
            program.kill()
            program.communicate()


def test_it_refuses_to_start_without_a_token_or_on_a_strange_file(tmp_path: Path) -> None:
    strange = tmp_path / "strange.sqlite3"
    strange.write_text("this is not a database, but long enough to be taken for one" * 20)
    for arguments, words in (
        (["--data", str(tmp_path / "new.sqlite3")], "token"),
        (["--data", str(strange), "--token", "x"], "strange.sqlite3"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "demo.pscloud", "--port", "0", *arguments], cwd=ROOT, env={}, capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_it_shares_no_code_with_the_portal() -> None:
    question = (
        "import sys, demo.pscloud.__main__, demo.pscloud.testing; print([name for name in sys.modules if name.split('.')[0] == 'portal'])"
    )
    done = subprocess.run([sys.executable, "-c", question], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "[]"


def test_stop_and_start_on_the_same_port() -> None:
    with running_pscloud(customers=5) as server:
        server.stop()
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{server.url}/api/v1/status", timeout=5)
        server.start()
        assert requests.get(f"{server.url}/api/v1/status", timeout=5).status_code == 200
