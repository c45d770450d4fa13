"""Checks, e-wallet payments and transfers on their way to the bank, and the deposits that hold cash and checks. Never commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, func, insert, or_, select, tuple_, update

from portal.domain import papers as rules
from portal.domain.money import ZERO
from portal.extensions import db
from portal.store import at_once
from portal.store.models import Payment, ReadingPayment, Remittance, RemittanceReading, Terminal, User, Void
from portal.store.money_tables import Deposit, DepositCash, DepositCheck, Paper, PaperMove

OTHERS = ("e_wallet", "bank_transfer")


@dataclass(frozen=True, slots=True)
class PaperFilter:
    """What the register shows; empty = all. `tenders` are check, or the others; dates are those papers are due on."""

    tenders: tuple[str, ...]
    state: str = ""
    due_from: date | None = None
    due_to: date | None = None
    collector: str = ""
    channel: str = ""
    q: str = ""


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One check, e-wallet payment or transfer. Pesos. `remittance` is the number of the one it was handed over with, empty before."""

    payment_id: str
    receipt_number: str
    customer_name: str
    account_number: str
    collector_name: str
    collector_display: str
    terminal: str
    tender: str
    channel: str | None
    reference: str | None
    amount: Decimal
    business_date: date
    due_on: date
    state: str
    state_at: datetime
    state_by: str
    note: str
    voided: bool
    remittance: str
    remittance_id: int | None
    deposit: str
    deposit_id: int | None


@dataclass(frozen=True, slots=True)
class Sum:
    """How many papers, how much, and the earliest day one is due."""

    count: int
    amount: Decimal
    oldest: date | None


NONE = Sum(0, ZERO, None)


def booked(payments: Iterable[Mapping[str, Any]], extras: Iterable[Mapping[str, Any]]) -> None:
    """Give each of these new payments that is not cash its place; the date on a check is known from the extras."""
    dates = {row["payment_id"]: row.get("check_date") for row in extras}
    rows = [
        {
            "payment_id": row["id"], "tender": row["tender"], "state": rules.first_state(row["tender"]), "amount": row["amount"],
            "due_on": dates.get(row["id"]) or row["business_date"], "state_at": row["received_at"], "state_by": "", "note": "",
        }
        for row in payments
        if row["tender"] != "cash"
    ]  # fmt: skip
    at_once.insert_all(Paper.metadata.tables[Paper.__tablename__], rows)


OPEN = ("received", "bounced", "unverified", "not_found")
"""States in which somebody still has to do something, unless the payment is voided."""
VOIDED = select(Void.id).where(Void.payment_id == Paper.payment_id, Void.state == "approved").exists()
TO_DO = or_(Paper.state.not_in(OPEN), ~VOIDED)


def _where(query: Any, wanted: PaperFilter, with_state: bool = True) -> Any:
    query = query.where(Paper.tender.in_(wanted.tenders))
    if wanted.state and with_state:
        query = query.where(TO_DO)
    if with_state and wanted.state:
        query = query.where(Paper.state == wanted.state)
    if wanted.due_from:
        query = query.where(Paper.due_on >= wanted.due_from)
    if wanted.due_to:
        query = query.where(Paper.due_on <= wanted.due_to)
    if wanted.collector:
        query = query.where(Payment.user_id.in_(select(User.id).where(User.name == wanted.collector)))
    if wanted.channel:
        query = query.where(Payment.channel == wanted.channel)
    for word in wanted.q.split():
        needle = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        columns = (Payment.customer_name, Payment.account_number, Payment.claimed_receipt_number, Payment.reference)
        query = query.where(or_(*(column.ilike(needle, escape="\\") for column in columns)))
    return query


