"""Payments in the ledger: the moves a person makes with them, and what names a phone's list (DOMAIN 4, 8). Booking: bookings.py."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from portal.domain import allocation
from portal.domain.allocation import OpenInvoice
from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.domain.money import centavos, from_centavos
from portal.domain.payments import UNLISTED, move
from portal.domain.soa import Soa
from portal.extensions import db
from portal.store import audit, ledger, postings, reconciliations, soas, voids

MANILA = ZoneInfo("Asia/Manila")


def open_invoices(soa: Soa) -> list[OpenInvoice]:
    """What allocation needs of an SOA's invoices. Centavos."""
    return [
        OpenInvoice(
            invoice.id,
            invoice.invoice_number,
            invoice.due_date.isoformat(),
            centavos(invoice.balance),
            centavos(invoice.penalty),
            centavos(invoice.amount),
            centavos(invoice.vat_amount),
            invoice.vat_type,
        )
        for invoice in soa.invoices
    ]


def snapshot_name(run_id: int, last_received: datetime | None) -> str:
    """Names a snapshot by what is in it: the sync run and the newest payment already taken off."""
    micros = int(last_received.timestamp() * 1_000_000) if last_received else 0
    return f"{run_id}-{micros}"


def snapshot_instant(name: str) -> datetime:
    """The arrival of the newest payment a snapshot holds; long ago when the name is not ours."""
    match = re.fullmatch(r"[0-9]{1,12}-([0-9]{1,17})", name, re.ASCII)
    return datetime.fromtimestamp(int(match[1]) / 1_000_000, UTC) if match else datetime(2000, 1, 1, tzinfo=UTC)


def approve(payment_ids: Iterable[str], who: str, may_release_flagged: bool, now: datetime) -> int:
    """Approve pending payments and put them into the posting outbox, in one commit; returns how many.

    Raises Forbidden when one is flagged and the person may not release those, or collected it themselves; NotFound; Conflict when one is
    not pending."""
    ids = list(dict.fromkeys(payment_ids))
    if not ids:
        raise InvalidInput("Choose at least one payment.")
    found = ledger.statuses(ids)
    for payment_id in ids:
        row = found.get(payment_id)
        if row is None:
            raise NotFound("One of these payments does not exist.")
        if row.flagged and not may_release_flagged:
            raise Forbidden("A payment that carries a flag is approved by a supervisor.")
        if row.collector == who:
            raise Forbidden("Nobody approves a payment they collected themselves. Ask a colleague.")
        move(row.status, "approved")
        if row.status != "pending":
            raise Conflict("One of these payments is not pending any more. Reload the page.")
    _check_voids(ids)
    for payment_id in ids:
        ledger.set_status(payment_id, "pending", "approved", "", now)
        postings.add(payment_id, now)
        audit.add(who, "payment_approved", payment_id, {"amount": str(found[payment_id].amount)}, now)
    db.session.commit()
    return len(ids)


def _check_voids(ids: Iterable[str]) -> None:
    """Raises Conflict when the void of one of these payments waits or is approved."""
    states = set(voids.open_of(ids).values())
    if "approved" in states:
        raise Conflict("A voided payment stays as it is. Reload the page to see its void.")
    if states:
        raise Conflict("The void of a payment was asked for. Decide that first, on the Voids page.")


def hold(payment_id: str, who: str, reason: str, now: datetime) -> None:
    """Take an approved payment back to Pending before it is posted. Raises InvalidInput, NotFound or Conflict. Commits."""
    text = reason.strip()
    if not 3 <= len(text) <= 500:
        raise InvalidInput("Say why, in 3 to 500 characters.")
    row = ledger.statuses([payment_id]).get(payment_id)
    if row is None:
        raise NotFound("There is no such payment.")
    _check_voids([payment_id])
    if row.status != "approved" or not postings.withdraw(payment_id):
        raise Conflict("Only an approved payment that is not being posted can be held.")
    ledger.set_status(payment_id, "approved", move("approved", "pending"), f"Held by {who}: {text}", now)
    audit.add(who, "payment_held", payment_id, {"reason": text}, now)
    db.session.commit()


