"""The invariants of RELIABILITY 4, each a small function named for it. STEP ones hold after every step, END ones once all is healed."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from portal.domain.money import from_centavos
from portal.pscloud import mapping
from portal.services import snapshot as snapshots
from portal.store import audit, soas
from portal.store.payment_totals import COUNTED, FLAG_TEXTS
from tests.simulation.pscloud import CODES, readable
from tests.simulation.steps import sight
from tests.simulation.world import BUSINESS, Violation, World

UNIQUE: dict[str, set[tuple[str, ...]]] = {
    "payments": {("id",), ("receipt_number",)},
    "postings": {("payment_id",)},
    "journal_entries": {("terminal_id", "seq")},
    "journal_asides": {("terminal_id", "seq", "hash")},
    "terminals": {("code",), ("key_fingerprint",)},
    "readings": {("terminal_id", "z_counter"), ("terminal_id", "journal_seq")},
    "sync_runs": {("active_slot",)},
    "users": {("name",)},
    "schedule_slots": {("job",)},
    "voids": {("void_number",), ("payment_id",)},
    "reading_payments": {("payment_id",)},
    "remittances": {("number",), ("request_id",)},
    "remittance_readings": {("reading_id",)},
}


@dataclass
class Known:
    """What the checker remembers from step to step, so that each row is looked at once."""

    changes: int = -1
    payments: int = 0
    total: int = 0
    amount: int = 0
    readings: int = 0
    written: int = 0
    audit: int = 0
    audit_hash: str = "0" * 64
    numbers: set[str] = field(default_factory=set)
    counters: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    entries: dict[tuple[str, str], int] = field(default_factory=dict)
    series: dict[str, set[str]] = field(default_factory=dict)
    closed: dict[int, str] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    last_run: int = 0
    digest: str = ""
    ended: dict[int, str] = field(default_factory=dict)
    pscloud: int = 0
    receipts: dict[tuple[str, str], int] = field(default_factory=dict)
    voiding: set[str] = field(default_factory=set)
    voided_pscloud: int = 0
    codes: int = 0
    remitted: dict[int, str] = field(default_factory=dict)
    marked: int = 0

    kept: Known | None = None

    def follow(self, world: World) -> None:
        """The database was put back to its backup: what it said then is what must hold. Phones and PSCloud were not put back."""
        if world.seen.database == "put back" and self.kept:
            elsewhere = {"kept", "entries", "series", "written", "receipts", "pscloud", "voided_pscloud"}
            for name, value in vars(copy.deepcopy(self.kept)).items():
                if name not in elsewhere:
                    setattr(self, name, value)
            self.changes = -1

    def keep(self, world: World) -> None:
        """What the database says now, should it be put back to this."""
        if world.seen.database == "backed up":
            self.kept = None
            self.kept = copy.deepcopy(self)
        world.seen.database = ""

    def begin(self, world: World) -> None:
        """What is there before the first step."""
        self.digest = sight(world)
        self.active = {row[0] for row in world.portal.rows("SELECT id FROM soas WHERE status = 'active'")}
        self.last_run = world.portal.one("SELECT coalesce(max(id), 0) FROM sync_runs WHERE status = 'completed'")


Check = Callable[[World, Known], None]
EVERY_STEP: list[Check] = []
"""Checks of phones and PSCloud, after every step."""
EVERY_CHANGE: list[Check] = []
"""Checks of the database, after every step that wrote to it."""
AT_THE_END: list[Check] = []


def every_step(check: Check) -> Check:
    """Phones and PSCloud."""
    EVERY_STEP.append(check)
    return check


def every_change(check: Check) -> Check:
    """The database."""
    EVERY_CHANGE.append(check)
    return check


def at_the_end(check: Check) -> Check:
    """After everything was healed and drained."""
    AT_THE_END.append(check)
    return check


def check_step(world: World, known: Known) -> None:
    """All that can be said after a step. Raises Violation."""
    known.follow(world)
    for check in EVERY_STEP:
        check(world, known)
    if world.portal.raw.total_changes != known.changes:
        for check in EVERY_CHANGE:
            check(world, known)
        known.changes = world.portal.raw.total_changes
    known.keep(world)
    world.seen.marked.clear()


def check_end(world: World, known: Known) -> None:
    """All of them. Raises Violation."""
    check_step(world, known)
    for check in AT_THE_END:
        check(world, known)


# --- phones ------------------------------------------------------------------------------------------------------------------


@every_step
def i27_nothing_on_a_phone_goes_away(world: World, known: Known) -> None:
    """I27, I17: no entry leaves a phone's journal, unless the phone was put back to a copy (the step notes that)."""
    for phone in world.phones:
        for code, entries in phone.disk.entries.items():
            before = known.entries.get((phone.name, code), 0)
            if len(entries) < before and code not in world.seen.forked:
                raise Violation("I27", f"{phone.name} lost entries of {code}", range(len(entries) + 1, before + 1))
            known.entries[phone.name, code] = len(entries)
        gone = known.series.get(phone.name, set()) - phone.disk.entries.keys() - world.seen.forked
        if gone:
            raise Violation("I27", f"{phone.name} lost whole journals", sorted(gone))
        known.series[phone.name] = set(phone.disk.entries)


