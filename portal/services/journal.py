"""Receiving a terminal's journal: each entry stored once, booked in a savepoint of its own, answered with a verdict (docs/journal.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, ClassVar

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from portal.domain import journal
from portal.domain.errors import Conflict, Forbidden, InvalidInput, PortalError
from portal.domain.journal import Entry, Sorted
from portal.domain.money import from_centavos
from portal.domain.payments import Payment, Reader, read_instant, read_payment
from portal.domain.visits import read_visit
from portal.extensions import db
from portal.services import expenses, missing, readings, terminals, voids
from portal.services.bookings import Bookings, Sender
from portal.store import audit, incidents, users, visits
from portal.store import journal as store
from portal.store import terminals as terminal_store
from portal.store.terminals import TerminalRow

log = structlog.get_logger(__name__)
LIMIT = 500
TOGETHER = frozenset({"payment", "enrolled", "receipt_printed", "no_collection", "promise", "count"})
"""Kinds that can be booked by set: none of them changes what another one of them meets, but payments, which are worked out in order."""
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class WrongTerminal(Forbidden):
    """The terminal is not this user's, or does not exist."""

    code = "wrong_terminal"


class BadSignature(Forbidden):
    """The upload was not signed by this terminal's key."""

    code = "bad_signature"


class SignedOut(PortalError):
    """Who sends has to log in."""

    code = "signed_out"
    status = 401


class BadRequest(PortalError):
    """The request is not a journal upload."""

    code = "bad_request"


class TooLarge(PortalError):
    """More entries than one upload may carry."""

    code = "too_large"
    status = 413
    extra: ClassVar[Mapping[str, object]] = {"limit": LIMIT}


@dataclass(frozen=True, slots=True)
class Uploader:
    """Who sends: a signed-in collector, or one who may not log in any more; `handed_in_by` names who brought it as a file."""

    user_id: int
    name: str
    disabled: bool = False
    handed_in_by: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the phone is told, with the decisions on voids and expenses its journal does not hold yet; `approved` says that something may be
    posted to PSCloud now."""

    acknowledged_seq: int
    verdicts: list[dict[str, Any]]
    approved: bool
    voids: list[dict[str, Any]]
    expenses: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings that decide what is held for a person."""

    approval: str
    stale_soa_days: int


def read_entries(raw: object, terminal: str) -> list[Entry]:
    """The entries of a request. Raises BadRequest when one cannot be placed in a chain; wrong content is judged later, one by one."""
    if not isinstance(raw, list):
        raise BadRequest("entries must be a list.")
    if len(raw) > LIMIT:
        raise TooLarge(f"Send at most {LIMIT} entries at once.")
    return [_read_entry(item, index, terminal) for index, item in enumerate(raw)]


def _read_entry(item: object, index: int, terminal: str) -> Entry:
    if not isinstance(item, Mapping):
        raise BadRequest(f"Entry {index} is not an object.")
    seq, prev, own = item.get("seq"), item.get("prev"), item.get("hash")
    if isinstance(seq, bool) or not isinstance(seq, int) or not 1 <= seq <= 2**31 - 1:
        raise BadRequest(f"Entry {index} has no valid seq.")
    if not (isinstance(prev, str) and isinstance(own, str) and _HASH.fullmatch(prev) and _HASH.fullmatch(own)):
        raise BadRequest(f"Entry {index} (seq {seq}) has no valid prev or hash.")
    if item.get("terminal") != terminal:
        raise BadRequest(f"Entry {index} (seq {seq}) is of another terminal.")
    return Entry(terminal, seq, item.get("kind"), item.get("at"), item.get("at_trusted"), item.get("payload"), prev, own)  # type: ignore[arg-type]


def _read_upload(code: object, raw_entries: object) -> tuple[str, list[Entry]]:
    if not isinstance(code, str) or len(code) > 12:
        raise BadRequest("terminal must be the terminal's code.")
    return code, read_entries(raw_entries, code)


