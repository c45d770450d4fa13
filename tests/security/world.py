"""A small world for the security tests: everybody who may knock, with live sign-ins, and things of two collectors to swap."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from portal import lists
from portal.domain.allocation import Allocation
from portal.domain.reconciliation import Differing
from portal.extensions import db
from portal.services import journal, remittances, saved_filters, terminals, void_codes
from portal.services.journal import Policy, Uploader
from portal.store import audit, incidents, missing
from portal.store import exports as export_store
from portal.store import reconciliations as reconciliation_store
from portal.store import remittances as remittance_store
from portal.store import terminals as terminal_store
from portal.store import users as user_store
from portal.store.models import SyncFailure
from portal.store.reconciliations import NewDifference
from portal.store.soas import SoaFilter
from tests.factories import NOW, Phone, b64, csrf_of, make_invoice, make_phone, make_soa, make_user, store_soas
from tests.factories import sign_in as log_in

PEOPLE = ("anonymous", "collector_a", "collector_b", "cashier", "supervisor", "admin", "disabled", "revoked_device")
NAMES = {
    "collector_a": "nena",
    "collector_b": "ramon",
    "cashier": "cora",
    "supervisor": "sol",
    "admin": "ada",
    "disabled": "dino",
    "revoked_device": "rita",
}
SOA_A = make_soa("S-A", customer_name="Alon, Alma", collector_code="A1")
SOA_B = make_soa("S-B", customer_name="Bituin, Berto", collector_code="B1", invoices=[make_invoice(1, id="I-B", balance=Decimal("777.00"))])
MARKS_OF_B = ("Bituin", "S-B", "777", "Ramon", "ramon")
"""Texts that tell of collector B's customers, payments and readings."""


@dataclass
class World:
    """The database as a file to copy, each person's cookie and CSRF token, and ids of what exists."""

    file: Path
    cookies: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    payments: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    terminals: dict[str, str] = field(default_factory=dict)
    readings: dict[str, int] = field(default_factory=dict)
    receipt_codes: dict[str, str] = field(default_factory=dict)
    registry: str = ""
    expense: str = ""

    def client(self, app: Flask, person: str) -> FlaskClient:
        """A browser of this person, with a live session; nothing is looked up or changed by making it."""
        client = app.test_client()
        client.set_cookie("portal", self.cookies[person])
        return client

    def headers(self, person: str) -> dict[str, str]:
        """The CSRF header that belongs to that session."""
        return {"X-CSRFToken": self.tokens[person]}

    def restore(self, app: Flask) -> None:
        """Put the database of the app back to the start."""
        close(app)
        place = database(app)
        for old in place.parent.glob(f"{place.name}-*"):
            old.unlink()
        shutil.copy(self.file, place)


def build(app: Flask, file: Path) -> World:
    """Fill the app's database, sign everybody in, and copy the result to `file`.

    No app context may be open around a test's requests: they would share one `g`, and so the person that Flask-Login keeps there."""
    world = World(file)
    with app.app_context():
        fill(world)
    for person in PEOPLE:
        client = app.test_client() if person == "anonymous" else log_in(app, NAMES[person])
        if person == "anonymous":
            world.tokens[person] = csrf_of(client.get("/login").get_data(as_text=True))
        else:
            world.tokens[person] = client.get("/api/v1/ping").get_json()["csrf_token"]
        cookie = client.get_cookie("portal")
        assert cookie
        world.cookies[person] = cookie.value
    with app.app_context():
        # Barred behind the service's back: the sign-in itself is still there and must be worth nothing.
        user_store.set_fields(world.ids["disabled"], active=False)
        db.session.execute(text("UPDATE sign_ins SET last_seen_at = :at"), {"at": (NOW - timedelta(minutes=5)).replace(tzinfo=None)})
        db.session.commit()
        assert audit.verify()[1] is None
    close(app)
    source, target = sqlite3.connect(database(app)), sqlite3.connect(file)
    source.backup(target)
    source.close()
    target.close()
    return world