@every_step
def i3_one_payment_for_each_form(world: World, known: Known) -> None:
    """I3, F47: a phone writes a payment only for a form that a collector filled in, and once."""
    if len(world.seen.written) == known.written:
        return
    known.written = len(world.seen.written)
    unasked = world.seen.written.keys() - world.seen.forms
    if unasked:
        raise Violation("I3", "a phone wrote payments that nobody took", sorted(unasked))


@every_step
def i6_numbers_are_dense_on_each_phone(world: World, known: Known) -> None:
    """I6: receipt numbers have no gap and no reuse; one is used exactly when a payment is stored. After a phone learned that the portal
    holds more than it does, it issues none at all."""
    for phone in world.phones:
        for code, head in phone.disk.heads.items():
            place = (phone.name, code)
            if known.receipts.get(place) == head.receipt:
                continue
            known.receipts[place] = head.receipt
            numbers = [int(e.payload["receipt_number"][-8:]) for e in phone.disk.entries[code] if e.kind == "payment"]
            if numbers != list(range(1, head.receipt + 1)):
                missing = sorted(set(range(1, head.receipt + 1)) - set(numbers)) or [n for n, c in Counter(numbers).items() if c > 1]
                raise Violation("I6", f"receipt numbers of {code} on {phone.name} have gaps or repeats", missing)
            if code in world.seen.told_to_stop and len(phone.disk.entries[code]) > world.seen.told_to_stop[code] + 1:
                raise Violation("I6", f"{phone.name} goes on with {code} though the portal holds more of its journal", numbers[-1:])


@every_step
def i9_the_day_closes_in_order(world: World, known: Known) -> None:
    """I9, F48: on the phone Z counters are dense, and the accumulated total is what its payments add up to under each Z."""
    for phone in world.phones:
        head = phone.head
        if head is None or head.seq == known.entries.get((phone.name, "z " + phone.disk.current)):
            continue
        known.entries[phone.name, "z " + phone.disk.current] = head.seq
        last = phone.disk.entries[phone.disk.current][-1] if head.seq else None
        if last is not None and last.kind == "reading_z" and last.hash not in world.seen.poisoned:
            reading = last.payload["reading"]
            if reading["present_accumulated"] != reading["previous_accumulated"] + reading["gross"]:
                raise Violation("I10", f"a Z of {phone.name} does not add up", [reading["z_counter"]])


@every_step
def i30_uploaded_means_uploaded(world: World, known: Known) -> None:
    """I30, I1: what a phone marks as uploaded is in the portal's journal, and a payment so marked with `stored` is in its ledger."""
    for code, entry, verdict in world.seen.marked:
        kept = world.portal.one(
            "SELECT (SELECT count(*) FROM journal_entries e JOIN terminals t ON t.id = e.terminal_id WHERE t.code = ? AND e.hash = ?)"
            " + (SELECT count(*) FROM journal_asides a JOIN terminals t ON t.id = a.terminal_id WHERE t.code = ? AND a.hash = ?)",
            code,
            entry.hash,
            code,
            entry.hash,
        )
        if not kept:
            raise Violation("I30", f"{code} marked entry {entry.seq} as uploaded, and the portal does not have it", [entry.hash])
        if entry.kind != "payment" or verdict not in {"stored", "repeat"}:
            continue
        payment_id = entry.payload["payment"]
        if not world.portal.one("SELECT count(*) FROM payments WHERE id = ?", payment_id):
            raise Violation("I1", f"{code}: entry {entry.seq} was answered {verdict} and is not in the ledger", [payment_id])


# --- PSCloud -----------------------------------------------------------------------------------------------------------------


@every_step
def i2_never_twice_in_pscloud(world: World, known: Known) -> None:
    """I2, I3: no payment is in PSCloud twice, and none that the portal's ledger does not hold; I4: each as the phone wrote it."""
    for held in world.pscloud.ledger[known.pscloud :]:
        reference = held.record["reference"]
        if len(world.pscloud.references[reference]) > 1:
            raise Violation("I2", "a payment is in PSCloud twice", [reference])
        found = world.portal.rows("SELECT amount, claimed_receipt_number, soa_id FROM payments WHERE id = ?", reference)
        if not found:
            raise Violation("I3", "PSCloud holds a payment that is not in the ledger", [reference])
        sent = (held.record["amount"], held.record["receipt_number"], held.record["soa_id"])
        payload = world.seen.written[reference].payload if reference in world.seen.written else {}
        copies = [
            (str(from_centavos(copy.payload["amount"])), copy.payload["receipt_number"], copy.payload["soa"])
            for copy in world.seen.copies.get(reference, [])
        ]
        if sent not in copies:
            raise Violation("I4", f"PSCloud was told {sent}, the phone wrote {payload.get('amount')}", [reference])
        if sum((Decimal(part["amount"]) for part in held.record["allocations"]), Decimal(0)) != Decimal(held.record["amount"]):
            raise Violation("I15", "what PSCloud was told does not add up", [reference])
        if world.portal.one("SELECT status FROM payments WHERE id = ?", reference) == "pending":
            raise Violation("I2", "a payment that is held was posted", [reference])
    known.pscloud = len(world.pscloud.ledger)


