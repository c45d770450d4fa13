"""Many seeds over several processes, and the hunt for planted bugs."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.simulation import mutants, run, steps
from tests.simulation.portal import Portal, have_process_to_itself

CORES = len(os.sched_getaffinity(0))
SEEDS_FOR_A_MUTANT = 24
"""The bound within which every planted bug must be found. Some show only where PSCloud does not know a reference again, which is so in one
seed of two: twenty-four of the other kind in a row will not be met."""
STEPS_FOR_A_MUTANT = 80


@dataclass(frozen=True)
class Outcome:
    """One seed: how many steps were done, in how many seconds of CPU, and the failure (as text) if there was one."""

    seed: int
    steps: int
    cpu: float
    failure: str


@dataclass(frozen=True)
class Found:
    """One planted bug: which invariant showed it, in which seed, after how many steps in all."""

    name: str
    stands_for: str
    invariant: str | None
    detail: str
    seeds: int
    steps: int
    cpu: float

    def __str__(self) -> str:
        if self.invariant is None:
            return f"NOT FOUND in {self.seeds} seeds, {self.steps} steps: {self.name} ({self.stands_for}): {self.detail[:200]}"
        cost = f"{self.steps:5d} steps, {self.seeds:2d} seeds, {self.cpu:4.1f} s"
        return f"{cost}  {self.invariant:8s} {self.name} ({self.stands_for}): {self.detail[:70]}"


@cache
def portal() -> Portal:
    """This process's portal."""
    made = Portal(Path(tempfile.mkdtemp(prefix="simulation-")))
    have_process_to_itself()
    return made


def one_seed(seed: int, count: int, seconds: float = 45) -> Outcome:
    """Run a seed; a failure is made as short as `seconds` allow."""
    started = time.process_time()
    failure = run.run(portal(), seed, steps.plan(seed, count))
    cpu = time.process_time() - started
    if failure is None:
        return Outcome(seed, count, cpu, "")
    return Outcome(seed, failure.at, cpu, str(run.shrink(portal(), failure, seconds)))


def one_mutant(number: int, first: int = 0) -> Found:
    """Plant one bug and run seeds from `first` until one of the invariants shows it. It counts as found only when the same steps break
    nothing without the bug."""
    mutant = mutants.MUTANTS[number]
    process = portal()
    started, done = time.process_time(), 0
    for seeds in range(1, SEEDS_FOR_A_MUTANT + 1):
        seed = first + seeds - 1
        with mutant.plant(process):
            failure = run.run(process, seed, steps.plan(seed, STEPS_FOR_A_MUTANT, mutant.focus))
        if failure:
            shown, detail = _judge(process, mutant, failure)
            spent = time.process_time() - started
            return Found(mutant.name, mutant.stands_for, shown, detail, seeds, done + failure.at, spent)
        done += STEPS_FOR_A_MUTANT
    return Found(mutant.name, mutant.stands_for, None, "", SEEDS_FOR_A_MUTANT, done, time.process_time() - started)


def _judge(process: Portal, mutant: mutants.Mutant, failure: run.Failure) -> tuple[str | None, str]:
    """Which invariant showed the bug, and how; None when it was not the bug that broke it."""
    if failure.invariant == "crash" and not mutant.crash:
        return None, f"it does not fit the code any more, or the simulation failed, at {failure.ids[0]}: {failure.detail}"
    without = run.run(process, failure.seed, failure.steps)
    if without:
        return None, f"seed {failure.seed} fails without the bug too: {without.invariant}: {without.detail}"
    return failure.invariant, failure.detail


def _seed(given: tuple[int, int]) -> Outcome:
    try:
        return one_seed(*given)
    except BaseException as error:  # a fault of the simulation itself must not hang the pool
        return Outcome(given[0], 0, 0.0, f"seed {given[0]}: the simulation itself failed: {error!r}\n{traceback.format_exc()}")


def _mutant(given: tuple[int, int]) -> Found:
    try:
        return one_mutant(*given)
    except BaseException as error:
        name = mutants.MUTANTS[given[0]].name
        print(f"{name}: {traceback.format_exc()}", file=sys.stderr)
        return Found(name, "the simulation itself failed", None, repr(error), 0, 0, 0.0)


def run_seeds(seeds: Iterable[int], count: int, processes: int = CORES) -> Iterator[Outcome]:
    """Run seeds, as they end."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_seed, [(seed, count) for seed in seeds])


def find_mutants(processes: int = CORES, first: int = 0, names: Container[str] | None = None) -> Iterator[Found]:
    """Hunt every planted bug, or those of these names, in their order, each with the seeds from `first`."""
    chosen = [number for number, mutant in enumerate(mutants.MUTANTS) if names is None or mutant.name in names]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(_mutant, [(number, first) for number in chosen])


def table(found: Iterable[Found]) -> Iterator[str]:
    """Each known loss with the bugs planted for it and what it took to find them, as lines of Markdown."""
    of = {one.name: one for one in found}
    yield "| known loss | planted as (seeds / steps, what found it) |"
    yield "|---|---|"
    for loss, names in mutants.LOSSES.items():
        told = (f"{name} ({of[name].seeds} / {of[name].steps}, {of[name].invariant or 'NOT FOUND'})" for name in names)
        yield f"| {loss} | {'; '.join(told)} |"


def summary(found: Sequence[Found], seconds: float) -> str:
    """What the hunt took, in one line."""
    steps_done, cpu, most = sum(one.steps for one in found), sum(one.cpu for one in found), max(one.seeds for one in found)
    took = f"{steps_done} steps in {seconds:.0f} s ({cpu:.0f} s of CPU)"
    return (
        f"{sum(one.invariant is not None for one in found)} of {len(found)} planted bugs found, {took}, none after more than {most} seeds"
    )