def receive_from_disabled(code: object, raw_entries: object, signature: object, policy: Policy, now: datetime) -> Answer:
    """Take an upload of a collector whose login was disabled or is a collector's no more, on the terminal's signature alone: money that was
    collected is never refused (DOMAIN 11.17); its payments are held.

    Raises BadRequest or TooLarge for what is no upload of anybody; SignedOut, in the same words whatever the terminal, unless the signature
    is right and the collector cannot log in."""
    code, entries = _read_upload(code, raw_entries)
    terminal = terminal_store.by_code(code)
    user = users.get(terminal.user_id) if terminal else None
    if user is not None and entries and not (user.active and "collector" in user.roles):
        try:
            return receive(code, raw_entries, signature, Uploader(user.id, user.name, disabled=True), policy, now)
        except (WrongTerminal, BadSignature):
            db.session.rollback()
    raise SignedOut("Log in to upload. Everything stays on the phone until then.")


def receive(code: object, raw_entries: object, signature: object, uploader: Uploader, policy: Policy, now: datetime) -> Answer:
    """Take one upload. Everything of it is committed together, then the answer is given; the same upload again changes nothing.

    Raises BadRequest, TooLarge, WrongTerminal or BadSignature, and then nothing was stored."""
    code, entries = _read_upload(code, raw_entries)
    terminal = terminal_store.by_code(code, lock=True)
    if terminal is None or terminal.user_id != uploader.user_id:
        raise WrongTerminal("This terminal is not enrolled for you. Enroll this phone first.")
    if terminal.state == "waiting":
        raise WrongTerminal("This terminal waits for an admin's approval. Everything stays on the phone until then.")
    if not entries:
        decisions, decided = voids.decisions_for(terminal.id), expenses.decisions_for(terminal.id)
        db.session.rollback()
        return Answer(terminal.head_seq, [], False, decisions, decided)
    last = entries[-1]
    if not terminals.signature_fits(terminal.public_key, journal.signed_text(code, last.seq, last.hash), signature):
        raise BadSignature("The upload was not signed by the key of this terminal, so nothing was stored.")
    voids.lock_named(entries, terminal)
    expenses.lock_named(entries, terminal)
    batch = _Batch(terminal, uploader, policy, store.add_upload(terminal.id, uploader.user_id, entries, str(signature), now), now)
    verdicts = batch.take(entries)
    if terminal.state == "revoked" and batch.head_seq > terminal.head_seq:
        detail = f"{code} was revoked and sent entries {terminal.head_seq + 1} to {batch.head_seq}. Its payments wait for approval."
        incidents.add("revoked_terminal", detail, now, terminal.id, code)
    if uploader.disabled and batch.head_seq > terminal.head_seq:
        sent = f"entries {terminal.head_seq + 1} to {batch.head_seq} from {code}"
        detail = f"{uploader.name} may not log in any more and sent {sent}. Payments in them wait for approval."
        incidents.add("disabled_collector", detail, now, terminal.id, code)
    if uploader.handed_in_by:
        taken = {"collector": uploader.name, "entries": len(entries), "first": entries[0].seq, "last": last.seq}
        audit.add(uploader.handed_in_by, "rescue_file_taken", code, taken, now)
    terminal_store.set_fields(terminal.id, last_contact_at=now, head_seq=batch.head_seq, head_hash=batch.head_hash)
    missing.notice(terminal, uploader.name, now)
    decisions, decided = voids.decisions_for(terminal.id), expenses.decisions_for(terminal.id)
    db.session.commit()
    return Answer(batch.head_seq, verdicts, batch.approved, decisions, decided)


