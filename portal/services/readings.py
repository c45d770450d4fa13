"""Readings that arrive from phones: worked out anew from the ledger, compared to the centavo, stored for ever (DOMAIN 6)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from portal.domain import readings as rules
from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.domain.journal import Entry
from portal.domain.money import centavos, from_centavos, show_pesos
from portal.domain.payments import Reader, read_instant
from portal.domain.readings import Counters, Period, Voided
from portal.extensions import db
from portal.services.payments import MANILA
from portal.store import audit, expenses, incidents, journal, ledger, voids
from portal.store import readings as store
from portal.store import terminals as terminal_store
from portal.store.terminals import RegistryRow, TerminalRow

Carried = tuple[list[Voided], list[int], list[int]]
"""Voids, cash drops and approved expenses (centavos) of a registry that the office had closed before the phone wrote them."""


def check_count(payload: Reader) -> list[dict[str, Any]]:
    """The denominations of a cash count. Raises InvalidInput for a denomination that does not exist or a wrong total."""
    payload.uuid("registry")
    lines = rules.read_denominations(payload.list_of_objects("denominations", most=len(rules.DENOMINATIONS)))
    if rules.count_total(lines) != payload.centavos("total"):
        raise InvalidInput("The denominations do not add up to the total.")
    return lines


def accept(entry: Entry, terminal: TerminalRow, now: datetime) -> str:
    """Book an X- or Z-reading in the current transaction. A centavo of difference is an incident, never a refusal (a Z that differs only
    by what earlier Z-readings took as late was told of then). A Z moves the terminal's counters by what the portal worked out, and takes
    every payment of the terminal that is in no Z yet: those of its period, and late ones. Returns what the phone must be told, mostly
    nothing: the Z of a registry that the office closed is kept as evidence. Raises Conflict when the registry is unknown or already has
    its Z."""
    payload = Reader(entry.payload)
    phone = dict(payload.object("reading"))
    registry = terminal_store.registry(payload.uuid("registry"))
    if registry is None or registry.terminal_id != terminal.id:
        raise Conflict("This reading is of a registry that was never opened on this terminal.")
    closing = entry.kind == "reading_z"
    if closing and registry.z_seq is not None:
        raise Conflict("This registry has its Z-reading already.")
    if closing and registry.forced_seq is not None:
        return _keep(entry, phone, terminal, registry, now)
    current = terminal_store.by_code(terminal.code, lock=True) or terminal
    period = period_of(current, registry, entry.seq)
    unsent = phone.get("unsent")
    still_there = unsent if isinstance(unsent, int) else 0
    if closing:
        in_period = set(ledger.ids_in_registry(terminal.id, registry.id, entry.seq))
        carried = _carried(current, registry)
        portal, late = _z_of(current, period, in_period, carried, entry.seq, entry.at, entry.prev, still_there)
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
    return ""


def _z_of(
    terminal: TerminalRow,
    period: Period,
    in_period: Collection[str],
    carried: Carried,
    before_seq: int,
    at: str,
    head_hash: str,
    unsent: int,
) -> tuple[dict[str, Any], list[str]]:
    """The portal's Z-reading before a place in the journal, and the late payments it takes beside those of its period."""
    previous = Counters(terminal.z_counter, centavos(terminal.accumulated))
    late = {key: taken for key, taken in ledger.in_no_z(terminal.id, before_seq).items() if key not in in_period}
    own = rules.with_carried(rules.z_reading(period, previous, at, head_hash, unsent), *carried)
    portal = rules.with_late(own, list(late.values()), ledger.printed_before(late), ledger.late_and_never_printed(terminal.id))
    return portal, list(late)


def _carried(terminal: TerminalRow, registry: RegistryRow) -> Carried:
    """Voids, cash drops and approved expenses that the phone wrote into the registry before this one after the office had closed that."""
    before = terminal_store.registry_before(terminal.id, registry.opened_seq)
    if before is None or before.forced_seq is None:
        return [], [], []
    found = voids.counted_in_registry(terminal.id, before.id, registry.opened_seq, before.forced_seq)
    spent = expenses.counted_in_registry(terminal.id, before.id, registry.opened_seq, before.forced_seq)
    return found, _drops(terminal, before, registry.opened_seq, before.forced_seq), spent


def _drops(terminal: TerminalRow, registry: RegistryRow, before_seq: int, after_seq: int = 0) -> list[int]:
    entries = journal.of_registry(terminal.id, registry.id, ["cash_drop"], before_seq)
    return [int(entry.payload["amount"]) for entry in entries if entry.seq > after_seq]


# --- a registry that the office closes, because its phone cannot -----------------------------------------------------------


