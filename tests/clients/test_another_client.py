"""A client written from docs/journal.md alone works a day against the portal, and its rules are those of the vectors."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.services import voids
from portal.store import incidents
from portal.store.models import Payment, PaymentFlag, Reading, Void
from tests.clients import journal_client as client
from tests.clients.journal_client import Answer, Client, LostAnswer
from tests.conftest import NOW
from tests.factories import PASSWORD, make_invoice, make_soa, make_user, store_soas

VECTORS = Path(__file__).parents[1] / "vectors"


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def test_the_client_shares_no_code_with_the_portal() -> None:
    tree = ast.parse(Path(client.__file__).read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= {
        "__future__", "base64", "collections", "cryptography", "dataclasses", "datetime", "hashlib", "json", "typing", "uuid",
    }  # fmt: skip


def test_its_bytes_hashes_and_signatures_are_those_of_the_vectors() -> None:
    given = vectors("journal")
    for case in given["canonical"]:
        assert client.canonical(case["value"]).hex() == case["bytes_hex"]
    for entry in given["entries"]:
        assert client.hash_of(entry) == entry["hash"]
    last = given["entries"][-1]
    words = client.signed_words(last["terminal"], last["seq"], last["hash"])
    assert words.decode() == given["signed_text"]
    assert client.signature_fits(given["public_key"], words, given["signature"])
    assert not client.signature_fits(given["public_key"], words + b" ", given["signature"])


def test_its_allocation_and_vat_are_those_of_the_vectors() -> None:
    for case in vectors("allocation"):
        parts = client.allocate(case["amount"], case["invoices"], case["directed"])
        assert (parts, client.vat_of(parts, case["invoices"])) == (case["allocations"], case["vat"])


def test_its_readings_are_those_of_the_vectors() -> None:
    for case in vectors("readings"):
        period = case["period"]
        entries = entries_of(period)
        entries[-1]["hash"] = case["head_hash"]
        assert client.reading_of(entries, period["registry"], case["period_end"], case["unsent"]) == case["x"]


def entries_of(period: dict[str, Any]) -> list[dict[str, Any]]:
    """A journal of which this is the period."""
    registry = {"registry": period["registry"]}
    opened = registry | {name: period[name] for name in ("business_date", "collector", "change_fund")}
    found = [("registry_opened", opened)]
    for paid in period["payments"]:
        parts = [{"kind": kind, "amount": paid[kind]} for kind in ("penalty", "advance")]
        found.append(
            (
                "payment",
                registry | {name: paid[name] for name in ("receipt_number", "amount", "tender", "channel", "vat")} | {"allocations": parts},
            )
        )
    found += [("void_requested", registry | {"void_number": number}) for number in period["void_numbers"]]
    for void in period["voids"]:
        tender = "cash" if void["cash"] else "check"
        found.append(("void_decided", registry | {"amount": void["amount"], "tender": tender, "decision": "approved"}))
    found += [("cash_drop", registry | {"amount": amount}) for amount in period["drops"]]
    found += [("expense_decided", registry | {"amount": amount, "decision": "approved"}) for amount in period["expenses"]]
    if period["counted"] is not None:
        total = sum(line["value"] * line["count"] for line in period["counted"])
        found.append(("count", registry | {"denominations": period["counted"], "total": total}))
    return [
        {"terminal": period["terminal"], "kind": kind, "at": period["period_start"], "payload": payload, "hash": ""}
        for kind, payload in found
    ]


def test_its_receipt_codes_are_those_of_the_vectors() -> None:
    given = vectors("receipt_code")
    for case in given["cases"]:
        facts = case["facts"]
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=facts["at"])
        payload = {name: facts[name] for name in ("payment", "amount", "tender", "soa_number")} | {
            "receipt_number": f"{facts['terminal']}-{facts['number']}"
        }
        entry = {
            "terminal": facts["terminal"],
            "seq": facts["seq"],
            "at": at.isoformat(),
            "payload": payload,
            "hash": facts["hash_start"] * 2,
        }
        assert client.code_body(entry).hex() == case["body_hex"]


class Line:
    """A line to the app that loses answers when it is told to."""

    def __init__(self, app: Flask) -> None:
        self.http = app.test_client()
        self.lose: list[str] = []

    def send(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Answer:
        lost = self.lose.pop(0) if self.lose and path == "/api/v1/journal" else ""
        if lost == "request":
            raise LostAnswer("nothing arrived")
        answer = self.http.open(path, method=method, json=body, headers=headers)
        if lost == "answer":
            raise LostAnswer("it arrived, the answer did not")
        if lost == "page":
            return Answer(200, None)
        return Answer(answer.status_code, answer.get_json(silent=True), answer.headers.get("ETag"))


class Clock:
    """A clock that moves on by half a second at each look."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=500)
        return self.moment


