"""Many seeds over several processes, and the hunt for planted bugs."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.simulation import mutants, run, steps
from tests.simulation.portal import Portal, have_process_to_itself

CORES = len(os.sched_getaffinity(0))
SEEDS_FOR_A_MUTANT = 24
STEPS_FOR_A_MUTANT = 500


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

    def __str__(self) -> str:
        if self.invariant is None:
            return f"NOT FOUND in {self.seeds} seeds, {self.steps} steps: {self.name} ({self.stands_for})"
        return f"{self.steps:6d} steps, {self.seeds:2d} seeds  {self.invariant:9s} {self.name} ({self.stands_for}): {self.detail[:70]}"


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


def one_mutant(number: int) -> Found:
    """Plant one bug and run seeds until it is found."""
    mutant = mutants.MUTANTS[number]
    done = 0
    with mutant.plant(portal()):
        for seed in range(SEEDS_FOR_A_MUTANT):
            failure = run.run(portal(), 1000 * number + seed, steps.plan(1000 * number + seed, STEPS_FOR_A_MUTANT, mutant.focus))
            if failure:
                return Found(mutant.name, mutant.stands_for, failure.invariant, failure.detail, seed + 1, done + failure.at)
            done += STEPS_FOR_A_MUTANT
    return Found(mutant.name, mutant.stands_for, None, "", SEEDS_FOR_A_MUTANT, done)


def _seed(given: tuple[int, int]) -> Outcome:
    try:
        return one_seed(*given)
    except BaseException as error:  # a fault of the simulation itself must not hang the pool
        return Outcome(given[0], 0, 0.0, f"seed {given[0]}: the simulation itself failed: {error!r}\n{traceback.format_exc()}")


def _mutant(number: int) -> Found:
    try:
        return one_mutant(number)
    except BaseException as error:
        name = mutants.MUTANTS[number].name
        print(f"{name}: {traceback.format_exc()}", file=sys.stderr)
        return Found(name, f"the simulation itself failed: {error!r}", None, "", 0, 0)


def run_seeds(seeds: Iterable[int], count: int, processes: int = CORES) -> Iterator[Outcome]:
    """Run seeds, as they end."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_seed, [(seed, count) for seed in seeds])


def find_mutants(processes: int = CORES, leave_out: frozenset[str] = frozenset()) -> Iterator[Found]:
    """Hunt every planted bug, in their order, but those left out by name."""
    chosen = [number for number, mutant in enumerate(mutants.MUTANTS) if mutant.name not in leave_out]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(_mutant, chosen)
