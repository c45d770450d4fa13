"""Planted bugs: each a small change of the real code, or of the model phone, at run time. The simulation must find every one."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import or_, select, update
from sqlalchemy.exc import OperationalError

from portal.domain import expenses as expense_rules
from portal.domain import journal as chain
from portal.domain import readings as rules
from portal.domain import receipts
from portal.domain import remittances as remittance_rules
from portal.domain import void_codes as void_code_rules
from portal.domain import voids as void_rules
from portal.domain.errors import InvalidInput
from portal.domain.payments import read_instant, read_payment
from portal.extensions import db
from portal.pscloud.client import PaymentResult
from portal.pscloud.fast import Reader
from portal.services import bookings, journal, postings, readings, restore, sync_swap, terminals
from portal.store import audit, ledger, restores, seen, soa_columns, soas, staging, sync_runs, visits
from portal.store import bookings as books
from portal.store import expenses as expense_store
from portal.store import journal as journal_store
from portal.store import postings as outbox
from portal.store import readings as readings_store
from portal.store import remittances as remittance_store
from portal.store import terminals as terminal_store
from portal.store import voids as void_store
from portal.store.models import AuditEntry, Payment, Posting, Reading, SyncRun
from tests.simulation import invariants
from tests.simulation.phone import Disk, Phone, uuid4
from tests.simulation.portal import Portal
from workers import schedule

Planting = Callable[[Portal], AbstractContextManager[object]]


@dataclass(frozen=True)
class Mutant:
    """A bug and what it stands for (a row of RELIABILITY 2 or 5, or a bug the simulation found)."""

    name: str
    stands_for: str
    plant: Planting
    focus: tuple[str, ...] = ()
    """Steps that are drawn more often, where the bug needs several of them at one moment."""
    crash: bool = False
    """Whether the product falling over is how it shows. Else an exception is a fault of the planting, not a bug that was found."""


MUTANTS: list[Mutant] = []


def bug(stands_for: str, *focus: str, crash: bool = False) -> Callable[[Planting], Planting]:
    """Put a bug into the list under its function's name."""

    def enter(plant: Planting) -> Planting:
        MUTANTS.append(Mutant(plant.__name__.replace("_", " "), stands_for, plant, focus, crash))
        return plant

    return enter


def swap(target: object, name: str, value: object) -> AbstractContextManager[object]:
    """The target's attribute is something else."""
    return patch.object(target, name, value)


# --- the database


def without_unique(table: str, columns: str) -> Planting:
    """The table is rebuilt without that constraint in every fresh database."""

    def door(raw: sqlite3.Connection) -> None:
        sql = raw.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()[0]
        others = raw.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql NOT NULL", (table,)
        ).fetchall()
        keys = (f"UNIQUE ({columns})", f"PRIMARY KEY ({columns})")
        lines = [line for line in sql.split("\n") if not any(key in line for key in keys)]
        assert len(lines) < len(sql.split("\n")), sql
        changed = "\n".join(lines).replace(f"CREATE TABLE {table}", "CREATE TABLE rebuilt", 1)
        changed = changed.replace(f'CREATE TABLE "{table}"', "CREATE TABLE rebuilt", 1)
        if changed.rstrip().removesuffix(")").rstrip().endswith(","):
            changed = changed.rstrip().removesuffix(")").rstrip().removesuffix(",") + ")"
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("PRAGMA legacy_alter_table = ON")
        raw.execute(changed)
        raw.execute(f"INSERT INTO rebuilt SELECT * FROM {table}")  # noqa: S608 - a name of ours
        raw.execute(f"DROP TABLE {table}")
        raw.execute(f"ALTER TABLE rebuilt RENAME TO {table}")
        for (statement,) in others:
            raw.execute(statement)
        raw.execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def plant(portal: Portal) -> Iterator[None]:
        portal.doors.append(door)
        try:
            yield
        finally:
            portal.doors.remove(door)

    return plant


@bug("erpnext 15699, kobotoolbox 5047: uniqueness only in code, not in the database")
def unique_receipt_number_dropped(portal: Portal) -> AbstractContextManager[object]:
    return without_unique("payments", "receipt_number")(portal)


@bug("F31: the same place of a journal twice")
def unique_place_in_the_journal_dropped(portal: Portal) -> AbstractContextManager[object]:
    return without_unique("journal_entries", "terminal_id, seq")(portal)


@bug("F16: two downloads at once; only behaviour is looked at, the missing constraint itself is forgiven", "sync")
@contextmanager
def two_downloads_at_once(portal: Portal) -> Iterator[None]:
    forgiven = {**invariants.UNIQUE, "sync_runs": set()}
    with without_unique("sync_runs", "active_slot")(portal), swap(invariants, "UNIQUE", forgiven):
        yield


@bug("I7: the trigger that protects the facts of a payment is gone, and a job tidies amounts")
@contextmanager
def amounts_are_rewritten(portal: Portal) -> Iterator[None]:
    def door(raw: sqlite3.Connection) -> None:
        raw.execute("DROP TRIGGER facts_of_a_payment")

    really = postings._settle

    def settle(items: Any, *rest: Any) -> None:
        really(items, *rest)
        more = {"amount": Payment.amount + 1, "tendered": Payment.tendered + 1}
        db.session.execute(update(Payment).where(Payment.id.in_([item.payment_id for item in items])).values(more))

    portal.doors.append(door)
    try:
        with swap(postings, "_settle", settle):
            yield
    finally:
        portal.doors.remove(door)