# --- the ledger --------------------------------------------------------------------------------------------------------------

FACTS = (
    "p.id, t.code, p.registry_id, p.journal_seq, p.entry_hash, p.receipt_number, p.claimed_receipt_number, p.soa_id, p.soa_number, "
    "p.account_number, p.customer_name, p.amount, p.tender, p.channel, p.reference, p.tendered, p.change, p.mode, p.vatable, p.vat_amount, "
    "p.vat_exempt, p.zero_rated, p.balance_after, p.status, p.received_at, p.allocation_generation, u.name"
)


def same_as_written(world: World, row: tuple[Any, ...]) -> None:
    """I4, I26: a ledger row says bit for bit what the phone's entry said."""
    copy = next((entry for entry in world.seen.copies.get(row[0], []) if entry.hash == row[4]), None)
    if copy is None:
        raise Violation("I3", "the ledger holds a payment that no phone wrote", [row[0]])
    p = copy.payload
    expected = (
        p["payment"],
        copy.terminal,
        p["registry"],
        copy.seq,
        copy.hash,
        *(p[name] for name in ("receipt_number", "soa", "soa_number", "account_number", "customer_name", "amount", "tender")),
        *(p[name] for name in ("channel", "reference", "tendered", "change", "mode")),
        *(p["vat"][name] for name in ("vatable", "vat_amount", "vat_exempt", "zero_rated")),
        p["balance_after"],
    )
    if (row[:5] + row[6:23]) != expected:
        differing = [(mine, theirs) for mine, theirs in zip(row[:5] + row[6:23], expected, strict=True) if mine != theirs]
        raise Violation("I4", f"the ledger differs from what the phone wrote: {differing}", [row[0]])
    if row[5] is not None and row[5] != p["receipt_number"]:
        raise Violation("I4", f"the receipt number {row[5]} is not the printed one", [row[0]])
    if any(isinstance(value, float) for value in row):
        raise Violation("I14", "a binary float in the ledger", [row[0]])


@every_change
def i1_i3_i4_i5_new_payments(world: World, known: Known) -> None:
    """Each new ledger row once: written by a phone (I3), bit-identical (I4), its number unique (I5), allocated to the centavo (I15), with
    an audit row (I25), received at the portal's time (I26), and held when it carries a flag (DOMAIN 8)."""
    rows = world.portal.rows(
        f"SELECT p.rowid, {FACTS} FROM payments p JOIN terminals t ON t.id = p.terminal_id JOIN users u ON u.id = p.user_id "  # noqa: S608
        "WHERE p.rowid > ? ORDER BY p.rowid",
        known.payments,
    )
    for rowid, *row in rows:
        fact = tuple(row)
        same_as_written(world, fact)
        number, status, generation = fact[5], fact[23], fact[25]
        if number is not None:
            if number in known.numbers:
                raise Violation("I5", f"receipt number {number} is on two payments", [fact[0]])
            known.numbers.add(number)
        for one in range(generation + 1):
            allocated = world.portal.one(
                "SELECT sum(amount) FROM payment_allocations WHERE payment_id = ? AND generation = ?", fact[0], one
            )
            if allocated != fact[11]:
                raise Violation("I15", f"generation {one} of its allocations adds up to {allocated}, not {fact[11]}", [fact[0]])
        flags = world.portal.one("SELECT count(*) FROM payment_flags WHERE payment_id = ?", fact[0])
        if (
            flags
            and status != "pending"
            and not world.portal.one(
                "SELECT count(*) FROM audit_log WHERE subject = ? AND (action = 'payment_approved' OR "
                "(action = 'payment_completed' AND detail LIKE '%found in PSCloud after a restore%'))",
                fact[0],
            )
        ):
            raise Violation("DOMAIN 8", "a flagged payment was approved by nobody", [fact[0]])
        if fact[24] > world.time.replace(tzinfo=None).isoformat(" ", "microseconds"):
            raise Violation("I26", "a payment was received in the future", [fact[0]])
        if not world.portal.one("SELECT count(*) FROM audit_log WHERE subject = ? AND action = 'payment_booked'", fact[0]):
            raise Violation("I25", "a payment was booked without an audit row", [fact[0]])
        known.payments = rowid
        known.total += 1
        known.amount += fact[11]


@every_change
def i7_the_ledger_only_grows(world: World, known: Known) -> None:
    """I7: no row and no centavo leaves the ledger."""
    count, amount = world.portal.rows("SELECT count(*), coalesce(sum(amount), 0) FROM payments")[0]
    if (count, amount) != (known.total, known.amount):
        raise Violation("I7", f"the ledger held {known.total} payments of {known.amount}, now {count} of {amount}")


