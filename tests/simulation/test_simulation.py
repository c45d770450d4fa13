"""The simulation as a check: a few seeds, each a bad day of its own; ./test runs 200 beside pytest. See docs/reliability.md."""

from __future__ import annotations

import os
import time

import pytest

from tests.simulation import campaign

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "6"))
STEPS = 500


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_seed_breaks_an_invariant(capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    outcomes = list(campaign.run_seeds(range(SEEDS), STEPS))
    spent = time.monotonic() - started
    done = sum(outcome.steps for outcome in outcomes)
    with capsys.disabled():
        cpu = sum(outcome.cpu for outcome in outcomes)
        print(f"\nsimulation: {len(outcomes)} seeds, {done} steps in {spent:.0f} s, {done / max(cpu, 0.001):.0f} steps a second and core")
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    assert not failures, "\n\n".join(failures[:3])
    assert done == SEEDS * STEPS
