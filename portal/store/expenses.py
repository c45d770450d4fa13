"""Expenses with their photos, what the office decided of them, and cash drops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, func, insert, select, tuple_, update
from sqlalchemy.orm import aliased

from portal.domain.expenses import STATES
from portal.domain.money import ZERO, centavos
from portal.extensions import db
from portal.store.door import PhotoRow
from portal.store.expense_tables import CashDrop, Expense, ExpensePhoto
from portal.store.models import Registry, Terminal, User

Decider = aliased(User)
_ANY_DECISION = (
    select(Expense.id).where(Expense.terminal_id == bindparam("terminal_id"), Expense.state != "requested", Expense.counted_seq.is_(None))
).limit(1)


@dataclass(frozen=True, slots=True)
class ExpenseRow:
    """One expense; pesos. `counted_seq`: where the phone wrote the decision down, None until it did."""

    id: str
    terminal: str
    collector: str
    collector_display: str
    registry_id: str
    business_date: date
    journal_seq: int
    amount: Decimal
    category: str
    description: str
    spent_at: datetime
    received_at: datetime
    state: str
    decided_by: str | None
    decided_by_display: str
    decided_at: datetime | None
    decision_reason: str
    counted_registry_id: str | None
    counted_seq: int | None


@dataclass(frozen=True, slots=True)
class DropRow:
    """One cash drop; pesos."""

    id: int
    terminal: str
    collector: str
    collector_display: str
    business_date: date
    journal_seq: int
    amount: Decimal
    given_to: str
    reference: str
    description: str
    dropped_at: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """How many, and how much; pesos."""

    count: int
    amount: Decimal


def _base() -> Any:
    return (
        select(Expense, Terminal.code, User.name, User.display_name, Registry.business_date, Decider.display_name)
        .join(Terminal, Terminal.id == Expense.terminal_id)
        .join(User, User.id == Expense.user_id)
        .join(Registry, Registry.id == Expense.registry_id)
        .outerjoin(Decider, Decider.name == Expense.decided_by)
    )


def _rows(query: Any) -> list[ExpenseRow]:
    return [
        ExpenseRow(
            id=one.id,
            terminal=code,
            collector=name,
            collector_display=display,
            registry_id=one.registry_id,
            business_date=day,
            journal_seq=one.journal_seq,
            amount=one.amount,
            category=one.category,
            description=one.description,
            spent_at=one.spent_at,
            received_at=one.received_at,
            state=one.state,
            decided_by=one.decided_by,
            decided_by_display=decider or one.decided_by or "",
            decided_at=one.decided_at,
            decision_reason=one.decision_reason,
            counted_registry_id=one.counted_registry_id,
            counted_seq=one.counted_seq,
        )
        for one, code, name, display, day, decider in db.session.execute(query.execution_options(populate_existing=True))
    ]


def get(expense_id: str) -> ExpenseRow | None:
    """One expense, or None."""
    return next(iter(_rows(_base().where(Expense.id == expense_id))), None)


def list_page(state: str, after_id: str = "", limit: int = 50) -> tuple[list[ExpenseRow], str]:
    """One page of the expenses in a state, or of all (any other word), and the id to go on after or an empty text. What waits longest comes
    first; what is decided, the latest first."""
    query, place = _base(), tuple_(Expense.spent_at, Expense.id)
    oldest_first = state == "requested"
    if state in STATES:
        query = query.where(Expense.state == state)
    after = db.session.execute(select(Expense.spent_at, Expense.id).where(Expense.id == after_id)).one_or_none() if after_id else None
    if after is not None:
        query = query.where(place > tuple_(*after) if oldest_first else place < tuple_(*after))
    order = (Expense.spent_at, Expense.id) if oldest_first else (Expense.spent_at.desc(), Expense.id.desc())
    rows = _rows(query.order_by(*order).limit(limit + 1))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else ""


def totals() -> dict[str, Totals]:
    """Count and pesos of the expenses in each state."""
    found = {
        state: Totals(count, amount)
        for state, count, amount in db.session.execute(
            select(Expense.state, func.count(), func.sum(Expense.amount)).group_by(Expense.state)
        )
    }
    return {state: found.get(state, Totals(0, ZERO)) for state in STATES}


def waiting() -> tuple[int, Decimal, datetime | None]:
    """How many expenses nobody has decided, their pesos, and when the oldest arrived."""
    figures = (func.count(), func.sum(Expense.amount), func.min(Expense.received_at))
    count, amount, oldest = db.session.execute(select(*figures).where(Expense.state == "requested")).one()
    return count, amount or ZERO, oldest


# --- booking and deciding ------------------------------------------------------------------------------------------------


def add(**values: object) -> None:
    """Insert an expense. The primary key settles two at once."""
    db.session.add(Expense(**values))
    db.session.flush()


def lock_named(terminal_id: int, ids: Iterable[str]) -> None:
    """Take the locks an upload will need before it takes the audit chain's, as those who decide do."""
    named = sorted(set(ids))
    if named:
        query = select(Expense.id).where(Expense.terminal_id == terminal_id, Expense.id.in_(named)).order_by(Expense.id)
        db.session.execute(query.with_for_update()).all()


