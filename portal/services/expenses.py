"""Expenses and cash drops: booked as the phone noted them; an expense is decided by a supervisor and counts where the journal wrote the
decision down, as an approved void does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from portal.domain import expenses, jpeg
from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.domain.journal import Entry
from portal.domain.money import centavos, from_centavos
from portal.domain.payments import read_instant
from portal.extensions import db
from portal.services.payments import MANILA
from portal.services.photos import MOST
from portal.store import audit
from portal.store import expenses as store
from portal.store import terminals as terminal_store
from portal.store.expenses import ExpenseRow
from portal.store.terminals import RegistryRow, TerminalRow


def lock_named(entries: Iterable[Entry], terminal: TerminalRow) -> None:
    """Lock the expenses whose decisions an upload writes down, before anything else of it is booked: no deadlock with those who decide."""
    payloads = [entry.payload for entry in entries if entry.kind == "expense_decided"]
    named = [payload.get("expense") for payload in payloads if isinstance(payload, Mapping)]
    store.lock_named(terminal.id, [one for one in named if isinstance(one, str) and len(one) == 36 and one.isascii() and one.isprintable()])


def book(entry: Entry, terminal: TerminalRow, who: str, now: datetime) -> None:
    """Book an expense in the current transaction: it waits for a decision and changes no figure. Raises Conflict or InvalidInput."""
    spent = expenses.read_expense(entry.payload, terminal.code, entry.seq)
    _registry(spent.registry, terminal, entry.seq, "expense")
    if store.get(spent.id) is not None:
        raise Conflict("This expense is in the books already; the same one counts once.")
    store.add(
        id=spent.id,
        terminal_id=terminal.id,
        user_id=terminal.user_id,
        registry_id=spent.registry,
        journal_seq=entry.seq,
        amount=from_centavos(spent.amount),
        category=spent.category,
        description=spent.description,
        spent_at=read_instant(entry.at),
        received_at=now,
    )
    detail = {"terminal": terminal.code, "seq": entry.seq, "amount": str(from_centavos(spent.amount)), "category": spent.category}
    audit.add(who, "expense_noted", spent.id, detail, now)


def book_drop(entry: Entry, terminal: TerminalRow, who: str, now: datetime) -> None:
    """Book a cash drop in the current transaction: it comes off expected cash at once. Raises Conflict or InvalidInput."""
    drop = expenses.read_drop(entry.payload)
    _registry(drop.registry, terminal, entry.seq, "cash drop")
    store.add_drop(
        terminal_id=terminal.id,
        user_id=terminal.user_id,
        registry_id=drop.registry,
        journal_seq=entry.seq,
        amount=from_centavos(drop.amount),
        given_to=drop.given_to,
        reference=drop.reference,
        description=drop.description,
        dropped_at=read_instant(entry.at),
        received_at=now,
    )
    detail = {"seq": entry.seq, "amount": str(from_centavos(drop.amount)), "given_to": drop.given_to, "reference": drop.reference}
    audit.add(who, "cash_dropped", terminal.code, detail, now)


def _registry(registry_id: str, terminal: TerminalRow, seq: int, what: str) -> RegistryRow:
    registry = terminal_store.registry(registry_id)
    if registry is None or registry.terminal_id != terminal.id:
        raise Conflict(f"This {what} is of a registry that was never opened on this terminal.")
    if registry.z_seq is not None and registry.z_seq < seq:
        raise Conflict(f"This registry has its Z-reading already, so no {what} can be entered in it any more.")
    return registry


def write_down(entry: Entry, terminal: TerminalRow, who: str, now: datetime) -> None:
    """Book that the phone wrote a decision down: an approved expense counts in this registry from here on, in the current transaction.

    Raises Conflict when it is not what the office decided, or was written down before."""
    told = expenses.read_decision(entry.payload)
    registry = _registry(told.registry, terminal, entry.seq, "decision")
    if registry.z_seq is not None:
        raise Conflict("This registry has its Z-reading already, so no decision can be entered in it any more.")
    spent = store.get(told.expense)
    if spent is None or spent.terminal != terminal.code:
        raise Conflict("The expense of this decision was never noted on this terminal.")
    if spent.state == "requested":
        raise Conflict(f"This expense is not decided yet; the phone says it was {told.decision}.")
    decided = (centavos(spent.amount), spent.state, spent.decided_by, read_instant(_decided_at(spent)))
    if decided != (told.amount, told.decision, told.decided_by, told.decided_at):
        raise Conflict("What the phone wrote down of this expense is not what the office decided.")
    if spent.counted_seq is not None:
        raise Conflict(f"The decision of this expense was written down before, in entry {spent.counted_seq}.")
    store.write_down(spent.id, told.registry, entry.seq)
    audit.add(who, "expense_written_down", spent.id, {"decision": told.decision, "registry": told.registry, "seq": entry.seq}, now)


def decisions_for(terminal_id: int) -> list[dict[str, Any]]:
    """What the phone is told: decisions its journal does not hold yet (docs/journal.md, Expenses and cash drops). Centavos."""
    return [
        {
            "expense": one.id,
            "amount": centavos(one.amount),
            "decision": one.state,
            "decided_by": one.decided_by,
            "decided_at": _decided_at(one),
            "reason": one.decision_reason,
        }
        for one in store.not_written_down(terminal_id)
    ]


def _decided_at(one: ExpenseRow) -> str:
    """The moment of the decision as phones are told it: an instant with milliseconds."""
    return one.decided_at.astimezone(MANILA).isoformat(timespec="milliseconds") if one.decided_at else ""


def approve(expense_id: str, who: str, reason: str, now: datetime) -> None:
    """Approve an expense. Raises NotFound, Forbidden for the collector's own, Conflict when it is decided already. Commits."""
    _decide(expense_id, "approved", who, _reason(reason, 0), now)


