"""`python -m tests.simulation`: many seeds, as long as one likes, with progress; `--mutants` proves the checker."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation import campaign


def main() -> int:
    """Entry point; the exit code is 1 when anything was found (with --mutants: when a planted bug was not)."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=500, help="steps of each seed")
    parser.add_argument("--processes", type=int, default=campaign.CORES, help="how many seeds at once")
    parser.add_argument("--mutants", action="store_true", help="plant each bug and show after how many steps it was found")
    given = parser.parse_args()
    started = time.monotonic()
    if given.mutants:
        found = []
        for one in campaign.find_mutants(given.processes, given.first):
            print(one, flush=True)
            found.append(one)
        print(*campaign.table(found), campaign.summary(found, time.monotonic() - started), sep="\n")
        return 0 if all(one.invariant for one in found) else 1
    failures = steps = 0
    outcomes = campaign.run_seeds(range(given.first, given.first + given.seeds), given.steps, given.processes)
    for seeds, outcome in enumerate(outcomes, 1):
        steps += outcome.steps
        if outcome.failure:
            failures += 1
            print(f"\n{outcome.failure}", flush=True)
        spent = time.monotonic() - started
        if seeds % 10 == 0 or seeds == given.seeds:
            print(f"{seeds} of {given.seeds} seeds, {failures} failed, {steps} steps, {steps / spent:.0f} steps a second", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