class _Batch:
    """One upload on its way into the journal and the ledger."""

    def __init__(self, terminal: TerminalRow, uploader: Uploader, policy: Policy, upload_id: int, now: datetime) -> None:
        self.terminal, self.uploader, self.policy, self.upload_id, self.now = terminal, uploader, policy, upload_id, now
        self.head_seq, self.head_hash = terminal.head_seq, terminal.head_hash
        self.approved, self.told = False, ""
        self.aside: dict[str, tuple[str, str]] = {}
        self.codes = users.codes_of(terminal.user_id)

    def take(self, entries: list[Entry]) -> list[dict[str, Any]]:
        """Store and book all; verdicts in the order sent."""
        known = store.stored(self.terminal.id, {entry.seq for entry in entries})
        self.aside = store.asides(self.terminal.id, {entry.hash for entry in entries} | {entry.prev for entry in entries})
        forked = frozenset(hash_ for hash_, (state, _) in self.aside.items() if state == "conflict")
        hashes = {seq: row.hash for seq, row in known.items()}
        verdicts: dict[int, dict[str, Any]] = {}
        in_order = journal.verify(entries, self.head_seq, self.head_hash, hashes, forked)
        for together, items in groupby(in_order, key=lambda item: item.place == "accepted" and item.entry.kind in TOGETHER):
            group = list(items)
            answers = self._accept_all([item.entry for item in group]) if together else [self._place(item, known) for item in group]
            for item, (status, reason) in zip(group, answers, strict=True):
                verdicts[id(item.entry)] = {"seq": item.entry.seq, "status": status, "reason": reason or None}
        self._release_held()
        return [verdicts[id(entry)] for entry in entries]

    def _place(self, item: Sorted, known: dict[int, store.Stored]) -> tuple[str, str]:
        entry = item.entry
        if item.place == "repeat":
            return self._repeat(entry, known)
        if item.place == "gap":
            return self._hold(entry)
        if item.place == "fork":
            return self._fork(entry)
        if item.place == "damaged":
            return self._quarantine(entry, "The content of this entry does not fit its hash; it was changed or damaged on the way.")
        return self._accept(entry)

    def _repeat(self, entry: Entry, known: dict[int, store.Stored]) -> tuple[str, str]:
        row = known.get(entry.seq)
        if row is None or row.hash != entry.hash:
            if entry.hash in self.aside:
                if journal.intact(entry) and not store.aside_is_intact(self.terminal.id, self.terminal.code, entry.seq, entry.hash):
                    store.mend_aside(self.terminal.id, entry, _whole(entry))
                    self._book_fork(entry)
                return "conflict", self.aside[entry.hash][1]
            return "repeat", ""  # the same entry twice in this very upload
        if row.verdict == "stored":
            return "repeat", ""
        if journal.intact(entry) and not store.is_intact(self.terminal.id, self.terminal.code, entry.seq):
            try:
                with db.session.begin_nested():
                    store.mend(self.terminal.id, entry, _text(entry.payload), self._registry_of(entry))
                    self._book(entry, main_chain=True)
            except (PortalError, IntegrityError, DataError) as error:
                return "quarantined", _reason(error)
            self._book_again_after(entry.seq)
            return "stored", ""
        return "quarantined", row.reason

    def _book_again_after(self, seq: int) -> None:
        """Book what could not be booked only because this entry was damaged: a registry that was not opened while the one before was still
        open, and all that belongs to it. What is wrong in itself stays where it is."""
        for kept in store.quarantined_after(self.terminal.id, self.terminal.code, seq):
            if not journal.intact(kept):
                continue
            try:
                self._check_envelope(kept)
                with db.session.begin_nested():
                    store.mend(self.terminal.id, kept, _text(kept.payload), self._registry_of(kept))
                    self._book(kept, main_chain=True)
            except (PortalError, IntegrityError, DataError) as error:
                log.info("entry stays quarantined", terminal=self.terminal.code, seq=kept.seq, reason=_reason(error))

    def _hold(self, entry: Entry) -> tuple[str, str]:
        reason = f"Entries from {self.head_seq + 1} to {entry.seq - 1} have not arrived yet."
        if entry.hash not in self.aside:
            store.add_aside(self.terminal.id, entry, _whole(entry), "held", reason, self.upload_id, self.now)
            self.aside[entry.hash] = ("held", reason)
        return "held", reason

    def _fork(self, entry: Entry) -> tuple[str, str]:
        reason = "The portal holds another version of this journal; both are kept, and the office looks at it."
        with db.session.begin_nested():
            if entry.hash in self.aside:  # it was held, and what now came before it is of another chain than ours
                store.set_aside_state(self.terminal.id, entry.seq, entry.hash, "conflict", reason)
            else:
                store.add_aside(self.terminal.id, entry, _whole(entry), "conflict", reason, self.upload_id, self.now)
            self.aside[entry.hash] = ("conflict", reason)
            if self.terminal.forked_at is None:
                terminal_store.set_fields(self.terminal.id, forked_at=self.now)
            detail = f"{self.terminal.code} sent entry {entry.seq} in a second version. Was this phone restored from a backup, or copied?"
            incidents.add("chain_fork", detail, self.now, self.terminal.id, f"{self.terminal.code}/{entry.seq}")
        self._book_fork(entry)
        return "conflict", reason

    def _book_fork(self, entry: Entry) -> None:
        """Money in a second version of the journal is booked all the same, and held."""
        if entry.kind == "payment" and journal.intact(entry):
            try:
                with db.session.begin_nested():
                    self._book(entry, main_chain=False)
            except (PortalError, IntegrityError, DataError) as error:
                self._incident(entry, _reason(error))

    def _quarantine(self, entry: Entry, reason: str) -> tuple[str, str]:
        with db.session.begin_nested():
            store.add_all([self._refused(entry, reason)])
            self._incident(entry, reason)
        self._advance(entry)
        return "quarantined", reason

    def _refused(self, entry: Entry, reason: str) -> dict[str, Any]:
        sound = _storable(entry)
        return store.row(self.terminal.id, sound, _text(sound.payload), "quarantined", reason, None, self.upload_id, self.now)

    def _accept(self, entry: Entry) -> tuple[str, str]:
        return self._accept_all([entry])[0]

    def _accept_all(self, entries: list[Entry]) -> list[tuple[str, str]]:
        """Take entries that continue the chain: all at once while the database takes them, else one by one."""
        try:
            with db.session.begin_nested():
                reasons = self._store_together(entries) if entries[0].kind in TOGETHER else self._store_alone(entries[0])
        except (PortalError, IntegrityError, DataError) as error:
            return self._one_by_one(entries, _reason(error))
        except DBAPIError:
            raise
        except Exception:
            # One poisoned record must not stop the rest (I22); the log has the trace, the office an incident.
            log.exception("journal entries could not be booked", terminal=self.terminal.code, seq=entries[0].seq, count=len(entries))
            return self._one_by_one(entries, "The portal could not book this entry; the office was told.")
        for entry in entries:
            self._advance(entry)
        return [self._verdict(reason) for reason in reasons]

    def _one_by_one(self, entries: list[Entry], reason: str) -> list[tuple[str, str]]:
        return [self._quarantine(entries[0], reason)] if len(entries) == 1 else [self._accept(entry) for entry in entries]

    def _verdict(self, reason: str) -> tuple[str, str]:
        if reason:
            return "quarantined", reason
        if self.terminal.state == "revoked":
            return "quarantined", "This terminal was revoked. The entry is kept and waits for a person in the office."
        return "stored", ""

    def _store_alone(self, entry: Entry) -> list[str]:
        """Store and book an entry that changes what those behind it meet; what the phone is told of it. Raises what is wrong with it."""
        self.told = ""
        self._check_envelope(entry)
        store.add_all([self._row(entry, self._registry_of(entry))])
        self._book(entry, main_chain=True)
        return [self.told]

    def _store_together(self, entries: list[Entry]) -> list[str]:
        """Store and book payments, visits and entries whose whole effect is to be in the journal, with a number of statements that does not
        depend on how many they are. Returns for each why it is quarantined, or nothing. Raises only what the database says."""
        reasons, collected = [""] * len(entries), dict[int, Payment]()
        for index, entry in enumerate(entries):
            try:
                self._check_envelope(entry)
                if entry.kind == "payment":
                    collected[index] = read_payment(entry.payload)
                else:
                    self._book(entry, main_chain=True)
            except PortalError as error:
                reasons[index] = error.message
        if collected:
            booking = Bookings(self._sender(), entries[0].seq, list(collected.values()), self.now)
            for index, payment in collected.items():
                try:
                    booking.take(entries[index], payment)
                except PortalError as error:
                    reasons[index] = error.message
        registry = self._open_registry_id()
        store.add_all(
            [
                self._refused(entry, reason) if reason else self._row(entry, self._registry_named(entry) or registry)
                for entry, reason in zip(entries, reasons, strict=True)
            ]
        )
        if collected:
            booking.write()
            self.approved |= booking.approved
        for entry, reason in zip(entries, reasons, strict=True):
            if reason:
                self._incident(entry, reason)
        return reasons

    def _row(self, entry: Entry, registry_id: str | None) -> dict[str, Any]:
        return store.row(self.terminal.id, entry, _text(entry.payload), "stored", "", registry_id, self.upload_id, self.now)

    def _sender(self) -> Sender:
        policy, uploader = self.policy, self.uploader
        return Sender(self.terminal, uploader.name, self.codes, policy.approval, policy.stale_soa_days, uploader.disabled)

    def _advance(self, entry: Entry) -> None:
        self.head_seq, self.head_hash = entry.seq, entry.hash
        if entry.hash in self.aside:  # it was held, and now came again by itself
            store.set_aside_state(self.terminal.id, entry.seq, entry.hash, "released", "")

    def _release_held(self) -> None:
        while (whole := store.held_next(self.terminal.id, self.head_seq + 1, self.head_hash)) is not None:
            entry = _read_entry(whole, 0, self.terminal.code)
            self.aside[entry.hash] = ("held", "")
            if journal.intact(entry):
                self._accept(entry)
            else:
                self._quarantine(entry, "The content of this entry does not fit its hash; it was changed or damaged on the way.")

    def _check_envelope(self, entry: Entry) -> None:
        if entry.kind not in journal.KINDS:
            raise InvalidInput("This portal does not know this kind of entry.")
        if not isinstance(entry.at, str) or not isinstance(entry.at_trusted, str | None) or len(entry.at) > 40:
            raise InvalidInput("The time of this entry is not an instant.")
        read_instant(entry.at)
        if entry.at_trusted is not None:
            read_instant(entry.at_trusted[:41])

    def _registry_of(self, entry: Entry) -> str | None:
        return self._registry_named(entry) or self._open_registry_id()

    def _registry_named(self, entry: Entry) -> str | None:
        named = entry.payload.get("registry") if isinstance(entry.payload, Mapping) else None
        sound = isinstance(named, str) and len(named) == 36 and named.isascii() and named.isprintable()
        return named if sound else None

    def _open_registry_id(self) -> str | None:
        current = terminal_store.open_registry(self.terminal.id)
        return current.id if current else None

    def _incident(self, entry: Entry, reason: str) -> None:
        incidents.add(
            "quarantined",
            f"{self.terminal.code}, entry {entry.seq}: {reason}",
            self.now,
            self.terminal.id,
            f"{self.terminal.code}/{entry.seq}",
        )

    def _book(self, entry: Entry, main_chain: bool) -> None:
        """Give an entry its effect. Raises PortalError in plain words when it cannot have one."""
        payload = Reader(entry.payload)
        match entry.kind:
            case "payment":
                payment = read_payment(entry.payload)
                booking = Bookings(self._sender(), entry.seq, [payment], self.now, main_chain)
                booking.take(entry, payment)
                booking.write()
                self.approved |= booking.approved
            case "registry_opened":
                self._open_registry(entry, payload)
            case "soa_downloaded":
                as_of = read_instant(payload.text("as_of", 40) or "")
                count = payload.whole("count", 0, 10_000_000)
                snapshot = payload.text("snapshot", 80) or ""
                amount_due = from_centavos(payload.centavos("amount_due"))
                terminal_store.add_download(
                    self.terminal.id, self.terminal.user_id, entry.seq, snapshot, as_of, read_instant(entry.at), count, amount_due
                )
            case "reading_x" | "reading_z":
                self.told = readings.accept(entry, self.terminal, self.now)
            case "registry_closed":
                self._close_registry(entry, payload)
            case "void_requested":
                self.approved |= voids.request(entry, self.terminal, self.uploader.name, self.now, not self.uploader.disabled)
            case "void_decided":
                voids.write_down(entry, self.terminal, self.uploader.name, self.now)
            case "expense":
                expenses.book(entry, self.terminal, self.uploader.name, self.now)
            case "expense_decided":
                expenses.write_down(entry, self.terminal, self.uploader.name, self.now)
            case "cash_drop":
                expenses.book_drop(entry, self.terminal, self.uploader.name, self.now)
            case "count":
                readings.check_count(payload)
            case "no_collection" | "promise":
                visits.add(read_visit(entry.kind, entry.payload), self.terminal, entry.seq, read_instant(entry.at), self.now)
            case "clock_jump":
                self._note_clock_jump(entry)
            case _:
                pass  # enrolled, receipt_printed: being in the journal is their whole effect

    def _open_registry(self, entry: Entry, payload: Reader) -> None:
        registry_id, business_date = payload.uuid("registry"), payload.date("business_date")
        change_fund = from_centavos(payload.centavos("change_fund"))
        current = terminal_store.open_registry(self.terminal.id)
        if current is not None:
            raise Conflict(f"The registry of {current.business_date} is still open on {self.terminal.code}; it must be closed first.")
        if terminal_store.registry(registry_id) is not None:
            raise Conflict("This registry was opened before.")
        terminal_store.add_registry(
            registry_id, self.terminal.id, self.terminal.user_id, business_date, change_fund, read_instant(entry.at), entry.at, entry.seq
        )
        detail = {"business_date": business_date.isoformat(), "change_fund": str(change_fund)}
        audit.add(self.uploader.name, "registry_opened", self.terminal.code, detail, self.now)

    def _close_registry(self, entry: Entry, payload: Reader) -> None:
        registry = terminal_store.registry(payload.uuid("registry"))
        if registry is None or registry.terminal_id != self.terminal.id:
            raise Conflict("This registry was never opened on this terminal.")
        if registry.z_seq is None:
            raise Conflict("A registry is closed by its Z-reading, and this one has none.")
        if registry.closed_seq is not None:
            raise Conflict("This registry was closed before.")
        terminal_store.set_registry(registry.id, closed_seq=entry.seq, closed_at=read_instant(entry.at))
        audit.add(self.uploader.name, "registry_closed", self.terminal.code, {"registry": registry.id}, self.now)

    def _note_clock_jump(self, entry: Entry) -> None:
        seconds = Reader(entry.payload).whole("seconds", -(10**10), 10**10)
        detail = f"The clock of {self.terminal.code} was moved by {seconds} seconds. Its payments of this registry are held."
        incidents.add("clock_jump", detail, self.now, self.terminal.id, f"{self.terminal.code}/{entry.seq}")


