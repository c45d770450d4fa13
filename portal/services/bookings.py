"""Booking payments out of the journal: allocation, flags, receipt number, approval by policy (DOMAIN 4, 8, 11). Never refuses money:
whatever is doubtful is booked and held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.domain import allocation, receipts
from portal.domain import soa as soa_rules
from portal.domain.allocation import Allocation, OpenInvoice
from portal.domain.errors import Conflict
from portal.domain.journal import Entry
from portal.domain.money import from_centavos, show_pesos
from portal.domain.payments import UNLISTED, Payment, is_large_advance, or_key, read_instant
from portal.services.payments import MANILA, open_invoices, snapshot_instant
from portal.store import audit, bookings, incidents, rebuilt, soas
from portal.store import terminals as terminal_store
from portal.store.soas import SoaDetail
from portal.store.terminals import DownloadRow, RegistryRow, TerminalRow

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose payments are booked: `codes` are the collector codes held now, `disabled` whether the collector may not log in any more;
    `approval` and `stale_soa_days` are the office's settings."""

    terminal: TerminalRow
    collector: str
    codes: tuple[str, ...]
    approval: str
    stale_soa_days: int
    disabled: bool = False


class Bookings:
    """Some payments of one terminal on their way into the ledger: each is worked out by itself, and all are written together.

    `main_chain` is False for payments of a forked journal. Between making this and `write` nothing else of the terminal may be booked."""

    def __init__(self, sender: Sender, first_seq: int, payments: Sequence[Payment], now: datetime, main_chain: bool = True) -> None:
        """Reads what the books say about these payments; `first_seq` is the place of the first in the journal. Takes the lock that lets
        nobody else book until the transaction ends, so that two terminals at one SOA see each other."""
        audit.lock()
        self.sender, self.now, self.main_chain = sender, now, main_chain
        self.unlisted = soas.by_account([payment.soa.removeprefix(UNLISTED) for payment in payments if payment.soa.startswith(UNLISTED)])
        payments = [self._on_account(payment) for payment in payments]
        self.download = terminal_store.last_download(sender.terminal.id, first_seq)
        since = snapshot_instant(self.download.snapshot) if self.download else LONG_AGO
        self.facts = bookings.facts(sender.terminal.id, payments, first_seq, since)
        self.was_last_receipt = self.facts.last_receipt
        self.rows = bookings.Rows()
        self.events: list[audit.Event] = []
        self.incidents: list[incidents.NewIncident] = []
        self.approved = False

    def take(self, entry: Entry, payment: Payment) -> None:
        """Work out one payment. The same payment from the same entry again changes nothing.

        Raises Conflict, and then nothing of it is taken, when its UUID is booked with other content."""
        booked = self.facts.booked.get(payment.id)
        if booked == entry.hash:
            return
        payment = self._on_account(payment)
        if booked is not None and len(booked) < len(entry.hash) and entry.hash.startswith(booked):
            return self._complete(entry, payment)
        if booked is not None:
            raise Conflict(f"A payment with this id and other content is booked already ({payment.receipt_number}); both are kept.")
        self._work_out(entry, payment, {})

    def take_rebuilt(self, entry: Entry, payment: Payment, detail: str) -> None:
        """Work out a payment that is known from its receipt alone: nobody has seen what else the phone wrote. `detail` says who did this.

        Raises Conflict when its UUID is booked already."""
        if payment.id in self.facts.booked:
            raise Conflict(f"The payment of receipt {payment.receipt_number} is in the books already.")
        self._work_out(entry, payment, {"rebuilt": detail})

    def _on_account(self, payment: Payment) -> Payment:
        """An OR entry on an account that was not in the phone's list, on the SOA of that account when there is one."""
        found = self.unlisted.get(payment.soa.removeprefix(UNLISTED)) if payment.soa.startswith(UNLISTED) else None
        return payment if found is None else replace(payment, soa=found)

    def _work_out(self, entry: Entry, payment: Payment, flags: dict[str, str]) -> None:
        pesos = _pesos(payment)
        collected = read_instant(entry.at)
        known = self.facts.soas.get(payment.soa)
        soa = known.soa if known else None
        registry = self.facts.registries.get(payment.registry)
        if soa is None:
            unlisted = f"open SOA of account {payment.account_number}" if payment.soa.startswith(UNLISTED) else f"SOA {payment.soa}"
            flags["unassigned_account"] = f"The portal knows no {unlisted}."
        elif soa.collector_code not in self.sender.codes:
            flags["unassigned_account"] = f"SOA {soa.soa_number} belongs to collector code {soa.collector_code or 'none'}."
        unreflected = self.facts.unreflected.get(payment.soa, [])
        if "rebuilt" in flags:
            parts = _from_paper(payment, soa, unreflected, flags)
            vat = allocation.split_vat(parts, open_invoices(soa)) if soa else allocation.Vat()
            pesos |= {name: from_centavos(getattr(vat, name)) for name in ("vatable", "vat_amount", "vat_exempt", "zero_rated")}
        else:
            parts = allocate(payment, known, unreflected, flags) if known else list(payment.allocations)
        self._check_circumstances(payment, registry, collected, flags)
        day = registry.business_date if registry else collected.astimezone(MANILA).date()
        values = {**pesos, "receipt_number": self._number(payment, flags), "business_date": day, "collected_at": collected}
        values["collector_code"] = (soa.collector_code if soa else None) or (self.sender.codes[0] if self.sender.codes else "")
        self._add(entry, payment, values, parts, flags)

    def write(self) -> None:
        """Put everything taken into the ledger. Raises IntegrityError or DataError when the database refuses one of them."""
        bookings.write(self.rows)
        incidents.add_all(self.incidents)
        if self.facts.last_receipt > self.was_last_receipt:
            terminal_store.set_fields(self.sender.terminal.id, last_receipt=self.facts.last_receipt)
        audit.add_all(self.events)

    def _check_circumstances(self, payment: Payment, registry: RegistryRow | None, collected: datetime, flags: dict[str, str]) -> None:
        sender = self.sender
        if self.download is None or collected - self.download.as_of > timedelta(days=sender.stale_soa_days):
            flags["stale_soa"] = _how_stale(self.download)
        if payment.or_number is not None:
            flags["or_entry"] = f"Official receipt {payment.or_number} of {payment.or_date:%d %b %Y}."
            taken = self.facts.or_numbers.get(or_key(payment.or_number))
            if taken:
                flags["or_number_taken"] = f"{payment.or_number} is on {taken} too."
        if is_large_advance(payment.allocations):
            flags["large_advance"] = ""
        others = self.facts.others.get(payment.soa)
        if others:
            flags["possible_double"] = f"See {', '.join(others[:5])}."
        if payment.reference:
            key = (payment.tender, (payment.channel or "").lower(), payment.reference.lower())
            used = self.facts.references.setdefault(key, [])
            if used:
                flags["duplicate_reference"] = f"{payment.reference} is on {', '.join(used[:5])} too."
            used.append(payment.receipt_number)
        if "rebuilt" in flags and registry is None:
            pass  # it is with the phone, as the payment's own entry is
        elif registry is None or any(place is not None for place in (registry.closed_seq, registry.z_seq, registry.forced_seq)):
            flags["late"] = "Its registry was closed." if registry else "Its registry never arrived."
        elif payment.registry in self.facts.jumped:
            flags["clock_jump"] = ""
        if sender.terminal.state == "revoked":
            flags["revoked_terminal"] = ""
        if sender.disabled:
            flags["disabled_collector"] = ""
        if not self.main_chain:
            flags["chain_fork"] = ""

    def _number(self, payment: Payment, flags: dict[str, str]) -> str | None:
        """The receipt number to book, or None when it is quarantined (DOMAIN 11.9: the money counts, the number waits for a person)."""
        text, terminal = payment.receipt_number, self.sender.terminal
        code, number = receipts.read_receipt_number(text)
        if code != terminal.code or text in self.facts.receipts:
            why = "is of another terminal" if code != terminal.code else "is taken by another payment"
            flags["number_quarantined"] = f"{text} {why}."
            self._raise("number_quarantined", f"Receipt number {text} {why}.", payment.id)
            return None
        self.facts.receipts.add(text)
        if self.main_chain and number > self.facts.last_receipt:
            self.facts.last_receipt = number
        return text

    def _raise(self, kind: str, detail: str, subject: str) -> None:
        self.incidents.append(incidents.NewIncident(kind, detail, self.now, self.sender.terminal.id, subject))

    def _add(self, entry: Entry, payment: Payment, values: dict[str, Any], parts: list[Allocation], flags: dict[str, str]) -> None:
        """Put the payment's rows beside those that wait, and let the payments behind it see it."""
        sender, printed = self.sender, list(payment.allocations)
        approved = not flags and sender.approval == "automatic"
        status = "approved" if approved else "pending"
        generation = 1 if parts != printed or "rebuilt" in flags else 0  # generation 0 is what the phone printed
        self.rows.payments.append(
            {
                **values,
                "id": payment.id,
                "terminal_id": sender.terminal.id,
                "user_id": sender.terminal.user_id,
                "registry_id": payment.registry,
                "journal_seq": entry.seq,
                "entry_hash": entry.hash,
                "claimed_receipt_number": payment.receipt_number,
                "soa_id": payment.soa,
                "soa_number": payment.soa_number,
                "account_number": payment.account_number,
                "customer_name": payment.customer_name,
                "tender": payment.tender,
                "channel": payment.channel,
                "reference": payment.reference,
                "mode": payment.mode,
                "received_at": self.now,
                "allocation_generation": generation,
                "status": status,
                "status_at": self.now,
            }
        )
        for number, allocations in enumerate([printed, parts][: generation + 1]):
            self.rows.allocations += [_allocation_row(payment, number, place, part) for place, part in enumerate(allocations)]
        self._add_extras(payment)
        self.rows.flags += [{"payment_id": payment.id, "flag": flag, "detail": flags[flag], "raised_at": self.now} for flag in flags]
        detail = {
            "receipt_number": payment.receipt_number,
            "amount": str(values["amount"]),
            "tender": payment.tender,
            "soa": payment.soa,
            "flags": sorted(flags),
            "status": status,
            "terminal": sender.terminal.code,
            "seq": entry.seq,
        }
        self.events.append(audit.Event(sender.collector, "payment_booked", payment.id, detail, self.now))
        if approved:
            # Once this database was put back from a backup, PSCloud may hold any payment that arrives: it may have been posted before.
            due = {"payment_id": payment.id, "status": "due", "next_attempt_at": self.now, "created_at": self.now}
            self.rows.postings.append({**due, "outcome_unknown": self.facts.restored})
        elif self.facts.restored:
            self.rows.unasked.append({"payment_id": payment.id, "next_ask_at": self.now})
        self.approved |= approved
        self.facts.booked[payment.id] = entry.hash
        self.facts.unreflected.setdefault(payment.soa, []).extend(parts)

    def _add_extras(self, payment: Payment) -> None:
        """What few payments carry, for those that do."""
        if not (payment.branch or payment.check_date or payment.or_number or payment.place):
            return
        key = None if payment.or_number is None else or_key(payment.or_number)
        taken = key is not None and self.facts.or_numbers.setdefault(key, payment.receipt_number) != payment.receipt_number
        self.rows.extras.append(
            {
                "payment_id": payment.id,
                "branch": payment.branch,
                "check_date": payment.check_date,
                "or_number": payment.or_number,
                "or_key": None if taken else key,
                "or_date": payment.or_date,
                **{name: payment.place and getattr(payment.place, name) for name in ("latitude", "longitude", "accuracy")},
            }
        )

    def _complete(self, entry: Entry, payment: Payment) -> None:
        """The phone's own entry of a payment that was rebuilt from its receipt: one payment, now with all that no paper says.

        Raises Conflict when the entry says something else than the paper did."""
        collected, pesos = read_instant(entry.at), _pesos(payment)
        known = rebuilt.booked(payment.id)
        said = (self.sender.terminal.id, payment.receipt_number, entry.seq, pesos["amount"], payment.tender, payment.soa_number, collected)
        if known is None or said != known.on_paper:
            raise Conflict(
                f"What this entry says of receipt {payment.receipt_number} is not what its paper says; the paper's payment stands."
            )
        registry = self.facts.registries.get(payment.registry)
        values = {
            **{name: value for name, value in pesos.items() if name != "amount"},
            "registry_id": payment.registry,
            "entry_hash": entry.hash,
            "account_number": payment.account_number,
            "customer_name": payment.customer_name,
            "channel": payment.channel,
            "reference": payment.reference,
            "mode": payment.mode,
            "business_date": registry.business_date if registry else known.business_date,
        }
        printed = [_allocation_row(payment, 0, place, part) for place, part in enumerate(payment.allocations)]
        self._add_extras(payment)
        self.rows.completed.append((payment.id, values, printed, self.now))
        detail = {"receipt_number": payment.receipt_number, "terminal": self.sender.terminal.code, "seq": entry.seq}
        self.events.append(audit.Event(self.sender.collector, "rebuilt_payment_arrived", payment.id, detail, self.now))
        self.facts.booked[payment.id] = entry.hash


