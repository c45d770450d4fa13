"""A model PSCloud: statements of account that change, a ledger of its own, and every way of failing the portal must bear."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from portal.domain.known_pages import NOTHING, Known
from portal.domain.money import from_centavos
from portal.pscloud import mapping
from portal.pscloud.client import AuthFailed, Page, PaymentResult, Rejected, Retryable, Summary
from portal.pscloud.mapping import CollectorRecord, MappingError
from portal.pscloud.profile import Profile, load
from portal.pscloud.recognise import digest

CODES = ("A1", "A2", "B1", "C1")
NAMES = ("Dela Cruz, Maria", "Peña, José", "Santos <b>Ana</b>", "Ñoño, Ian", "Reyes, =1+1", "Lim, 李", "Aquino, Bong", "O'Hara, Kit")


@dataclass
class Invoice:
    """One invoice. Centavos."""

    id: str
    due: date
    amount: int
    balance: int
    penalty: int
    vat_type: str
    vat_amount: int


@dataclass
class Soa:
    """One statement of account. `broken` damages its published record."""

    id: str
    name: str
    code: str | None
    invoices: list[Invoice]
    status: str = "active"
    updated_at: datetime | None = None
    touched_at: datetime | None = None
    broken: str = ""
    credit: int = 0

    @property
    def amount_due(self) -> int:
        """Balances and penalties, in centavos."""
        return sum(invoice.balance + invoice.penalty for invoice in self.invoices)


@dataclass
class Held:
    """One payment in PSCloud's ledger, as it was sent."""

    id: str
    record: dict[str, Any]


@dataclass
class Faults:
    """What goes wrong in the next call of each kind; empty when nothing does."""

    post: str = ""
    find: str = ""
    read: str = ""
    at: int = 0


def money(centavos: int) -> str:
    """Pesos as PSCloud writes them."""
    return str(from_centavos(centavos))