DEEPEST = 100
"""Levels of an entry that are kept. The journal knows three; one that is set aside for its depth must not take the others with it."""


def _text(payload: Any) -> str:
    try:
        return json.dumps(payload, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        return json.dumps(_cut(payload, DEEPEST), sort_keys=True, separators=(",", ":"))


def _cut(value: Any, levels: int) -> Any:
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return "nested too deep to be kept"
    if isinstance(value, dict):
        return {key: _cut(item, levels - 1) for key, item in value.items()}
    return [_cut(item, levels - 1) for item in value]


def _whole(entry: Entry) -> str:
    return _text({**entry.content(), "hash": entry.hash})


def _storable(entry: Entry) -> Entry:
    """The entry in a form the columns can hold; what does not fit them is kept inside the payload."""
    sound = (
        entry.kind in journal.KINDS
        and isinstance(entry.at, str)
        and len(entry.at) <= 40
        and "\x00" not in entry.at
        and (
            entry.at_trusted is None
            or (isinstance(entry.at_trusted, str) and len(entry.at_trusted) <= 40 and "\x00" not in entry.at_trusted)
        )
    )
    if sound and entry.at.isascii() and (entry.at_trusted or "").isascii():
        return entry
    return Entry(entry.terminal, entry.seq, "unreadable", "", None, {"entry": entry.content()}, entry.prev, entry.hash)


def _reason(error: Exception) -> str:
    if isinstance(error, PortalError):
        return error.message
    if isinstance(error, DataError):
        return "A figure in this entry is larger than the books can hold."
    return "This entry collides with one that is already booked."