def refuse(expense_id: str, who: str, reason: str, now: datetime) -> None:
    """Refuse an expense, with a reason: the cash stays expected. Raises InvalidInput, NotFound, Forbidden or Conflict. Commits."""
    _decide(expense_id, "refused", who, _reason(reason, 3), now)


def _reason(text: str, least: int) -> str:
    reason = " ".join(text.split())
    if not least <= len(reason) <= 500 or "\x00" in reason:
        raise InvalidInput("Say why the expense is refused, in 3 to 500 characters." if least else "Use at most 500 characters.")
    return reason


def _decide(expense_id: str, state: str, who: str, reason: str, now: datetime) -> None:
    spent = store.get(expense_id)
    current = store.lock_state(expense_id)
    if spent is None or current is None:
        raise NotFound("There is no such expense.")
    expenses.check_decider(who, spent.collector, current)
    # As phones are told it: milliseconds, so that what they write down is this moment.
    store.decide(expense_id, state, who, reason, now.replace(microsecond=now.microsecond // 1000 * 1000))
    detail = {"terminal": spent.terminal, "amount": str(spent.amount), "category": spent.category, "reason": reason}
    audit.add(who, f"expense_{state}", expense_id, detail, now)
    db.session.commit()


def keep_photo(expense_id: str, named: str, raw: bytes, user_name: str, now: datetime) -> bool:
    """Keep a photo of an expense's paper; False when it is here already. `named` is the SHA-256 that the phone says it has.

    Raises NotFound while the expense is not in the books, InvalidInput for what is no photo or was damaged on the way, Conflict when the
    expense has its photos. Commits."""
    width, height = jpeg.size(raw)
    if hashlib.sha256(raw).hexdigest() != named:
        raise InvalidInput("This photo was damaged on the way. Send it again.")
    spent = store.get(expense_id)
    if spent is None or spent.collector != user_name:
        raise NotFound("The portal has no such expense of yours yet. Upload first, then the photo is sent by itself.")
    photo_id = hashlib.sha256(expense_id.encode() + raw).hexdigest()
    audit.lock()
    known = store.photos(expense_id)
    if any(one.id == photo_id for one in known):
        db.session.rollback()
        return False
    if len(known) >= MOST:
        db.session.rollback()
        raise Conflict(f"This expense has {MOST} photos already; no more are kept.")
    store.add_photo(photo_id, expense_id, raw, width, height, now)
    audit.add(user_name, "expense_photo_received", expense_id, {"terminal": spent.terminal, "bytes": len(raw)}, now)
    db.session.commit()
    return True
