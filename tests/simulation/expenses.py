"""Expenses: noted on phones, decided by a supervisor, counted where the phone wrote the decision down. Steps and what must hold of them
(I13, S30)."""

from __future__ import annotations

import json
from random import Random

from portal.services import expenses
from tests.simulation.invariants import Known, at_the_end, every_change
from tests.simulation.steps import a_phone, by_person, end_day, meet, ready, send, step
from tests.simulation.world import Violation, World


@step("expense", 5)
def spend(world: World, rng: Random) -> None:
    """A collector spends money out of the cash in hand."""
    phone = a_phone(world, rng)
    world.note(f"{phone.name} spends money")
    world.on_phone(rng, phone, lambda: phone.spend(rng))


@step("decide expense", 6)
def decide(world: World, rng: Random) -> None:
    """A supervisor approves or refuses; sometimes somebody tries who may not."""
    found = world.portal.rows("SELECT e.id, u.name FROM expenses e JOIN users u ON u.id = e.user_id WHERE e.state = 'requested'")
    if not found:
        return
    expense, collector = rng.choice(found)
    who = collector if rng.random() < 0.2 else "ramon"
    approves = rng.random() < 0.7
    world.note(f"{who} {'approves' if approves else 'refuses'} expense {expense}")

    def work() -> None:
        if approves:
            expenses.approve(expense, who, "", world.tick())
        else:
            expenses.refuse(expense, who, "there is no paper", world.tick())

    if by_person(world, rng, work) and who == collector:
        raise Violation("S30", "an expense was decided by who spent the money", [expense])


@step("spent", 0.5)
def spent(world: World, rng: Random) -> None:
    """An expense on its way: noted, uploaded, decided before or after the Z-reading, heard of and written down; uploads lost in between."""
    phone = a_phone(world, rng)
    ready(world, rng, phone)
    code = phone.disk.current
    if not code:
        return
    spend_on = rng.randrange(1, 3)
    for _ in range(spend_on):
        world.on_phone(rng, phone, lambda: phone.spend(rng))
    send(world, rng, phone, code, "whole")
    if rng.random() < 0.4:
        end_day(world, rng, phone)
        send(world, rng, phone, code, "whole")
        world.pass_time(days=1)
    decide(world, rng)
    meet(world, rng, phone)
    send(world, rng, phone, code, "whole")
    if rng.random() < 0.5:
        end_day(world, rng, phone)
        send(world, rng, phone, code, "whole")


@every_change
def an_expense_is_decided_once_by_another(world: World, known: Known) -> None:
    """I25, S30: as many audit rows as events, and nobody decides an expense of their own."""
    counts = dict(world.portal.rows("SELECT action, count(*) FROM audit_log WHERE action LIKE 'expense_%' GROUP BY action"))
    events = dict(world.portal.rows("SELECT 'expense_' || state, count(*) FROM expenses WHERE state <> 'requested' GROUP BY state"))
    events["expense_noted"] = world.portal.one("SELECT count(*) FROM expenses")
    events["expense_written_down"] = world.portal.one("SELECT count(*) FROM expenses WHERE counted_seq IS NOT NULL")
    for action, number in events.items():
        if counts.get(action, 0) != number:
            raise Violation("I25", f"{number} events of {action}, {counts.get(action, 0)} audit rows")
    own = world.portal.rows("SELECT e.id FROM expenses e JOIN users u ON u.id = e.user_id WHERE e.decided_by = u.name")
    if own:
        raise Violation("S30", "expenses were decided by who spent the money", [row[0] for row in own])


@at_the_end
def each_approved_expense_is_in_one_z(world: World, known: Known) -> None:
    """I13: what the Z-readings of a terminal take off is what was approved and written down in their registries, once each."""
    for terminal_id, code in world.portal.rows("SELECT id, code FROM terminals"):
        figures = [
            json.loads(row[0]) for row in world.portal.rows("SELECT portal FROM readings WHERE terminal_id = ? AND kind = 'Z'", terminal_id)
        ]
        approved = world.portal.one(
            "SELECT coalesce(sum(e.amount), 0) FROM expenses e JOIN registries r ON r.id = e.counted_registry_id "
            "WHERE e.terminal_id = ? AND e.state = 'approved' AND r.z_seq > e.counted_seq",
            terminal_id,
        )
        if sum(one["less_expenses"] for one in figures) != approved:
            raise Violation("I13", f"the Z-readings of {code} take off another amount than was approved in them: {approved}")
