"""A model phone, written from docs/journal.md: what is on disk, what is only in memory, and a crash point around every durable write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from portal.domain import allocation, journal, readings, receipts, void_codes
from portal.domain.allocation import Allocation, OpenInvoice, Vat
from portal.domain.journal import Entry
from portal.domain.readings import Counters, Period, Taken, Voided
from tests.factories import b64

MANILA = ZoneInfo("Asia/Manila")
TOLERANCE = 120
"""Seconds by which a clock may be off before the phone calls it a jump."""


class PhoneDied(BaseException):
    """The browser or the phone died here; memory is lost, what was written stays."""


class Refused(Exception):
    """The phone tells the collector that this cannot be done now."""


@cache
def key(number: int) -> ec.EllipticCurvePrivateKey:
    """The key pair of that number."""
    return ec.derive_private_key(1_000_003 + number, ec.SECP256R1())


@cache
def jwk(number: int) -> Mapping[str, str]:
    """The public half of a key, as it is sent at enrolment."""
    numbers = key(number).public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}


def uuid4(rng: Random) -> str:
    """A random UUID out of the step's own randomness."""
    return str(UUID(int=rng.getrandbits(128), version=4))


@dataclass(frozen=True)
class Registry:
    """The open registry, or the last one."""

    id: str
    business_date: str
    change_fund: int
    opened_at: str
    opened_seq: int
    z_done: bool = False
    counted_seq: int = 0
    last_cash_seq: int = 0


@dataclass(frozen=True)
class Head:
    """Where a terminal's journal stands, and its counters."""

    seq: int = 0
    hash: str = journal.FIRST_PREV
    at: str = ""
    receipt: int = 0
    void: int = 0
    z_counter: int = 0
    accumulated: int = 0
    registry: Registry | None = None
    last_date: str = ""


@dataclass(frozen=True)
class Terminal:
    """An enrolment of this browser."""

    code: str
    key: int
    state: str = "active"
    stopped: str = ""
    restored_at: str | None = None