@every_change
def i8_i9_counters_never_go_back(world: World, known: Known) -> None:
    """I8, I9, I11: accumulated totals and Z counters never decrease, and move only by a Z, by one and by its gross."""
    readings = world.portal.rows(
        "SELECT id, kind, terminal_id, z_counter, portal, differences, phone, registry_id FROM readings WHERE id > ? ORDER BY id",
        known.readings,
    )
    made: dict[int, list[dict[str, Any]]] = {}
    for reading_id, kind, terminal_id, counter, portal, differences, phone, _registry in readings:
        known.readings = reading_id
        known.closed[reading_id] = portal
        figures = json.loads(portal)
        if kind == "Z":
            if counter != figures["z_counter"] or figures["present_accumulated"] != figures["previous_accumulated"] + taken_in(figures):
                raise Violation("I10", f"Z {counter} does not add up", [reading_id])
            if figures["net"] != figures["gross"] - figures["less_void"]:
                raise Violation("I8", f"the net of Z {counter} is not its gross less its voids", [reading_id])
            made.setdefault(terminal_id, []).append(figures)
        if json.loads(differences) and not excused(world, terminal_id, json.loads(phone)):
            raise Violation("I13", f"a reading differs from the ledger without a reason: {differences}", [reading_id])
    for terminal_id, *now in world.portal.rows("SELECT id, z_counter, accumulated, last_receipt, head_seq FROM terminals"):
        counters = (now[0], now[1], now[2], now[3])
        before = known.counters.get(terminal_id, (0, 0, 0, 0))
        if any(new < old for new, old in zip(counters, before, strict=True)):
            raise Violation("I8", f"counters of terminal {terminal_id} went back from {before} to {counters}")
        zs = made.get(terminal_id, [])
        expected = (before[0] + len(zs), before[1] + sum(taken_in(z) for z in zs))
        if counters[:2] != expected:
            raise Violation("I9", f"Z counter and accumulated of terminal {terminal_id} are {counters[:2]}; its Z-readings say {expected}")
        if zs and (zs[0]["previous_accumulated"], zs[0]["z_counter"]) != (before[1], before[0] + 1):
            raise Violation("I10", f"a Z of terminal {terminal_id} does not begin where the last one ended", [zs[0]["z_counter"]])
        known.counters[terminal_id] = counters


def taken_in(z: dict[str, Any]) -> int:
    """What a Z of the portal adds to the accumulated total: the gross of its period and what came too late for an earlier one. No void."""
    return int(z["gross"]) + int(z["late_amount"])


def bent(world: World, code: str) -> bool:
    """Whether an entry of this terminal was damaged on the way at least once: its payments may have been booked after their Z."""
    rows = world.portal.rows("SELECT e.hash FROM journal_entries e JOIN terminals t ON t.id = e.terminal_id WHERE t.code = ?", code)
    return any(row[0] in world.seen.damaged for row in rows)


def excused(world: World, terminal_id: int, phone: dict[str, Any]) -> bool:
    """Whether a difference between the phone's reading and the portal's has a reason that is an incident of its own."""
    code = world.portal.one("SELECT code FROM terminals WHERE id = ?", terminal_id)
    return code in world.seen.forked or not phone or bent(world, code)


@every_change
def i16_i19_half_a_sync_is_never_seen(world: World, known: Known) -> None:
    """I16, I19: what everybody sees changes only together with a completed run (or a retry of its records); I18: an SOA is closed only
    when PSCloud did not have it active all the time of that run."""
    digest = sight(world)
    last = world.portal.one("SELECT coalesce(max(id), 0) FROM sync_runs WHERE status = 'completed'")
    if world.portal.one("SELECT count(*) FROM sync_runs WHERE status IN ('pending', 'processing')") > 1:
        raise Violation("F16", "two downloads are active at once")
    for run_id, status, done, read in world.portal.rows(
        "SELECT id, status, added + changed + unchanged, succeeded FROM sync_runs WHERE active_slot IS NULL AND id > ?", known.last_run - 20
    ):
        if known.ended.setdefault(run_id, status) != status:
            raise Violation("F16", f"a download that was {known.ended[run_id]} became {status}", [run_id])
        if status == "completed" and done != read:
            raise Violation("I19", f"a download of {read} SOAs is called completed with {done} of them taken over", [run_id])
    if digest != known.digest:
        retried = world.portal.one("SELECT count(*) FROM audit_log WHERE action = 'sync_retried' AND seq > ?", known.audit)
        if last == known.last_run and not retried:
            raise Violation("I16", "the SOAs that everybody sees changed without a completed download")
        active = {row[0] for row in world.portal.rows("SELECT id FROM soas WHERE status = 'active'")}
        wrongly = (known.active - active) - world.pscloud.inactive_seen
        if wrongly:
            raise Violation("I18", "SOAs were closed that PSCloud had active all the time", sorted(wrongly))
        known.active, known.digest = active, digest
    elif last < known.last_run:
        raise Violation("I19", "the mark of the last completed download went back")
    known.last_run = last


