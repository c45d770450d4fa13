"""Numbers that phones gave out and that have not arrived: kept as runs beside each upload, never looked for among all payments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update

from portal.domain import numbers
from portal.domain.numbers import Run
from portal.domain.receipts import read_receipt_number, read_void_number
from portal.extensions import db
from portal.store.dashboard import Queue
from portal.store.missing_tables import MissingNumber, NumberMark
from portal.store.models import JournalAside, JournalEntry, Payment, Terminal, User, Void

Span = tuple[int, str, int, int]
"""A terminal, a series, and the lowest and highest number of it that something is about."""
Z_KINDS = ("registry_opened", "reading_z", "registry_closed")
MOST_Z = 2**31 - 1


# --- what each upload leaves -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a terminal's numbers go, and up to where they were looked at; `z` is the highest the journal names so far."""

    seq: int
    receipt: int
    void: int
    marked_seq: int
    marked: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Gap:
    """One run that has not arrived."""

    id: int
    series: str
    run: Run
    state: str
    found_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str


def reached(terminal_id: int) -> Reached:
    """How far this terminal's numbers go."""
    mark = NumberMark
    query = (
        select(Terminal.head_seq, Terminal.last_receipt, Terminal.last_void, mark.seq, mark.receipt, mark.void, mark.z)
        .outerjoin(mark, mark.terminal_id == Terminal.id)
        .where(Terminal.id == terminal_id)
    )
    seq, receipt, void, *marks = db.session.execute(query).one()
    marked_seq, *marked = (value or 0 for value in marks)
    return Reached(seq, receipt, void, marked_seq, dict(zip(numbers.SERIES, marked, strict=True)))


def set_marks(terminal_id: int, seq: int, marks: Mapping[str, int]) -> None:
    """Note up to where this terminal's numbers were looked at; its row is locked by whoever books its uploads."""
    values = {"seq": seq, **marks}
    done = db.session.execute(update(NumberMark).where(NumberMark.terminal_id == terminal_id).values(**values))
    if not done.rowcount:  # type: ignore[attr-defined]
        db.session.execute(insert(NumberMark).values(terminal_id=terminal_id, **values))


def z_numbers(terminal_id: int, after_seq: int) -> tuple[int, set[int]]:
    """The highest Z counter that the phone names in its journal after a place, and those whose Z-reading is there."""
    query = select(JournalEntry.kind, JournalEntry.payload).where(
        JournalEntry.terminal_id == terminal_id,
        JournalEntry.seq > after_seq,
        JournalEntry.kind.in_(Z_KINDS),
        JournalEntry.verdict == "stored",
    )
    named, there = 0, set()
    for kind, payload in db.session.execute(query):
        number = _z_counter(payload)
        named = max(named, number)
        if kind == "reading_z":
            there.add(number)
    return named, there


def _z_counter(payload: str) -> int:
    found = json.loads(payload)
    number = found.get("z_counter") if isinstance(found, dict) else None
    return number if type(number) is int and 0 < number <= MOST_Z else 0


def arrived(series: str, terminal_id: int, terminal: str, run: Run) -> set[int]:
    """Which numbers of a run the books hold, by the index of the numbers."""
    if series == "z":
        return {number for number in z_numbers(terminal_id, 0)[1] if run[0] <= number <= run[1]}
    column, read = (Payment.receipt_number, read_receipt_number) if series == "receipt" else (Void.void_number, read_void_number)
    first, last = (numbers.as_printed(series, terminal, number) for number in run)
    found = db.session.scalars(select(column).where(column >= first, column <= last, column.startswith(f"{terminal}-", autoescape=True)))
    return {read(str(text))[1] for text in found if text}