def fill(world: World) -> None:
    """People, SOAs, three phones with their journals, and a download with one record that failed."""
    for person, name in NAMES.items():
        roles = {"cashier": ["office"], "supervisor": ["supervisor"], "admin": ["admin"]}.get(person, ["collector"])
        if person == "disabled":
            roles = ["collector", "office", "supervisor", "admin"]
        codes = {"collector_a": ["A1"], "collector_b": ["B1"], "revoked_device": ["A1"]}.get(person, [])
        world.ids[person] = make_user(name, *roles, codes=codes)
    world.ids["run"] = store_soas(SOA_A, SOA_B)
    db.session.add(
        SyncFailure(run_id=world.ids["run"], pscloud_id="S-X", label="Sirang talaan", field="amount_due", reason="Not an amount.", raw="{}")
    )
    db.session.commit()
    for person, soa in (("collector_a", SOA_A), ("collector_b", SOA_B), ("revoked_device", SOA_A)):
        phone = make_phone(NAMES[person])
        world.terminals[person] = phone.code
        phone.start()
        first = phone.pay(soa, 10000)
        world.payments[person] = first.payload["payment"]
        world.receipt_codes[person] = phone.receipt_code(first)
        if person == "collector_a":
            phone.ask_void(phone.pay(soa, 500, [Allocation(**part) for part in first.payload["allocations"]]), "Typed 5 instead of 50")
            world.expense = phone.spend(4500).payload["expense"]
        phone.x_reading()
        phone.z_reading()
        phone.close()
        send(phone, "manual" if person == "collector_a" else "automatic")
        phone.open()
        world.uploads[person] = phone.upload_body(phone.entries[-1:])
    for reading, code in db.session.execute(
        text("SELECT r.id, t.code FROM readings r JOIN terminals t ON r.terminal_id = t.id ORDER BY 1")
    ):
        world.readings.setdefault(next(person for person, own in world.terminals.items() if own == code), reading)
    world.ids["void"] = db.session.execute(text("SELECT id FROM voids")).scalar_one()
    world.ids["code"] = void_codes.issue(NAMES["supervisor"], f"{world.terminals['collector_a']}-V000009", "5.00", "00000000", NOW)
    for name, person in (("z of A", "collector_a"), ("z of B", "collector_b")):
        (world.ids[name],) = [reading.id for reading in remittance_store.waiting_readings(world.ids[person])]
    world.ids["remittance"] = remittances.receive(
        world.ids["collector_a"], [world.ids["z of A"]], [], [], "Nothing was brought", NAMES["cashier"], NOW
    )
    terminals.revoke(world.terminals["revoked_device"], "test", NOW)
    incidents.add("clock_jump", "The clock of a phone was moved by an hour.", NOW, subject="T01/9")
    db.session.flush()
    world.ids["incident"] = db.session.execute(text("SELECT max(id) FROM incidents")).scalar_one()
    missing.add(terminal_store.of_user(world.ids["collector_a"])[0].id, "receipt", [(90, 92)], NOW)
    world.ids["missing"] = db.session.execute(text("SELECT max(id) FROM missing_numbers")).scalar_one()
    world.registry = str(uuid.uuid4())
    owner = terminal_store.of_user(world.ids["collector_b"])[0]
    terminal_store.add_registry(world.registry, owner.id, owner.user_id, NOW.date(), Decimal(0), NOW, NOW.isoformat(), 99)
    cashier = world.ids["cashier"]
    world.ids["reconciliation"] = finished_reconciliation()
    world.ids["filter"] = saved_filters.save(cashier, "soas", "With penalty", "penalty=1", NOW)
    world.ids["export"] = export_store.add(cashier, "soas", "csv", "", lists.pack(SoaFilter()), ["Active SOAs"], NOW.date(), NOW)
    db.session.commit()


