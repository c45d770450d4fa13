"""Checks, e-wallet payments and transfers on their way to the bank: moves by people, and deposits. Each is audited in its own commit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import uuid4

from portal.domain import papers as rules
from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.domain.money import ZERO, centavos
from portal.extensions import db
from portal.store import audit
from portal.store import papers as store

MOST = 200


def move(payment_ids: Sequence[str], state: str, who: str, note: str, now: datetime) -> int:
    """Say where these stand now: cleared or bounced, verified or not found; how many. Commits.

    Raises InvalidInput, NotFound, Conflict when one cannot make the move, or its payment is voided."""
    ids = list(dict.fromkeys(payment_ids))
    if not 0 < len(ids) <= MOST:
        raise InvalidInput(f"Tick what you looked up, at most {MOST} at once.")
    if state not in ("cleared", "bounced", "verified", "not_found"):
        raise InvalidInput("Choose what the bank or the provider says.")
    text = rules.check_note(state, note)
    found = _locked(ids)
    for row in found:
        rules.check_move(row.state, state)
        if row.voided:
            raise Conflict(f"The payment of {row.receipt_number} is voided, so nothing of it goes to the bank.")
    store.move(ids, state, who, text, now)
    for row in found:
        audit.add(who, f"paper_{state}", row.payment_id, {"amount": str(row.amount), "was": row.state, "reason": text}, now)
    db.session.commit()
    return len(ids)


def settle(payment_id: str, who: str, note: str, now: datetime) -> None:
    """A supervisor says how a bounced check was settled. The payment itself stays as it is. Raises as `move` does, Forbidden for who
    recorded the bounce or collected the check. Commits."""
    text = rules.check_note("settled", note)
    (row,) = _locked([payment_id])
    rules.check_move(row.state, "settled")
    rules.check_settler(who, row.state_by, row.collector_name)
    store.move([payment_id], "settled", who, text, now)
    audit.add(who, "paper_settled", payment_id, {"amount": str(row.amount), "reason": text}, now)
    db.session.commit()


def _locked(payment_ids: Sequence[str]) -> list[store.PaperRow]:
    audit.lock()  # before the rows, as a deposit does
    found = store.lock(payment_ids)
    if len(found) < len(payment_ids):
        raise NotFound("One of these is not a check, e-wallet payment or transfer that the portal knows.")
    return found


def deposit(
    bank_account: str,
    slip_number: str,
    day: date | None,
    cash: Mapping[int, Decimal],
    checks: Sequence[str],
    total: Decimal | None,
    who: str,
    now: datetime,
    today: date,
    request_id: str = "",
) -> int:
    """Record what was brought to a bank with one slip; the deposit's id. Commits.

    `cash` is pesos per remittance, `checks` are payments. Raises InvalidInput when something is missing or does not add up to the slip's
    total, Conflict when cash or a check is in another deposit already. The same form sent twice is one deposit."""
    account, slip = " ".join(bank_account.split()), " ".join(slip_number.split())
    if not 3 <= len(account) <= 120 or not 1 <= len(slip) <= 60:
        raise InvalidInput("Enter the bank account, in 3 to 120 characters, and the number on the bank's slip.")
    if day is None or day > today:
        raise InvalidInput("Enter the day it was brought to the bank; it cannot be in the future.")
    if total is None:
        raise InvalidInput("Enter the amount on the bank's slip.")
    request = request_id if re.fullmatch(r"[0-9a-f-]{36}", request_id) else str(uuid4())
    audit.lock()  # two desks at once: the second sees what the first has deposited, and takes the next number
    made = store.by_request(request)
    if made is not None:
        db.session.rollback()
        return made
    known = store.with_slip(account, slip)
    if known is not None:
        raise Conflict(f"The slip {slip} of this account is deposit {known} already. Look at it before you enter another.")
    left = {row.remittance_id: row for row in store.cash_left()}
    chosen = {one: amount for one, amount in cash.items() if amount}
    for remittance_id, amount in chosen.items():
        row = left.get(remittance_id)
        if row is None or not ZERO < amount <= row.left:
            raise Conflict("There is not so much cash of one of these remittances left: another deposit holds it. Open the form again.")
    ids = list(dict.fromkeys(checks))
    may = {row.payment_id: row for row in store.to_deposit(day, 10_000)}
    if not set(ids) <= may.keys():
        raise Conflict("One of these checks cannot be deposited on that day: it is post-dated, not remitted, voided or in another deposit.")
    lines = [may[one] for one in ids]
    rules.check_sum(centavos(total), sum(centavos(amount) for amount in chosen.values()), sum(centavos(line.amount) for line in lines))
    deposit_id, number = store.add_deposit(request, account, slip, day, chosen, lines, who, now)
    if ids:
        store.move(ids, "deposited", who, "", now, deposit_id)
    detail = {"bank_account": account, "slip_number": slip, "total": str(total), "checks": len(ids), "remittances": len(chosen)}
    audit.add(who, "deposit_made", number, detail, now)
    db.session.commit()
    return deposit_id
