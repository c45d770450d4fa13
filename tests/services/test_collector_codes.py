"""Collector codes of our own, and what keeps one from being removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import insert

from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.extensions import db
from portal.services import collector_codes as service
from portal.store import collector_codes as store
from portal.store import users as user_store
from portal.store.collector_codes import Listed
from portal.store.models import CodeHolding
from tests.factories import make_soa, make_user, store_soas

NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)


def test_a_code_is_added_once_and_removed_when_nobody_needs_it(any_app: Flask) -> None:
    service.add(" X-01 ", "Extra", "Angat", "rita", NOW)
    assert store.known_codes() == ["X-01"]
    with pytest.raises(Conflict, match="exists"):
        service.add("X-01", "", "", "rita", NOW)
    service.remove("X-01", "rita", NOW)
    assert store.known_codes() == []
    with pytest.raises(NotFound):
        service.remove("X-01", "rita", NOW)


@pytest.mark.parametrize("code", ["", " ", "-", "a" * 41, "a,b", "é", "a\x00", "a\nb", "<b>"])
def test_codes_that_cannot_be_right_are_refused(app: Flask, code: str) -> None:
    with pytest.raises(InvalidInput):
        service.add(code, "", "", "rita", NOW)


def test_a_code_in_use_stays(any_app: Flask) -> None:
    service.add("X-01", "", "", "rita", NOW)
    store_soas(make_soa("S1", collector_code="X-01"))
    with pytest.raises(Conflict, match="in use"):
        service.remove("X-01", "rita", NOW)
    service.add("X-02", "", "", "rita", NOW)
    make_user("nena", codes=["X-02"])
    with pytest.raises(Conflict, match="in use"):
        service.remove("X-02", "rita", NOW)


def test_pscloud_s_codes_follow_pscloud_s_list(any_app: Flask) -> None:
    service.add("B", "Own", "", "rita", NOW)
    service.add("Z", "Ours alone", "", "rita", NOW)
    store.refresh([Listed("A", "North", "Malolos", True), Listed("B", "South", "", True)], NOW)
    db.session.commit()
    rows = {row.code: row for row in store.overview(NOW.date())}
    assert (rows["A"].name, rows["B"].name, rows["B"].source, rows["Z"].source) == ("North", "South", "pscloud", "own")
    store.refresh([Listed("A", "North", "Malolos", True)], NOW)
    db.session.commit()
    rows = {row.code: row for row in store.overview(NOW.date())}
    assert (rows["A"].active, rows["B"].active, rows["Z"].active) == (True, False, True)
    with pytest.raises(Conflict, match="PSCloud"):
        service.remove("B", "rita", NOW)


def test_the_overview_counts_holders_and_money(any_app: Flask) -> None:
    store.refresh([Listed("A", "North", "", True)], NOW)
    first, second = make_user("nena", codes=["A"]), make_user("lito", codes=["A"])
    store_soas(make_soa("S1", collector_code="A"), make_soa("S2", collector_code="Q"), make_soa("S3", collector_code=None))
    (row,) = store.overview(NOW.date())
    assert row.sums.accounts == row.sums.overdue_accounts == 1 and row.sums.amount_due == row.sums.overdue_amount > 0 and row.shared
    assert [holder.user_name for holder in row.holders] == ["nena", "lito"] and first != second
    wrong = [(one.code, one.why, one.downloadable, one.sums.accounts) for one in store.unassigned(NOW.date())]
    assert wrong == [(None, "none", False, 1), ("Q", "unknown", False, 1)]
    db.session.execute(insert(CodeHolding).values(user_id=first, code="A", since=NOW, until=NOW))
    assert len(store.overview(NOW.date())[0].holders) == 2, "those who held it before are not counted"


def test_what_nobody_can_download_is_told_from_what_only_has_a_wrong_code(any_app: Flask) -> None:
    store.refresh([Listed("A", "North", "", True), Listed("B", "South", "", True)], NOW)
    make_user("nena", codes=["A", "X"])
    gone = make_user("lito", codes=["B"])
    user_store.set_fields(gone, active=False)
    store_soas(*(make_soa(f"S-{code}", collector_code=code) for code in ("A", "B", "X", "Y")), make_soa("S-", collector_code=None))
    wrong = [(one.code, one.why, one.downloadable) for one in store.unassigned(NOW.date())]
    assert wrong == [(None, "none", False), ("B", "unheld", False), ("Y", "unknown", False), ("X", "unknown", True)]
    (shared, unheld) = store.overview(NOW.date())
    assert not shared.shared and not shared.unheld and unheld.unheld and [one.active for one in unheld.holders] == [False]


def test_a_code_remembers_who_held_it_from_when_to_when(any_app: Flask) -> None:
    first = make_user("nena", codes=["A"])
    make_user("lito", codes=["A"])
    later = NOW + timedelta(days=3)
    user_store.set_codes(first, [], later)
    held = [(one.user_name, one.since, one.until) for one in store.holders_ever("A")]
    assert held == [("lito", NOW, None), ("nena", NOW, later)]
    found = store.find("A", NOW.date())
    assert found and found.source == "" and [one.user_name for one in found.holders] == ["lito"]
    assert store.find("Z", NOW.date()) is None


def test_what_stands_in_the_way_of_removing_a_code_is_told_in_plain_words(any_app: Flask) -> None:
    service.add("X-03", "", "", "rita", NOW)
    make_user("nena", codes=["X-03"])
    make_user("lito", codes=["X-03"])
    store_soas(make_soa("S1", collector_code="X-03"))
    with pytest.raises(Conflict, match=r"2 people hold it: take it from them under Users\. 1 open SOA carries it: give them another code"):
        service.remove("X-03", "rita", NOW)
    assert service.in_use(0, 0) == ""