def finished_reconciliation() -> int:
    """A report that found one SOA of B different."""
    number = reconciliation_store.add(NAMES["cashier"], None, NOW)
    reconciliation_store.claim(number, "lease", NOW)
    field = Differing("amount_due", "1.00", "2.00")
    found = NewDifference("soa", "different", "soa_changed", SOA_B.id, customer_name=SOA_B.customer_name, fields=(field,))
    reconciliation_store.add_differences(number, [found])
    figures = {"soas_different": 1, "here_count": 2, "here_amount": Decimal(1), "pscloud_amount": Decimal(2)}
    reconciliation_store.complete(number, "lease", NOW, {"amount_due": 1}, **figures)
    return number


def send(phone: Phone, approval: str = "automatic") -> list[str]:
    """Upload a phone's whole journal through the service; the verdicts."""
    body = phone.upload_body()
    uploader = Uploader(phone.terminal.user_id, phone.user_name)
    answer = journal.receive(body["terminal"], body["entries"], body["signature"], uploader, Policy(approval, 7), NOW)
    verdicts = [verdict["status"] for verdict in answer.verdicts]
    assert set(verdicts) == {"stored"}, answer.verdicts
    return verdicts


@dataclass(frozen=True)
class Call:
    """One request of a case."""

    path: str
    form: Mapping[str, Any] | None = None
    json: Any = None

    def send(self, client: FlaskClient, method: str, headers: Mapping[str, str] | None = None) -> TestResponse:
        """Do it."""
        body: dict[str, Any] = {"json": self.json} if self.json is not None else {"data": self.form} if self.form is not None else {}
        return client.open(self.path, method=method, headers=dict(headers or {}), buffered=True, **body)


Case = Callable[[World, str], Call]


def own(world: World, things: Mapping[str, Any], person: str) -> Any:
    """The person's own thing; collector A's for people who have none."""
    return things.get(person, things["collector_a"])


def foreign(world: World, things: Mapping[str, Any], person: str) -> Any:
    """A thing of somebody else."""
    return things["collector_a" if person == "collector_b" else "collector_b"]


def jwk() -> dict[str, str]:
    """A new phone's public key."""
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}


def count_form(world: World) -> dict[str, Any]:
    """What the desk's form sends for collector B: a little too much."""
    return {"collector": NAMES["collector_b"], "reading": world.ids["z of B"], "bill-100000": "1"}


def user_form(world: World, person: str) -> dict[str, Any]:
    """What the form of a user sends, with one thing changed."""
    return {"display_name": "Changed", "roles": ["collector"], "codes": "A1", "active": "1"}


RULES = {
    "payment_approval": "manual", "stale_soa_days": "3", "terminal_approval": "manual", "sync_drop_percent": "5", "version": "0",
}  # fmt: skip
"""What the form of the rules sends."""


def a_file(path: str, world: World, person: str) -> Call:
    """A list as a file."""
    return Call(path)


