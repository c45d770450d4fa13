"""Payments: booking one from a journal entry, and the moves a person makes with it (DOMAIN 4, 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from portal.domain import allocation, receipts
from portal.domain.allocation import Allocation, OpenInvoice
from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.domain.journal import Entry
from portal.domain.money import centavos, from_centavos, show_pesos
from portal.domain.payments import Payment, move, read_instant
from portal.domain.soa import Soa
from portal.extensions import db
from portal.store import audit, incidents, journal, ledger, postings, restores, soas, voids
from portal.store import terminals as terminal_store
from portal.store.terminals import TerminalRow

MANILA = ZoneInfo("Asia/Manila")


@dataclass(frozen=True, slots=True)
class Booking:
    """A payment on its way into the ledger; `codes` are the collector codes held now, `main_chain` is False for one of a forked journal."""

    entry: Entry
    payment: Payment
    terminal: TerminalRow
    collector: str
    codes: tuple[str, ...]
    main_chain: bool
    approval: str
    stale_soa_days: int
    disabled: bool = False
    """Whether the collector may not log in any more."""


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


def record(booking: Booking, now: datetime) -> bool:
    """Book a payment with its allocations, flags and audit row in the current transaction; True when it was approved by policy.

    The same payment from the same entry again changes nothing. Raises Conflict when its UUID is booked with other content.
    Never refuses money: whatever is doubtful is booked and held (DOMAIN 4, 8)."""
    payment, entry, terminal = booking.payment, booking.entry, booking.terminal
    booked = ledger.entry_hash_of(payment.id)
    if booked == entry.hash:
        return False
    if booked is not None:
        raise Conflict(f"A payment with this id and other content is booked already ({payment.receipt_number}); both are kept.")
    flags: dict[str, str] = {}
    soa = soas.get_many([payment.soa]).get(payment.soa)
    registry = terminal_store.registry(payment.registry)
    codes = booking.codes
    if soa is None:
        flags["unassigned_account"] = f"The portal knows no SOA {payment.soa}."
    elif soa.collector_code not in codes:
        flags["unassigned_account"] = f"SOA {soa.soa_number} belongs to collector code {soa.collector_code or 'none'}."
    printed = list(payment.allocations)
    parts = _allocate(payment, soa, flags) if soa else printed
    _check_circumstances(booking, registry, flags, now)
    number = _check_number(booking, flags, now)
    business_date = registry.business_date if registry else read_instant(entry.at).astimezone(MANILA).date()
    approved = not flags and booking.approval == "automatic"
    values = {
        "id": payment.id,
        "terminal_id": terminal.id,
        "user_id": terminal.user_id,
        "registry_id": payment.registry,
        "journal_seq": entry.seq,
        "entry_hash": entry.hash,
        "receipt_number": number,
        "claimed_receipt_number": payment.receipt_number,
        "soa_id": payment.soa,
        "soa_number": payment.soa_number,
        "account_number": payment.account_number,
        "customer_name": payment.customer_name,
        "collector_code": (soa.collector_code if soa else None) or (codes[0] if codes else ""),
        "amount": from_centavos(payment.amount),
        "tender": payment.tender,
        "channel": payment.channel,
        "reference": payment.reference,
        "tendered": None if payment.tendered is None else from_centavos(payment.tendered),
        "change": None if payment.change is None or payment.tendered is None else from_centavos(payment.change),
        "mode": payment.mode,
        "vatable": from_centavos(payment.vat.vatable),
        "vat_amount": from_centavos(payment.vat.vat_amount),
        "vat_exempt": from_centavos(payment.vat.vat_exempt),
        "zero_rated": from_centavos(payment.vat.zero_rated),
        "balance_after": from_centavos(payment.balance_after),
        "business_date": business_date,
        "collected_at": read_instant(entry.at),
        "status": "approved" if approved else "pending",
        "status_reason": "",
    }
    ledger.add(values, parts, printed, flags, now)
    detail = {
        "receipt_number": payment.receipt_number,
        "amount": str(values["amount"]),
        "tender": payment.tender,
        "soa": payment.soa,
        "flags": sorted(flags),
        "status": values["status"],
        "terminal": terminal.code,
        "seq": entry.seq,
    }
    audit.add(booking.collector, "payment_booked", payment.id, detail, now)
    if approved:
        postings.add(payment.id, now)
    elif restores.ever():
        restores.ask_for(payment.id, now)
    return approved


def _allocate(payment: Payment, soa: Soa, flags: dict[str, str]) -> list[Allocation]:
    """The allocation that counts: the printed one while the SOA is as the phone knew it and the parts still fit, else a new one."""
    printed = list(payment.allocations)
    available = allocation.less_payments(open_invoices(soa), ledger.unreflected([soa.id]).get(soa.id, []))
    if soa.status == "active" and payment.soa_version == soa.version and _fits(printed, available):
        return printed
    usable = [] if soa.status == "closed" else available
    known = {invoice.id for invoice in usable}
    chosen = [invoice for invoice in payment.directed if invoice in known]
    parts = allocation.allocate(payment.amount, usable, "directed" if chosen else "oldest_first", chosen)
    if parts == printed:
        return printed
    flags["reallocated"] = "What the receipt says is kept beside the allocation that counts."
    surplus = sum(part.amount for part in parts if part.kind == "advance") - sum(part.amount for part in printed if part.kind == "advance")
    if surplus > 0:
        flags["over_collected"] = f"{show_pesos(from_centavos(surplus))} more than was still owed is kept as an advance."
    return parts


def _fits(parts: Iterable[Allocation], available: Iterable[OpenInvoice]) -> bool:
    room = {
        (invoice.id, kind): amount
        for invoice in available
        for kind, amount in (("penalty", invoice.penalty), ("principal", invoice.balance))
    }
    for part in parts:
        if part.invoice is not None:
            key = (part.invoice, part.kind)
            room[key] = room.get(key, 0) - part.amount
            if room[key] < 0:
                return False
    return True


def _check_circumstances(booking: Booking, registry: terminal_store.RegistryRow | None, flags: dict[str, str], now: datetime) -> None:
    payment, entry, terminal = booking.payment, booking.entry, booking.terminal
    download = terminal_store.last_download(terminal.id, entry.seq)
    collected = read_instant(entry.at)
    if download is None or collected - download.as_of > timedelta(days=booking.stale_soa_days):
        flags["stale_soa"] = f"PSCloud's data were of {download.as_of:%d %b %Y}." if download else "The phone never downloaded a list."
    others = ledger.others_on_soa(
        payment.soa, terminal.id, snapshot_instant(download.snapshot) if download else datetime(2000, 1, 1, tzinfo=UTC)
    )
    if others:
        flags["possible_double"] = f"See {', '.join(others[:5])}."
    if payment.reference:
        used = ledger.reference_used(payment.tender, payment.channel, payment.reference)
        if used:
            flags["duplicate_reference"] = f"{payment.reference} is on {', '.join(used[:5])} too."
    if registry is None or registry.closed_seq is not None or registry.z_seq is not None:
        flags["late"] = "Its registry was closed." if registry else "Its registry never arrived."
    elif journal.of_registry(terminal.id, payment.registry, ["clock_jump"], entry.seq):
        flags["clock_jump"] = ""
    if terminal.state == "revoked":
        flags["revoked_terminal"] = ""
    if booking.disabled:
        flags["disabled_collector"] = ""
    if not booking.main_chain:
        flags["chain_fork"] = ""


def _check_number(booking: Booking, flags: dict[str, str], now: datetime) -> str | None:
    """The receipt number to book, or None when it is quarantined (DOMAIN 11.9: the money counts, the number waits for a person)."""
    text, terminal = booking.payment.receipt_number, booking.terminal
    code, number = receipts.read_receipt_number(text)
    if code != terminal.code or ledger.receipt_taken(text):
        why = "is of another terminal" if code != terminal.code else "is taken by another payment"
        flags["number_quarantined"] = f"{text} {why}."
        incidents.add("number_quarantined", f"Receipt number {text} {why}.", now, terminal.id, booking.payment.id)
        return None
    if booking.main_chain:
        last = terminal_store.last_receipt(terminal.id)
        if number > last + 1:
            gap = f"{receipts.receipt_number(code, last + 1)} to {receipts.receipt_number(code, number - 1)}"
            incidents.add("missing_receipts", f"Receipts {gap} never arrived.", now, terminal.id, text)
        if number > last:
            terminal_store.set_fields(terminal.id, last_receipt=number)
    return text


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
