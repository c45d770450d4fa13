"""Small makers of people, SOAs and payments: plain functions, everything overridable by name."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from argon2 import PasswordHasher
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from flask import Flask
from flask.testing import FlaskClient

from portal.domain import allocation, journal, readings, receipt_code, receipts
from portal.domain.allocation import Allocation
from portal.domain.journal import Entry
from portal.domain.soa import Invoice, Soa
from portal.services import terminals, users
from portal.services.payments import open_invoices
from portal.store import users as user_store
from portal.store.terminals import TerminalRow

PASSWORD = "correct horse battery"
MANILA = timezone(timedelta(hours=8))
NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)

# A password costs the product a fifth of a second, and tests make thousands of people.
PRODUCT_HASHER = users._hasher
users._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
users._NOBODY = users._of_nobody(users._hasher)


def make_user(name: str, *roles: str, codes: Sequence[str] = ()) -> int:
    """A user with the factory's password; the id."""
    return users.add(name, name.title(), PASSWORD, roles or ("collector",), codes, "test", NOW)


def sign_in(app: Flask, name: str) -> FlaskClient:
    """A client signed in as an existing user."""
    client = app.test_client()
    page = client.get("/login").get_data(as_text=True)
    token = csrf_of(page)
    answer = client.post("/login", data={"username": name, "password": PASSWORD, "csrf_token": token})
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return client