# --- the upload


@bug("FINERACT-2485, F32: same id, other content: answered as if it were the first", "copy goes on")
def changed_content_answered_as_repeat(_: Portal) -> AbstractContextManager[object]:
    return swap(journal._Batch, "_fork", lambda self, entry: ("repeat", ""))


@bug("odoo 125037: a fork's money is acknowledged and dropped as a duplicate", "copy goes on")
def fork_acknowledged_and_not_booked(_: Portal) -> AbstractContextManager[object]:
    return swap(journal._Batch, "_book_fork", lambda self, entry: None)


@bug("odoo 211219: entries behind a gap are answered as stored and kept nowhere", "bad line")
def held_entries_answered_as_stored(_: Portal) -> AbstractContextManager[object]:
    return swap(journal._Batch, "_hold", lambda self, entry: ("stored", ""))


@bug("held entries booked before what is missing came", "bad line")
@contextmanager
def held_entries_join_the_chain(_: Portal) -> Iterator[None]:
    with swap(journal._Batch, "_hold", lambda self, entry: self._accept(entry)):
        yield


@bug("erpnext 11230, F34: one bad entry blocks the whole upload", "poison", "upload")
def one_bad_entry_refuses_all(_: Portal) -> AbstractContextManager[object]:
    def refuse(_self: Any, _entry: Any, reason: str) -> tuple[str, str]:
        raise InvalidInput(reason)

    return swap(journal._Batch, "_quarantine", refuse)


@bug("F07, F11: the answer is given though the commit failed", "machine fails as it commits an upload")
@contextmanager
def answer_without_commit(_: Portal) -> Iterator[None]:
    class Session:
        def __getattr__(self, name: str) -> Any:
            return getattr(db.session, name)

        def commit(self) -> None:
            try:
                db.session.commit()
            except OperationalError:
                db.session.rollback()

    class Database:
        session = Session()

    with swap(journal, "db", Database()):
        yield


@bug("no savepoint: what a bad entry had half done stays", "poison", "upload", crash=True)
def no_savepoint(_: Portal) -> AbstractContextManager[object]:
    return patch.object(db.session, "begin_nested", lambda: nullcontext())


@bug("odoo 16781: a taken receipt number is not looked for, so the second sale is lost", "copy goes on")
def taken_number_not_noticed(_: Portal) -> AbstractContextManager[object]:
    return swap(books, "receipts_taken", lambda numbers: set())


@bug("found by this simulation: a clock that began anew in 1970 made entries unreadable", "move clock", "pay", "upload")
def clocks_before_2000_refused(_: Portal) -> AbstractContextManager[object]:
    really = read_instant

    def read(text: str) -> datetime:
        if text < "2000":
            raise InvalidInput("too old")
        return really(text)

    return swap(journal, "read_instant", read)


@bug("odoo 85527, OCA/pos 512, workbox 1480, POSNext 97, F30: what is sent again is booked again", "bad line")
@contextmanager
def sent_again_booked_again(_: Portal) -> Iterator[None]:
    really = journal._Batch._repeat

    def repeat(self: Any, entry: Any, known: Any) -> tuple[str, str]:
        answer = really(self, entry, known)
        if answer[0] == "repeat" and entry.kind == "payment":
            with own_ids():
                self._book(entry, main_chain=True)
        return answer

    with swap(journal._Batch, "_repeat", repeat):
        yield


def own_ids() -> AbstractContextManager[object]:
    """The portal gives each payment that it reads an id of its own."""
    fresh = Random(0)
    return swap(journal, "read_payment", lambda payload: replace(read_payment(payload), id=uuid4(fresh)))


@bug("fineract 5674, getodk/aggregate 331, I1: the server makes an id where it does not read the phone's", "bad line")
def server_makes_its_own_ids(_: Portal) -> AbstractContextManager[object]:
    return own_ids()


@bug("odoo 16781, OCA/l10n-spain 4921, F44: one series for each login, not for each phone", "enroll", "pay", "upload")
@contextmanager
def one_series_for_each_login(_: Portal) -> Iterator[None]:
    really = terminals.enroll

    def enroll(name: Any, key: Any, user_id: int, *rest: Any) -> Any:
        mine = [one for one in terminal_store.of_user(user_id) if one.state == "active"]
        return mine[0] if mine else really(name, key, user_id, *rest)

    with swap(terminals, "enroll", enroll), swap(terminals, "signature_fits", lambda key, text, signature: True):
        yield


@bug("a customer who could not be collected from is forgotten", "visit", "upload")
@contextmanager
def visit_forgotten(_: Portal) -> Iterator[None]:
    really = visits.add

    def add(visit: Any, terminal: Any, seq: int, visited_at: datetime, now: datetime) -> None:
        if visit.kind == "promise":
            really(visit, terminal, seq, visited_at, now)

    with swap(visits, "add", add):
        yield


# --- money


@bug("re-allocation loses a centavo", "settle", "pay", "upload")
@contextmanager
def reallocation_loses_a_centavo(_: Portal) -> Iterator[None]:
    really = bookings.allocate

    def allocate(payment: Any, soa: Any, unreflected: Any, flags: dict[str, str]) -> Any:
        parts = really(payment, soa, unreflected, flags)
        if "reallocated" in flags and parts[-1].amount > 1:
            parts[-1] = replace(parts[-1], amount=parts[-1].amount - 1)
        return parts

    with swap(bookings, "allocate", allocate):
        yield