class Pscloud:
    """The server. `dedupes` says whether it knows a reference again; without that, only our asking first prevents a double."""

    def __init__(self, rng: Random, now: Callable[[], datetime], dedupes: bool, soas: int = 14) -> None:
        self.now, self.dedupes = now, dedupes
        self.soas: dict[str, Soa] = {}
        self.ledger: list[Held] = []
        self.references: dict[str, list[Held]] = {}
        self.faults = Faults()
        self.refused: set[str] = set()
        self.closed_period: set[str] = set()
        """References whose period is closed: they cannot be voided any more."""
        self.sent: list[str] = []
        """References in the order in which requests carried them here, repeats included."""
        self.voided: dict[str, list[str]] = {}
        """Voids by reference: the reasons of those that had an effect, in order. More than one is wrong."""
        self.offset = timedelta(0)
        """How far this server's clock is off."""
        self.inactive_seen: set[str] = set()
        """SOAs that were not active at some moment since the present download began."""
        for _ in range(soas):
            self.add_soa(rng)

    def clock(self) -> datetime:
        """What this server believes the time is."""
        return self.now() + self.offset

    # --- what people do in PSCloud

    def add_soa(self, rng: Random) -> Soa:
        """A new statement with one to three invoices."""
        number = len(self.soas) + 1
        invoices = [self.new_invoice(rng, f"I{number}-{index}") for index in range(rng.choice((1, 1, 2, 3)))]
        soa = Soa(f"S{number:03d}", rng.choice(NAMES), rng.choice(CODES), invoices)
        self.soas[soa.id] = soa
        self.touch(soa)
        return soa

    def new_invoice(self, rng: Random, invoice_id: str) -> Invoice:
        """An unpaid invoice with an awkward amount."""
        amount = rng.choice((112000, 33333, 100, 99999, 1000001, rng.randrange(1, 500000)))
        vat_type = rng.choice(("vatable", "vatable", "exempt", "zero_rated"))
        vat = amount * 12 // 112 if vat_type == "vatable" else 0
        due = date(2026, rng.randrange(8, 13), rng.randrange(1, 29))
        return Invoice(invoice_id, due, amount, amount, rng.choice((0, 0, 3333, 1)), vat_type, vat)

    def touch(self, soa: Soa) -> None:
        """The statement changed now."""
        soa.updated_at, soa.touched_at = self.clock(), self.now()
        if soa.status != "active":
            self.inactive_seen.add(soa.id)

    def active(self) -> list[Soa]:
        """What the list holds, in its order."""
        return sorted((soa for soa in self.soas.values() if soa.status == "active"), key=lambda soa: (soa.updated_at, soa.id))

    # --- payments

    def accept(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Take payments, one by one; one result each."""
        return [self._accept(dict(record)) for record in records]

    def _accept(self, record: dict[str, Any]) -> dict[str, Any]:
        reference = record["reference"]
        self.sent.append(reference)
        known = self.references.get(reference, [])
        if known and self.dedupes:
            if known[0].record != record:
                return _refusal(reference, "reference_conflict")
            return {"reference": reference, "status": "duplicate", "pscloud_id": known[0].id, "error": None}
        soa = self.soas.get(record["soa_id"])
        if soa is None or soa.status != "active" or reference in self.refused:
            return _refusal(reference, "soa_closed")
        parts = [(part["invoice_id"], part["kind"], int(Decimal(part["amount"]) * 100)) for part in record["allocations"]]
        invoices = {invoice.id: invoice for invoice in soa.invoices}
        room = {(i.id, kind): open_ for i in soa.invoices for kind, open_ in (("penalty", i.penalty), ("principal", i.balance))}
        for invoice_id, kind, amount in parts:
            if invoice_id is not None:
                room[invoice_id, kind] = room.get((invoice_id, kind), 0) - amount
        if any(left < 0 for left in room.values()):
            return _refusal(reference, "more than is owed")
        for invoice_id, kind, amount in parts:
            if invoice_id is None:
                soa.credit += amount
            elif kind == "penalty":
                invoices[invoice_id].penalty -= amount
            else:
                invoices[invoice_id].balance -= amount
        if soa.amount_due == 0:
            soa.status = "settled"
        self.touch(soa)
        held = Held(f"P{len(self.ledger) + 1}", record)
        self.ledger.append(held)
        self.references.setdefault(reference, []).append(held)
        return {"reference": reference, "status": "accepted", "pscloud_id": held.id, "error": None}

    def void(self, reference: str, reason: str) -> dict[str, Any]:
        """Void a payment: what it paid is owed again. The same void again changes nothing; another reason is refused (409)."""
        held = self.references.get(reference)
        if not held:
            raise Rejected("PSCloud refused the request (404). It says: never posted.", 404)
        if reference in self.closed_period:
            raise Rejected("PSCloud refused the request (409). It says: the period is closed.", 409)
        reasons = self.voided.setdefault(reference, [])
        if reasons and reasons[0] != reason:
            raise Rejected("PSCloud refused the request (409). It says: voided before for another reason.", 409)
        if not reasons:
            reasons.append(reason)
            record = held[0].record
            soa = self.soas[record["soa_id"]]
            invoices = {invoice.id: invoice for invoice in soa.invoices}
            for part in record["allocations"]:
                amount = int(Decimal(part["amount"]) * 100)
                if part["invoice_id"] is None:
                    soa.credit -= amount
                elif part["kind"] == "penalty":
                    invoices[part["invoice_id"]].penalty += amount
                else:
                    invoices[part["invoice_id"]].balance += amount
            if soa.amount_due and soa.status == "settled":
                soa.status = "active"
            self.touch(soa)
        return {"reference": reference, "status": "voided", "pscloud_id": held[0].id, "error": None}

    # --- the published record

    def record(self, soa: Soa) -> bytes:
        """The statement as JSON text, with its damage."""
        assert soa.updated_at is not None
        published: dict[str, Any] = {
            "id": soa.id,
            "soa_number": f"SOA-{soa.id}",
            "customer": {"id": f"C-{soa.id}", "account_number": f"ACC-{soa.id}", "name": soa.name, "address": "12 Mabini St.", "tin": None},
            "issued_on": "2026-11-01",
            "due_date": (soa.invoices[0].due if soa.invoices else date(2026, 11, 1)).isoformat(),
            "amount_due": money(soa.amount_due),
            "penalty": money(sum(invoice.penalty for invoice in soa.invoices)),
            "collector_code": soa.code,
            "status": soa.status,
            "updated_at": soa.updated_at.isoformat(),
            "invoices": [
                {
                    "id": invoice.id,
                    "invoice_number": f"SI-{invoice.id}",
                    "invoice_date": "2026-08-01",
                    "due_date": invoice.due.isoformat(),
                    "description": "Lawn lot instalment",
                    "amount": money(invoice.amount),
                    "balance": money(invoice.balance),
                    "penalty": money(invoice.penalty),
                    "vat_type": invoice.vat_type,
                    "vat_amount": money(invoice.vat_amount),
                }
                for invoice in soa.invoices
            ],
        }
        match soa.broken:
            case "amount":
                published["amount_due"] = "1,2x"
            case "date":
                published["due_date"] = "0000-00-00"
            case "customer":
                del published["customer"]
            case "id":
                published["id"] = None
        return json.dumps(published, ensure_ascii=False).encode()


def _refusal(reference: str, code: str) -> dict[str, Any]:
    return {"reference": reference, "status": "rejected", "pscloud_id": None, "error": {"code": code, "message": f"refused: {code}"}}


@dataclass
class ModelClient:
    """What the portal's services see of PSCloud: the methods of PscloudClient, without a network. `wait` lets time pass and others work."""

    server: Pscloud
    rng: Random
    wait: Callable[[str], None]
    profile: Profile = field(default_factory=lambda: load(None))
    on_wait: Callable[[], None] = lambda: None
    attempts: int = 5
    pages_ahead: int = 0

    def __enter__(self) -> ModelClient:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _request(self, what: str) -> None:
        self.on_wait()
        self.wait(what)

    def _fail(self, kind: str) -> None:
        match kind:
            case "auth":
                raise AuthFailed("PSCloud does not accept the token (401).", 401)
            case "busy":
                raise Retryable("PSCloud asks us to wait (429).", 30.0)
            case "gone":
                raise Retryable("PSCloud cannot be reached.")
            case "refused":
                raise Rejected("PSCloud refused the request (400).", 400)
            case "html":
                raise Retryable("PSCloud answered with a web page.", outcome_unknown=True)

    def _listed(self, since: datetime | None) -> list[tuple[str, bytes]]:
        soas = self.server.active()
        if since is not None:
            changed = [soa for soa in self.server.soas.values() if soa.updated_at is not None and soa.updated_at >= since]
            soas = sorted(changed, key=lambda soa: (soa.updated_at, soa.id))
        return [(soa.id, self.server.record(soa)) for soa in soas]

    def soa_pages(self, since: datetime | None = None, known: Known = NOTHING) -> Iterator[Page]:
        """The list, or what changed since, in pages of five, as one snapshot; or, when the fault says so, shifting under the reader or
        breaking off. A page that is known and the same is not read again."""
        faults, size = self.server.faults, 5
        restarts = 1 if faults.read == "restart" else 0
        shifting = faults.read == "shift"
        restarted = False
        while True:
            frozen = self._listed(since)
            as_of, number, start = self.server.clock(), 0, 0
            while True:
                self._request("page")
                if faults.read in {"auth", "busy", "gone", "refused"} and number == faults.at:
                    self._fail(faults.read)
                if restarts and number == faults.at:
                    restarts -= 1
                    restarted = True
                    break
                if shifting:
                    frozen = self._listed(since)
                records = [record for _, record in frozen[start : start + size]]
                if faults.read == "twice" and number == faults.at and records:
                    records.append(records[0])
                number += 1
                start += size
                body = b"[" + b",".join(records) + b"]"
                print_ = digest(known.seed, body, 0, len(body))
                page = known.pages.get(number)
                same = page is not None and (page.length, page.digest) == (len(body), print_)
                found, first = [] if same else records, restarted and number == 1
                yield Page(found, len(frozen), as_of, number, first, unchanged=same, count=len(records), length=len(body), digest=print_)
                if start >= len(frozen):
                    return

    def summary(self) -> Summary:
        """Control totals of what is active now."""
        self._request("summary")
        if self.server.faults.read == "summary":
            raise Retryable("PSCloud has a fault of its own (500).")
        active = self.server.active()
        count = len(active) + (1 if self.server.faults.read == "count" else 0)
        return Summary(count, from_centavos(sum(soa.amount_due for soa in active)))

    def soa(self, soa_id: str) -> bytes | None:
        """One statement as it stands now."""
        self._request("soa")
        if self.server.faults.read == "one":
            raise Retryable("PSCloud has a fault of its own (500).")
        found = self.server.soas.get(soa_id)
        return None if found is None else self.server.record(found)

    def collectors(self) -> tuple[list[CollectorRecord], list[str]]:
        """The collector codes."""
        self._request("collectors")
        if self.server.faults.read == "codes":
            raise Retryable("PSCloud has a fault of its own (500).")
        return [CollectorRecord(code, f"Area {code}", "", True) for code in CODES], []

    def post_payments(self, payments: Sequence[dict[str, Any]]) -> list[PaymentResult]:
        """Post once. Faults: before anything (unknown or not), in the middle, after it, single results missing."""
        self._request("post")
        faults = self.server.faults
        fault, faults.post = faults.post, ""
        self._fail(fault if fault != "html" else "")
        sent = json.loads(json.dumps(list(payments)))
        if fault == "lost request":
            raise Retryable("PSCloud did not answer in time.", outcome_unknown=True)
        if fault == "half":
            self.server.accept(sent[: len(sent) // 2])
            raise Retryable("The connection to PSCloud broke off.", outcome_unknown=True)
        answers = self.server.accept(sent)
        self.wait("answer")
        if fault in {"lost answer", "html"}:
            raise Retryable("PSCloud did not answer in time.", outcome_unknown=True)
        if fault == "silent":
            answers = [answer for answer in answers if self.rng.random() < 0.5]
        return self._results(answers)

    def find_payments(self, references: Sequence[str]) -> list[PaymentResult]:
        """What is held for these references."""
        self._request("find")
        faults = self.server.faults
        fault, faults.find = faults.find, ""
        self._fail(fault)
        found = [self.server.references[reference][0] for reference in references if reference in self.server.references]
        return self._results([self._held(held) for held in found])

    def _held(self, held: Held) -> dict[str, Any]:
        reference = held.record["reference"]
        status = "voided" if self.server.voided.get(reference) else "accepted"
        return {"reference": reference, "status": status, "pscloud_id": held.id, "error": None}

    def void_payment(self, reference: str, record: Mapping[str, Any]) -> PaymentResult:
        """Void once; the answer may be lost, or the request."""
        self._request("void")
        faults = self.server.faults
        fault, faults.post = faults.post, ""
        self._fail(fault if fault != "html" else "")
        if fault in {"lost request", "half"}:
            raise Retryable("PSCloud did not answer in time.", outcome_unknown=True)
        answer = self.server.void(reference, str(record["reason"]))
        if fault in {"lost answer", "html", "silent"}:
            raise Retryable("PSCloud did not answer in time.", outcome_unknown=True)
        return self._results([answer])[0]

    def _results(self, answers: Sequence[dict[str, Any]]) -> list[PaymentResult]:
        return [mapping.to_result(json.dumps(answer).encode(), self.profile) for answer in answers]


def readable(record: bytes, profile: Profile) -> bool:
    """Whether the portal can read a published record."""
    try:
        mapping.to_soa(record, profile)
    except MappingError:
        return False
    return True