def lock_state(expense_id: str) -> str | None:
    """The state of an expense, locked until the transaction ends; None when there is none."""
    return db.session.execute(select(Expense.state).where(Expense.id == expense_id).with_for_update()).scalar_one_or_none()


def decide(expense_id: str, state: str, who: str, reason: str, now: datetime) -> None:
    """Write the decision of an expense."""
    values = {"state": state, "decided_by": who, "decided_at": now, "decision_reason": reason}
    db.session.execute(update(Expense).where(Expense.id == expense_id).values(**values))


def write_down(expense_id: str, registry_id: str, seq: int) -> None:
    """Note where the journal wrote the decision down: from there on an approved expense counts in that registry's readings."""
    db.session.execute(update(Expense).where(Expense.id == expense_id).values(counted_registry_id=registry_id, counted_seq=seq))


def not_written_down(terminal_id: int) -> list[ExpenseRow]:
    """Decisions the terminal's journal does not hold yet, in the order of their expenses."""
    if db.session.execute(_ANY_DECISION, {"terminal_id": terminal_id}).first() is None:
        return []  # what nearly every answer to a phone comes to
    open_ = (Expense.terminal_id == terminal_id, Expense.state != "requested", Expense.counted_seq.is_(None))
    return _rows(_base().where(*open_).order_by(Expense.journal_seq))


def counted_in_registry(terminal_id: int, registry_id: str, before_seq: int, after_seq: int = 0) -> list[int]:
    """Centavos of the approved expenses that the journal wrote down in a registry between two places, in journal order."""
    query = (
        select(Expense.amount)
        .where(
            Expense.terminal_id == terminal_id,
            Expense.state == "approved",
            Expense.counted_registry_id == registry_id,
            Expense.counted_seq < before_seq,
            Expense.counted_seq > after_seq,
        )
        .order_by(Expense.counted_seq)
    )
    return [centavos(amount) for amount in db.session.execute(query).scalars()]


# --- photos --------------------------------------------------------------------------------------------------------------


def photos(expense_id: str) -> list[PhotoRow]:
    """The photos of an expense, the first that came first."""
    columns = (ExpensePhoto.id, ExpensePhoto.size, ExpensePhoto.width, ExpensePhoto.height, ExpensePhoto.received_at)
    query = select(*columns).where(ExpensePhoto.expense_id == expense_id).order_by(ExpensePhoto.received_at, ExpensePhoto.id)
    return [PhotoRow(*row) for row in db.session.execute(query)]


def add_photo(photo_id: str, expense_id: str, image: bytes, width: int, height: int, now: datetime) -> None:
    """Keep a photo."""
    size = {"size": len(image), "width": width, "height": height}
    db.session.execute(insert(ExpensePhoto), {"id": photo_id, "expense_id": expense_id, "image": image, "received_at": now, **size})


def image(expense_id: str, photo_id: str) -> bytes | None:
    """The bytes of an expense's photo, or None."""
    query = select(ExpensePhoto.image).where(ExpensePhoto.id == photo_id, ExpensePhoto.expense_id == expense_id)
    return db.session.execute(query).scalar_one_or_none()


# --- cash drops ----------------------------------------------------------------------------------------------------------


def add_drop(**values: object) -> None:
    """Insert a cash drop."""
    db.session.add(CashDrop(**values))
    db.session.flush()


def drop_page(after_id: int | None = None, limit: int = 50) -> tuple[list[DropRow], int | None]:
    """One page of cash drops, the latest first, and the id to go on after or None."""
    query = (
        select(CashDrop, Terminal.code, User.name, User.display_name, Registry.business_date)
        .join(Terminal, Terminal.id == CashDrop.terminal_id)
        .join(User, User.id == CashDrop.user_id)
        .join(Registry, Registry.id == CashDrop.registry_id)
        .order_by(CashDrop.id.desc())
    )
    query = query.where(CashDrop.id < after_id) if after_id else query
    found = db.session.execute(query.limit(limit + 1)).all()
    rows = [
        DropRow(
            id=one.id,
            terminal=code,
            collector=name,
            collector_display=display,
            business_date=day,
            journal_seq=one.journal_seq,
            amount=one.amount,
            given_to=one.given_to,
            reference=one.reference,
            description=one.description,
            dropped_at=one.dropped_at,
        )
        for one, code, name, display, day in found
    ]
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def drop_totals() -> Totals:
    """Count and pesos of all cash drops."""
    count, amount = db.session.execute(select(func.count(), func.sum(CashDrop.amount))).one()
    return Totals(count, amount or ZERO)
