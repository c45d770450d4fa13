"""Proof of the checker: every planted bug is found, within a bounded number of seeds."""

from __future__ import annotations

import pytest

from tests.simulation import campaign, mutants


def test_there_are_enough_bugs_and_each_has_a_reason() -> None:
    names = [mutant.name for mutant in mutants.MUTANTS]
    assert len(names) >= 25 and len(set(names)) == len(names)
    assert all(mutant.stands_for for mutant in mutants.MUTANTS)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_planted_bug_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    found = list(campaign.find_mutants(leave_out=mutants.SELDOM))
    with capsys.disabled():
        print(f"\n{len(found)} planted bugs, {sum(one.steps for one in found)} steps to find them:")
        for one in found:
            print(f"  {one}")
    assert not [str(one) for one in found if one.invariant is None]