@bug("an advance is dropped on the way into the ledger")
@contextmanager
def advance_dropped(_: Portal) -> Iterator[None]:
    really = books.write

    def write(rows: books.Rows) -> None:
        paid = {row["payment_id"] for row in rows.allocations if row["kind"] != "advance"}
        rows.allocations = [row for row in rows.allocations if row["kind"] != "advance" or row["payment_id"] not in paid]
        really(rows)

    with swap(books, "write", write):
        yield


@bug("automatic approval ignores flags", "pay", "upload")
@contextmanager
def flags_ignored_by_approval(_: Portal) -> Iterator[None]:
    really = books.write

    def write(rows: books.Rows) -> None:
        for row in rows.payments:
            if row["status"] != "approved":
                row["status"] = "approved"
                due = {"payment_id": row["id"], "status": "due", "next_attempt_at": row["received_at"], "created_at": row["received_at"]}
                rows.postings.append({**due, "outcome_unknown": False})
        really(rows)

    with swap(books, "write", write):
        yield


@bug("the list forgets payments that PSCloud does not show yet")
def unposted_payments_forgotten_in_the_list(_: Portal) -> AbstractContextManager[object]:
    return swap(ledger, "unreflected", lambda ids: {})


@bug("I28: a phone gets everybody's SOAs")
@contextmanager
def everybody_s_soas(_: Portal) -> Iterator[None]:
    really = soas.for_codes
    with swap(soas, "for_codes", lambda codes: really(["A1", "A2", "B1", "C1"])):
        yield


@bug("found by this simulation: a retry of failed records did not move the list's tag", "record mended by a retry")
def tag_does_not_move_with_a_retry(_: Portal) -> AbstractContextManager[object]:
    really = soa_columns.figures
    return swap(soa_columns, "figures", lambda: really()._replace(change=0, unconfirmed=0))


# --- readings


@bug("the Z counter is not moved", "z", "pay")
@contextmanager
def z_counter_stays(_: Portal) -> Iterator[None]:
    really = terminal_store.set_fields

    def set_fields(terminal_id: int, **values: Any) -> None:
        if "accumulated" in values:
            values.pop("z_counter")
        really(terminal_id, **values)

    with swap(terminal_store, "set_fields", set_fields):
        yield


@bug("Z counter and accumulated are taken from the phone", "next day", "pay")
@contextmanager
def accumulated_forgets_the_past(_: Portal) -> Iterator[None]:
    really = rules.z_reading

    def z_reading(period: Any, previous: Any, *rest: Any) -> dict[str, Any]:
        return really(period, rules.Counters(previous.z_counter, 0), *rest)

    with swap(rules, "z_reading", z_reading):
        yield


@bug("I8: the accumulated total is lowered", "z", "pay")
@contextmanager
def accumulated_lowered(_: Portal) -> Iterator[None]:
    really = rules.z_reading

    def z_reading(period: Any, previous: Any, *rest: Any) -> dict[str, Any]:
        reading = really(period, previous, *rest)
        reading["present_accumulated"] -= max((one.amount for one in period.payments), default=0)
        return reading

    with swap(rules, "z_reading", z_reading):
        yield


@bug("I13: expected cash counts cheques", "z", "pay")
@contextmanager
def expected_cash_counts_cheques(_: Portal) -> Iterator[None]:
    really = readings.period_of

    def period_of(*given: Any) -> Any:
        period = really(*given)
        return replace(period, payments=[replace(one, tender="cash") if one.tender == "check" else one for one in period.payments])

    with swap(readings, "period_of", period_of):
        yield


@bug("I9: a late payment falls between two Z", "payment comes after its Z")
def late_payments_fall_between(_: Portal) -> AbstractContextManager[object]:
    return swap(ledger, "in_no_z", lambda terminal_id, before_seq: {})


@bug("I9: a late payment enters every later Z", "payment comes after its Z")
@contextmanager
def late_payments_in_every_z(_: Portal) -> Iterator[None]:
    really = readings_store.cover

    def cover(reading_id: int, payment_ids: Any, *, late: bool) -> None:
        if not late:
            really(reading_id, payment_ids, late=late)

    with swap(readings_store, "cover", cover):
        yield


# --- voids and remittances


@bug("I8: a void lowers the accumulated total", "voided")
@contextmanager
def void_lowers_the_accumulated_total(_: Portal) -> Iterator[None]:
    really = rules.z_reading

    def z_reading(*given: Any) -> dict[str, Any]:
        reading = really(*given)
        reading["present_accumulated"] -= reading["less_void"]
        return reading

    with swap(rules, "z_reading", z_reading):
        yield


@bug("I13: a void is in no reading of the portal", "voided")
def void_in_no_reading(_: Portal) -> AbstractContextManager[object]:
    return swap(void_store, "counted_in_registry", lambda terminal_id, registry_id, before_seq: [])