def _rows(query: Any) -> list[PaperRow]:
    found = list(db.session.execute(query))
    ids = [payment.id for _, payment, *_ in found]
    voided = set(db.session.execute(select(Void.payment_id).where(Void.payment_id.in_(ids), Void.state == "approved")).scalars())
    handed: dict[str, tuple[str, int]] = {
        row[0]: (row[1], row[2])
        for row in db.session.execute(
            select(ReadingPayment.payment_id, Remittance.number, Remittance.id)
            .join(RemittanceReading, RemittanceReading.reading_id == ReadingPayment.reading_id)
            .join(Remittance, Remittance.id == RemittanceReading.remittance_id)
            .where(ReadingPayment.payment_id.in_(ids))
        )
    }
    in_bank: dict[str, tuple[str, int]] = {
        row[0]: (row[1], row[2])
        for row in db.session.execute(
            select(DepositCheck.payment_id, Deposit.number, Deposit.id)
            .join(Deposit, Deposit.id == DepositCheck.deposit_id)
            .where(DepositCheck.payment_id.in_(ids))
            .order_by(Deposit.id)
        )
    }
    return [
        PaperRow(
            p.id, p.claimed_receipt_number, p.customer_name, p.account_number, name, display, code, p.tender, p.channel, p.reference,
            p.amount, p.business_date, paper.due_on, paper.state, paper.state_at, paper.state_by, paper.note, p.id in voided,
            *handed.get(p.id, ("", None)), *in_bank.get(p.id, ("", None)),
        )
        for paper, p, name, display, code in found
    ]  # fmt: skip


def _base() -> Any:
    return (
        select(Paper, Payment, User.name, User.display_name, Terminal.code)
        .join(Payment, Payment.id == Paper.payment_id)
        .join(User, User.id == Payment.user_id)
        .join(Terminal, Terminal.id == Payment.terminal_id)
        .execution_options(populate_existing=True)
    )


def list_page(wanted: PaperFilter, after: tuple[date, str] | None = None, limit: int = 50) -> list[PaperRow]:
    """One page, what is due first in front, from behind a mark on."""
    query = _where(_base(), wanted).order_by(Paper.due_on, Paper.payment_id).limit(limit)
    return _rows(query if after is None else query.where(tuple_(Paper.due_on, Paper.payment_id) > after))


def iterate(wanted: PaperFilter) -> Iterable[PaperRow]:
    """All of a filter, read in pages."""
    after: tuple[date, str] | None = None
    while rows := list_page(wanted, after, 500):
        yield from rows
        after = (rows[-1].due_on, rows[-1].payment_id)


def sums(wanted: PaperFilter, state: str = "") -> dict[str, Sum]:
    """Count, pesos and earliest day per state, or of one; the filter's own state is left out. A voided payment is in none that waits."""
    found = {}
    query = _added_up(wanted, state)
    for one, count, amount, oldest in db.session.execute(query):
        found[one] = Sum(count, amount, oldest)
    # Added up apart and taken off: few payments are voided, and looking at each paper's void would take longer than all the rest.
    voided = query.join(Void, and_(Void.payment_id == Paper.payment_id, Void.state == "approved"))
    for one, count, amount, _ in db.session.execute(voided.where(Paper.state.in_(OPEN))):
        found[one] = Sum(found[one].count - count, found[one].amount - amount, found[one].oldest)
    return found


def _added_up(wanted: PaperFilter, state: str) -> Any:
    query = select(Paper.state, func.count(), func.sum(Paper.amount), func.min(Paper.due_on)).select_from(Paper)
    if wanted.collector or wanted.channel or wanted.q:
        query = query.join(Payment, Payment.id == Paper.payment_id)
    query = _where(query, wanted, with_state=False)
    return (query.where(Paper.state == state) if state else query).group_by(Paper.state)


def due_until(day: date) -> Sum:
    """Checks in the office that may be deposited on this day."""
    return sums(PaperFilter(("check",), due_to=day), "received").get("received", NONE)


def waiting(tenders: tuple[str, ...], state: str) -> Sum:
    """Papers of these tenders in a state."""
    return sums(PaperFilter(tenders), state).get(state, NONE)