@every_change
def i19_the_watermark_passes_no_change(world: World, known: Known) -> None:
    """I19: when a download vouches for PSCloud's changes, each SOA that has not changed since it began is here as PSCloud has it."""
    last = world.portal.rows(
        "SELECT id, started_at FROM sync_runs WHERE status = 'completed' AND watermark IS NOT NULL ORDER BY id DESC LIMIT 1"
    )
    if not last or last[0][0] <= known.marked:
        return
    known.marked, began = last[0][0], last[0][1]
    here = dict(world.portal.rows("SELECT id, version FROM soas WHERE status = 'active'"))
    profile = world.client(world.job_rng).profile
    differ = []
    for soa in world.pscloud.soas.values():
        touched = soa.touched_at.replace(tzinfo=None).isoformat(" ", "microseconds") if soa.touched_at else ""
        record = world.pscloud.record(soa)
        if touched >= began or not readable(record, profile):
            continue
        if here.get(soa.id) != (mapping.to_soa(record, profile).version if soa.status == "active" else None):
            differ.append(soa.id)
    if differ:
        raise Violation("I19", "a download vouches for PSCloud's changes and missed some", differ)


@every_change
def i23_every_state_has_a_way_on(world: World, known: Known) -> None:
    """I23, F04: approved or processing if and only if the outbox owes it; completed and failed likewise; pending is owed nothing."""
    wrong = world.portal.rows(
        "SELECT p.id, p.status, o.status FROM payments p LEFT JOIN postings o ON o.payment_id = p.id WHERE NOT ("
        "(p.status = 'approved' AND o.status IS 'due') OR (p.status = 'processing' AND o.status IS 'claimed') OR "
        "(p.status = 'completed' AND o.status IS 'completed') OR (p.status = 'failed' AND o.status IS 'failed') OR "
        "(p.status = 'pending' AND o.status IS NULL))"
    )
    if wrong:
        raise Violation("I23", f"payment and outbox disagree: {wrong[0][1]} / {wrong[0][2]}", [row[0] for row in wrong])


@every_change
def i24_the_audit_chain_grows(world: World, known: Known) -> None:
    """I24: each new audit row follows the one before it. I25: as many rows as money events."""
    for seq, prev, own in world.portal.rows("SELECT seq, prev, hash FROM audit_log WHERE seq > ? ORDER BY seq", known.audit):
        if seq != known.audit + 1 or prev != known.audit_hash:
            raise Violation("I24", "the audit chain is broken", [seq])
        known.audit, known.audit_hash = seq, own
    counts = dict(world.portal.rows("SELECT action, count(*) FROM audit_log GROUP BY action"))
    events = {
        "payment_booked": world.portal.one("SELECT count(*) FROM payments"),
        "z_reading": world.portal.one("SELECT count(*) FROM readings WHERE kind = 'Z'"),
        "payment_completed": world.portal.one("SELECT count(*) FROM payments WHERE posted_at IS NOT NULL"),
        "registry_opened": world.portal.one("SELECT count(*) FROM registries"),
        "terminal_enrolled": world.portal.one("SELECT count(*) FROM terminals"),
        "terminal_revoked": world.portal.one("SELECT count(*) FROM terminals WHERE state = 'revoked'"),
        "sync_cancelled": world.portal.one("SELECT count(*) FROM sync_runs WHERE status = 'cancelled'"),
    }
    for action, number in events.items():
        if counts.get(action, 0) != number:
            raise Violation("I25", f"{number} events of {action}, {counts.get(action, 0)} audit rows")


# --- at the end --------------------------------------------------------------------------------------------------------------


@at_the_end
def i5_constraints_stand(world: World, known: Known) -> None:
    """I5, F31: uniqueness is the database's own, not only the code's."""
    for table, wanted in UNIQUE.items():
        found = set()
        for _, name, unique, *_ in world.portal.rows(f"PRAGMA index_list({table})"):
            if unique:
                found.add(tuple(row[2] for row in world.portal.rows(f"PRAGMA index_info({name})")))
        found.add(tuple(row[1] for row in sorted(world.portal.rows(f"PRAGMA table_info({table})"), key=lambda r: r[5]) if row[5]))
        if wanted - found:
            raise Violation("I5", f"{table} has lost a unique constraint", sorted(wanted - found))