CASES: dict[str, dict[str, Case]] = {
    "GET /static/<path:filename>": {
        "a file": lambda w, p: Call("/static/favicon.svg"),
        "none": lambda w, p: Call("/static/../../config.py"),
    },
    "GET /verify/<code>": {
        "genuine": lambda w, p: Call(f"/verify/{w.receipt_codes['collector_a']}"),
        "cut": lambda w, p: Call(f"/verify/{w.receipt_codes['collector_a'][:-1]}"),
        "none": lambda w, p: Call("/verify/x"),
    },
    "GET /api/v1/terminals/<code>": {
        "own": lambda w, p: Call(f"/api/v1/terminals/{own(w, w.terminals, p)}"),
        "foreign": lambda w, p: Call(f"/api/v1/terminals/{foreign(w, w.terminals, p)}"),
        "none": lambda w, p: Call("/api/v1/terminals/T99"),
    },
    "POST /api/v1/terminals": {"new": lambda w, p: Call("/api/v1/terminals", json={"name": "New", "public_key": jwk()})},
    "POST /api/v1/journal": {
        "own": lambda w, p: Call("/api/v1/journal", json=own(w, w.uploads, p)),
        "foreign": lambda w, p: Call("/api/v1/journal", json=foreign(w, w.uploads, p)),
    },
    "POST /api/v1/journal/disabled": {"may log in": lambda w, p: Call("/api/v1/journal/disabled", json=w.uploads["collector_a"])},
    "POST /api/v1/session": {
        "wrong": lambda w, p: Call("/api/v1/session", json={"username": "nena", "password": "wrong"}),
    },
    "POST /login": {"wrong": lambda w, p: Call("/login", form={"username": "nena", "password": "wrong"})},
    "POST /collector-codes": {"": lambda w, p: Call("/collector-codes", form={"code": "NEW", "name": "New", "area": "x"})},
    "GET /collector-codes/one": {
        "one": lambda w, p: Call("/collector-codes/one?code=A1"),
        "none": lambda w, p: Call("/collector-codes/one?code=NONE"),
    },
    "POST /incidents/<int:incident_id>/close": {
        "open": lambda w, p: Call(f"/incidents/{w.ids['incident']}/close", form={"resolution": "Looked at it"}),
        "without a word": lambda w, p: Call(f"/incidents/{w.ids['incident']}/close", form={}),
        "none": lambda w, p: Call("/incidents/999999/close", form={"resolution": "Looked at it"}),
    },
    "POST /missing-numbers/<int:missing_id>/explain": {
        "open": lambda w, p: Call(f"/missing-numbers/{w.ids['missing']}/explain", form={"reason": "A test print"}),
        "without a word": lambda w, p: Call(f"/missing-numbers/{w.ids['missing']}/explain", form={}),
        "none": lambda w, p: Call("/missing-numbers/999999/explain", form={"reason": "A test print"}),
    },
    "POST /missing-numbers/<int:missing_id>/reopen": {
        "open": lambda w, p: Call(f"/missing-numbers/{w.ids['missing']}/reopen", form={"reason": "The paper was found"}),
    },
    "POST /collector-codes/remove": {"none": lambda w, p: Call("/collector-codes/remove", form={"code": "NONE"})},
    "GET /payments/<uuid:payment_id>": {
        "of A": lambda w, p: Call(f"/payments/{w.payments['collector_a']}"),
        "none": lambda w, p: Call("/payments/00000000-0000-4000-8000-000000000000"),
    },
    "GET /payments/<uuid:payment_id>/photos/<photo_id>": {
        "none": lambda w, p: Call(f"/payments/{w.payments['collector_a']}/photos/{'0' * 64}"),
    },
    "PUT /api/v1/payments/<uuid:payment_id>/photos/<name>": {
        "no photo": lambda w, p: Call(f"/api/v1/payments/{w.payments['collector_a']}/photos/{'0' * 64}", json={}),
    },
    "GET /expenses/<uuid:expense_id>": {
        "of A": lambda w, p: Call(f"/expenses/{w.expense}"),
        "none": lambda w, p: Call("/expenses/00000000-0000-4000-8000-000000000000"),
    },
    "GET /expenses/<uuid:expense_id>/photos/<photo_id>": {"none": lambda w, p: Call(f"/expenses/{w.expense}/photos/{'0' * 64}")},
    "POST /expenses/<uuid:expense_id>/approve": {"waiting": lambda w, p: Call(f"/expenses/{w.expense}/approve", form={})},
    "POST /expenses/<uuid:expense_id>/refuse": {
        "waiting": lambda w, p: Call(f"/expenses/{w.expense}/refuse", form={"reason": "There is no paper"})
    },
    "PUT /api/v1/expenses/<uuid:expense_id>/photos/<name>": {
        "no photo": lambda w, p: Call(f"/api/v1/expenses/{w.expense}/photos/{'0' * 64}", json={}),
    },
    "POST /payments/approve": {
        "unflagged": lambda w, p: Call("/payments/approve", form={"payment": w.payments["collector_a"]}),
        "nothing": lambda w, p: Call("/payments/approve", form={}),
    },
    "POST /checks": {"nothing": lambda w, p: Call("/checks", form={"state": "cleared"})},
    "POST /checks/<uuid:payment_id>/settle": {
        "not a check": lambda w, p: Call(f"/checks/{w.payments['collector_a']}/settle", form={"note": "Paid in cash"})
    },
    "POST /transfers": {"nothing": lambda w, p: Call("/transfers", form={"state": "verified"})},
    "POST /deposits": {"nothing": lambda w, p: Call("/deposits", form={})},
    "GET /deposits/<int:deposit_id>": {"none": lambda w, p: Call("/deposits/999999")},
    "GET /reports/deposit/<int:deposit_id>.pdf": {"none": lambda w, p: Call("/reports/deposit/999999.pdf")},
    "GET /checks.<any(csv, xlsx):form>": {"all": lambda w, p: Call("/checks.csv")},
    "GET /transfers.<any(csv, xlsx):form>": {"all": lambda w, p: Call("/transfers.csv")},
    "POST /payments/<uuid:payment_id>/return": {
        "not pending": lambda w, p: Call(f"/payments/{w.payments['collector_b']}/return", form={"reason": "wait a bit"})
    },
    "POST /payments/<uuid:payment_id>/reallocate": {
        "none": lambda w, p: Call("/payments/00000000-0000-4000-8000-000000000000/reallocate", form={"reason": "wait a bit"})
    },
    "POST /payments/<uuid:payment_id>/assign": {
        "none": lambda w, p: Call("/payments/00000000-0000-4000-8000-000000000000/assign", form={"soa": "1", "reason": "wait a bit"})
    },
    "POST /payments/<uuid:payment_id>/hold": {
        "approved": lambda w, p: Call(f"/payments/{w.payments['collector_b']}/hold", form={"reason": "wait a bit"})
    },
    "GET /voids/<int:void_id>": {"of A": lambda w, p: Call(f"/voids/{w.ids['void']}"), "none": lambda w, p: Call("/voids/999999")},
    "POST /voids/<int:void_id>/approve": {"waiting": lambda w, p: Call(f"/voids/{w.ids['void']}/approve", form={})},
    "POST /voids/<int:void_id>/refuse": {"waiting": lambda w, p: Call(f"/voids/{w.ids['void']}/refuse", form={"reason": "wait a bit"})},
    "GET /voids/codes/<int:code_id>": {
        "of the supervisor": lambda w, p: Call(f"/voids/codes/{w.ids['code']}"),
        "none": lambda w, p: Call("/voids/codes/999999"),
    },
    "POST /voids/codes": {
        "for A": lambda w, p: Call(
            "/voids/codes", form={"void_number": f"{w.terminals['collector_a']}-V000009", "amount": "5.00", "challenge": "0000-0000"}
        ),
        "nothing": lambda w, p: Call("/voids/codes", form={}),
    },
    "POST /voids/codes/<int:code_id>/revoke": {"none": lambda w, p: Call("/voids/codes/999999/revoke", form={})},
    "POST /voids/<int:void_id>/retry": {"not failed": lambda w, p: Call(f"/voids/{w.ids['void']}/retry", form={})},
    "POST /payments/<uuid:payment_id>/retry": {"not failed": lambda w, p: Call(f"/payments/{w.payments['collector_b']}/retry", form={})},
    "POST /payments/try-now": {"always": lambda w, p: Call("/payments/try-now", form={})},
    "POST /readings/registries/<uuid:registry_id>/close": {
        "open": lambda w, p: Call(f"/readings/registries/{w.registry}/close", form={"reason": "The phone was stolen"}),
        "without a word": lambda w, p: Call(f"/readings/registries/{w.registry}/close", form={}),
        "none": lambda w, p: Call("/readings/registries/00000000-0000-4000-8000-000000000000/close", form={"reason": "Nothing there"}),
    },
    "GET /readings/<int:reading_id>": {
        "of A": lambda w, p: Call(f"/readings/{w.readings['collector_a']}"),
        "none": lambda w, p: Call("/readings/999999"),
    },
    "GET /readings/<int:reading_id>.pdf": {
        "of A": lambda w, p: Call(f"/readings/{w.readings['collector_a']}.pdf"),
        "none": lambda w, p: Call("/readings/999999.pdf"),
    },
    "GET /remittances/new": {
        "of B": lambda w, p: Call(f"/remittances/new?collector={NAMES['collector_b']}"),
        "none": lambda w, p: Call("/remittances/new?collector=nobody"),
    },
    "POST /remittances/count": {
        "of B": lambda w, p: Call("/remittances/count", form={**count_form(w), "do": "compare"}),
        "nothing": lambda w, p: Call("/remittances/count", form={"collector": NAMES["collector_b"], "do": "compare"}),
    },
    "POST /remittances": {
        "of B": lambda w, p: Call("/remittances", form={**count_form(w), "reason": "Counted twice"}),
        "remitted": lambda w, p: Call(
            "/remittances", form={"collector": NAMES["collector_a"], "reading": w.ids["z of A"], "bill-100000": "1"}
        ),
        "none": lambda w, p: Call("/remittances", form={"collector": "nobody", "reading": "1"}),
    },
    "GET /remittances/<int:remittance_id>": {
        "of A": lambda w, p: Call(f"/remittances/{w.ids['remittance']}"),
        "none": lambda w, p: Call("/remittances/999999"),
    },
    "POST /remittances/<int:remittance_id>/approve": {
        "waiting": lambda w, p: Call(f"/remittances/{w.ids['remittance']}/approve", form={"reason": "Charged to A"}),
        "none": lambda w, p: Call("/remittances/999999/approve", form={"reason": "Charged to A"}),
    },
    "GET /reports/remittance/<int:remittance_id>.pdf": {
        "of A": lambda w, p: Call(f"/reports/remittance/{w.ids['remittance']}.pdf"),
        "none": lambda w, p: Call("/reports/remittance/999999.pdf"),
    },
    "GET /<any(soas,payments,differences):kind>.<any(csv,xlsx,pdf):form>": {
        **{f"{kind} {form}": partial(a_file, f"/{kind}.{form}") for kind in ("soas", "payments") for form in ("csv", "xlsx", "pdf")},
        "differences": lambda w, p: Call(f"/differences.csv?report={w.ids['reconciliation']}"),
        "differences of none": lambda w, p: Call("/differences.csv?report=999999"),
    },
    "POST /<any(soas,payments,differences):kind>.<any(csv,xlsx,pdf):form>": {
        "soas": lambda w, p: Call("/soas.xlsx?overdue=1", form={}),
        "not a date": lambda w, p: Call("/soas.csv?due_to=x", form={}),
    },
    "GET /exports/<int:export_id>": {
        "cashier's": lambda w, p: Call(f"/exports/{w.ids['export']}"),
        "none": lambda w, p: Call("/exports/999999"),
    },
    "GET /exports/<int:export_id>/file": {
        "cashier's": lambda w, p: Call(f"/exports/{w.ids['export']}/file"),
        "none": lambda w, p: Call("/exports/999999/file"),
    },
    "POST /exports/<int:export_id>/cancel": {
        "cashier's": lambda w, p: Call(f"/exports/{w.ids['export']}/cancel", form={}),
    },
    "POST /soas/saved-filters": {
        "late": lambda w, p: Call("/soas/saved-filters?overdue=1", form={"name": "Late"}),
        "nothing": lambda w, p: Call("/soas/saved-filters", form={"name": "All"}),
    },
    "POST /soas/saved-filters/<int:filter_id>/rename": {
        "cashier's": lambda w, p: Call(f"/soas/saved-filters/{w.ids['filter']}/rename", form={"name": "Other"}),
    },
    "POST /soas/saved-filters/<int:filter_id>/delete": {
        "cashier's": lambda w, p: Call(f"/soas/saved-filters/{w.ids['filter']}/delete", form={}),
    },
    "GET /soas/<path:soa_id>": {"of A": lambda w, p: Call("/soas/S-A"), "none": lambda w, p: Call("/soas/S/none")},
    "POST /reconciliation": {
        "now": lambda w, p: Call("/reconciliation", form={"payments_from": "2026-11-01"}),
        "not a date": lambda w, p: Call("/reconciliation", form={"payments_from": "x"}),
    },
    "GET /reconciliation": {
        "all": lambda w, p: Call("/reconciliation"),
        "a file's": lambda w, p: Call(f"/reconciliation?report={w.ids['reconciliation']}&outcome=different"),
    },
    "GET /reconciliation/<int:report_id>": {
        "finished": lambda w, p: Call(f"/reconciliation/{w.ids['reconciliation']}"),
        "none": lambda w, p: Call("/reconciliation/999999"),
    },
    "POST /reconciliation/<int:report_id>/cancel": {
        "finished": lambda w, p: Call(f"/reconciliation/{w.ids['reconciliation']}/cancel", form={}),
        "none": lambda w, p: Call("/reconciliation/999999/cancel", form={}),
    },
    "POST /reconciliation/<int:report_id>/send-again/<uuid:payment_id>": {
        "of A": lambda w, p: Call(
            f"/reconciliation/{w.ids['reconciliation']}/send-again/{w.payments['collector_a']}", form={"reason": "It was deleted there."}
        ),
        "none": lambda w, p: Call(
            "/reconciliation/999999/send-again/00000000-0000-4000-8000-000000000009", form={"reason": "It was deleted there."}
        ),
    },
    "GET /audit.<any(csv,xlsx):form>": {form: partial(a_file, f"/audit.{form}") for form in ("csv", "xlsx")},
    "POST /settings/<section>": {
        "rules": lambda w, p: Call("/settings/rules", form=RULES),
        "not a number": lambda w, p: Call("/settings/rules", form={**RULES, "stale_soa_days": "x"}),
        "none": lambda w, p: Call("/settings/none", form={}),
    },
    "GET /reports/e-journal": {"of one day": lambda w, p: Call("/reports/e-journal?from=2026-11-20&to=2026-11-20")},
    "GET /reports/e-journal.<any(txt,pdf,xlsx,csv):form>": {
        form: partial(a_file, f"/reports/e-journal.{form}?from=2026-11-20&to=2026-11-20") for form in ("txt", "pdf", "xlsx", "csv")
    },
    "GET /reports/<name>": {"vat": lambda w, p: Call("/reports/vat"), "none": lambda w, p: Call("/reports/none")},
    "GET /reports/<name>.<any(csv,xlsx,pdf):form>": {
        **{form: partial(a_file, f"/reports/tenders.{form}") for form in ("csv", "xlsx", "pdf")},
        "none": lambda w, p: Call("/reports/none.csv"),
    },
    "POST /reports/<name>.<any(csv,xlsx,pdf):form>": {
        "vat": lambda w, p: Call("/reports/vat.xlsx", form={}),
        "none": lambda w, p: Call("/reports/none.pdf", form={}),
    },
    "GET /syncs.<any(csv,xlsx):form>": {form: partial(a_file, f"/syncs.{form}") for form in ("csv", "xlsx")},
    "GET /syncs/<int:run_id>/failed-records.<any(csv,xlsx):form>": {
        "one": lambda w, p: Call(f"/syncs/{w.ids['run']}/failed-records.csv"),
        "none": lambda w, p: Call("/syncs/999999/failed-records.xlsx"),
    },
    "GET /syncs/<int:run_id>": {"one": lambda w, p: Call(f"/syncs/{w.ids['run']}"), "none": lambda w, p: Call("/syncs/999999")},
    "POST /syncs/<int:run_id>/cancel": {"finished": lambda w, p: Call(f"/syncs/{w.ids['run']}/cancel", form={})},
    "POST /syncs/<int:run_id>/absent": {
        "nothing waits": lambda w, p: Call(f"/syncs/{w.ids['run']}/absent", form={"answer": "close"}),
        "neither": lambda w, p: Call(f"/syncs/{w.ids['run']}/absent", form={"answer": "perhaps"}),
    },
    "POST /syncs/<int:run_id>/retry-failed": {"one": lambda w, p: Call(f"/syncs/{w.ids['run']}/retry-failed", form={})},
    "POST /terminals/<code>/approve": {"active": lambda w, p: Call(f"/terminals/{w.terminals['collector_a']}/approve", form={})},
    "POST /terminals/<code>/revoke": {"active": lambda w, p: Call(f"/terminals/{w.terminals['collector_a']}/revoke", form={})},
    "POST /users": {
        "": lambda w, p: Call(
            "/users", form={"name": "new.one", "display_name": "New", "password": "a long sentence", "roles": ["collector"], "codes": ""}
        )
    },
    "GET /users/<int:user_id>": {"one": lambda w, p: Call(f"/users/{w.ids['cashier']}"), "none": lambda w, p: Call("/users/999999")},
    "POST /users/<int:user_id>": {"collector": lambda w, p: Call(f"/users/{w.ids['collector_a']}", form=user_form(w, p))},
    "POST /users/<int:user_id>/disable": {"collector": lambda w, p: Call(f"/users/{w.ids['collector_a']}/disable", form={})},
    "POST /users/<int:user_id>/password": {
        "collector": lambda w, p: Call(f"/users/{w.ids['collector_a']}/password", form={"password": "another long sentence"})
    },
}
"""How to call each route that needs more than its address; every other is called as it stands."""