def _from_paper(payment: Payment, soa: soa_rules.Soa | None, unreflected: Sequence[Allocation], flags: dict[str, str]) -> list[Allocation]:
    """How a payment is allocated of which only the amount is known: oldest first on what is still owed."""
    open_now = [] if soa is None or soa.status == "closed" else allocation.less_payments(open_invoices(soa), unreflected)
    parts = allocation.allocate(payment.amount, open_now)
    surplus = sum(part.amount for part in parts if part.kind == "advance")
    if surplus and soa is not None:
        flags["over_collected"] = f"{show_pesos(from_centavos(surplus))} more than was still owed is kept as an advance."
    return parts


def _pesos(payment: Payment) -> dict[str, Any]:
    """The payment's figures as the ledger keeps them. Raises InvalidAmount for what it cannot hold."""
    return {
        "amount": from_centavos(payment.amount),
        "tendered": None if payment.tendered is None else from_centavos(payment.tendered),
        "change": None if payment.change is None or payment.tendered is None else from_centavos(payment.change),
        "vatable": from_centavos(payment.vat.vatable),
        "vat_amount": from_centavos(payment.vat.vat_amount),
        "vat_exempt": from_centavos(payment.vat.vat_exempt),
        "zero_rated": from_centavos(payment.vat.zero_rated),
        "balance_after": from_centavos(payment.balance_after),
    }


def _how_stale(download: DownloadRow | None) -> str:
    return f"PSCloud's data were of {download.as_of:%d %b %Y}." if download else "The phone never downloaded a list."


def _allocation_row(payment: Payment, generation: int, position: int, part: Allocation) -> dict[str, Any]:
    return {
        "payment_id": payment.id,
        "generation": generation,
        "position": position,
        "soa_id": payment.soa,
        "invoice_id": part.invoice,
        "invoice_number": part.invoice_number,
        "kind": part.kind,
        "amount": from_centavos(part.amount),
    }


def allocate(payment: Payment, detail: SoaDetail, unreflected: Sequence[Allocation], flags: dict[str, str]) -> list[Allocation]:
    """The allocation that counts: the printed one while the SOA is as the phone knew it and the parts still fit, else a new one."""
    printed = list(payment.allocations)
    soa = detail.soa
    available = allocation.less_payments(open_invoices(soa), unreflected)
    if soa.status == "active" and payment.soa_version == detail.version and _fits(printed, available):
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