@at_the_end
def i1_every_confirmed_payment_is_in_the_ledger_once(world: World, known: Known) -> None:
    """I1, I3, I29: phones and ledger hold the same set of payments."""
    ledger = [row[0] for row in world.portal.rows("SELECT id FROM payments")]
    on_phones = {entry.payload["payment"] for phone in world.phones for entry in phone.disk.payments.values()}
    if len(set(ledger)) != len(ledger):
        raise Violation("I1", "payments are in the ledger twice", [one for one, count in Counter(ledger).items() if count > 1])
    missing = (world.seen.confirmed | on_phones) - world.seen.lost - set(ledger)
    if missing:
        raise Violation("I1", "payments a phone called saved are not in the ledger", sorted(missing))
    held = dict(world.portal.rows("SELECT id, entry_hash FROM payments"))
    forked = world.seen.forked
    other = [
        one
        for phone in world.phones
        for one, entry in phone.disk.payments.items()
        if entry.terminal not in forked and held.get(one) not in {None, entry.hash}
    ]
    if other:
        raise Violation("I4", "phone and ledger hold payments of the same id with other content", sorted(other))
    foreign = set(ledger) - set(world.seen.written)
    if foreign:
        raise Violation("I3", "the ledger holds payments nobody took", sorted(foreign))
    unsent = [entry.hash for phone in world.phones for code in phone.disk.terminals for entry in phone.disk.unsent(code)]
    if unsent:
        raise Violation("I1", "entries could not be uploaded even with everything healed", unsent)


@at_the_end
def i2_pscloud_holds_what_was_completed(world: World, known: Known) -> None:
    """I2, I23: completed means exactly once in PSCloud; failed and pending are visible with a reason and are not there; nothing hangs."""
    posted = Counter(held.record["reference"] for held in world.pscloud.ledger)
    status = {row[0]: row[1:] for row in world.portal.rows("SELECT id, status, status_reason, pscloud_id FROM payments")}
    for one in world.seen.lost - status.keys():  # the phone's copy and the ledger's are both gone: only PSCloud can tell of it
        posted.pop(one, None)
    wrong = {one for one, count in posted.items() if count != 1 or status.get(one, ("",))[0] != "completed"}
    wrong |= {one for one, (state, *_) in status.items() if state == "completed" and posted[one] != 1}
    if wrong:
        raise Violation("I2", "PSCloud and the ledger disagree about what was posted", sorted(wrong))
    voiding = {row[0] for row in world.portal.rows("SELECT payment_id FROM voids WHERE state <> 'refused'")}
    hanging = [one for one, (state, *_) in status.items() if state in {"approved", "processing"} and one not in voiding]
    if hanging:
        raise Violation("I23", "payments hang after everything was healed", hanging)
    for one, (state, reason, pscloud_id) in status.items():
        if state == "completed" and pscloud_id != world.pscloud.references[one][0].id:
            raise Violation("I4", "the ledger names another PSCloud payment", [one])
        if state == "failed" and not reason:
            raise Violation("I2", "a failed payment gives no reason", [one])
        if state != "pending" or world.approval == "manual":
            continue
        if world.portal.one("SELECT count(*) FROM audit_log WHERE subject = ? AND action = 'payment_held'", one):
            continue
        if not world.portal.one("SELECT count(*) FROM payment_flags WHERE payment_id = ?", one):
            raise Violation("I23", "a payment waits without a flag and without a person's hold", [one])


@at_the_end
def i4_all_facts_stand(world: World, known: Known) -> None:
    """I4, I7, I14: every ledger row once more, against what the phones wrote; money is whole centavos in every column."""
    query = f"SELECT {FACTS} FROM payments p JOIN terminals t ON t.id = p.terminal_id JOIN users u ON u.id = p.user_id"  # noqa: S608
    for row in world.portal.rows(query):
        same_as_written(world, row)
    for table, column in (("payments", "amount"), ("payment_allocations", "amount"), ("terminals", "accumulated"), ("soas", "amount_due")):
        if world.portal.one(f"SELECT count(*) FROM {table} WHERE typeof({column}) <> 'integer'"):  # noqa: S608
            raise Violation("I14", f"{table}.{column} holds something that is no whole number of centavos")


@at_the_end
def kept_totals_are_the_ledger_s(world: World, known: Known) -> None:
    """What the payment list counts is what the payments add up to, and each that is not cash has its place on the way to the bank."""
    counted = COUNTED.format(flags=FLAG_TEXTS["sqlite"])
    names = "user_id, business_date, tender, status, void, flags, count, amount, vat_amount"
    kept = f"SELECT {names} FROM payment_totals WHERE count <> 0"  # noqa: S608 - our own words
    for one, other in ((counted, kept), (kept, counted)):
        wrong = world.portal.rows(f"SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other})")  # noqa: S608
        if wrong:
            raise Violation("I13", "the kept totals of payments are not what the ledger adds up to", [str(row) for row in wrong])
    papers = "SELECT count(*) FROM payments p WHERE tender <> 'cash' AND NOT EXISTS (SELECT 1 FROM papers WHERE payment_id = p.id)"
    if world.portal.one(papers):
        raise Violation("I23", "a check or transfer is on no list")