def send_again(payment_id: str, report_id: int, who: str, reason: str, now: datetime) -> None:
    """Send a payment to PSCloud again that was posted once and that this reconciliation, the latest, no longer found there. PSCloud is
    asked first, and knows the reference, so that it is booked there once. Commits.

    Raises InvalidInput, NotFound, Forbidden, or Conflict when the report is not the latest or says nothing of the kind of this payment."""
    text = reason.strip()
    if not 3 <= len(text) <= 500:
        raise InvalidInput("Say why it is sent again, in 3 to 500 characters.")
    row = ledger.statuses([payment_id]).get(payment_id)
    if row is None:
        raise NotFound("There is no such payment.")
    if row.collector == who:
        raise Forbidden("Nobody sends a payment again that they collected themselves. Ask a colleague.")
    _check_voids([payment_id])
    report = reconciliations.last_completed()
    if report is None or report.id != report_id:
        raise Conflict("A later comparison has been made. Look at that one, and send the payment again from there if it is still missing.")
    if not reconciliations.says(report_id, "payment", payment_id, "payment_missing"):
        raise Conflict("This comparison does not say that PSCloud lost the payment, so it is not sent again.")
    sent = ledger.posted_at(payment_id)
    if row.status != "completed" or (sent is not None and sent > report.requested_at):
        raise Conflict("This payment was sent again already. Press Compare now to see whether PSCloud has it.")
    ledger.set_status(payment_id, "completed", move("completed", "approved"), f"Sent again by {who}: {text}", now, posted_at=None)
    postings.ask_and_post_again(payment_id, now)
    audit.add(who, "payment_sent_again", payment_id, {"reason": text, "reconciliation": report_id}, now)
    db.session.commit()


def give_back(payment_id: str, who: str, reason: str, now: datetime) -> None:
    """Return a pending payment to its collector, who is to bring what is missing: it stays Pending, with the reason, until it is approved.

    Raises InvalidInput, NotFound or Conflict. Commits."""
    text = _why(reason)
    row = ledger.statuses([payment_id]).get(payment_id)
    if row is None:
        raise NotFound("There is no such payment.")
    _check_voids([payment_id])
    if row.status != "pending" or not ledger.set_reason(payment_id, "pending", f"Returned to the collector by {who}: {text}", now):
        raise Conflict("Only a pending payment can be returned. Hold an approved one first.")
    audit.add(who, "payment_returned", payment_id, {"reason": text, "collector": row.collector}, now)
    db.session.commit()


def reallocate(payment_id: str, who: str, chosen: Sequence[str], reason: str, now: datetime) -> None:
    """Allocate a payment that is not posted anew, on its SOA as it stands now: the chosen invoices first, or the oldest. What the receipt
    says is kept beside it. Raises InvalidInput, NotFound, Conflict, Forbidden for who collected it. Commits."""
    text = _why(reason)
    row = ledger.statuses([payment_id]).get(payment_id)
    audit.lock()  # no upload may book on the same SOA meanwhile; after the payment's own lock, as everybody takes them
    detail = ledger.get(payment_id)
    if row is None or detail is None:
        raise NotFound("There is no such payment.")
    _check_voids([payment_id])
    if row.collector == who:
        raise Forbidden("Nobody allocates a payment anew that they collected themselves. Ask a colleague.")
    if row.status not in ("pending", "failed"):
        raise Conflict("Only a pending or failed payment can be allocated anew. Hold an approved one first.")
    soa = soas.get_many([detail.row.soa_id]).get(detail.row.soa_id)
    if soa is None or soa.status == "closed":
        raise Conflict("Its SOA is not open here, so there is nothing to allocate it on. It stays as it is.")
    own = ledger.current_parts(payment_id)
    others = list(ledger.unreflected([soa.id]).get(soa.id, []))
    for part in own:
        if part in others:
            others.remove(part)
    available = allocation.less_payments(open_invoices(soa), others)
    known = {invoice.id for invoice in available}
    if not set(chosen) <= known:
        raise InvalidInput("One of the invoices chosen is not of this SOA any more. Reload the page.")
    parts = allocation.allocate(centavos(row.amount), available, "directed" if chosen else "oldest_first", list(chosen))
    if parts == own:
        raise InvalidInput("That is how it is allocated already, so nothing was changed.")
    ledger.allocate_anew(payment_id, soa.id, parts)
    shown = [[part.invoice_number, part.kind, str(from_centavos(part.amount))] for part in parts]
    audit.add(who, "payment_reallocated", payment_id, {"reason": text, "parts": json.dumps(shown)}, now)
    db.session.commit()


