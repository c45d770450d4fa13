"""To the bank: registers, files, deposits and their slip, each by who may, without script."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from portal.store import papers
from portal.store.papers import OTHERS, PaperFilter
from tests.blueprints.office_site import TRICKY, Site, attributes, element, text_of
from tests.blueprints.test_remittances_pages import received


def of(site: Site, *tenders: str) -> list[str]:
    with site.app.app_context():
        return [row.payment_id for row in papers.list_page(PaperFilter(tenders))]


def form_of(site: Site, **typed: Any) -> dict[str, Any]:
    page = site.page("carla", "/deposits/new")
    (request,) = re.findall(r'name="request_id" value="([^"]+)"', page)
    cash = dict(re.findall(r'name="(cash-\d+)" value="([^"]*)"', page))
    day = re.findall(r'name="deposited_on" type="date" value="([^"]+)"', page)
    sent = {"request_id": request, **cash, "check": attributes(page, "value") and of(site, "check"), "deposited_on": day[0]}
    return {**sent, "bank_account": "BDO 001-234", "slip_number": "77", "total": "800", **typed}


def test_the_registers_count_filter_and_lead_to_payment_and_remittance(site: Site) -> None:
    page = site.page("carla", "/checks")
    assert (element(page, "paper-count"), element(page, "paper-total")) == ("1", "₱200.00") and "000123" in page
    assert "not remitted" in page and attributes(page, "data-state") == ["received"]
    assert element(site.page("carla", "/checks?q=nobody", HX_Request="true"), "paper-count") == "0"
    assert element(site.page("carla", "/checks?collector=nena&channel=BDO&from=2026-11-20"), "paper-count") == "1"
    assert "is not a date" in site.page("carla", "/checks?from=soon")
    transfers = site.page("ada", "/transfers")
    assert element(transfers, "paper-count") == "1" and TRICKY not in transfers and "Verified<" not in transfers
    received(site)
    assert "R-000001" in site.page("carla", "/checks")
    for path in ("/checks", "/transfers", "/deposits", "/deposits/new", "/checks.csv"):
        assert site.get("nena", path).status_code == 403
    assert site.get("ada", "/deposits/new").status_code == 403


def test_the_register_as_a_file_guards_what_a_spreadsheet_would_calculate(site: Site) -> None:
    head, row = csv.reader(io.StringIO(site.get("carla", "/transfers.csv?state=unverified").text.removeprefix("\ufeff")))
    cells = dict(zip(head, row, strict=True))
    assert cells["Reference"] == "'=1+1" and cells["Amount"] == "300.00" and cells["State"] == "Not verified"
    assert site.get("carla", "/checks.xlsx").data.startswith(b"PK")
    assert site.get("carla", "/checks.pdf").status_code == 404


def test_a_deposit_that_does_not_add_up_keeps_what_was_typed_and_one_that_does_has_a_slip(site: Site) -> None:
    received(site)
    wrong = site.post("carla", "/deposits", form_of(site, total="900"))
    assert wrong.status_code == 422 and "₱100.00 more" in text_of(wrong.text) and 'value="900"' in wrong.text
    made = site.post("carla", "/deposits", form_of(site))
    assert made.status_code == 303, text_of(made.text)
    page = site.page("ada", made.headers["Location"])
    assert element(page, "deposit-total") == "₱800.00" and "BDO 001-234" in page and "000123" in page
    slip = site.get("carla", f"/reports{made.headers['Location'].replace('deposits', 'deposit')}.pdf")
    assert slip.data.startswith(b"%PDF") and slip.headers["Content-Type"] == "application/pdf"
    assert element(site.page("carla", "/deposits"), "cash-left") == "₱0.00"
    assert attributes(site.page("carla", "/deposits"), "data-deposit") == ["1"]
    assert site.get("carla", "/deposits/99").status_code == 404
    again = site.post("carla", "/deposits", form_of(site, slip_number="78", total="200"))
    assert again.status_code == 409 and "another deposit" in again.text


def test_a_bounce_is_recorded_explained_and_settled_by_somebody_else(site: Site) -> None:
    received(site)
    assert site.post("carla", "/deposits", form_of(site)).status_code == 303
    (check,) = of(site, "check")
    assert site.post("carla", "/checks", {"payment": check, "state": "bounced", "note": ""}).status_code == 422
    assert site.post("ada", "/checks", {"payment": check, "state": "bounced", "note": "Account closed"}).status_code == 403
    assert site.post("carla", "/checks", {"payment": check, "state": "bounced", "note": "Account closed"}).status_code == 303
    page = site.page("ramon", "/checks?state=bounced")
    assert "SUBJECT TO CLEARING" in page and "Account closed" in page and f"/checks/{check}/settle" in page
    assert "task-bounced" in site.page("ramon", "/?part=waiting", HX_Request="true")
    assert "Settle a bounced" not in site.page("carla", "/checks?state=bounced")
    assert site.post("carla", f"/checks/{check}/settle", {"note": "Paid in cash"}).status_code == 403
    assert site.post("ramon", f"/checks/{check}/settle", {"note": "Paid in cash"}).status_code == 303
    assert "Bounced, settled" in site.page("carla", "/checks?state=settled")


def test_transfers_are_verified_together(site: Site) -> None:
    (one,) = of(site, *OTHERS)
    assert site.post("carla", "/transfers", {"payment": one, "state": "lost"}).status_code == 422
    assert site.post("carla", "/transfers", {"payment": one, "state": "verified", "note": "Statement 20 Nov"}).status_code == 303
    assert "Statement 20 Nov" in site.page("carla", "/transfers?state=verified")
    assert "task-transfers" not in site.page("carla", "/?part=waiting", HX_Request="true")