def channels(tenders: Sequence[str]) -> list[str]:
    """Banks or wallets of papers that are still open, by name."""
    open_states = ("received", "deposited", "bounced", "unverified", "not_found")
    query = (
        select(Payment.channel)
        .join(Paper, Paper.payment_id == Payment.id)
        .where(Paper.tender.in_(tenders), Paper.state.in_(open_states), Payment.channel.is_not(None))
        .distinct()
    )
    return sorted(one for one in db.session.execute(query).scalars() if one)


def some(payment_ids: Sequence[str]) -> list[PaperRow]:
    """These papers, what is due first in front."""
    return _rows(_base().where(Paper.payment_id.in_(payment_ids)).order_by(Paper.due_on, Paper.payment_id))


def lock(payment_ids: Sequence[str]) -> list[PaperRow]:
    """The same, locked until the transaction ends."""
    db.session.execute(select(Paper.payment_id).where(Paper.payment_id.in_(payment_ids)).order_by(Paper.payment_id).with_for_update()).all()
    return some(payment_ids)


def move(payment_ids: Sequence[str], state: str, who: str, note: str, now: datetime, deposit_id: int | None = None) -> None:
    """Write down where these stand now."""
    values = {"state": state, "state_at": now, "state_by": who, "note": note}
    db.session.execute(update(Paper).where(Paper.payment_id.in_(payment_ids)).values(**values))
    moves = [{"payment_id": one, "state": state, "at": now, "who": who, "note": note, "deposit_id": deposit_id} for one in payment_ids]
    db.session.execute(insert(PaperMove), moves)


@dataclass(frozen=True, slots=True)
class MoveRow:
    """One move of a paper."""

    state: str
    at: datetime
    who: str
    note: str
    deposit: str
    deposit_id: int | None


def moves_of(payment_id: str) -> list[MoveRow]:
    """How a paper came to where it is, the first move first."""
    query = (
        select(PaperMove, Deposit.number)
        .outerjoin(Deposit, Deposit.id == PaperMove.deposit_id)
        .where(PaperMove.payment_id == payment_id)
        .order_by(PaperMove.id)
    )
    return [MoveRow(m.state, m.at, m.who, m.note, number or "", m.deposit_id) for m, number in db.session.execute(query)]


# --- deposits ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CashRow:
    """Cash of a remittance: what was counted, and what of it no deposit holds. Pesos."""

    remittance_id: int
    number: str
    received_at: datetime
    collector_display: str
    counted: Decimal
    left: Decimal


@dataclass(frozen=True, slots=True)
class DepositRow:
    """One deposit. Pesos."""

    id: int
    number: str
    bank_account: str
    slip_number: str
    deposited_on: date
    cash: Decimal
    checks: Decimal
    total: Decimal
    made_by: str
    made_at: datetime


def cash_left() -> list[CashRow]:
    """Remittances with cash that no deposit holds, the oldest first. One that waits for a supervisor is in the drawer all the same."""
    used = (
        select(DepositCash.remittance_id, func.sum(DepositCash.amount).label("used")).group_by(DepositCash.remittance_id).subquery("used")
    )
    left = Remittance.counted_cash - func.coalesce(used.c.used, ZERO)
    query = (
        select(Remittance.id, Remittance.number, Remittance.received_at, User.display_name, Remittance.counted_cash, used.c.used)
        .join(User, User.id == Remittance.user_id)
        .outerjoin(used, used.c.remittance_id == Remittance.id)
        .where(left > ZERO)
        .order_by(Remittance.id)
    )
    return [
        CashRow(identifier, number, at, display, counted, counted - (taken or ZERO))
        for identifier, number, at, display, counted, taken in db.session.execute(query)
    ]