def not_arrived(terminal_id: int) -> list[Gap]:
    """The runs of a terminal that have not arrived, explained ones too."""
    row = MissingNumber
    query = (
        select(
            row.id, row.series, row.first_number, row.last_number, row.state, row.found_at, row.decided_by, row.decided_at, row.reason,
        )
        .where(row.terminal_id == terminal_id, row.state != "arrived")
        .order_by(row.series, row.id)
    )  # fmt: skip
    return [Gap(one[0], one[1], (one[2], one[3]), *one[4:]) for one in db.session.execute(query)]


def add(terminal_id: int, series: str, runs: Iterable[Run], now: datetime) -> None:
    """Open an exception for each run."""
    of_terminal = {"terminal_id": terminal_id, "series": series, "state": "open", "found_at": now, "reason": ""}
    rows = [{**of_terminal, "first_number": first, "last_number": last} for first, last in runs]
    if rows:
        db.session.execute(insert(MissingNumber), rows)


def part(terminal_id: int, gap: Gap, missing: Sequence[Run], there: Sequence[Run], now: datetime) -> None:
    """Write what an arrival leaves of a run: its own row becomes the first part, the others stand beside it."""
    of_gap = {"series": gap.series, "found_at": gap.found_at, "decided_by": gap.decided_by, "decided_at": gap.decided_at}
    parts: list[dict[str, Any]] = [
        {**of_gap, "first_number": first, "last_number": last, "state": state, "reason": gap.reason, "arrived_at": at}
        for runs, state, at in ((missing, gap.state, None), (there, "arrived", now))
        for first, last in runs
    ]
    db.session.execute(update(MissingNumber).where(MissingNumber.id == gap.id).values(**parts[0]))
    if parts[1:]:
        db.session.execute(insert(MissingNumber), [{"terminal_id": terminal_id, **one} for one in parts[1:]])


# --- what a person decides -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MissingRow:
    """One run, as the list shows it: which numbers of which terminal, since when, and what is known of it."""

    id: int
    terminal_id: int
    terminal: str
    terminal_state: str
    last_contact_at: datetime | None
    collector: str
    collector_display: str
    series: str
    first_number: int
    last_number: int
    state: str
    found_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str
    arrived_at: datetime | None

    @property
    def count(self) -> int:
        """How many numbers."""
        return self.last_number - self.first_number + 1

    @property
    def numbers(self) -> str:
        """The numbers as printed."""
        return numbers.run_as_printed(self.series, self.terminal, (self.first_number, self.last_number))


@dataclass(frozen=True, slots=True)
class MissingFilter:
    """What the list shows; `state` open, explained, arrived or all, the rest empty = all."""

    state: str = "open"
    series: str = ""
    terminal: str = ""
    collector: str = ""


def _where(query: Any, wanted: MissingFilter) -> Any:
    if wanted.state != "all":
        query = query.where(MissingNumber.state == wanted.state)
    if wanted.series:
        query = query.where(MissingNumber.series == wanted.series)
    if wanted.terminal:
        query = query.where(MissingNumber.terminal_id.in_(select(Terminal.id).where(Terminal.code == wanted.terminal)))
    if wanted.collector:
        of_user = select(Terminal.id).join(User, User.id == Terminal.user_id).where(User.name == wanted.collector)
        query = query.where(MissingNumber.terminal_id.in_(of_user))
    return query


def _rows(query: Any) -> list[MissingRow]:
    return [MissingRow(*row) for row in db.session.execute(query)]


def _base() -> Any:
    names = [one.name for one in fields(MissingRow)][7:]
    of_row = [getattr(MissingNumber, name) for name in names]
    of_terminal = (Terminal.id, Terminal.code, Terminal.state, Terminal.last_contact_at, User.name, User.display_name)
    return (
        select(MissingNumber.id, *of_terminal, *of_row)
        .join(Terminal, Terminal.id == MissingNumber.terminal_id)
        .join(User, User.id == Terminal.user_id)
    )


