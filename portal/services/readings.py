"""Readings that arrive from phones: worked out anew from the ledger, compared to the centavo, stored for ever (DOMAIN 6)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal.domain import readings as rules
from portal.domain.errors import Conflict, InvalidInput
from portal.domain.journal import Entry
from portal.domain.money import centavos, from_centavos, show_pesos
from portal.domain.payments import Reader, read_instant
from portal.domain.readings import Counters, Period
from portal.store import audit, incidents, journal, ledger, voids
from portal.store import readings as store
from portal.store import terminals as terminal_store
from portal.store.terminals import RegistryRow, TerminalRow


def check_count(payload: Reader) -> list[dict[str, Any]]:
    """The denominations of a cash count. Raises InvalidInput for a denomination that does not exist or a wrong total."""
    payload.uuid("registry")
    lines = rules.read_denominations(payload.list_of_objects("denominations", most=len(rules.DENOMINATIONS)))
    if rules.count_total(lines) != payload.centavos("total"):
        raise InvalidInput("The denominations do not add up to the total.")
    return lines


def accept(entry: Entry, terminal: TerminalRow, now: datetime) -> None:
    """Book an X- or Z-reading in the current transaction. A centavo of difference is an incident, never a refusal (a Z that differs only
    by what earlier Z-readings took as late was told of then). A Z moves the terminal's counters by what the portal worked out, and takes
    every payment of the terminal that is in no Z yet: those of its period, and late ones. Raises Conflict when the registry is unknown or
    already has its Z."""
    payload = Reader(entry.payload)
    phone = dict(payload.object("reading"))
    registry = terminal_store.registry(payload.uuid("registry"))
    if registry is None or registry.terminal_id != terminal.id:
        raise Conflict("This reading is of a registry that was never opened on this terminal.")
    closing = entry.kind == "reading_z"
    if closing and registry.z_seq is not None:
        raise Conflict("This registry has its Z-reading already.")
    current = terminal_store.by_code(terminal.code, lock=True) or terminal
    period = period_of(current, registry, entry.seq)
    unsent = phone.get("unsent")
    still_there = unsent if isinstance(unsent, int) else 0
    if closing:
        previous = Counters(current.z_counter, centavos(current.accumulated))
        in_period = set(ledger.ids_in_registry(terminal.id, registry.id, entry.seq))
        late = {key: taken for key, taken in ledger.in_no_z(terminal.id, entry.seq).items() if key not in in_period}
        own = rules.z_reading(period, previous, entry.at, entry.prev, still_there)
        portal = rules.with_late(own, list(late.values()), ledger.printed_before(late), ledger.late_and_never_printed(terminal.id))
    else:
        portal = rules.x_reading(period, entry.at, entry.prev, still_there)
    differences = [
        {"field": difference.field, "phone": difference.phone, "portal": difference.portal}
        for difference in rules.compare(phone, portal).differences
    ]
    reading_id = store.add(
        "Z" if closing else "X",
        terminal.id,
        registry.user_id,
        registry.id,
        registry.business_date,
        entry.seq,
        read_instant(entry.at),
        phone,
        portal,
        differences,
        now,
    )
    told_before = rules.only_late_differs(phone, portal) and not portal["late_count"]
    if differences and not told_before:
        _raise_incident(phone, portal, terminal, registry, entry, now)
    if closing:
        store.cover(reading_id, in_period, late=False)
        store.cover(reading_id, late, late=True)
        terminal_store.set_registry(registry.id, z_seq=entry.seq)
        terminal_store.set_fields(terminal.id, z_counter=portal["z_counter"], accumulated=from_centavos(portal["present_accumulated"]))
        summary = {
            "z_counter": portal["z_counter"],
            "gross": portal["gross"],
            "late": portal["late_amount"],
            "differences": len(differences),
        }
        audit.add(terminal.user_name, "z_reading", terminal.code, summary, now)


def _raise_incident(
    phone: dict[str, Any], portal: dict[str, Any], terminal: TerminalRow, registry: RegistryRow, entry: Entry, now: datetime
) -> None:
    """Tell the office in which figures phone and ledger disagree, and whether only late payments make the difference."""
    kind = "Z" if entry.kind == "reading_z" else "X"
    names = ", ".join(difference.field for difference in rules.compare(phone, portal).differences)
    detail = f"The {kind}-reading of {terminal.code} for {registry.business_date} differs from the ledger in: {names}."
    if rules.only_late_differs(phone, portal):
        detail += (
            f" Only late payments make the difference: {portal['late_count']} of {show_pesos(from_centavos(portal['late_amount']))} "
            "arrived after the Z-reading of their own registry and entered this one. The phone does not count them here."
        )
    incidents.add("reading_differs", detail, now, terminal.id, f"{terminal.code}/{entry.seq}")


def period_of(terminal: TerminalRow, registry: RegistryRow, before_seq: int) -> Period:
    """Everything of a registry before a place in the journal, from the ledger: the journal's order decides the period, no clock does."""
    entries = journal.of_registry(terminal.id, registry.id, ["cash_drop", "count"], before_seq)
    drops = [int(entry.payload["amount"]) for entry in entries if entry.kind == "cash_drop"]
    counts = [entry.payload["denominations"] for entry in entries if entry.kind == "count"]
    return Period(
        registry=registry.id,
        business_date=registry.business_date.isoformat(),
        terminal=terminal.code,
        collector=terminal.user_name,
        period_start=registry.opened_at_text,
        change_fund=centavos(registry.change_fund),
        payments=ledger.taken_in_registry(terminal.id, registry.id, before_seq),
        voids=voids.counted_in_registry(terminal.id, registry.id, before_seq),
        void_numbers=voids.issued_in_registry(terminal.id, registry.id, before_seq),
        drops=drops,
        counted=counts[-1] if counts else None,
    )
