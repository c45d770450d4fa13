"""Proof of the checker: every planted bug is found, within a bounded number of seeds, whichever seeds they are."""

from __future__ import annotations

import time
from collections.abc import Container

import pytest

from tests.simulation import campaign, mutants


def test_there_are_enough_bugs_and_each_has_a_reason() -> None:
    names = [mutant.name for mutant in mutants.MUTANTS]
    assert len(names) >= 25 and len(set(names)) == len(names)
    assert all(mutant.stands_for for mutant in mutants.MUTANTS)


def test_each_known_loss_is_planted() -> None:
    names = {mutant.name for mutant in mutants.MUTANTS}
    assert len(mutants.LOSSES) == 25 and all(mutants.LOSSES.values())
    assert {name for planted in mutants.LOSSES.values() for name in planted} <= names


def hunt(first: int, names: Container[str] | None, capsys: pytest.CaptureFixture[str]) -> list[str]:
    started = time.monotonic()
    found = list(campaign.find_mutants(first=first, names=names))
    with capsys.disabled():
        print("", *(f"  {one}" for one in found), campaign.summary(found, time.monotonic() - started), sep="\n")
    return [str(one) for one in found if one.invariant is None]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_planted_bug_of_each_known_loss_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """`./test` hunts all of them beside pytest."""
    assert not hunt(0, {names[0] for names in mutants.LOSSES.values()}, capsys)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", [0, 100_000, 200_000, 300_000])
def test_every_planted_bug_is_found_whichever_the_seeds(first: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert not hunt(first, None, capsys)
