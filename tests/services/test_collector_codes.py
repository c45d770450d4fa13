"""Collector codes of our own, and what keeps one from being removed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import insert

from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.extensions import db
from portal.services import collector_codes as service
from portal.store import collector_codes as store
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
    assert row.accounts == 1 and row.amount_due > 0 and row.shared
    assert [holder.user_name for holder in row.holders] == ["nena", "lito"] and first != second
    assert [(one.code, one.accounts) for one in store.without_known_code(NOW.date())] == [(None, 1), ("Q", 1)]
    db.session.execute(insert(CodeHolding).values(user_id=first, code="A", since=NOW, until=NOW))
    assert len(store.overview(NOW.date())[0].holders) == 2, "those who held it before are not counted"
