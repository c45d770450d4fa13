"""Voids: booked as the phone asked for them, decided by a supervisor, counted where the journal wrote the decision down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from portal.domain import receipts, voids
from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.domain.journal import Entry
from portal.domain.money import centavos
from portal.domain.payments import read_instant
from portal.extensions import db
from portal.services import void_codes
from portal.services.payments import MANILA
from portal.store import audit
from portal.store import terminals as terminal_store
from portal.store import void_codes as code_store
from portal.store import voids as store
from portal.store.terminals import TerminalRow
from portal.store.voids import VoidRow

BY_CODE = "By the supervisor's code on the phone"


def lock_named(entries: Iterable[Entry], terminal: TerminalRow) -> None:
    """Lock what the voids of an upload will touch, before anything else of it is booked: no deadlock with those who decide and post."""
    payloads = [entry.payload for entry in entries if entry.kind in {"void_requested", "void_decided"}]
    asked = [payload for payload in payloads if isinstance(payload, Mapping)]

    def named(key: str) -> list[str]:
        values = [payload.get(key) for payload in asked]
        return [value for value in values if isinstance(value, str) and len(value) <= 36 and value.isascii() and value.isprintable()]

    deciding = any(payload.get("supervisor_code") for payload in asked)
    store.lock_named(terminal.id, named("void_number"), named("payment"), deciding)
    if deciding:
        code_store.lock_named(terminal.id, named("void_number"))


def request(entry: Entry, terminal: TerminalRow, who: str, now: datetime, trusted: bool = True) -> bool:
    """Book a request in the current transaction; from here on the payment is held. A supervisor's code that came with it and is right
    approves it at once; any other leaves it to be decided. True when PSCloud holds the payment and its void call is due now.

    `trusted`: the sender may log in. Raises Conflict or InvalidInput in plain words."""
    asked = voids.read_request(entry.payload)
    _open_registry(asked.registry, terminal)
    code, number = receipts.read_void_number(asked.void_number)
    if code != terminal.code:
        raise Conflict(f"Void number {asked.void_number} is of another terminal.")
    if store.by_number(asked.void_number) is not None:
        raise Conflict(f"Void number {asked.void_number} is taken by another void.")
    payment = store.payment_facts(asked.payment)
    if payment is None or payment.terminal_id != terminal.id:
        raise Conflict("The payment to be voided was not made on this terminal, or never arrived.")
    if payment.receipt_number != asked.receipt_number or centavos(payment.amount) != asked.amount:
        raise Conflict("The receipt number or the amount of this void is not that of its payment.")
    state = store.open_of([asked.payment]).get(asked.payment)
    if state is not None:
        raise Conflict(f"A void of receipt {asked.receipt_number} {'is approved' if state == 'approved' else 'waits'} already.")
    last = terminal_store.by_code(terminal.code) or terminal
    if number > last.last_void:
        terminal_store.set_fields(terminal.id, last_void=number)
    store.add(
        terminal_id=terminal.id,
        void_number=asked.void_number,
        payment_id=asked.payment,
        user_id=terminal.user_id,
        registry_id=asked.registry,
        journal_seq=entry.seq,
        reason=asked.reason,
        requested_at=read_instant(entry.at),
        received_at=now,
    )
    detail = {"void_number": asked.void_number, "receipt_number": asked.receipt_number, "amount": str(payment.amount), "seq": entry.seq}
    audit.add(who, "void_requested", asked.payment, detail | {"reason": asked.reason}, now)
    return asked.supervisor_code is not None and _approve_by_code(asked, terminal, who, now, trusted)


def _approve_by_code(asked: voids.VoidRequest, terminal: TerminalRow, who: str, now: datetime, trusted: bool) -> bool:
    void = store.by_number(asked.void_number)
    if void is None:
        raise NotFound("There is no such void.")
    verdict = void_codes.judge(asked, terminal, frozenset({void.asked_by, void.collector}), trusted, now)
    void_codes.note(void.id, void.void_number, terminal, verdict, who, void.payment_id, now)
    if verdict.outcome != "approved" or verdict.decided_at is None:
        return False
    # Decided when the code was given: told again after a restore, the phone finds the decision it wrote down.
    return _settle(void, "approved", verdict.decided_by, BY_CODE, verdict.decided_at, now)


def write_down(entry: Entry, terminal: TerminalRow, who: str, now: datetime) -> None:
    """Book that the phone wrote a decision down: the void counts in this registry from here on, in the current transaction.

    Raises Conflict when it is not what the office decided, or was written down before."""
    told = voids.read_decision(entry.payload)
    _open_registry(told.registry, terminal)
    void = store.by_number(told.void_number)
    if void is None or void.terminal != terminal.code:
        raise Conflict(f"Void {told.void_number} was never asked for on this terminal.")
    if void.state == "requested":
        raise Conflict(f"Void {told.void_number} is not decided yet; the phone says it was {told.decision}.")
    decided = (void.payment_id, centavos(void.amount), void.tender, void.state, void.decided_by, read_instant(_decided_at(void)))
    if decided != (told.payment, told.amount, told.tender, told.decision, told.decided_by, told.decided_at):
        raise Conflict(f"What the phone wrote down of void {told.void_number} is not what the office decided.")
    if void.counted_seq is not None:
        raise Conflict(f"The decision of void {told.void_number} was written down before, in entry {void.counted_seq}.")
    store.write_down(void.id, told.registry, entry.seq)
    detail = {"void_number": told.void_number, "decision": told.decision, "registry": told.registry, "seq": entry.seq}
    audit.add(who, "void_written_down", void.payment_id, detail, now)


def _open_registry(registry_id: str, terminal: TerminalRow) -> None:
    registry = terminal_store.registry(registry_id)
    if registry is None or registry.terminal_id != terminal.id:
        raise Conflict("This void is of a registry that was never opened on this terminal.")
    if registry.z_seq is not None or registry.closed_seq is not None:
        raise Conflict("This registry has its Z-reading already, so no void can be entered in it any more.")


def decisions_for(terminal_id: int) -> list[dict[str, Any]]:
    """What the phone is told: decisions its journal does not hold yet (docs/journal.md, Voids). Centavos."""
    return [
        {
            "void_number": void.void_number,
            "payment": void.payment_id,
            "receipt_number": void.receipt_number,
            "amount": centavos(void.amount),
            "tender": void.tender,
            "decision": void.state,
            "decided_by": void.decided_by,
            "decided_at": _decided_at(void),
            "reason": void.decision_reason,
        }
        for void in store.not_written_down(terminal_id)
    ]


def _decided_at(void: VoidRow) -> str:
    """The moment of the decision as phones are told it: an instant with milliseconds."""
    return void.decided_at.astimezone(MANILA).isoformat(timespec="milliseconds") if void.decided_at else ""


def approve(void_id: int, who: str, reason: str, now: datetime) -> bool:
    """Approve a void; True when PSCloud holds the payment and its void call is due now. Raises NotFound, Forbidden or Conflict. Commits.

    What was never sent is never posted. A posting under way ends first; when it ends in PSCloud, the void call follows."""
    return _decide(void_id, "approved", who, _reason(reason, 0), now)


def refuse(void_id: int, who: str, reason: str, now: datetime) -> None:
    """Refuse a void, with a reason: the payment goes on as before. Raises InvalidInput, NotFound, Forbidden or Conflict. Commits."""
    _decide(void_id, "refused", who, _reason(reason, 3), now)


def _reason(text: str, least: int) -> str:
    reason = text.strip()
    if not least <= len(reason) <= 500:
        raise InvalidInput("Say why the void is refused, in 3 to 500 characters." if least else "Use at most 500 characters.")
    return reason


def _decide(void_id: int, state: str, who: str, reason: str, now: datetime) -> bool:
    void = store.get(void_id)
    if void is None:
        raise NotFound("There is no such void.")
    to_pscloud = _settle(void, state, who, reason, now, now)
    db.session.commit()
    return to_pscloud


def _settle(void: VoidRow, state: str, who: str, reason: str, decided_at: datetime, now: datetime) -> bool:
    posting = store.lock_posting(void.payment_id)
    current = store.lock_state(void.id) or void.state
    voids.check_decider(who, void.asked_by, void.collector, current)
    to_pscloud = state == "approved" and posting == "completed"
    store.decide(void.id, state, who, reason, decided_at, to_pscloud)
    detail = {"void_number": void.void_number, "receipt_number": void.receipt_number, "amount": str(void.amount), "reason": reason}
    audit.add(who, f"void_{state}", void.payment_id, detail | {"posting": posting}, now)
    return to_pscloud


def retry(void_id: int, who: str, now: datetime) -> None:
    """Tell PSCloud of a void again after it refused. Raises NotFound or Conflict. Commits."""
    void = store.get(void_id)
    if void is None:
        raise NotFound("There is no such void.")
    if not store.renew(void_id, now):
        raise Conflict("Only a void that PSCloud refused can be sent again. Reload the page to see where it stands.")
    audit.add(who, "void_retried", void.payment_id, {"void_number": void.void_number}, now)
    db.session.commit()
