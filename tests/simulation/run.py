"""Running one seed: its steps, the checks after each, the healing at the end, and the shortest sequence that still fails."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from portal.services import sync, users
from tests.simulation import desk as desk  # enters its steps and checks into the tables
from tests.simulation import expenses as expenses  # as desk does
from tests.simulation import invariants, steps
from tests.simulation import moments as moments  # enters its steps into the table
from tests.simulation.phone import Phone
from tests.simulation.portal import COLLECTORS, Portal
from tests.simulation.pscloud import CODES, Faults
from tests.simulation.world import STEP, Violation, World

ROOT = Path(__file__).parents[2]


@dataclass
class Failure:
    """What did not hold, after how many steps, and the steps."""

    seed: int
    invariant: str
    detail: str
    ids: list[object]
    at: int
    steps: list[STEP]
    story: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {self.invariant}: {self.detail}", f"differing: {', '.join(map(str, self.ids)) or 'nothing named'}"]
        lines += [f"shortest sequence found that fails ({len(self.steps)} steps):", *self.story]
        lines.append(f"again: python -m tests.simulation --first {self.seed} --seeds 1")
        return "\n".join(lines)


def run(portal: Portal, seed: int, sequence: Sequence[STEP]) -> Failure | None:
    """Do these steps in the world of that seed, heal it, and check everything; the failure, or None."""
    known = invariants.Known()
    story: list[str] = []
    done = 0
    with World(portal, seed) as world:
        try:
            known.begin(world)
            invariants.i5_constraints_stand(world, known)
            for name, salt in sequence:
                steps.do(world, name, salt)
                world.pass_time(seconds=salt % 17)
                story.append(_told(world, done, name, salt))
                done += 1
                invariants.check_step(world, known)
            heal(world, known)
            story.append(_told(world, done, "(healed)", 0))
            invariants.check_end(world, known)
        except Violation as violation:
            story.append(_told(world, done, "...", 0))
            return Failure(seed, violation.invariant, violation.detail, violation.ids, done, list(sequence[: done + 1]), story)
        except Exception as error:
            story.append(_told(world, done, "...", 0))
            text = f"{type(error).__name__}: {str(error)[:300]}"
            return Failure(seed, "crash", text, [_where(error)], done, list(sequence[: done + 1]), story)
    return None


def _where(error: BaseException) -> str:
    """The innermost line of the project's own that was being run."""
    place, trace = "", error.__traceback__
    while trace:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(ROOT) and "site-packages" not in file.parts:
            place = f"{file.relative_to(ROOT)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _told(world: World, number: int, name: str, salt: int) -> str:
    notes, world.seen.notes = world.seen.notes, []
    return f"  {number:3d} {world.time.astimezone():%m-%d %H:%M:%S} {name} {salt}: {'; '.join(notes)}"


def heal(world: World, known: invariants.Known) -> None:
    """Everything works again: people are let in, phones upload all, workers and the sweep drain, each phone ends its day, one clean
    download. Nothing is decided for people: what is held stays held."""
    rng = Random(world.seed)
    world.redis = True
    world.pscloud.faults = Faults()
    world.portal.app.config["SYNC_DROP_PERCENT"] = 100

    def let_in() -> None:
        for name in COLLECTORS:
            users.change(world.portal.ids[name], name, ["collector"], [*CODES], True, "boss", world.tick())

    world.portal.process(let_in)
    for _ in range(2):
        for phone in world.phones:
            phone.restart()
            steps.meet(world, rng, phone)
            for _ in range(4):  # the process may die while it enrols a forgotten terminal again; a phone tries as long as it is unknown
                if any(world.web_terminal(phone, code) == {} for code in phone.disk.terminals):
                    steps.meet(world, rng, phone)
            drain(world, rng, phone)
            steps.end_day(world, rng, phone, 0)
            drain(world, rng, phone)
        settle(world, rng)
    for one in world.pscloud.soas.values():
        one.broken = ""
    world.pass_time(hours=1)
    invariants.check_step(world, known)
    clean_download(world, rng)
    invariants.check_step(world, known)


def drain(world: World, rng: Random, phone: Phone) -> None:
    """Upload everything, and once more what was damaged on the way, as the office would ask for it."""
    for code in list(phone.disk.terminals):
        entries = phone.disk.entries[code]
        if entries and any(entry.hash in world.seen.damaged for entry in entries):
            steps.one_request(world, rng, phone, code, entries, 0)
        for _ in range(3):
            rest = phone.to_send(code, 500)
            if rest:
                steps.one_request(world, rng, phone, code, rest, 0)


DUE = (
    "SELECT (SELECT count(*) FROM postings o WHERE o.status IN ('due', 'claimed') AND NOT (o.status = 'due' AND NOT o.outcome_unknown AND "
    "o.payment_id IN (SELECT payment_id FROM voids WHERE state <> 'refused'))) + "
    "(SELECT count(*) FROM voids WHERE posting_status IN ('due', 'claimed'))"
)
"""What workers still have to do: a payment that is being voided is not sent."""


def settle(world: World, rng: Random) -> None:
    """Let the sweep and the workers run until nothing is left to do."""
    for _ in range(60):
        world.pass_time(seconds=1300)
        world.scheduler(rng, 0, 0)
        while world.queue:
            job, args, _id = world.queue.pop(0)
            world.work(rng, job, args, 0)
        if not world.portal.one(DUE) and not world.portal.one(
            "SELECT (SELECT count(*) FROM sync_runs WHERE active_slot = 1) + (SELECT count(*) FROM unasked_payments)"
        ):
            return
    raise Violation(
        "I23",
        "something is still due after sixty sweeps",
        [row[0] for row in world.portal.rows("SELECT payment_id FROM postings WHERE status IN ('due', 'claimed')")],
    )


def clean_download(world: World, rng: Random) -> None:
    """One download that nothing disturbs."""
    world.pscloud.inactive_seen = {soa.id for soa in world.pscloud.soas.values() if soa.status != "active"}
    run_id = world.portal.process(lambda: sync.request_run("manual", "carla", world.tick()))
    world.queue.clear()
    world.work(rng, "download_soas", (run_id,), 0)
    status = world.portal.one("SELECT status || ' ' || error || note FROM sync_runs WHERE id = ?", run_id)
    if not status.startswith("completed"):
        raise Violation("I19", f"an undisturbed download did not complete: {status}", [run_id])


def shrink(portal: Portal, failure: Failure, seconds: float = 60) -> Failure:
    """The shortest sequence found within that time that breaks the same invariant (delta debugging)."""
    until = time.monotonic() + seconds
    best = failure
    low, high = 0, len(best.steps)
    while low + 1 < high and time.monotonic() < until:  # the shortest beginning that fails when all is healed after it
        middle = (low + high) // 2
        found = run(portal, best.seed, best.steps[:middle])
        if found and found.invariant == failure.invariant:
            best, high = found, min(middle, len(found.steps))
        else:
            low = middle
    size = max(len(best.steps) // 2, 1)
    while time.monotonic() < until:
        start, shorter = 0, False
        while start < len(best.steps) and time.monotonic() < until:
            fewer = best.steps[:start] + best.steps[start + size :]
            found = run(portal, best.seed, fewer)
            if found and found.invariant == failure.invariant:
                best, shorter = replace(found, steps=found.steps), True
            else:
                start += size
        if size == 1 and not shorter:
            break
        size = max(size // 2, 1)
    return best