@dataclass
class Disk:
    """Everything durable. Changed only inside Phone.commit, all or nothing."""

    terminals: dict[str, Terminal] = field(default_factory=dict)
    current: str = ""
    new_key: int | None = None
    heads: dict[str, Head] = field(default_factory=dict)
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    marks: dict[str, dict[int, str]] = field(default_factory=dict)
    payments: dict[str, Entry] = field(default_factory=dict)
    prints: dict[str, int] = field(default_factory=dict)
    voids: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of a payment: the number of its last void, and whether that is requested, approved or refused."""
    expenses: dict[str, str] = field(default_factory=dict)
    """Of an expense: whether it is requested, approved or refused."""
    snapshot: dict[str, Any] | None = None
    skew: float | None = None

    def copy(self) -> Disk:
        """A backup. Entries themselves never change, so they are shared."""
        return Disk(
            dict(self.terminals),
            self.current,
            self.new_key,
            dict(self.heads),
            {code: list(entries) for code, entries in self.entries.items()},
            {code: dict(marks) for code, marks in self.marks.items()},
            dict(self.payments),
            dict(self.prints),
            dict(self.voids),
            dict(self.expenses),
            self.snapshot,
            self.skew,
        )

    def unsent(self, code: str) -> list[Entry]:
        """Entries no answer of the portal has named yet."""
        marks = self.marks[code]
        return [entry for entry in self.entries[code] if entry.seq not in marks]


class Phone:
    """One browser of one collector. `now` is the world's time; the phone's own clock is `offset` away from it."""

    def __init__(self, name: str, user: str, now: Callable[[], datetime], next_key: Callable[[], int]) -> None:
        self.name, self.user, self.now, self.next_key = name, user, now, next_key
        self.disk = Disk()
        self.backup: Disk | None = None
        self.offset = timedelta(0)
        self.crash: int | None = None
        self.jump = 0
        self.drafts: list[dict[str, Any]] = []
        self.on_entry: Callable[[Entry], None] = lambda entry: None
        self.on_confirmed: Callable[[Entry], None] = lambda entry: None
        self.on_marked: Callable[[str, Entry, str], None] = lambda code, entry, status: None

    # --- durable writes

    def commit(self, change: Callable[[Disk], None]) -> None:
        """One transaction on the phone: all of it or nothing, and a place to die before and after."""
        self._crash_point()
        change(self.disk)
        self._crash_point()

    def _crash_point(self) -> None:
        if self.crash is None:
            return
        self.crash -= 1
        if self.crash < 0:
            self.crash = None
            raise PhoneDied

    def restart(self) -> None:
        """Memory is gone; only the disk counts. A clock that stands before the last entry is noticed at once."""
        self.drafts, self.crash, self.jump = [], None, 0
        head = self.head
        if head and head.seq == 0:
            self._write_enrolled()
        if head and head.at:
            behind = (self.wall() - datetime.fromisoformat(head.at)).total_seconds()
            if behind < -TOLERANCE:
                self.jump = round(behind)

    # --- the clock

    def wall(self) -> datetime:
        """What the phone's clock shows."""
        return (self.now() + self.offset).astimezone(MANILA)

    def at(self) -> str:
        """The instant an entry gets now."""
        return self.wall().isoformat(timespec="milliseconds")

    def heard(self) -> None:
        """The portal said its time: a clock moved while nobody looked is noticed now."""
        skew = self.offset.total_seconds()
        before = self.disk.skew
        if before is not None and abs(skew - before) > TOLERANCE and not self.jump:
            self.jump = round(skew - before)
        if before != skew:
            self.commit(lambda disk: setattr(disk, "skew", skew))

    # --- the journal

    @property
    def terminal(self) -> Terminal | None:
        """The enrolment in use."""
        return self.disk.terminals.get(self.disk.current)

    @property
    def head(self) -> Head | None:
        """Where the journal in use stands."""
        return self.disk.heads.get(self.disk.current)

    def may_write(self) -> tuple[Terminal, Head]:
        """The terminal in use. Raises Refused when there is none or it was stopped."""
        terminal, head = self.terminal, self.head
        if terminal is None or head is None:
            raise Refused("not enrolled")
        if terminal.stopped:
            raise Refused(terminal.stopped)
        return terminal, head

    def may_collect(self) -> tuple[Terminal, Head]:
        """The terminal in use, when it may take money."""
        terminal, head = self.may_write()
        if terminal.state != "active":
            raise Refused(terminal.state)
        return terminal, head

    def write(self, kind: str, payload: dict[str, Any], then: Callable[[Disk, Entry, Head], Head] | None = None) -> Entry:
        """Append one entry, with everything that belongs to it, in one transaction."""
        if self.jump:
            seconds, self.jump = self.jump, 0
            if self.head and self.head.seq:
                self._append("clock_jump", {"seconds": seconds}, None)
        return self._append(kind, payload, then)

    def _append(self, kind: str, payload: dict[str, Any], then: Callable[[Disk, Entry, Head], Head] | None) -> Entry:
        code = self.disk.current
        head = self.disk.heads[code]
        entry = journal.append(code, head.seq + 1, kind, self.at(), None, payload, head.hash)

        def change(disk: Disk) -> None:
            after = replace(head, seq=entry.seq, hash=entry.hash, at=entry.at)
            if then:
                after = then(disk, entry, after)
            disk.heads[code] = after
            disk.entries[code].append(entry)
            self.on_entry(entry)

        self.commit(change)
        return entry

    def _write_enrolled(self) -> None:
        self.write("enrolled", {"name": self.name, "collector": self.user, "app_version": "simulated"})

    # --- the day

    def open_registry(self, rng: Random) -> None:
        """Open today's registry. Raises Refused."""
        _, head = self.may_collect()
        today = self.at()[:10]
        if head.registry:
            raise Refused("registry open")
        if head.last_date == today:
            raise Refused("registry done")
        registry_id, fund = uuid4(rng), rng.choice((0, 50000, 123456))
        payload = {
            "registry": registry_id,
            "business_date": today,
            "change_fund": fund,
            "collector": self.user,
            "z_counter": head.z_counter,
            "accumulated": head.accumulated,
        }

        def then(_: Disk, entry: Entry, after: Head) -> Head:
            return replace(after, registry=Registry(registry_id, today, fund, entry.at, entry.seq))

        self.write("registry_opened", payload, then)

    def own_payments(self, soa_id: str) -> list[Entry]:
        """This terminal's payments on an SOA that the downloaded list does not hold yet."""
        code = self.disk.current
        included = (self.disk.snapshot or {}).get("included", {}).get(code, 0)
        return [
            entry
            for entry in self.disk.payments.values()
            if entry.terminal == code
            and entry.seq > included
            and entry.payload["soa"] == soa_id
            and self.disk.voids.get(entry.payload["payment"], ("", ""))[1] != "approved"
        ]

    def view(self, soa: Mapping[str, Any]) -> tuple[list[OpenInvoice], int]:
        """(invoices, amount due) of a listed SOA less the phone's own payments."""
        own = self.own_payments(soa["id"])
        invoices = [
            OpenInvoice(
                i["id"], i["invoice_number"], i["due_date"], i["balance"], i["penalty"], i["amount"], i["vat_amount"], i["vat_type"]
            )
            for i in soa["invoices"]
        ]
        paid = [Allocation(**part) for entry in own for part in entry.payload["allocations"]]
        taken = sum(entry.payload["amount"] for entry in own)
        return allocation.less_payments(invoices, paid), max(soa["amount_due"] - taken, 0)

    def draft(self, rng: Random) -> dict[str, Any]:
        """A filled-in form: the payment's identity is made here. Raises Refused when there is nothing to collect."""
        soas = (self.disk.snapshot or {}).get("soas", [])
        if not soas:
            raise Refused("no list")
        soa = rng.choice(soas)
        invoices, due = self.view(soa)
        amount = rng.choice((due, due, due // 2, rng.randrange(1, 20000), due + rng.randrange(1, 5000), 1))
        amount = amount if amount > 0 else rng.randrange(1, 5000)
        tender = rng.choice(("cash", "cash", "cash", "check", "e_wallet", "bank_transfer"))
        cash = tender == "cash"
        tendered = amount + rng.choice((0, 0, 1, 50000)) if cash else None
        directed = [invoice.id for invoice in rng.sample(invoices, k=min(len(invoices), rng.choice((1, 2))))] if rng.random() < 0.25 else []
        return {
            "intent": uuid4(rng),
            "soa": soa["id"],
            "amount": amount,
            "tender": tender,
            "channel": None if cash else rng.choice(("BDO", "GCash", "Maya", None)),
            "reference": None if cash else f"R{rng.randrange(40)}",
            "tendered": tendered,
            "change": None if tendered is None else tendered - amount,
            "mode": "directed" if directed else "oldest_first",
            "directed": directed,
        }

    def confirm(self, draft: Mapping[str, Any]) -> Entry:
        """Confirm a form: payment, receipt number and journal entry in one transaction. The same form again is the same payment."""
        known = self.disk.payments.get(draft["intent"])
        if known:
            return known
        _, head = self.may_collect()
        if head.registry is None:
            raise Refused("no registry")
        if head.registry.z_done:
            raise Refused("z done")
        soa = next((soa for soa in (self.disk.snapshot or {}).get("soas", []) if soa["id"] == draft["soa"]), None)
        if soa is None:
            raise Refused("not in the list")
        invoices, due = self.view(soa)
        if any(invoice not in {i.id for i in invoices} for invoice in draft["directed"]):
            raise Refused("directed")
        parts = allocation.allocate(draft["amount"], invoices, draft["mode"], draft["directed"])
        payload = {
            "payment": draft["intent"],
            "registry": head.registry.id,
            "receipt_number": self.number(),
            "soa": soa["id"],
            **{name: soa[name] for name in ("soa_number", "account_number", "customer_name")},
            "soa_version": soa["version"],
            **{name: draft[name] for name in ("amount", "tender", "channel", "reference", "tendered", "change", "mode")},
            "directed": list(draft["directed"]),
            "allocations": [asdict(part) for part in parts],
            "vat": asdict(allocation.split_vat(parts, invoices)),
            "balance_after": max(due - draft["amount"], 0),
        }

        def then(disk: Disk, entry: Entry, after: Head) -> Head:
            disk.payments[draft["intent"]] = entry
            registry = after.registry
            if registry and draft["tender"] == "cash":
                registry = replace(registry, last_cash_seq=entry.seq)
            return replace(after, receipt=self.took(after), registry=registry)

        entry = self.write("payment", payload, then)
        self.on_confirmed(entry)
        return entry

    def number(self) -> str:
        """The next receipt number; it is taken only by the transaction that stores the payment."""
        head = self.disk.heads[self.disk.current]
        return receipts.receipt_number(self.disk.current, head.receipt + 1)

    def took(self, head: Head) -> int:
        """The last number taken once the payment is stored."""
        return head.receipt + 1

    def print_receipt(self, payment_id: str) -> None:
        """Journal a print or reprint."""
        entry = self.disk.payments[payment_id]
        reprint = self.disk.prints.get(payment_id, 0)
        payload = {"payment": payment_id, "receipt_number": entry.payload["receipt_number"], "copy": "customer", "reprint": reprint}
        self.may_write()

        def then(disk: Disk, _: Entry, after: Head) -> Head:
            disk.prints[payment_id] = reprint + 1
            return after

        self.write("receipt_printed", payload, then)

    def open_registry_now(self) -> tuple[Head, Registry]:
        """The open registry. Raises Refused when none is open or its Z is made."""
        _, head = self.may_write()
        if head.registry is None:
            raise Refused("no registry")
        if head.registry.z_done:
            raise Refused("z done")
        return head, head.registry

    def drop(self, rng: Random) -> None:
        """Hand cash to the office during the day."""
        _, registry = self.open_registry_now()
        payload = {"registry": registry.id, "amount": rng.randrange(1, 100000), "given_to": "the cashier", "reference": None}
        self.write("cash_drop", payload)

    def spend(self, rng: Random) -> None:
        """Spend money out of the cash in hand; it waits for the office."""
        _, registry = self.open_registry_now()
        one, amount = uuid4(rng), rng.randrange(1, 100000)
        payload = {"registry": registry.id, "expense": one, "amount": amount, "category": "Fuel", "description": None}

        def then(disk: Disk, _: Entry, after: Head) -> Head:
            disk.expenses[one] = "requested"
            return after

        self.write("expense", payload, then)

    def hear_expenses(self, code: str, decisions: Sequence[Mapping[str, Any]]) -> None:
        """Write down what the office decided of expenses, each once, in an open registry before its Z."""
        for told in decisions:
            head, terminal = self.head, self.terminal
            waits = self.disk.expenses.get(told["expense"]) == "requested"
            if code != self.disk.current or not waits or terminal is None or terminal.stopped or head is None:
                continue
            if head.registry is None or head.registry.z_done:
                continue
            names = ("expense", "amount", "decision", "decided_by", "decided_at")

            def then(disk: Disk, _: Entry, after: Head, told: Mapping[str, Any] = told) -> Head:
                disk.expenses[told["expense"]] = told["decision"]
                return after

            self.write("expense_decided", {"registry": head.registry.id, **{name: told[name] for name in names}}, then)

    def note_visit(self, rng: Random) -> None:
        """Note that nothing was collected, or what was promised for which day. Raises Refused."""
        self.may_collect()
        soas = (self.disk.snapshot or {}).get("soas", [])
        if not soas:
            raise Refused("no list")
        payload: dict[str, Any] = {"visit": uuid4(rng), "soa": rng.choice(soas)["id"], "note": rng.choice((None, "gate closed"))}
        if rng.random() < 0.5:
            self.write("no_collection", {**payload, "reason": "Nobody home"})
        else:
            day = (self.wall() + timedelta(days=rng.randrange(1, 30))).date().isoformat()
            self.write("promise", {**payload, "promised_on": day, "amount": rng.choice((None, rng.randrange(1, 100000)))})

    def void_facts(self, payment_id: str) -> tuple[str, int, str]:
        """Number, amount and challenge that the screen shows for the next void. Raises Refused."""
        head, _ = self.open_registry_now()
        number, amount = receipts.void_number(self.disk.current, head.void + 1), self.disk.payments[payment_id].payload["amount"]
        return number, amount, void_codes.challenge(self.disk.current, payment_id, number, amount)

    def ask_void(self, payment_id: str, code: str | None = None) -> None:
        """Ask the office to void a payment of this terminal, with the next void number and perhaps a supervisor's code. Raises Refused
        while one waits or is approved."""
        head, registry = self.open_registry_now()
        paid = self.disk.payments[payment_id]
        if paid.terminal != self.disk.current:
            raise Refused("other terminal")
        if self.disk.voids.get(payment_id, ("", ""))[1] in {"requested", "approved"}:
            raise Refused("void waits")
        number = receipts.void_number(self.disk.current, head.void + 1)
        payload = {
            "registry": registry.id,
            "void_number": number,
            "payment": payment_id,
            "receipt_number": paid.payload["receipt_number"],
            "amount": paid.payload["amount"],
            "reason": "wrong amount typed",
            "supervisor_code": code,
        }

        def then(disk: Disk, _: Entry, after: Head) -> Head:
            disk.voids[payment_id] = (number, "requested")
            return replace(after, void=head.void + 1)

        self.write("void_requested", payload, then)

    def hear_voids(self, code: str, decisions: Sequence[Mapping[str, Any]]) -> None:
        """Write down what the office decided, each once, in an open registry before its Z; what cannot be written now comes again."""
        for told in decisions:
            head, terminal = self.head, self.terminal
            waits = self.disk.voids.get(told["payment"]) == (told["void_number"], "requested")
            if code != self.disk.current or not waits or terminal is None or terminal.stopped or head is None:
                continue
            if head.registry is None or head.registry.z_done:
                continue
            names = ("void_number", "payment", "amount", "tender", "decision", "decided_by", "decided_at")

            def then(disk: Disk, _: Entry, after: Head, told: Mapping[str, Any] = told) -> Head:
                disk.voids[told["payment"]] = (told["void_number"], told["decision"])
                return after

            self.write("void_decided", {"registry": head.registry.id, **{name: told[name] for name in names}}, then)

    def count(self, rng: Random) -> None:
        """Count the cash, blind."""
        _, registry = self.open_registry_now()
        lines = [{"value": value, "kind": kind, "count": rng.choice((0, 0, 1, 7))} for value, kind in readings.DENOMINATIONS]
        payload = {"registry": registry.id, "denominations": lines, "total": readings.count_total(lines)}

        def then(_: Disk, entry: Entry, after: Head) -> Head:
            return replace(after, registry=replace(registry, counted_seq=entry.seq))

        self.write("count", payload, then)

    def period(self) -> Period:
        """The registry's period from the journal, as periodOf in readings.mjs makes it."""
        head = self.disk.heads[self.disk.current]
        registry = head.registry
        assert registry
        taken: list[Taken] = []
        drops: list[int] = []
        spent: list[int] = []
        voids: list[Voided] = []
        void_numbers: list[str] = []
        counted: list[dict[str, Any]] | None = None
        for entry in self.disk.entries[self.disk.current][registry.opened_seq - 1 :]:
            payload = entry.payload
            if payload.get("registry") != registry.id:
                continue
            if entry.kind == "payment":
                parts = payload["allocations"]
                taken.append(
                    Taken(
                        payload["receipt_number"],
                        payload["amount"],
                        payload["tender"],
                        payload["channel"],
                        sum(part["amount"] for part in parts if part["kind"] == "penalty"),
                        sum(part["amount"] for part in parts if part["kind"] == "advance"),
                        Vat(**payload["vat"]),
                    )
                )
            elif entry.kind == "cash_drop":
                drops.append(payload["amount"])
            elif entry.kind == "expense_decided" and payload["decision"] == "approved":
                spent.append(payload["amount"])
            elif entry.kind == "void_requested":
                void_numbers.append(payload["void_number"])
            elif entry.kind == "void_decided" and payload["decision"] == "approved":
                voids.append(Voided(payload["void_number"], payload["amount"], payload["tender"] == "cash"))
            elif entry.kind == "count":
                counted = payload["denominations"]
        return Period(
            registry.id,
            registry.business_date,
            self.disk.current,
            self.user,
            registry.opened_at,
            registry.change_fund,
            taken,
            voids=voids,
            void_numbers=void_numbers,
            drops=drops,
            expenses=spent,
            counted=counted,
        )

    def x_reading(self) -> None:
        """An X-reading: moves nothing."""
        _, registry = self.open_registry_now()
        if self.jump:
            self.write("clock_jump", {"seconds": self.jump})
        head = self.disk.heads[self.disk.current]
        reading = readings.x_reading(self.period(), self.at(), head.hash, len(self.disk.unsent(self.disk.current)))
        self.write("reading_x", {"registry": registry.id, "reading": reading})

    def z_reading(self) -> None:
        """The Z-reading; it needs a count after the last cash."""
        head, registry = self.open_registry_now()
        if registry.counted_seq <= registry.last_cash_seq or not registry.counted_seq:
            raise Refused("count first")
        reading = readings.z_reading(
            self.period(), Counters(head.z_counter, head.accumulated), self.at(), head.hash, len(self.disk.unsent(self.disk.current))
        )

        def then(_: Disk, entry: Entry, after: Head) -> Head:
            return replace(
                after,
                z_counter=reading["z_counter"],
                accumulated=reading["present_accumulated"],
                registry=replace(registry, z_done=True),
            )

        self.write("reading_z", {"registry": registry.id, "z_counter": reading["z_counter"], "reading": reading}, then)

    def close(self) -> None:
        """Close the registry after its Z."""
        _, head = self.may_write()
        if head.registry is None or not head.registry.z_done:
            raise Refused("no z")
        registry = head.registry

        def then(_: Disk, entry: Entry, after: Head) -> Head:
            return replace(after, registry=None, last_date=registry.business_date)

        self.write("registry_closed", {"registry": registry.id, "z_counter": head.z_counter}, then)

    # --- the line to the portal

    def take_enrolment(self, code: str, number: int, state: str) -> None:
        """The portal enrolled us: keep the terminal, then write its first entry."""

        def change(disk: Disk) -> None:
            disk.terminals[code] = Terminal(code, number, state)
            disk.current, disk.new_key = code, None
            disk.heads.setdefault(code, Head())
            disk.entries.setdefault(code, [])
            disk.marks.setdefault(code, {})

        self.commit(change)
        if self.disk.heads[code].seq == 0:
            self._write_enrolled()

    def compare(self, code: str, state: str, acknowledged: int, head_hash: str, restored_at: str | None = None) -> None:
        """Hold what the portal has of us against our own journal: stop for good when it is not ours any more, send again what it lost.
        After a restore we had not heard of, everything is sent again: what was kept beside the chain, too."""
        entries, marks = self.disk.entries[code], self.disk.marks[code]
        stopped, resend_after = "", None
        if acknowledged > len(entries):
            stopped = "records lost"
        elif acknowledged and entries[acknowledged - 1].hash != head_hash:
            stopped = "records differ"
        elif acknowledged + 1 in marks:
            resend_after = acknowledged
        terminal = self.disk.terminals[code]
        if restored_at and restored_at != terminal.restored_at:
            resend_after = 0
        after = replace(terminal, state=state, stopped=terminal.stopped or stopped, restored_at=restored_at or terminal.restored_at)

        def change(disk: Disk) -> None:
            disk.terminals[code] = after
            if resend_after is not None:
                disk.marks[code] = {seq: mark for seq, mark in disk.marks[code].items() if seq <= resend_after}

        if after != terminal or resend_after is not None:
            self.commit(change)

    def enrolled_again(self, code: str) -> None:
        """The portal had forgotten this terminal and knows it again by its key: everything is sent again."""
        self.commit(lambda disk: disk.marks.__setitem__(code, {}))

    def take_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Replace the list, when it is complete, in the transaction that journals it. Raises Refused."""
        soas = snapshot["soas"]
        if snapshot["count"] != len(soas) or snapshot["amount_due"] != sum(soa["amount_due"] for soa in soas):
            raise Refused("the list is not complete")
        self.may_write()
        payload = {name: snapshot[name] for name in ("snapshot", "as_of", "count", "amount_due")}

        def then(disk: Disk, _: Entry, after: Head) -> Head:
            disk.snapshot = snapshot
            return after

        self.write("soa_downloaded", payload, then)

    def body(self, code: str, entries: Sequence[Entry]) -> dict[str, Any]:
        """One upload as JSON, signed."""
        last = entries[-1]
        signer = key(self.disk.terminals[code].key)
        r, s = decode_dss_signature(signer.sign(journal.signed_text(code, last.seq, last.hash), ec.ECDSA(hashes.SHA256())))
        return {
            "terminal": code,
            "entries": [{**entry.content(), "hash": entry.hash} for entry in entries],
            "signature": b64(r.to_bytes(32, "big") + s.to_bytes(32, "big")),
        }

    def take_answer(self, code: str, sent: Sequence[Entry], status: int, answer: Mapping[str, Any] | None) -> None:
        """Mark what the portal's answer names, and nothing else. Only an answer of its own shape counts."""
        if status != 200 or answer is None:
            return
        hashes_sent = {entry.seq: entry for entry in sent}
        named = {
            verdict["seq"]: verdict["status"]
            for verdict in answer["verdicts"]
            if verdict["seq"] in hashes_sent and verdict["status"] != "held"
        }

        def change(disk: Disk) -> None:
            for seq, verdict in named.items():
                mine = disk.entries[code][seq - 1] if seq <= len(disk.entries[code]) else None
                if mine is not None and mine.hash == hashes_sent[seq].hash:
                    disk.marks[code][seq] = verdict
                    self.on_marked(code, mine, verdict)

        if named:
            self.commit(change)
        self.hear_voids(code, answer.get("voids", []))
        self.hear_expenses(code, answer.get("expenses", []))

    def to_send(self, code: str, limit: int) -> list[Entry]:
        """The next entries to send."""
        return self.disk.unsent(code)[:limit]