def list_page(wanted: MissingFilter, before_id: int | None = None, limit: int = 50) -> list[MissingRow]:
    """Runs of a filter, the latest found first, those before `before_id` when it is given."""
    query = _where(_base(), wanted).order_by(MissingNumber.id.desc()).limit(limit)
    return _rows(query if before_id is None else query.where(MissingNumber.id < before_id))


def beside_spans(spans: Sequence[Span]) -> list[MissingRow]:
    """The runs that have not arrived, explained ones too, and that lie within a span or right before or after it; by terminal and
    number."""
    found: list[MissingRow] = []
    for start in range(0, len(spans), 500):
        some = {(terminal_id, series): (low, high) for terminal_id, series, low, high in spans[start : start + 500]}
        of_these = (MissingNumber.terminal_id.in_({terminal_id for terminal_id, _ in some}), MissingNumber.state != "arrived")
        for row in _rows(_base().where(*of_these)):
            low, high = some.get((row.terminal_id, row.series), (0, -1))
            if row.first_number <= high + 1 and row.last_number >= low - 1 and low <= high:
                found.append(row)
    return sorted(found, key=lambda row: (row.terminal, numbers.SERIES.index(row.series), row.first_number))


def count(wanted: MissingFilter) -> tuple[int, int]:
    """How many runs the filter lets through, and how many numbers they are."""
    numbers_in = func.sum(MissingNumber.last_number - MissingNumber.first_number + 1)
    runs, total = db.session.execute(_where(select(func.count(), numbers_in).select_from(MissingNumber), wanted)).one()
    return runs, int(total or 0)


def waiting() -> Queue:
    """Runs that nobody has explained and that have not arrived."""
    query = select(func.count(), func.min(MissingNumber.found_at)).where(MissingNumber.state == "open")
    return Queue(*db.session.execute(query).one())


def get(missing_id: int, lock: bool = False) -> MissingRow | None:
    """One run, or None; `lock` keeps an arrival out until the transaction ends."""
    query = _base().where(MissingNumber.id == missing_id)
    found = _rows(query.with_for_update(of=MissingNumber) if lock else query)
    return found[0] if found else None


def explain(missing_id: int, who: str, reason: str, now: datetime) -> None:
    """Write a supervisor's explanation of an open run."""
    values = {"state": "explained", "decided_by": who, "decided_at": now, "reason": reason}
    db.session.execute(update(MissingNumber).where(MissingNumber.id == missing_id).values(**values))


def reopen(missing_id: int) -> None:
    """Take an explanation back; the audit trail keeps it."""
    values = {"state": "open", "decided_by": None, "decided_at": None, "reason": ""}
    db.session.execute(update(MissingNumber).where(MissingNumber.id == missing_id).values(**values))


def terminals() -> list[str]:
    """Codes of the terminals that ever missed a number, in order."""
    about = select(MissingNumber.terminal_id)
    return list(db.session.scalars(select(Terminal.code).where(Terminal.id.in_(about)).order_by(Terminal.id)))


def collectors() -> list[tuple[str, str]]:
    """(name, display name) of their collectors."""
    about = select(Terminal.user_id).where(Terminal.id.in_(select(MissingNumber.terminal_id)))
    query = select(User.name, User.display_name).where(User.id.in_(about)).order_by(User.display_name)
    return [(name, display) for name, display in db.session.execute(query)]