def assign(payment_id: str, who: str, soa_number: str, reason: str, now: datetime) -> str:
    """Give a payment of an account that was in no list to the open SOA with this number, once and before it is posted, and allocate it
    there, the oldest invoices first; returns the customer's name. What the phone wrote stays in its entry and as the printed allocation.

    Raises InvalidInput, NotFound, Conflict, Forbidden for who collected it. Commits."""
    text = _why(reason)
    row = ledger.statuses([payment_id]).get(payment_id)
    audit.lock()  # after the payment's own lock, as in reallocate()
    detail = ledger.get(payment_id)
    if row is None or detail is None:
        raise NotFound("There is no such payment.")
    _check_voids([payment_id])
    if row.collector == who:
        raise Forbidden("Nobody assigns a payment that they collected themselves. Ask a colleague.")
    was = detail.row
    if not was.soa_id.startswith(UNLISTED):
        raise Conflict(f"This payment belongs to SOA {was.soa_number} already. Reload the page to see it.")
    if row.status == "completed":
        raise Conflict("This payment is in PSCloud already, so it stays as it is here. Correct it in PSCloud: apply it to the SOA there.")
    if row.status not in ("pending", "failed"):
        raise Conflict("Only a pending or failed payment can be assigned. Hold an approved one first; one being posted stays as it is.")
    found = soas.open_with_number(soa_number.strip())
    if not found:
        raise InvalidInput("No open SOA has this number. Look it up in the list of SOAs and type it as it stands there.")
    if len(found) > 1:
        raise Conflict("More than one open SOA has this number, so the portal cannot tell which is meant. Correct that in PSCloud first.")
    soa = soas.get_many(found)[found[0]]
    available = allocation.less_payments(open_invoices(soa), ledger.unreflected([soa.id]).get(soa.id, []))
    parts = allocation.allocate(centavos(row.amount), available, "oldest_first", [])
    ledger.assign(payment_id, soa.id, soa.soa_number, soa.account_number, soa.collector_code or detail.collector_code)
    ledger.allocate_anew(payment_id, soa.id, parts)
    shown = [[part.invoice_number, part.kind, str(from_centavos(part.amount))] for part in parts]
    told = {"reason": text, "soa": soa.soa_number, "account": soa.account_number, "account_before": was.account_number}
    audit.add(who, "payment_assigned", payment_id, {**told, "parts": json.dumps(shown)}, now)
    db.session.commit()
    return soa.customer_name


def _why(reason: str) -> str:
    text = reason.strip()
    if not 3 <= len(text) <= 500 or "\x00" in text:
        raise InvalidInput("Say why, in 3 to 500 characters.")
    return text


def retry(payment_id: str, who: str, now: datetime) -> None:
    """Send a failed payment to PSCloud again. Raises NotFound or Conflict. Commits."""
    row = ledger.statuses([payment_id]).get(payment_id)
    if row is None:
        raise NotFound("There is no such payment.")
    _check_voids([payment_id])
    if row.status != "failed":
        raise Conflict("Only a failed payment can be tried again.")
    ledger.set_status(payment_id, "failed", move("failed", "approved"), "", now)
    postings.renew(payment_id, now)
    audit.add(who, "payment_retried", payment_id, {}, now)
    db.session.commit()
