"""A failure is made short: what is left is what it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation import mutants, run, steps
from tests.simulation.portal import Portal


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_planted_bug_comes_down_to_a_few_steps_and_names_what_differs(tmp_path: Path) -> None:
    portal = Portal(tmp_path)
    advance = next(mutant for mutant in mutants.MUTANTS if mutant.name == "advance dropped")
    with advance.plant(portal):
        failure = run.run(portal, 7, steps.plan(7, 80, ("pay", "upload")))
        assert failure and failure.invariant == "I15"
        short = run.shrink(portal, failure, 60)
        assert len(short.steps) <= 8 and short.ids
        again = run.run(portal, 7, short.steps)
        assert again and again.invariant == "I15", "the short sequence fails by itself"
    assert run.run(portal, 7, short.steps) is None, "and only because of the bug"
    assert str(short).startswith("seed 7: I15") and "shortest sequence" in str(short)


def test_the_same_seed_is_the_same_day(tmp_path: Path) -> None:
    assert steps.plan(3, 50) == steps.plan(3, 50)
    assert steps.plan(3, 50) != steps.plan(4, 50)