@bug("I13: an expense comes off expected cash before anybody approved it", "spent")
def expense_counts_undecided(_: Portal) -> AbstractContextManager[object]:
    def counted(terminal_id: int, registry_id: str, before_seq: int, after_seq: int = 0) -> list[int]:
        noted = journal_store.of_registry(terminal_id, registry_id, ["expense"], before_seq)
        return [entry.payload["amount"] for entry in noted if entry.seq > after_seq]

    return swap(expense_store, "counted_in_registry", counted)


@bug("DOMAIN 1, S30: who spent the money approves the expense", "spent")
def who_spent_decides(_: Portal) -> AbstractContextManager[object]:
    return swap(expense_rules, "check_decider", lambda who, spent_by, state: None)


@bug("DOMAIN 1, S30: who asked for a void decides it", "voided")
def who_asks_decides(_: Portal) -> AbstractContextManager[object]:
    return swap(void_rules, "check_decider", lambda who, asked_by, collected_by, state: None)


@bug("S30: a supervisor's code is not looked at", "voided")
def code_not_checked(_: Portal) -> AbstractContextManager[object]:
    return swap(void_code_rules, "fits", lambda typed, right: True)


@bug("a payment is posted though its void waits or is approved", "voided", "work", "tick")
@contextmanager
def voided_and_posted(_: Portal) -> Iterator[None]:
    def claimable(now: datetime) -> Any:
        return ((Posting.status == "due") & (Posting.next_attempt_at <= now)) | (
            (Posting.status == "claimed") & (Posting.lease_until < now)
        )

    with swap(outbox, "_claimable", claimable), swap(postings, "_still_ours", lambda items, *_lease: items):
        yield


@bug("PSCloud is never told of an approved void", "voided")
@contextmanager
def pscloud_not_told_of_a_void(_: Portal) -> Iterator[None]:
    really = void_store.decide

    def decide(void_id: int, state: str, who: str, reason: str, now: datetime, to_pscloud: bool) -> None:
        really(void_id, state, who, reason, now, False)

    with swap(void_store, "decide", decide):
        yield


@bug("I13: a remittance of two Z-readings expects the cash of one", "pay", "upload", "z", "next day", "remit")
@contextmanager
def remittance_expects_one_z(_: Portal) -> Iterator[None]:
    really = remittance_rules.expected_cash
    with swap(remittance_rules, "expected_cash", lambda readings: really(list(readings)[:1])):
        yield


@bug("the same money is taken in twice: a Z-reading goes into a second remittance", "z", "remit")
@contextmanager
def z_reading_remitted_twice(portal: Portal) -> Iterator[None]:
    def every(user_id: int | None = None) -> list[Any]:
        query = remittance_store._readings()
        return remittance_store._due(query if user_id is None else query.where(Reading.user_id == user_id))

    forgiven = {**invariants.UNIQUE, "remittance_readings": set()}
    lost = without_unique("remittance_readings", "reading_id")
    with lost(portal), swap(invariants, "UNIQUE", forgiven), swap(remittance_store, "waiting_readings", every):
        yield


# --- the database put back to a backup

FORGETFUL = ("back up database", "restore database", "enroll", "pay", "upload", "work", "contact")


@bug("F14, I29: phones are not told that the database was put back", "back up database", "restore database", "copy goes on", "upload")
def restore_is_not_told(_: Portal) -> AbstractContextManager[object]:
    return swap(restore, "restored_at", lambda: None)


@bug("F14, I2: PSCloud is not asked what it holds after the database was put back", *FORGETFUL)
@contextmanager
def not_asked_after_a_restore(_: Portal) -> Iterator[None]:
    with swap(restores, "ever", lambda: False), swap(restores, "ask_before_posting", lambda: 0):
        yield


@bug("F14, I5: terminal codes that the database forgot are given again", *FORGETFUL)
def codes_given_again_after_a_restore(_: Portal) -> AbstractContextManager[object]:
    return swap(restores, "last_skipped", lambda: 0)


# --- posting


@bug("F04, healthchecks: the outbox row is written after the commit", "machine fails as it commits an upload")
@contextmanager
def outbox_row_after_the_commit(_: Portal) -> Iterator[None]:
    later: list[dict[str, Any]] = []
    really, really_write = journal.receive, books.write

    def write(rows: books.Rows) -> None:
        later.extend(rows.postings)
        rows.postings = []
        really_write(rows)

    def receive(*given: Any) -> Any:
        later.clear()
        with swap(books, "write", write):
            answer = really(*given)
        really_write(books.Rows(postings=later))
        db.session.commit()
        return answer

    with swap(journal, "receive", receive):
        yield


@bug("RELIABILITY 1.5, rq 2015: no sweep, a lost job is lost for ever", "redis", "pay", "upload")
@contextmanager
def sweep_missing(_: Portal) -> Iterator[None]:
    really = schedule.Scheduler._look_at

    def look_at(self: Any, one: Any, now: datetime) -> None:
        if one.name != "sweep":
            really(self, one, now)

    with swap(schedule.Scheduler, "_look_at", look_at):
        yield


@bug("RELIABILITY 3: a claimed payment is claimed again by the next worker, and nobody looks again", "two workers on one payment")
@contextmanager
def lease_ignored(_: Portal) -> Iterator[None]:
    really = outbox._claimable

    def claimable(now: datetime) -> Any:
        return or_(really(now), Posting.status == "claimed")

    with swap(outbox, "_claimable", claimable), swap(postings, "_still_ours", lambda items, *_lease: items):
        yield