@at_the_end
def i6_numbers_in_the_portal(world: World, known: Known) -> None:
    """I6: the booked numbers of a terminal that was never copied nor damaged are dense, and the portal knows the last one."""
    for terminal_id, code, last in world.portal.rows("SELECT id, code, last_receipt FROM terminals"):
        if code in world.seen.forked:
            continue
        numbers = sorted(
            int(row[0][-8:])
            for row in world.portal.rows(
                "SELECT receipt_number FROM payments WHERE terminal_id = ? AND receipt_number IS NOT NULL", terminal_id
            )
        )
        if numbers != list(range(1, last + 1)):
            raise Violation("I6", f"receipt numbers of {code} in the ledger are not dense", sorted(set(range(1, last + 1)) ^ set(numbers)))


@at_the_end
def i12_closed_readings_stand(world: World, known: Known) -> None:
    """I12: a reading is for ever what it was when it was made."""
    now = dict(world.portal.rows("SELECT id, portal FROM readings"))
    changed = [one for one, figures in known.closed.items() if now.get(one) != figures]
    if changed:
        raise Violation("I12", "readings were changed after they were made", changed)


@at_the_end
def i13_readings_cover_the_ledger(world: World, known: Known) -> None:
    """I9, I13, I21: per registry that ended undisturbed, the Z's gross, count, cash and tenders are the ledger's sums, on phone and portal;
    accumulated = all grosses; nothing falls between two Z; no order of arrival matters, as the sums come from sets."""
    for phone in world.phones:
        for code, head in phone.disk.heads.items():
            found = world.portal.rows("SELECT id, z_counter, accumulated FROM terminals WHERE code = ?", code)
            if not found or code in world.seen.forked:
                continue
            terminal_id, z_counter, accumulated = found[0]
            if excused(world, terminal_id, {"any": 1}):
                continue
            if (head.z_counter, head.accumulated) != (z_counter, accumulated):
                raise Violation(
                    "I10", f"{code}: the phone has Z {head.z_counter} / {head.accumulated}, the portal {z_counter} / {accumulated}"
                )
            of_registry: dict[str, list[Any]] = {}
            for entry in phone.disk.entries[code]:
                if entry.kind == "payment":
                    of_registry.setdefault(entry.payload["registry"], []).append(entry.payload)
            covered = 0
            for registry, portal in world.portal.rows(
                "SELECT registry_id, portal FROM readings WHERE terminal_id = ? AND kind = 'Z'", terminal_id
            ):
                figures, taken = json.loads(portal), of_registry.get(registry, [])
                cash = sum(p["amount"] for p in taken if p["tender"] == "cash")
                sums = (sum(p["amount"] for p in taken), len(taken), cash)
                if (figures["gross"], figures["transaction_count"], figures["cash_collected"], figures["late_count"]) != (*sums, 0):
                    raise Violation("I13", f"a Z of {code} does not cover its registry", [p["payment"] for p in taken])
                written = [entry for entry in phone.disk.entries[code] if entry.payload.get("registry") == registry]
                drops = sum(entry.payload["amount"] for entry in written if entry.kind == "cash_drop")
                decided = [entry.payload for entry in written if entry.kind == "expense_decided"]
                spent = sum(one["amount"] for one in decided if one["decision"] == "approved")
                if (figures["less_drops"], figures["less_expenses"]) != (drops, spent):
                    raise Violation("I13", f"a Z of {code} does not take off its registry's drops and approved expenses: {drops}, {spent}")
                expected = figures["change_fund"] + cash - figures["less_voided_cash"] - drops - spent
                if figures["expected_cash"] != expected or figures["short_over"] != figures["counted_cash"] - expected:
                    raise Violation("I13", f"expected cash of {code}: {figures['expected_cash']}, not {expected}")
                covered += figures["gross"]
            if covered != accumulated:
                raise Violation("I9", f"accumulated of {code} is {accumulated}, its Z-readings add up to {covered}")


@at_the_end
def i13_no_payment_falls_between(world: World, known: Known) -> None:
    """I9, I12: on every terminal, copied and damaged ones too, what its Z-readings hold is what it accumulated, and a payment that is in
    none came after the last of them: in the journal when it is of the main chain, else in time."""
    for terminal_id, code, accumulated in world.portal.rows("SELECT id, code, accumulated FROM terminals"):
        held = world.portal.one(
            "SELECT coalesce(sum(p.amount), 0) FROM payments p JOIN reading_payments x ON x.payment_id = p.id WHERE p.terminal_id = ?",
            terminal_id,
        )
        if held != accumulated:
            raise Violation("I9", f"{code}: its Z-readings hold {held}, it accumulated {accumulated}")
        between = world.portal.rows(
            "SELECT p.id FROM payments p WHERE p.terminal_id = ? AND p.id NOT IN (SELECT payment_id FROM reading_payments) AND EXISTS "
            "(SELECT 1 FROM readings z WHERE z.terminal_id = p.terminal_id AND z.kind = 'Z' AND z.received_at > p.received_at AND "
            "NOT EXISTS (SELECT 1 FROM journal_entries e WHERE e.terminal_id = p.terminal_id AND e.hash = p.entry_hash "
            "AND e.seq > z.journal_seq))",
            terminal_id,
        )
        if between:
            raise Violation("I9", f"payments of {code} fell between its Z-readings", [row[0] for row in between])