def csrf_of(page: str) -> str:
    """The CSRF token in a page."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page) or re.search(r'value="([^"]+)"[^>]*name="csrf_token"', page)
    assert found, "the page has no csrf_token field"
    return found[1]


def api_headers(client: FlaskClient) -> dict[str, str]:
    """The CSRF header for the phone API."""
    token: str = client.get("/api/v1/ping").get_json()["csrf_token"]
    return {"X-CSRFToken": token}


def make_invoice(number: int = 1, **fields: Any) -> Invoice:
    """An invoice of 1,120.00 with 120.00 VAT, nothing paid, no penalty."""
    values = Invoice(
        id=f"I{number}",
        invoice_number=f"SI-{number:04d}",
        invoice_date=date(2026, 9, 1),
        due_date=date(2026, 10, number),
        description="Lawn lot instalment",
        amount=Decimal("1120.00"),
        balance=Decimal("1120.00"),
        penalty=Decimal("0.00"),
        vat_type="vatable",
        vat_amount=Decimal("120.00"),
    )
    return replace(values, **fields)


def make_soa(soa_id: str = "S1", *, invoices: Sequence[Invoice] | None = None, **fields: Any) -> Soa:
    """An SOA with two invoices; amount due and penalty follow from its invoices unless given."""
    parts = tuple(invoices) if invoices is not None else (make_invoice(1), make_invoice(2))
    penalty = sum((invoice.penalty for invoice in parts), Decimal("0.00"))
    soa = Soa(
        id=soa_id,
        soa_number=f"SOA-{soa_id}",
        customer_id=f"C-{soa_id}",
        account_number=f"ACC-{soa_id}",
        customer_name="Dela Cruz, Maria",
        address="12 Mabini St., Malolos City, Bulacan",
        contact_number="0917 555 0101",
        tin="",
        issued_on=date(2026, 11, 1),
        due_date=parts[0].due_date if parts else date(2026, 10, 1),
        amount_due=sum((invoice.balance for invoice in parts), Decimal("0.00")) + penalty,
        penalty=penalty,
        collector_code="A1",
        status="active",
        updated_at=datetime(2026, 11, 19, 12, 0, tzinfo=UTC),
        invoices=parts,
    )
    return replace(soa, **fields)


class Phone:
    """A phone of a test: a real key and a real journal, written by the domain's own rules."""

    def __init__(self, name: str, user_id: int, user_name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.user_name = user_name
        self.terminal: TerminalRow = terminals.enroll(name, self.jwk(), user_id, user_name, "automatic", NOW)
        self.code = self.terminal.code
        self.entries: list[Entry] = []
        self.receipts = 0
        self.registry = ""
        self.change_fund = 0
        self.taken: list[readings.Taken] = []
        self.voids = 0
        self.void_numbers: list[str] = []
        self.voided: list[readings.Voided] = []
        self.dropped: list[int] = []
        self.spent: list[int] = []
        self.counted: list[dict[str, Any]] | None = None
        self.counters = readings.Counters()
        self.opened_at = ""
        self.minute = 0

    def jwk(self) -> dict[str, str]:
        """The public key."""
        numbers = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}

    def at(self) -> str:
        """The phone's clock: a minute on for each entry, from 08:00 in Manila."""
        self.minute += 1
        moment = datetime(2026, 11, 20, 8, tzinfo=MANILA) + timedelta(minutes=self.minute)
        return moment.isoformat(timespec="milliseconds")

    def append(self, kind: str, payload: dict[str, Any]) -> Entry:
        """The next entry of the journal."""
        prev = self.entries[-1].hash if self.entries else journal.FIRST_PREV
        entry = journal.append(self.code, len(self.entries) + 1, kind, self.at(), None, payload, prev)
        self.entries.append(entry)
        return entry

    def start(self, change_fund: int = 50000, snapshot: str = "1-0") -> None:
        """Enrol, open a registry and note a download."""
        self.append("enrolled", {"name": "Phone", "collector": self.user_name, "app_version": "test"})
        self.open(change_fund)
        self.append("soa_downloaded", {"snapshot": snapshot, "as_of": "2026-11-20T05:00:00+08:00", "count": 1, "amount_due": 224000})

    def open(self, change_fund: int = 50000, business_date: str = "2026-11-20") -> Entry:
        """Open a registry."""
        self.registry, self.change_fund, self.taken, self.counted = str(uuid.uuid4()), change_fund, [], None
        self.void_numbers, self.voided, self.dropped, self.spent = [], [], [], []
        entry = self.append(
            "registry_opened",
            {
                "registry": self.registry,
                "business_date": business_date,
                "change_fund": change_fund,
                "collector": self.user_name,
                "z_counter": self.counters.z_counter,
                "accumulated": self.counters.accumulated,
            },
        )
        self.opened_at = entry.at
        return entry

    def payload(self, soa: Soa, amount: int, paid: Sequence[Allocation] = (), **fields: Any) -> dict[str, Any]:
        """A payment's payload with the next receipt number, allocated as the phone would."""
        self.receipts += 1
        invoices = allocation.less_payments(open_invoices(soa), paid)
        mode, directed = fields.get("mode", "oldest_first"), fields.get("directed", [])
        parts = allocation.allocate(amount, invoices, mode, directed)
        owed = sum(invoice.balance + invoice.penalty for invoice in invoices)
        payload = {
            "payment": str(uuid.uuid4()),
            "registry": self.registry,
            "receipt_number": receipts.receipt_number(self.code, self.receipts),
            "soa": soa.id,
            "soa_number": soa.soa_number,
            "account_number": soa.account_number,
            "customer_name": soa.customer_name,
            "soa_version": soa.version,
            "amount": amount,
            "tender": "cash",
            "channel": None,
            "reference": None,
            "tendered": None,
            "change": None,
            "mode": mode,
            "directed": list(directed),
            "allocations": [asdict(part) for part in parts],
            "vat": asdict(allocation.split_vat(parts, invoices)),
            "balance_after": max(owed - amount, 0),
        }
        return {**payload, **fields}

    def pay(self, soa: Soa, amount: int, paid: Sequence[Allocation] = (), **fields: Any) -> Entry:
        """Take a payment."""
        payload = self.payload(soa, amount, paid, **fields)
        parts = [Allocation(**part) for part in payload["allocations"]]
        self.taken.append(
            readings.Taken(
                payload["receipt_number"],
                payload["amount"],
                payload["tender"],
                payload["channel"],
                sum(part.amount for part in parts if part.kind == "penalty"),
                sum(part.amount for part in parts if part.kind == "advance"),
                allocation.Vat(**payload["vat"]),
            )
        )
        return self.append("payment", payload)

    def receipt_code(self, paid: Entry, **otherwise: Any) -> str:
        """What the QR of a payment's receipt carries; `otherwise`: facts signed in place of the true ones."""
        payload = paid.payload
        number = receipts.read_receipt_number(payload["receipt_number"])[1]
        at = round(datetime.fromisoformat(paid.at).timestamp() * 1000)
        who = (payload["payment"], paid.hash[:32], payload["soa_number"])
        facts = receipt_code.ReceiptFacts(self.code, number, paid.seq, payload["amount"], payload["tender"], at, *who)
        body = receipt_code.body(replace(facts, **otherwise))
        return receipt_code.code(body, self._sign(receipt_code.signed_bytes(body)))

    def ask_void(self, paid: Entry, reason: str = "Wrong amount typed", **fields: Any) -> Entry:
        """Ask for the void of a payment, with the next void number."""
        self.voids += 1
        payload = {
            "registry": self.registry,
            "void_number": receipts.void_number(self.code, self.voids),
            "payment": paid.payload["payment"],
            "receipt_number": paid.payload["receipt_number"],
            "amount": paid.payload["amount"],
            "reason": reason,
            "supervisor_code": None,
            **fields,
        }
        self.void_numbers.append(payload["void_number"])
        return self.append("void_requested", payload)

    def write_down(self, told: Mapping[str, Any], **fields: Any) -> Entry:
        """Write down a decision as the portal told it in `voids` of an answer."""
        names = ("void_number", "payment", "amount", "tender", "decision", "decided_by", "decided_at")
        payload = {"registry": self.registry, **{name: told[name] for name in names}, **fields}
        if payload["decision"] == "approved":
            self.voided.append(readings.Voided(payload["void_number"], payload["amount"], payload["tender"] == "cash"))
        return self.append("void_decided", payload)

    def drop(self, amount: int, **fields: Any) -> Entry:
        """Hand cash over before the remittance."""
        self.dropped.append(amount)
        payload = {"registry": self.registry, "amount": amount, "given_to": "the office", "reference": "P-7", "description": None}
        return self.append("cash_drop", {**payload, **fields})

    def spend(self, amount: int, **fields: Any) -> Entry:
        """Spend money out of the cash in hand; it waits for the office."""
        payload = {"registry": self.registry, "expense": str(uuid.uuid4()), "amount": amount, "category": "Fuel", "description": None}
        return self.append("expense", {**payload, **fields})

    def write_expense_down(self, told: Mapping[str, Any], **fields: Any) -> Entry:
        """Write down a decision as the portal told it in `expenses` of an answer."""
        names = ("expense", "amount", "decision", "decided_by", "decided_at")
        payload = {"registry": self.registry, **{name: told[name] for name in names}, **fields}
        if payload["decision"] == "approved":
            self.spent.append(payload["amount"])
        return self.append("expense_decided", payload)

    def count(self, total_of_thousands: int = 0) -> Entry:
        """Count so many bills of a thousand pesos."""
        self.counted = [{"value": 100000, "kind": "bill", "count": total_of_thousands}]
        payload = {"registry": self.registry, "denominations": self.counted, "total": 100000 * total_of_thousands}
        return self.append("count", payload)

    def period(self) -> readings.Period:
        """What the phone knows of the registry."""
        return readings.Period(
            self.registry,
            "2026-11-20",
            self.code,
            self.user_name,
            self.opened_at,
            self.change_fund,
            list(self.taken),
            voids=list(self.voided),
            void_numbers=list(self.void_numbers),
            drops=list(self.dropped),
            expenses=list(self.spent),
            counted=self.counted,
        )

    def x_reading(self) -> Entry:
        """Take an X-reading."""
        reading = readings.x_reading(self.period(), "2026-11-20T17:00:00.000+08:00", self.entries[-1].hash, 0)
        return self.append("reading_x", {"registry": self.registry, "reading": reading})

    def z_reading(self) -> Entry:
        """Take the Z-reading."""
        reading = readings.z_reading(self.period(), self.counters, "2026-11-20T17:00:00.000+08:00", self.entries[-1].hash, 0)
        self.counters = readings.Counters(reading["z_counter"], reading["present_accumulated"])
        return self.append("reading_z", {"registry": self.registry, "z_counter": reading["z_counter"], "reading": reading})

    def close(self) -> Entry:
        """Close the registry."""
        return self.append("registry_closed", {"registry": self.registry, "z_counter": self.counters.z_counter})

    def sign(self, entries: Sequence[Entry]) -> str:
        """The signature of one upload."""
        last = entries[-1]
        return b64(self._sign(journal.signed_text(self.code, last.seq, last.hash)))

    def _sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def upload_body(self, entries: Sequence[Entry] | None = None) -> dict[str, Any]:
        """The JSON of one upload, by default of everything."""
        chosen = list(self.entries if entries is None else entries)
        return {"terminal": self.code, "entries": [raw(entry) for entry in chosen], "signature": self.sign(chosen)}


def raw(entry: Entry) -> dict[str, Any]:
    """An entry as JSON."""
    return {**entry.content(), "hash": entry.hash}


def b64(value: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def make_phone(user_name: str = "nena") -> Phone:
    """A phone of an existing user."""
    user = user_store.by_name(user_name)
    assert user
    return Phone(f"{user_name}'s phone", user.id, user_name)


def store_soas(*soas: Soa, now: datetime = NOW) -> int:
    """Put SOAs into the database as a completed download of `now` would; the run's id."""
    from portal.extensions import db
    from portal.store import staging, sync_runs

    run_id = sync_runs.add("manual", "test", now)
    assert sync_runs.claim(run_id, "lease", now)
    staging.write(run_id, soas, now.date())
    assert sync_runs.complete(run_id, "lease", now, as_of=now, total=len(soas), succeeded=len(soas))
    db.session.commit()
    return run_id