# --- what stands beside a gap ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The payment whose receipt number stands right before or after a gap."""

    payment_id: str
    receipt_number: str
    collected_at: datetime
    journal_seq: int


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known around a gap of receipts, and how many entries the phone sent between that could not be booked."""

    before: Neighbour | None
    after: Neighbour | None
    set_aside: int


def beside(rows: Sequence[MissingRow]) -> dict[int, Beside]:
    """What stands around each gap of receipts, by the run's id."""
    receipts = [row for row in rows if row.series == "receipt"]
    wanted = {
        numbers.as_printed("receipt", row.terminal, number) for row in receipts for number in (row.first_number - 1, row.last_number + 1)
    }
    columns = (Payment.id, Payment.receipt_number, Payment.collected_at, Payment.journal_seq)
    query = select(*columns).where(Payment.receipt_number.in_(sorted(wanted)))
    found = {number: Neighbour(key, number, at, seq) for key, number, at, seq in db.session.execute(query) if number}
    told: dict[int, Beside] = {}
    for row in receipts:
        before = found.get(numbers.as_printed("receipt", row.terminal, row.first_number - 1))
        after = found.get(numbers.as_printed("receipt", row.terminal, row.last_number + 1))
        told[row.id] = Beside(before, after, 0)
    aside = _set_aside({row.id: (row.terminal_id, told[row.id]) for row in receipts})
    return {key: Beside(one.before, one.after, aside.get(key, 0)) for key, one in told.items()}


def _set_aside(places: Mapping[int, tuple[int, Beside]]) -> dict[int, int]:
    between: dict[int, ColumnElement[bool]] = {}
    for key, (terminal_id, one) in places.items():
        if one.after is not None:
            first = one.before.journal_seq if one.before else 0
            seqs = and_(JournalEntry.seq > first, JournalEntry.seq < one.after.journal_seq)
            between[key] = and_(JournalEntry.terminal_id == terminal_id, JournalEntry.verdict == "quarantined", seqs)
    if not between:
        return {}
    query = select(JournalEntry.terminal_id, JournalEntry.seq).where(or_(*between.values()))
    seen = [tuple(row) for row in db.session.execute(query)]
    counts = {}
    for key in between:
        terminal_id, one = places[key]
        after = one.after.journal_seq if one.after else 0
        first = one.before.journal_seq if one.before else 0
        counts[key] = sum(1 for terminal, seq in seen if terminal == terminal_id and first < seq < after)
    return counts


@dataclass(frozen=True, slots=True)
class OnThePhone:
    """Entries of a terminal that arrived before those in front of them: what is between is still on the phone. Not missing."""

    terminal: str
    collector_display: str
    last_contact_at: datetime | None
    acknowledged: int
    held: int
    oldest: datetime
    highest: int
    receipts: tuple[str, ...]

    @property
    def awaited(self) -> int:
        """How many entries the phone still owes."""
        return self.highest - self.acknowledged - self.held


def on_the_phone(limit: int = 50, most_entries: int = 500) -> list[OnThePhone]:
    """The terminals whose upload stopped half-way, who waits longest first, with the receipt numbers of what is held."""
    held = JournalAside
    figures = (func.count(), func.min(held.received_at), func.max(held.seq))
    query = (
        select(Terminal.id, Terminal.code, User.display_name, Terminal.last_contact_at, Terminal.head_seq, *figures)
        .join(Terminal, Terminal.id == held.terminal_id)
        .join(User, User.id == Terminal.user_id)
        .where(held.state == "held", held.seq > Terminal.head_seq)
        .group_by(Terminal.id, Terminal.code, User.display_name, Terminal.last_contact_at, Terminal.head_seq)
        .order_by(func.min(held.received_at), Terminal.id)
        .limit(limit)
    )
    rows = db.session.execute(query).all()
    texts: dict[int, list[str]] = {}
    of_these = (held.state == "held", held.terminal_id.in_([row[0] for row in rows]))
    entries = select(held.terminal_id, held.entry).where(*of_these).order_by(held.seq).limit(most_entries)
    for terminal_id, text in db.session.execute(entries):
        whole = json.loads(text)
        payload = whole.get("payload") if isinstance(whole, dict) else None
        if isinstance(payload, dict) and whole.get("kind") == "payment" and isinstance(payload.get("receipt_number"), str):
            texts.setdefault(terminal_id, []).append(payload["receipt_number"][:24])
    return [
        OnThePhone(code, display, contact, head, held_now, oldest, highest, tuple(texts.get(terminal_id, ())))
        for terminal_id, code, display, contact, head, held_now, oldest, highest in rows
    ]