@bug("F02: a worker that slept past its lease sends what another one sent meanwhile", "worker sleeps between two requests")
def lease_not_looked_at_before_sending(_: Portal) -> AbstractContextManager[object]:
    return swap(postings, "_still_ours", lambda items, *_lease: items)


@bug("a claim never expires: what a dead worker held hangs for ever (commcare-hq 22290)", "posted without an answer")
def lease_never_expires(_: Portal) -> AbstractContextManager[object]:
    really = outbox._claimable
    return swap(outbox, "_claimable", lambda now: really(now) & (Posting.status == "due"))


@bug("F02: a worker whose lease is over writes its result all the same", "two workers on one payment")
@contextmanager
def late_result_of_a_lost_lease(_: Portal) -> Iterator[None]:
    def finish(ended: Any, lease: str, status: str, now: datetime) -> set[int]:
        for one in ended:
            values = {"status": status, "last_error": one.error, "last_answer": one.answer, "finished_at": now, "lease": None}
            free = {**values, "lease_until": None, "outcome_unknown": False}
            db.session.execute(update(Posting).where(Posting.id == one.posting_id).values(**free))
        return {one.posting_id for one in ended}

    with swap(outbox, "finish", finish):
        yield


@bug("F03, odoo 85527: PSCloud is not asked before sending again", "posted without an answer")
def ask_first_skipped(_: Portal) -> AbstractContextManager[object]:
    return swap(postings, "_ask", lambda client, items, lease, now, outcome: items)


@bug("F03: a timeout is taken for a refusal", "posted without an answer")
@contextmanager
def unknown_outcome_taken_for_no(_: Portal) -> Iterator[None]:
    really = outbox.postpone
    with swap(outbox, "postpone", lambda posting, lease, error, at, unknown: really(posting, lease, error, at, False)):
        yield


@bug("F29: no result for a payment is taken for success", "work", "upload", "pay")
@contextmanager
def silence_taken_for_success(_: Portal) -> Iterator[None]:
    def postpone(items: Any, lease: str, reason: str, unknown: bool, at: datetime, outcome: Any, wish: Any = None) -> None:
        taken = {item.payment_id: PaymentResult(item.payment_id, "accepted", "P0", "", "", "{}") for item in items}
        postings._settle(items, lease, taken, at, outcome)

    with swap(postings, "_postpone", postpone):
        yield


@bug("fineract 5674: a new reference for each attempt")
@contextmanager
def new_reference_for_each_attempt(_: Portal) -> Iterator[None]:
    really = postings._to_post

    def to_post(item: Any) -> Any:
        return replace(really(item), reference=f"{item.payment_id[:-2]}{item.attempts:02d}")

    with swap(postings, "_to_post", to_post):
        yield


@bug("a hold leaves the payment in the outbox", "hold", "pay", "upload")
def hold_not_withdrawn(_: Portal) -> AbstractContextManager[object]:
    return swap(outbox, "withdraw", lambda payment_id: True)


@bug("I25: the audit row is written in a second transaction", "machine fails as it commits an upload")
@contextmanager
def audit_row_after_the_commit(_: Portal) -> Iterator[None]:
    later: list[audit.Event] = []
    really_receive, really_add = journal.receive, audit.add_all

    def receive(*given: Any) -> Any:
        later.clear()
        with swap(audit, "add_all", later.extend):
            answer = really_receive(*given)
        really_add(later)
        db.session.commit()
        return answer

    with swap(journal, "receive", receive):
        yield


@bug("I24: an audit row is changed afterwards, where no trigger stands in the way")
@contextmanager
def audit_row_changed_afterwards(portal: Portal) -> Iterator[None]:
    def door(raw: sqlite3.Connection) -> None:
        raw.execute("DROP TRIGGER audit_log_is_written_once")

    really = postings._settle

    def settle(items: Any, *rest: Any) -> None:
        really(items, *rest)
        of_payments = AuditEntry.subject.in_([item.payment_id for item in items])
        db.session.execute(update(AuditEntry).where(of_payments).values(who="nobody"))

    portal.doors.append(door)
    try:
        with swap(postings, "_settle", settle):
            yield
    finally:
        portal.doors.remove(door)


# --- downloads


@bug("I16: a page is visible as soon as it is read", "list moves while it is read")
@contextmanager
def staged_page_visible_early(_: Portal) -> Iterator[None]:
    really = staging.put_rows

    def put_rows(rows: Sequence[Any], words: Any = None) -> None:
        really(rows, words)
        for run_id in db.session.scalars(select(SyncRun.id).where(SyncRun.status == "processing")).all():
            staging.drop_repeated(run_id)
            staging.write_changed(run_id, new_day())

    with swap(staging, "put_rows", put_rows):
        yield


def new_day() -> Any:
    """Any day."""
    return datetime(2026, 11, 20).date()  # noqa: DTZ001 - a date


@bug("I19, pouchdb 7847: the mark of the last download moves before its data", "worker dies in mid-download")
@contextmanager
def watermark_moved_early(_: Portal) -> Iterator[None]:
    really = sync_swap.swap

    def swap_(work: Any, codes: Any, summary: Any) -> None:
        done = {"status": "completed", "active_slot": None, "finished_at": work.now(), "as_of": work.as_of}
        db.session.execute(update(SyncRun).where(SyncRun.id == work.run_id).values(**done))
        db.session.commit()
        back = {"status": "processing", "active_slot": 1, "finished_at": None}
        db.session.execute(update(SyncRun).where(SyncRun.id == work.run_id).values(**back))
        really(work, codes, summary)

    with swap(sync_swap, "swap", swap_):
        yield