def routes(app: Flask) -> list[tuple[str, str]]:
    """Every (method, rule) of the app; HEAD follows GET and OPTIONS is Werkzeug's own, both have tests of their own."""
    found = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or () if method not in {"HEAD", "OPTIONS"}}
    return sorted(found, key=lambda pair: (pair[1], pair[0]))


def cases(method: str, rule: str) -> dict[str, Case]:
    """The calls that stand for a route."""
    known = CASES.get(f"{method} {rule}")
    if known is None and "<" in rule:
        raise LookupError(f"{method} {rule} needs an example in tests/security/world.py")
    return known or {"": lambda w, p: Call(rule, form=None if method in {"GET", "DELETE"} else {})}


def database(app: Flask) -> Path:
    """The file an app's database lies in."""
    return Path(app.config["SQLALCHEMY_DATABASE_URI"].removeprefix("sqlite:///"))


def close(app: Flask) -> None:
    """Let go of the database file."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def dump(app: Flask) -> dict[str, list[Any]]:
    """Every row of every table, but for what merely noting activity changes."""
    found: dict[str, list[Any]] = {}
    connection = sqlite3.connect(f"file:{database(app)}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        for table in tables:
            rows = [dict(row) for row in connection.execute(f'SELECT * FROM "{table}" ORDER BY 1')]  # noqa: S608 - our own schema
            for row in rows:
                row.pop("last_seen_at", None)
            found[table] = rows
    finally:
        connection.close()
    return found


def changed(before: Mapping[str, list[Any]], after: Mapping[str, list[Any]]) -> set[str]:
    """Names of the tables that differ."""
    return {table for table in before.keys() | after.keys() if before.get(table) != after.get(table)}