@pytest.fixture
def line(any_app: Flask) -> Line:
    make_user("nena", "collector", codes=["A1"])
    make_user("ramon", "supervisor")
    late = make_invoice(1, penalty=Decimal("33.60"))
    exempt = make_invoice(3, vat_type="exempt", vat_amount=Decimal("0.00"))
    store_soas(
        make_soa("S1", invoices=[late, make_invoice(2), exempt]),
        make_soa("S2", invoices=[make_invoice(4), make_invoice(5)]),
        make_soa("S3", invoices=[]),
    )
    return Line(any_app)


def day(line: Line) -> tuple[Client, list[dict[str, Any]]]:
    """A client that has collected with every tender and uploads nothing yet."""
    nena = Client(line.send, Clock().now)
    nena.log_in("nena", PASSWORD)
    nena.enroll("A phone of another make")
    nena.open_registry(50000)
    nena.download()
    paid = [
        nena.pay("S1", 50000, tendered=100000),
        nena.pay("S1", 100000, "check", channel="BDO", reference="0012345", branch="Malolos", check_date="2026-11-28"),
        nena.pay("S2", 112000, "e_wallet", ["I5"], channel="GCash", reference="9001"),
        nena.pay("S2", 200000, "bank_transfer", channel=None, reference="FT-1"),
        nena.pay("S3", 12345),
    ]
    return nena, paid


def booked(name: str) -> list[Any]:
    return list(db.session.execute(select(getattr(Payment, name)).order_by(Payment.journal_seq)).scalars())


def test_a_whole_day_of_another_client_reaches_the_books_and_no_reading_differs(line: Line) -> None:
    nena, paid = day(line)
    nena.upload(most=4)
    assert {status for status, _ in nena.verdicts.values()} == {"stored"}
    assert booked("id") == [entry["payload"]["payment"] for entry in paid]
    assert booked("status") == ["approved"] * 5 and not db.session.execute(select(PaymentFlag.flag)).all()
    for entry in paid:
        shown = line.http.get(f"/verify/{nena.code(entry)}")
        assert shown.status_code == 200 and entry["payload"]["receipt_number"] in shown.get_data(as_text=True)
    nena.ask_void(paid[0], "Typed the wrong amount")
    nena.upload()
    void = db.session.execute(select(Void.id)).scalar_one()
    voids.approve(void, "ramon", "", NOW)
    nena.contact()
    nena.x_reading()
    nena.count({100000: 0, 50000: 1, 10000: 1, 2000: 1})
    z = nena.z_reading()
    nena.close()
    nena.upload()
    assert (z["gross"], z["less_void"], z["expected_cash"]) == (474345, 50000, 62345)
    readings = db.session.execute(select(Reading.kind, Reading.differences)).all()
    assert sorted(kind for kind, _ in readings) == ["X", "Z"] and all(json.loads(str(found)) == [] for _, found in readings)
    assert incidents.open_incidents() == []
    state = nena.contact()
    assert (state["acknowledged_seq"], state["head_hash"]) == (len(nena.entries), nena.entries[-1]["hash"])
    assert (state["last_receipt_number"], state["last_void_number"], state["z_counter"], state["accumulated"]) == (5, 1, 1, 474345)
    assert state["registry"] is None and state["voids"] == []


@pytest.mark.parametrize("lost", ["request", "answer", "page"])
def test_what_was_sent_when_an_answer_was_lost_is_sent_again_and_counts_once(line: Line, lost: str) -> None:
    nena, paid = day(line)
    line.lose = ["", lost]
    with pytest.raises(LostAnswer):
        nena.upload(most=4)
    assert nena.acknowledged == 4
    nena.upload(most=5)
    assert len(booked("id")) == len(paid) and sum(booked("amount")) == Decimal("4743.45")
    assert {status for status, _ in nena.verdicts.values()} <= {"stored", "repeat"}
    assert nena.acknowledged == len(nena.entries) == nena.contact()["acknowledged_seq"]
