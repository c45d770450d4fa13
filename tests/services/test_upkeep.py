"""What the doctor mends by itself."""

from __future__ import annotations

from datetime import date

from flask import Flask
from sqlalchemy import update

from portal.extensions import db
from portal.services import upkeep
from portal.store import soa_totals, soas
from portal.store.models import SoaTotal
from tests.factories import make_soa, store_soas


def test_totals_that_went_wrong_are_added_up_anew(any_app: Flask) -> None:
    store_soas(make_soa("S1"), make_soa("S2", collector_code=None))
    right = soas.totals(soas.SoaFilter(), date(2026, 11, 20))
    assert upkeep.mend_totals() == 0
    db.session.execute(update(SoaTotal).values(count=SoaTotal.count + 7))
    db.session.commit()
    assert len(soa_totals.wrong()) == 4 and soas.totals(soas.SoaFilter(), date(2026, 11, 20)) != right
    assert upkeep.mend_totals() == 4
    assert soa_totals.wrong() == [] and soas.totals(soas.SoaFilter(), date(2026, 11, 20)) == right
    said = any_app.test_cli_runner().invoke(args=["doctor"]).output
    assert "Totals of SOAs: right." in said