@bug("openlinker 2032, I18: closing on an incomplete snapshot", "list moves while it is read")
def closing_on_an_incomplete_snapshot(_: Portal) -> AbstractContextManager[object]:
    return swap(sync_swap, "_doubt_about_totals", lambda work, staged, failures, summary: "")


@bug("found by this simulation: equal counts hide a skipped SOA", "list moves while it is read")
@contextmanager
def counts_alone_confirm(_: Portal) -> Iterator[None]:
    really = sync_swap._doubt_about_totals

    def doubt(work: Any, staged: Any, failures: Any, summary: Any) -> str:
        found = really(work, staged, failures, summary)
        return found if "count" in found else ""

    with swap(sync_swap, "_doubt_about_totals", doubt):
        yield


@bug("I18: a record that could not be read is taken for absent", "retry records")
def unreadable_taken_for_absent(_: Portal) -> AbstractContextManager[object]:
    really = seen._absent
    return swap(seen, "_absent", lambda run_id: really(run_id)[:2])


@bug("I19: a record is recognised by its beginning, whatever follows")
def record_recognised_by_its_beginning(_: Portal) -> AbstractContextManager[object]:
    return swap(Reader, "digest", lambda self, raw: hashlib.sha256(raw[:60]).hexdigest()[:32])


@bug("an ended run's worker finishes it all the same", "cancelled in mid-download")
@contextmanager
def cancelled_run_completes(_: Portal) -> Iterator[None]:
    really = sync_runs._move

    def move(run_id: int, held: tuple[str, ...], holder: str | None, **values: Any) -> bool:
        return really(run_id, (*held, "cancelled", "failed") if holder else held, None, **values)

    with swap(sync_runs, "_move", move):
        yield


# --- the phone


@bug("odoo 211219, workbox 2599: removed from what is unsent before the answer came", "bad line")
@contextmanager
def marked_when_sent(_: Portal) -> Iterator[None]:
    really = Phone.body

    def body(self: Phone, code: str, entries: Sequence[Any]) -> dict[str, Any]:
        made = really(self, code, entries)
        for entry in entries:
            self.disk.marks[code][entry.seq] = "stored"
            self.on_marked(code, entry, "stored")
        return made

    with swap(Phone, "body", body):
        yield


@bug("odoo 211219: the phone deletes what it sent")
@contextmanager
def deleted_when_sent(_: Portal) -> Iterator[None]:
    really = Phone.body

    def body(self: Phone, code: str, entries: Sequence[Any]) -> dict[str, Any]:
        made = really(self, code, entries)
        self.disk.entries[code] = [entry for entry in self.disk.entries[code] if entry not in entries]
        return made

    with swap(Phone, "body", body):
        yield


@bug("F36: a 500, or a hotel's web page, is stored as an answer", "bad line")
@contextmanager
def any_answer_counts(_: Portal) -> Iterator[None]:
    really = Phone.take_answer

    def take(self: Phone, code: str, sent: Sequence[Any], status: int, answer: Mapping[str, Any] | None) -> None:
        if (status and status != 200) or (status == 200 and answer is None):
            answer = {"verdicts": [{"seq": entry.seq, "status": "stored"} for entry in sent]}
            status = 200
        really(self, code, sent, status, answer)

    with swap(Phone, "take_answer", take):
        yield


@bug("odoo 125037, F40: the receipt number is taken outside the transaction", "phone dies as it saves")
@contextmanager
def number_taken_outside_the_transaction(_: Portal) -> Iterator[None]:
    def number(self: Phone) -> str:
        code = self.disk.current
        taken = self.disk.heads[code].receipt + 1
        self.commit(lambda disk: disk.heads.__setitem__(code, replace(disk.heads[code], receipt=taken)))
        return receipts.receipt_number(code, taken)

    with swap(Phone, "number", number), swap(Phone, "took", lambda self, head: head.receipt):
        yield


@bug("odoo 267799, F41: the number is stored later than the payment", "phone dies as it saves")
@contextmanager
def number_stored_later(_: Portal) -> Iterator[None]:
    really = Phone.confirm

    def confirm(self: Phone, draft: Mapping[str, Any]) -> Any:
        with swap(Phone, "took", lambda self, head: head.receipt):
            before = len(self.disk.payments)
            entry = really(self, draft)
        if len(self.disk.payments) > before:
            code = self.disk.current
            self.commit(lambda disk: disk.heads.__setitem__(code, replace(disk.heads[code], receipt=disk.heads[code].receipt + 1)))
        return entry

    with swap(Phone, "confirm", confirm):
        yield


@bug("odoo 267799, F40: Saved is said 300 ms before it is stored", "phone dies as it saves")
@contextmanager
def saved_is_said_before_it_is_stored(_: Portal) -> Iterator[None]:
    really = Phone._append

    def append(self: Phone, kind: str, payload: dict[str, Any], then: Any) -> Any:
        if kind == "payment":
            head = self.disk.heads[self.disk.current]
            self.on_confirmed(chain.append(self.disk.current, head.seq + 1, kind, self.at(), None, payload, head.hash))
        return really(self, kind, payload, then)

    with swap(Phone, "_append", append):
        yield