def to_deposit(today: date, limit: int = 300) -> list[PaperRow]:
    """Checks that may be brought to the bank today: in the office or bounced, remitted, due, their payment not voided."""
    query = _base().where(
        Paper.tender == "check",
        Paper.state.in_(("received", "bounced")),
        Paper.due_on <= today,
        ~VOIDED,
        select(RemittanceReading.reading_id)
        .join(ReadingPayment, ReadingPayment.reading_id == RemittanceReading.reading_id)
        .where(ReadingPayment.payment_id == Paper.payment_id)
        .exists(),
    )
    return _rows(query.order_by(Paper.due_on, Paper.payment_id).limit(limit))


def by_request(request_id: str) -> int | None:
    """The deposit that came of this form, or None."""
    return db.session.execute(select(Deposit.id).where(Deposit.request_id == request_id)).scalar_one_or_none()


def with_slip(bank_account: str, slip_number: str) -> str | None:
    """The number of the deposit with this slip, or None."""
    query = select(Deposit.number).where(Deposit.bank_account == bank_account, Deposit.slip_number == slip_number)
    return db.session.execute(query).scalar_one_or_none()


def add_deposit(
    request_id: str, bank_account: str, slip_number: str, day: date, cash: Mapping[int, Decimal], checks: Sequence[PaperRow], who: str,
    now: datetime,
) -> tuple[int, str]:  # fmt: skip
    """Write a deposit with what it holds; its id and number."""
    number = rules.number(db.session.execute(select(func.count()).select_from(Deposit)).scalar_one() + 1)
    in_cash, in_checks = sum(cash.values(), ZERO), sum((check.amount for check in checks), ZERO)
    deposit = Deposit(
        number=number, request_id=request_id, bank_account=bank_account, slip_number=slip_number, deposited_on=day, cash=in_cash,
        checks=in_checks, total=in_cash + in_checks, made_by=who, made_at=now,
    )  # fmt: skip
    db.session.add(deposit)
    db.session.flush()
    if cash:
        rows = [{"deposit_id": deposit.id, "remittance_id": one, "amount": amount} for one, amount in cash.items()]
        db.session.execute(insert(DepositCash), rows)
    if checks:
        lines = [{"deposit_id": deposit.id, "payment_id": check.payment_id, "amount": check.amount} for check in checks]
        db.session.execute(insert(DepositCheck), lines)
    return deposit.id, number


def _deposit(row: Deposit) -> DepositRow:
    return DepositRow(
        row.id, row.number, row.bank_account, row.slip_number, row.deposited_on, row.cash, row.checks, row.total, row.made_by, row.made_at
    )


def deposits(before_id: int | None = None, limit: int = 50) -> list[DepositRow]:
    """Deposits, newest first, from before a mark on."""
    query = select(Deposit).order_by(Deposit.id.desc()).limit(limit)
    return [_deposit(row) for row in db.session.execute(query if before_id is None else query.where(Deposit.id < before_id)).scalars()]


def accounts() -> list[str]:
    """Bank accounts that deposits were made to."""
    return sorted(db.session.execute(select(Deposit.bank_account).distinct()).scalars())


@dataclass(frozen=True, slots=True)
class DepositDetail:
    """A deposit whole: cash as (remittance, number, collector, pesos), and its checks."""

    row: DepositRow
    cash: list[tuple[int, str, str, Decimal]]
    checks: list[PaperRow]


def deposit(deposit_id: int) -> DepositDetail | None:
    """One deposit, or None."""
    row = db.session.get(Deposit, deposit_id)
    if row is None:
        return None
    cash = db.session.execute(
        select(Remittance.id, Remittance.number, User.display_name, DepositCash.amount)
        .join(DepositCash, DepositCash.remittance_id == Remittance.id)
        .join(User, User.id == Remittance.user_id)
        .where(DepositCash.deposit_id == deposit_id)
        .order_by(Remittance.id)
    )
    checks = list(db.session.execute(select(DepositCheck.payment_id).where(DepositCheck.deposit_id == deposit_id)).scalars())
    return DepositDetail(_deposit(row), [(r[0], r[1], r[2], r[3]) for r in cash], some(checks))