def close_by_office(registry_id: str, who: str, reason: str, now: datetime) -> int:
    """End a registry whose phone is lost or broken by a Z-reading of the office; returns its number. Commits.

    It holds what the portal knows: every payment of the terminal that is in no Z yet, under the terminal's next Z counter, so that the
    chain stays unbroken. What arrives later, or is recorded from a receipt, is late and enters the next Z; of a revoked phone, which makes
    none, the office makes it too, as a further one of the terminal's last registry, whoever made the first.
    Raises InvalidInput for too few words, NotFound, Forbidden for the collector's own registry, Conflict when there is nothing to close."""
    words = " ".join(reason.split())
    if not 5 <= len(words) <= 500 or "\x00" in words:
        raise InvalidInput("Say in 5 to 500 letters why the phone cannot close its registry itself.")
    found = terminal_store.registry(registry_id)
    owner = terminal_store.by_id(found.terminal_id) if found else None
    if found is None or owner is None:
        raise NotFound("There is no registry of this kind.")
    if owner.user_name == who:
        raise Forbidden("This is your own registry. Another supervisor has to close it.")
    terminal = terminal_store.by_code(owner.code, lock=True) or owner
    registry = terminal_store.registry(registry_id) or found
    try:
        _check_closable(terminal, registry)
        reading_id = _make(terminal, registry, who, words, now)
    except Conflict:
        db.session.rollback()
        raise
    db.session.commit()
    return reading_id


def _check_closable(terminal: TerminalRow, registry: RegistryRow) -> None:
    if registry.z_seq is None and registry.forced_seq is None:
        return
    closed = (
        "This registry has its Z-reading from the phone already."
        if registry.forced_seq is None
        else "The office closed this registry already."
    )
    if terminal.state != "revoked":
        what_now = "What the phone sends now enters its next Z-reading. If the phone is lost, revoke its terminal first."
        raise Conflict(f"{closed} {what_now}")
    if store.has_later_registry(terminal.id, registry.opened_seq):
        raise Conflict(f"{closed} The terminal has a later registry: close that one.")
    if not ledger.in_no_z(terminal.id, terminal.head_seq + 1):
        raise Conflict(f"{closed} Nothing has arrived since.")


def _make(terminal: TerminalRow, registry: RegistryRow, who: str, reason: str, now: datetime) -> int:
    """Write the office's Z-reading in the current transaction."""
    until = terminal.head_seq + 1
    after = registry.z_seq if registry.forced_seq is None else registry.forced_seq
    period = period_of(terminal, registry, until)
    if after is None:
        in_period, carried = set(ledger.ids_in_registry(terminal.id, registry.id, until)), _carried(terminal, registry)
    else:  # a further one, after the office's or the phone's: change fund, count, payments and what was carried are in the first
        voided = voids.counted_in_registry(terminal.id, registry.id, until, after)
        drops, spent = _drops(terminal, registry, until, after), expenses.counted_in_registry(terminal.id, registry.id, until, after)
        period = replace(period, change_fund=0, payments=(), voids=voided, void_numbers=(), drops=drops, expenses=spent, counted=None)
        in_period, carried = set(), ([], [], [])
    at = now.astimezone(MANILA).isoformat(timespec="milliseconds")
    portal, late = _z_of(terminal, period, in_period, carried, until, at, terminal.head_hash, 0)
    place = -int(portal["z_counter"])
    of = (terminal.id, registry.user_id, registry.id, registry.business_date, place, now)
    reading_id = store.add("Z", *of, {}, portal, [], now, made_by=who, reason=reason)
    store.cover(reading_id, in_period, late=False)
    store.cover(reading_id, late, late=True)
    terminal_store.set_registry(registry.id, forced_seq=terminal.head_seq, forced_at=now)
    terminal_store.set_fields(terminal.id, z_counter=portal["z_counter"], accumulated=from_centavos(portal["present_accumulated"]))
    told = {"z_counter": portal["z_counter"], "gross": portal["gross"], "late": portal["late_amount"], "reason": reason}
    audit.add(who, "registry_forced", terminal.code, {"business_date": registry.business_date.isoformat(), **told}, now)
    return reading_id


def _keep(entry: Entry, phone: dict[str, Any], terminal: TerminalRow, registry: RegistryRow, now: datetime) -> str:
    """Keep a phone's Z-reading of a registry that the office had closed, as evidence: it moves nothing. What the phone is told."""
    office = store.of_office(registry.id)[0]
    differences = [
        {"field": difference.field, "phone": difference.phone, "portal": difference.portal}
        for difference in rules.compare(phone, rules.without_late(office.portal)).differences
    ]
    store.keep(office.row.id, terminal.id, registry.id, entry.seq, read_instant(entry.at), phone, differences, now)
    terminal_store.set_registry(registry.id, z_seq=entry.seq)
    names = ", ".join(one["field"] for one in differences)
    detail = (
        f"{terminal.code} came back with its own Z-reading for {registry.business_date}, which the office had closed as Z "
        f"{office.row.z_counter}. It is kept beside it and differs in: {names or 'nothing'}. Payments the office did not know enter the "
        "next Z."
    )
    incidents.add("closed_by_office", detail, now, terminal.id, f"{terminal.code}/{entry.seq}")
    told = {"z_counter": office.row.z_counter, "differences": len(differences)}
    audit.add(terminal.user_name, "z_reading_kept", terminal.code, told, now)
    return (
        f"The office closed this registry on {office.row.made_at.astimezone(MANILA):%d %b %Y} with a Z-reading of its own. This one is "
        "kept beside it; payments that were not known then count in your next Z-reading. Bring the paper to the office."
    )


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
    counts = [entry.payload["denominations"] for entry in journal.of_registry(terminal.id, registry.id, ["count"], before_seq)]
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
        drops=_drops(terminal, registry, before_seq),
        expenses=expenses.counted_in_registry(terminal.id, registry.id, before_seq),
        counted=counts[-1] if counts else None,
    )