@bug("odoo 125037, F41: storage is not flushed for five seconds, and the number of what is lost is given again", "phone dies as it saves")
@contextmanager
def storage_not_flushed(_: Portal) -> Iterator[None]:
    really_commit, really_restart = Phone.commit, Phone.restart
    unflushed: WeakKeyDictionary[Phone, list[tuple[datetime, Disk]]] = WeakKeyDictionary()

    def still_in_memory(self: Phone) -> list[tuple[datetime, Disk]]:
        return [(at, disk) for at, disk in unflushed.get(self, []) if (self.now() - at).total_seconds() < 5]

    def commit(self: Phone, change: Any) -> None:
        unflushed[self] = [*still_in_memory(self), (self.now(), self.disk.copy())]
        really_commit(self, change)

    def restart(self: Phone) -> None:
        lost = still_in_memory(self)
        if lost:
            self.disk = lost[0][1]
        unflushed[self] = []
        really_restart(self)

    with swap(Phone, "commit", commit), swap(Phone, "restart", restart):
        yield


@bug("odoo 152259, POSNext 50, F43, F46: two tabs upload, and the second records what it holds anew under other numbers", "upload")
@contextmanager
def second_tab_records_anew(_: Portal) -> Iterator[None]:
    really = Phone.body
    fresh = Random(0)

    def body(self: Phone, code: str, entries: Sequence[Any]) -> dict[str, Any]:
        made = really(self, code, entries)
        for entry in [one for one in entries if one.kind == "payment" and code == self.disk.current]:
            payload = {**entry.payload, "payment": uuid4(fresh), "receipt_number": self.number()}

            def then(disk: Disk, again: Any, after: Any) -> Any:
                disk.payments[again.payload["payment"]] = again
                return replace(after, receipt=self.took(after))

            self.write("payment", payload, then)
        return made

    with swap(Phone, "body", body):
        yield


@bug("erpnext 12971, 11000, F47: ids are made from the clock's seconds", "pay")
@contextmanager
def ids_from_the_clock(_: Portal) -> Iterator[None]:
    really = Phone.draft

    def draft(self: Phone, rng: Random) -> dict[str, Any]:
        return {**really(self, rng), "intent": str(UUID(int=int(self.now().timestamp()), version=4))}

    with swap(Phone, "draft", draft):
        yield


@bug("odoo 284790, 60939, F42: the browser throws the store away, and the phone begins anew as if nothing had been", "pay", "restart phone")
@contextmanager
def store_thrown_away(_: Portal) -> Iterator[None]:
    really = Phone.restart

    def restart(self: Phone) -> None:
        self.disk = Disk()
        really(self)

    with swap(Phone, "restart", restart):
        yield


@bug("getodk/collect 6125, F54: a payment can be deleted while it waits to be sent", "pay", "restart phone")
@contextmanager
def deleted_while_it_waits(_: Portal) -> Iterator[None]:
    really = Phone.restart

    def restart(self: Phone) -> None:
        code = self.disk.current
        last = self.disk.entries[code][-1] if self.disk.entries.get(code) else None
        if last is not None and last.kind == "payment" and last.seq not in self.disk.marks[code]:
            head = self.disk.heads[code]
            self.disk.entries[code].pop()
            self.disk.payments.pop(last.payload["payment"])
            self.disk.heads[code] = replace(head, seq=last.seq - 1, hash=last.prev, receipt=head.receipt - 1)
        really(self)

    with swap(Phone, "restart", restart):
        yield


@bug("getodk/collect 5317, F32: what was sent and not answered yet is edited: same id, other content", "bad line")
@contextmanager
def edited_while_it_waits(_: Portal) -> Iterator[None]:
    really = Phone.body

    def body(self: Phone, code: str, entries: Sequence[Any]) -> dict[str, Any]:
        made = really(self, code, entries)
        last = self.disk.entries[code][-1]
        if last in entries and last.kind == "payment":
            payload = {**last.payload, "reference": "corrected"}
            edited = chain.append(code, last.seq, last.kind, last.at, None, payload, last.prev)
            self.disk.entries[code][-1] = self.disk.payments[last.payload["payment"]] = edited
            self.disk.heads[code] = replace(self.disk.heads[code], hash=edited.hash)
        return made

    with swap(Phone, "body", body):
        yield


@bug("pouchdb 7847, F42: the mark of the last download outlives its data", "restart phone", "download")
@contextmanager
def mark_outlives_the_list(_: Portal) -> Iterator[None]:
    really = Phone.restart

    def restart(self: Phone) -> None:
        if self.disk.snapshot:
            self.disk.snapshot = {**self.disk.snapshot, "soas": []}
        really(self)

    with swap(Phone, "restart", restart):
        yield


@bug("commcare-android 2.42.2, odoo 203431, F49, F55: who is logged out at the end of the day loses what is unsent", "pay", "z")
@contextmanager
def logout_erases_what_is_unsent(_: Portal) -> Iterator[None]:
    really = Phone.close

    def close(self: Phone) -> None:
        really(self)
        code = self.disk.current
        self.disk.entries[code] = [entry for entry in self.disk.entries[code] if entry.seq in self.disk.marks[code]]

    with swap(Phone, "close", close):
        yield