@at_the_end
def i18_the_list_is_pscloud_s(world: World, known: Known) -> None:
    """I18, I19: after an undisturbed download the portal's active SOAs are PSCloud's, field by field; no row was missed."""
    with world.portal.app.app_context():
        stored = soas.for_codes(list(CODES))
        profile = world.client(world.job_rng).profile
        theirs = {}
        for soa in world.pscloud.active():
            record = world.pscloud.record(soa)
            if soa.code in CODES and readable(record, profile):
                read = mapping.to_soa(record, profile)
                theirs[soa.id] = read.version
        mine = {soa.id: soa.version for soa in stored}
        differ = sorted({one for one in mine.keys() | theirs.keys() if mine.get(one) != theirs.get(one)})
        if differ:
            raise Violation("I18", "after a clean download the list is not PSCloud's", differ)


@at_the_end
def balances_are_pscloud_s_less_what_it_does_not_know(world: World, known: Known) -> None:
    """docs/phone-api.md: the amount due on a phone's list is PSCloud's less the payments it does not show yet, never less than nothing."""
    with world.portal.app.app_context():
        made = snapshots.snapshot(world.portal.ids["nena"], list(CODES), BUSINESS)
        open_ = Counter[str]()
        for soa_id, amount in world.portal.rows(
            "SELECT soa_id, sum(amount) FROM payments WHERE status <> 'completed' AND id NOT IN "
            "(SELECT payment_id FROM voids WHERE state = 'approved') GROUP BY soa_id"
        ):
            open_[soa_id] = amount
        wrong = [
            soa["id"] for soa in made["soas"] if soa["amount_due"] != max(world.pscloud.soas[soa["id"]].amount_due - open_[soa["id"]], 0)
        ]
        if wrong:
            raise Violation("balances", "the amount due is not PSCloud's less what it does not know", wrong)


@at_the_end
def i24_the_audit_chain_verifies(world: World, known: Known) -> None:
    """I24: the verify command finds nothing."""
    with world.portal.app.app_context():
        count, broken = audit.verify()
    if broken:
        raise Violation("I24", broken.problem, [broken.seq])
    if count != world.portal.one("SELECT seq FROM audit_head"):
        raise Violation("I24", "the head of the audit chain is elsewhere", [count])


@at_the_end
def i22_only_what_is_wrong_is_quarantined(world: World, known: Known) -> None:
    """I22: one bad entry stops itself, not its neighbours: whatever is quarantined is poisoned, damaged or follows from that."""
    for code, kind, seq, own, reason in world.portal.rows(
        "SELECT t.code, e.kind, e.seq, e.hash, e.reason FROM journal_entries e JOIN terminals t ON t.id = e.terminal_id "
        "WHERE e.verdict = 'quarantined'"
    ):
        if own in world.seen.poisoned or code in world.seen.forked or bent(world, code):
            continue
        raise Violation("I22", f"{code}/{seq} ({kind}) was quarantined without being wrong: {reason}", [own])


@at_the_end
def every_visit_once(world: World, known: Known) -> None:
    """Each visit in a journal is kept once, as it was noted, and no other one is."""
    noted = {
        (terminal, seq): (
            kind,
            (payload := json.loads(text))["soa"],
            payload.get("reason", ""),
            payload.get("promised_on"),
            payload.get("amount"),
        )
        for terminal, seq, kind, text in world.portal.rows(
            "SELECT terminal_id, seq, kind, payload FROM journal_entries WHERE verdict = 'stored' AND kind IN ('no_collection', 'promise')"
        )
    }
    kept = world.portal.rows("SELECT terminal_id, journal_seq, kind, soa_id, reason, promised_on, amount FROM visits")
    if len(kept) != len(noted) or {(row[0], row[1]): row[2:] for row in kept} != noted:
        wrong = sorted({(row[0], row[1]) for row in kept} ^ noted.keys())
        raise Violation("I20", "the visits that are kept are not those that phones noted", wrong)


@at_the_end
def i28_own_terminals_only(world: World, known: Known) -> None:
    """I28: every payment belongs to the collector whose phone took it."""
    users = {code: phone.user for phone in world.phones for code in phone.disk.terminals}
    wrong = [
        payment
        for payment, code, name in world.portal.rows(
            "SELECT p.id, t.code, u.name FROM payments p JOIN terminals t ON t.id = p.terminal_id JOIN users u ON u.id = p.user_id"
        )
        if users.get(code) not in {None, name}
    ]
    if wrong:
        raise Violation("I28", "payments stand under another collector", wrong)


@at_the_end
def known_phones(world: World, known: Known) -> None:
    """F44: no terminal is on two phones."""
    holders: dict[str, list[str]] = {}
    for phone in world.phones:
        for code in phone.disk.terminals:
            holders.setdefault(code, []).append(phone.name)
    shared = {code: names for code, names in holders.items() if len(names) > 1}
    if shared:
        raise Violation("I5", "two phones hold the same series", sorted(shared))
