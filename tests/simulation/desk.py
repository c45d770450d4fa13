"""The office's desk: voids asked for on phones, decided by a supervisor, told to PSCloud; remittances counted, short and approved.

Steps and what must hold of them (I7, I8, I13, S30; docs/journal.md, Voids)."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from portal import doorbell
from portal.domain import void_codes as rules
from portal.domain.readings import DENOMINATIONS
from portal.domain.remittances import Handed
from portal.services import remittances, void_codes, voids
from portal.store import remittances as remittance_store
from tests.simulation.invariants import Known, at_the_end, every_change
from tests.simulation.phone import Phone
from tests.simulation.steps import a_phone, by_person, ready, step
from tests.simulation.world import Violation, World

# --- voids -------------------------------------------------------------------------------------------------------------------


@step("ask void", 10)
def ask_void(world: World, rng: Random) -> None:
    """A collector asks for a void: of an unsent, a sent or a posted payment, of this registry or an earlier one."""
    phone = a_phone(world, rng)
    ready(world, rng, phone)
    if phone.disk.payments:
        chosen = rng.choice(list(phone.disk.payments))
        ask_for(world, rng, phone, chosen)


def ask_for(world: World, rng: Random, phone: Phone, payment: str) -> None:
    """Ask for the void of one payment; sometimes a supervisor is near and gives a code, which is typed right, wrong, for another payment,
    or taken back before it arrives."""
    code, way = None, rng.choice(("alone", "alone", "right", "right", "mistyped", "other payment", "taken back", "guessed"))
    if way == "guessed":
        code = f"{rng.randrange(10**8):08d}"
    elif way != "alone":
        theirs = payment if way != "other payment" else rng.choice(list(phone.disk.payments))
        facts = world.on_phone(rng, phone, lambda: phone.void_facts(theirs), 0)
        if facts is not None:
            code = give_code(world, rng, facts, way == "taken back")
            if code and way == "mistyped":
                code = f"{(int(code) + 1) % 10**8:08d}"
    world.note(f"{phone.name} asks to void {payment}, code {way if code else 'none'}")
    world.on_phone(rng, phone, lambda: phone.ask_void(payment, code))


def give_code(world: World, rng: Random, facts: tuple[str, int, str], back: bool) -> str | None:
    """A supervisor gives a code; what the world remembers of it is what they read out."""
    number, amount, challenge = facts
    read_out: list[str] = []

    def work() -> None:
        code_id = void_codes.issue("ramon", number, f"{amount / 100:.2f}", challenge, world.tick())
        read_out.append(void_codes.code_of(void_codes.own(code_id, "ramon")))
        if back:
            void_codes.revoke(code_id, "ramon", world.tick())

    by_person(world, rng, work)
    if not read_out:
        return None
    world.codes.setdefault(number, set()).add((challenge, read_out[0]))
    return read_out[0]


@step("decide void", 12)
def decide_void(world: World, rng: Random) -> None:
    """A supervisor approves or refuses; sometimes somebody tries who may not."""
    found = world.portal.rows("SELECT v.id, u.name, v.payment_id FROM voids v JOIN users u ON u.id = v.user_id WHERE v.state = 'requested'")
    if not found:
        return
    void_id, collector, payment = rng.choice(found)
    who = collector if rng.random() < 0.1 else "ramon"
    approves = rng.random() < 0.7
    world.note(f"{who} {'approves' if approves else 'refuses'} the void of {payment}")

    def work() -> None:
        if not approves:
            voids.refuse(void_id, who, "the receipt is right", world.tick())
        elif voids.approve(void_id, who, "", world.tick()):
            doorbell.ring("post_payments")

    if by_person(world, rng, work) and who == collector:
        raise Violation("S30", "a void was decided by who asked for it", [payment])


@step("retry void", 2)
def retry_void(world: World, rng: Random) -> None:
    """PSCloud is told again of a void that it refused; its period may be open again."""
    found = world.portal.rows("SELECT id, payment_id FROM voids WHERE posting_status = 'failed'")
    if found:
        void_id, payment = rng.choice(found)
        world.pscloud.closed_period.discard(payment)
        world.note(f"PSCloud is told again of the void of {payment}")
        by_person(world, rng, lambda: voids.retry(void_id, "carla", world.tick()))


@step("close period", 1)
def close_period(world: World, rng: Random) -> None:
    """PSCloud closes the books on a payment: it can be voided no more."""
    if world.pscloud.ledger:
        reference = rng.choice(world.pscloud.ledger).record["reference"]
        world.pscloud.closed_period.add(reference)
        world.note(f"PSCloud closes the period of {reference}")


@every_change
def a_payment_being_voided_is_never_sent(world: World, known: Known) -> None:
    """A void that waits or is approved holds its payment: PSCloud gets none that was being voided when the step began and still is."""
    arrived = {held.record["reference"] for held in world.pscloud.ledger[known.voided_pscloud :]}
    known.voided_pscloud = len(world.pscloud.ledger)
    voiding = {row[0] for row in world.portal.rows("SELECT payment_id FROM voids WHERE state <> 'refused'")}
    wrongly = arrived & known.voiding & voiding
    if wrongly:
        raise Violation("I2", "payments whose void was asked for were posted", sorted(wrongly))
    known.voiding = voiding


@every_change
def a_code_approves_the_void_it_was_given_for(world: World, known: Known) -> None:
    """S30: each void that a code approved came with exactly the digits a supervisor read out for its number, payment and amount."""
    if world.portal.one("SELECT count(*) FROM void_code_uses WHERE outcome = 'approved'") == known.codes:
        return
    found = world.portal.rows(
        "SELECT t.code, j.payload, v.decided_by, k.revoked_at IS NULL FROM void_code_uses c JOIN voids v ON v.id = c.void_id "
        "JOIN void_codes k ON k.id = c.code_id "
        "JOIN journal_entries j ON j.terminal_id = v.terminal_id AND j.seq = v.journal_seq JOIN terminals t ON t.id = v.terminal_id "
        "WHERE c.outcome = 'approved'"
    )
    known.codes = len(found)
    for terminal, text, decided_by, holds in found:
        asked = json.loads(text)
        number = asked["void_number"]
        challenge = rules.challenge(terminal, asked["payment"], number, asked["amount"])
        if (challenge, asked["supervisor_code"]) not in world.codes.get(number, set()) or decided_by != "ramon" or not holds:
            raise Violation("S30", "a void was approved by a code that no supervisor gave for it", [number])


@every_change
def a_void_is_a_new_linked_entry(world: World, known: Known) -> None:
    """I7, I25, S30: a void is decided once, by somebody else, with as many audit rows as events; its payment stays in the ledger."""
    counts = dict(world.portal.rows("SELECT action, count(*) FROM audit_log WHERE action LIKE 'void_%' GROUP BY action"))
    events = dict(world.portal.rows("SELECT 'void_' || state, count(*) FROM voids WHERE state <> 'requested' GROUP BY state"))
    events["void_requested"] = world.portal.one("SELECT count(*) FROM voids")
    events["void_written_down"] = world.portal.one("SELECT count(*) FROM voids WHERE counted_seq IS NOT NULL")
    for action, number in events.items():
        if counts.get(action, 0) != number:
            raise Violation("I25", f"{number} events of {action}, {counts.get(action, 0)} audit rows")
    own = world.portal.rows(
        "SELECT v.void_number FROM voids v JOIN users u ON u.id = v.user_id JOIN payments p ON p.id = v.payment_id "
        "JOIN users c ON c.id = p.user_id WHERE v.decided_by IN (u.name, c.name)"
    )
    if own:
        raise Violation("S30", "voids were decided by who asked or collected", [row[0] for row in own])


@at_the_end
def a_void_ends_once_in_pscloud_or_the_payment_was_never_posted(world: World, known: Known) -> None:
    """An approved void: PSCloud never held the payment, or voided it exactly once, or refused and an incident says so; nothing else is
    voided there. A decision that a restore took away stands in PSCloud alone until people decide again (docs/backup.md)."""
    posted = set(world.pscloud.references)
    forgotten: set[str] = set()
    if world.portal.one("SELECT count(*) FROM restores"):
        rows = world.portal.rows("SELECT p.id, t.code FROM payments p JOIN terminals t ON t.id = p.terminal_id")
        forgotten = {payment for payment, code in rows if code in world.seen.forked}
    for payment, state, status, error in world.portal.rows("SELECT payment_id, state, posting_status, last_error FROM voids"):
        if state != "approved":
            continue
        there = len(world.pscloud.voided.get(payment, ()))
        if payment not in posted and status == "none":
            continue
        if status == "completed" and there == 1:
            continue
        if status == "failed" and error and world.portal.one("SELECT count(*) FROM incidents WHERE subject = ?", payment):
            continue
        raise Violation("I2", f"an approved void is {status} here, PSCloud voided the payment {there} times", [payment])
    approved = {row[0] for row in world.portal.rows("SELECT payment_id FROM voids WHERE state = 'approved'")}
    foreign = world.pscloud.voided.keys() - approved - forgotten - world.seen.lost
    if foreign:
        raise Violation("I3", "PSCloud voided payments whose void nobody approved here", sorted(foreign))


@at_the_end
def each_approved_void_is_in_one_z(world: World, known: Known) -> None:
    """I8, I13: what the Z-readings of a terminal take off is what was voided and written down in their registries, once each."""
    for terminal_id, code in world.portal.rows("SELECT id, code FROM terminals"):
        figures = [
            json.loads(row[0]) for row in world.portal.rows("SELECT portal FROM readings WHERE terminal_id = ? AND kind = 'Z'", terminal_id)
        ]
        voided = world.portal.one(
            "SELECT coalesce(sum(p.amount), 0) FROM voids v JOIN payments p ON p.id = v.payment_id JOIN registries r ON "
            "r.id = v.counted_registry_id WHERE v.terminal_id = ? AND v.state = 'approved' AND r.z_seq > v.counted_seq",
            terminal_id,
        )
        if sum(one["less_void"] for one in figures) != voided:
            raise Violation("I13", f"the Z-readings of {code} take off another amount than was voided in them: {voided}")


# --- the money desk ----------------------------------------------------------------------------------------------------------


def counted(expected: int, rng: Random) -> list[dict[str, Any]]:
    """Denominations that add up to this much, or now and then to something else."""
    left = max(expected + rng.choice((0, 0, 0, -5000, -1, 2000, 10)), 0)
    lines: list[dict[str, Any]] = []
    for value, kind in DENOMINATIONS:
        number, left = divmod(left, value) if not any(line["value"] == value for line in lines) else (0, left)
        lines.append({"value": value, "kind": kind, "count": number})
    return lines


@step("remit", 7)
def remit(world: World, rng: Random) -> None:
    """A collector hands over one or several Z-readings; the count may be short or over; the answer may be lost and the form sent again."""

    def look() -> list[Any]:
        return remittance_store.waiting_readings()

    waiting = world.portal.process(look)
    if not waiting:
        return
    collector = rng.choice(sorted({one.user_id for one in waiting}))
    own = [one for one in waiting if one.user_id == collector]
    chosen = rng.sample(own, k=rng.randrange(1, len(own) + 1))
    ids = [one.id for one in chosen]
    lines = counted(sum(one.portal["expected_cash"] for one in chosen), rng)
    others: dict[tuple[str, str | None], tuple[int, int]] = {}
    for one in world.portal.process(lambda: remittance_store.expected_others(ids)):
        count, amount = others.get((one.tender, one.channel), (0, 0))
        others[one.tender, one.channel] = (count + one.count, amount + one.amount)
    handed = [Handed(tender, channel, count, amount) for (tender, channel), (count, amount) in others.items()]
    if handed and rng.random() < 0.1:
        handed.pop()
    form = f"{rng.getrandbits(128):032x}"
    world.note(f"{chosen[0].collector_name} remits Z-readings {ids}")
    who = "carla" if rng.random() < 0.5 else "ramon"

    def work() -> None:
        remittances.receive(collector, ids, lines, handed, "counted twice together", who, world.tick(), form)

    if not by_person(world, rng, work) or rng.random() < 0.1:
        by_person(world, rng, work)


@step("approve remittance", 4)
def approve_remittance(world: World, rng: Random) -> None:
    """A supervisor approves a shortage; never their own."""
    found = world.portal.rows("SELECT id, received_by FROM remittances WHERE state = 'waiting'")
    if found:
        remittance_id, received_by = rng.choice(found)
        world.note(f"ramon approves remittance {remittance_id}")
        done = by_person(world, rng, lambda: remittances.approve(remittance_id, "ramon", "taken from the salary", world.tick()))
        if done and received_by == "ramon":
            raise Violation("S30", "a remittance was approved by who received it", [remittance_id])


@every_change
def i13_remittances_add_up(world: World, known: Known) -> None:
    """I13: a remittance expects what its Z-readings expect, its variance has an owner and a reason, a shortage waits or was approved by
    another; a Z is handed over once, and numbers are dense."""
    rows = world.portal.rows(
        "SELECT id, number, expected_cash, counted_cash, variance, reason, state, received_by, decided_by, denominations FROM remittances"
    )
    if [row[1] for row in rows] != [f"R-{index:06d}" for index in range(1, len(rows) + 1)]:
        raise Violation("I13", "remittance numbers have gaps", [row[1] for row in rows])
    twice = world.portal.rows("SELECT reading_id FROM remittance_readings GROUP BY reading_id HAVING count(*) > 1")
    if twice:
        raise Violation("I13", "a Z-reading was handed over twice", [row[0] for row in twice])
    for remittance_id, number, expected, cash, variance, reason, state, receiver, decider, denominations in rows:
        if remittance_id in known.remitted and known.remitted[remittance_id] == state:
            continue
        known.remitted[remittance_id] = state
        covered = [
            json.loads(row[0])
            for row in world.portal.rows(
                "SELECT z.portal FROM remittance_readings x JOIN readings z ON z.id = x.reading_id WHERE x.remittance_id = ?", remittance_id
            )
        ]
        if not covered or expected != sum(one["expected_cash"] for one in covered):
            raise Violation("I13", f"{number} expects {expected}, its Z-readings something else", [remittance_id])
        if cash != sum(line["value"] * line["count"] for line in json.loads(denominations)) or variance != cash - expected:
            raise Violation("I13", f"the count of {number} does not add up", [remittance_id])
        if (variance and not reason) or (variance < 0 and state == "received") or (decider is not None and decider == receiver):
            raise Violation("I13", f"the variance of {number} has no owner", [remittance_id])