@bug("POSNext 50, F47: a double tap makes two payments", "pay")
@contextmanager
def double_tap_makes_two(_: Portal) -> Iterator[None]:
    really = Phone.confirm

    def confirm(self: Phone, draft: Mapping[str, Any]) -> Any:
        self.disk.payments.pop(draft["intent"], None)
        return really(self, draft)

    with swap(Phone, "confirm", confirm):
        yield


@bug("odoo 288974, F50: a download replaces what is unsent", "pay", "download")
@contextmanager
def download_replaces_unsent(_: Portal) -> Iterator[None]:
    really = Phone.take_snapshot

    def take(self: Phone, made: dict[str, Any]) -> None:
        really(self, made)
        code = self.disk.current
        marks = self.disk.marks[code]
        self.disk.entries[code] = [entry for entry in self.disk.entries[code] if entry.seq in marks or entry.kind != "payment"]

    with swap(Phone, "take_snapshot", take):
        yield


@bug("F44: a phone put back to an older copy goes on with its series", "copy goes on")
@contextmanager
def series_goes_on_after_a_restore(_: Portal) -> Iterator[None]:
    with ExitStack() as stack:
        really = Phone.compare

        def compare(self: Phone, code: str, state: str, acknowledged: int, head_hash: str, *rest: Any) -> None:
            really(self, code, state, 0, "", *rest)

        stack.enter_context(swap(Phone, "compare", compare))
        yield


@bug("I10: the phone's Z forgets what is unsent", "pay", "z")
@contextmanager
def z_forgets_unsent(_: Portal) -> Iterator[None]:
    really = Phone.period

    def period(self: Phone) -> Any:
        made = really(self)
        marks = self.disk.marks[self.disk.current]
        entries = {e.payload["receipt_number"]: e.seq for e in self.disk.entries[self.disk.current] if e.kind == "payment"}
        return replace(made, payments=[one for one in made.payments if entries[str(one.receipt_number)] in marks])

    with swap(Phone, "period", period):
        yield


# --- what was lost elsewhere

LOSSES: dict[str, tuple[str, ...]] = {
    "answer lost after the commit, sent again, booked twice (odoo PR 85527, OCA/pos 512)": ("sent again booked again", "ask first skipped"),
    "the client deletes all it sent though the server took some (odoo PR 211219)": (
        "deleted when sent",
        "any answer counts",
        "held entries answered as stored",
    ),
    "300 ms before it is stored: a paid order is lost on reload (odoo PR 267799)": (
        "saved is said before it is stored",
        "number stored later",
    ),
    "storage not flushed, the number used again, the next order dropped as a duplicate (odoo 125037)": (
        "storage not flushed",
        "number taken outside the transaction",
        "fork acknowledged and not booked",
    ),
    "two tabs: the same orders under other numbers (odoo 152259)": ("second tab records anew",),
    "two browsers, one login: the same receipt number (odoo 16781, OCA/l10n-spain 4921)": (
        "one series for each login",
        "taken number not noticed",
        "series goes on after a restore",
    ),
    "an older draft of the server's overwrites what is paid on the phone (odoo PR 288974)": ("download replaces unsent",),
    "the browser throws unsent orders away (odoo PR 284790, 60939)": ("store thrown away",),
    "the day is closed with unsent orders in the browser (odoo 203431, PR 137648)": ("z forgets unsent", "logout erases what is unsent"),
    "unique only in the code; ids made from the time collide (erpnext PR 15699, 12971, 11000)": (
        "unique receipt number dropped",
        "ids from the clock",
    ),
    "one bad record blocks the queue (erpnext PR 11230, commcare-android 2.36.1)": ("one bad entry refuses all", "no savepoint"),
    "automatic and manual sending: an invoice twice (POSNext 50, 97, workbox 600)": ("double tap makes two", "sent again booked again"),
    "removed from the queue before the retry succeeded (workbox 2599)": ("marked when sent",),
    "a POST replayed in the background (workbox 1480)": ("sent again booked again",),
    "identical requests pass the check together (kobotoolbox/kpi 5047)": (
        "unique place in the journal dropped",
        "two downloads at once",
    ),
    "edited after a crash in mid-send: same id, other content (getodk/collect 5317)": (
        "edited while it waits",
        "changed content answered as repeat",
    ),
    "no id in the record (getodk/aggregate 331)": ("server makes its own ids",),
    "a record can be deleted while it waits (getodk/collect 6125)": ("deleted while it waits",),
    "the mark outlived the data (pouchdb 7847)": ("mark outlives the list", "watermark moved early"),
    "logged out in mid-form (commcare-android 2.42.2)": ("logout erases what is unsent",),
    "same key, other amount: the first one's answer (FINERACT-2485)": ("changed content answered as repeat",),
    "the server makes up a key (fineract PR 5674)": ("server makes its own ids", "new reference for each attempt"),
    "a lock never released (commcare-hq PR 22290)": ("lease never expires", "lease ignored"),
    "pages shift, rows are skipped for ever (openlinker PR 2032, breeze 3462)": (
        "closing on an incomplete snapshot",
        "counts alone confirm",
        "unreadable taken for absent",
    ),
    "jobs of killed workers vanish (rq 2015, 1461, 1716, 2061)": ("sweep missing", "outbox row after the commit"),
}
"""RELIABILITY 2: real losses and duplicates elsewhere, and the bugs planted for each."""
