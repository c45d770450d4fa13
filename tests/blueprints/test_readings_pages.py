"""Readings and reports: the ledger's figures on the screen and on paper, and the phone's where they differ."""

from __future__ import annotations

from datetime import date

import pytest

from portal import clock, collection_report
from portal.blueprints import readings as page_module
from portal.store import ledger, readings, report_rows
from portal.store.ledger import PaymentFilter
from portal.store.readings import ChainRow
from portal.store.report_rows import ReportFilter
from tests.blueprints.office_site import Site, attributes, text_of, upload
from tests.factories import NOW, make_phone, make_soa

EVERY = ReportFilter(date(2026, 11, 20), date(2026, 11, 20), NOW, NOW)


@pytest.fixture(autouse=True)
def at_the_moment_of_the_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def ids(site: Site) -> dict[str, int]:
    with site.app.app_context():
        return {row.kind: row.id for row in readings.recent()}


def test_the_list_says_which_readings_differ_from_the_ledger(site: Site) -> None:
    page = site.page("carla", "/readings")
    assert attributes(page, "data-kind") == ["Z", "X"]
    assert "Equal" in page and "differ" in page
    assert attributes(site.page("carla", "/readings?kind=Z"), "data-kind") == ["Z"]
    assert site.get("nena", "/readings").status_code == 403


def test_a_z_shows_every_figure_in_order_and_what_the_phone_printed_instead(site: Site) -> None:
    page = text_of(site.page("carla", f"/readings/{ids(site)['Z']}"))
    order = [
        "Business date", "Beginning receipt number T01-00000001", "Ending receipt number T01-00000003", "Transaction count 3",
        "Reset counter 0", "Z counter 1", "Present accumulated 600.00", "Previous accumulated 0.00", "Collection for the day 600.00",
        "VATable", "Penalty 10.50",
        "Gross 600.00", "Less void 0.00", "Net 600.00", "Cash (1) 100.00", "Check, BDO (1) 200.00", "E-wallet, GCash (1) 300.00",
        "Change fund 500.00", "Expected cash 600.00", "1 x 1,000.00 bill", "Counted cash 1,000.00", "Over 400.00",
    ]  # fmt: skip
    places = [page.index(words, page.index("Business date")) for words in order]
    assert places == sorted(places)
    assert "Gross 600.01 600.00" in page and "disagree" in page


def test_an_x_has_no_counters_and_says_it_closes_nothing(site: Site) -> None:
    page = text_of(site.page("carla", f"/readings/{ids(site)['X']}"))
    assert "Z counter" not in page and "accumulated" not in page and "not a closing report" in page and "equals what the portal" in page


def test_readings_and_the_collection_report_print(site: Site) -> None:
    for path in (
        f"/readings/{ids(site)['Z']}.pdf",
        f"/readings/{ids(site)['X']}.pdf",
        "/reports/collection.pdf?from=2026-11-20&to=2026-11-20&collector=nena",
    ):
        answer = site.get("ramon", path)
        assert answer.status_code == 200 and answer.mimetype == "application/pdf" and answer.data.startswith(b"%PDF-")
        assert "no-store" in answer.headers["Cache-Control"] and ".pdf" in answer.headers["Content-Disposition"]
    assert site.get("ramon", "/readings/99.pdf").status_code == 404
    assert site.get("ramon", "/readings/99").status_code == 404


def test_whatever_a_phone_put_into_a_reading_can_be_shown() -> None:
    values: tuple[object, ...] = (
        None,
        True,
        1.5,
        "text",
        [1, "a", None, {"tender": "cash"}],
        {"a": 1},
        10**30,
        -5,
        [{"tender": [], "channel": {}, "count": None, "amount": 1}],
    )
    for value in values:
        for name in ("gross", "tenders", "transaction_count", "first_receipt"):
            assert isinstance(page_module.shown(name, value), str)
    assert page_module.shown("gross", 123456) == "1,234.56" and page_module.shown("z_counter", 7) == "7"


def test_the_report_adds_up_by_tender_and_in_all(site: Site) -> None:
    with site.app.app_context():
        lines = list(report_rows.collection(EVERY))
        data = collection_report.contents(lines, ["20 Nov 2026"], [])
    assert [(line.tender, line.channel, line.count, str(line.amount)) for line in data["tenders"]] == [
        ("cash", None, 1, "100.00"), ("check", "BDO", 1, "200.00"), ("e_wallet", "GCash", 1, "300.00"),
    ]  # fmt: skip
    assert (str(data["total"]), str(data["penalty"]), str(data["principal"]), str(data["advance"])) == ("600.00", "10.50", "589.50", "0.00")
    assert [line.row.receipt_number for line, _ in lines] == ["T01-00000001", "T01-00000002", "T01-00000003"]


@pytest.mark.parametrize("query", ["from=2026-13-01", "from=2026-11-20&to=2026-11-01", "collector=nobody"])
def test_a_report_is_never_made_of_another_period_than_asked(site: Site, query: str) -> None:
    answer = site.get("ramon", f"/reports/collection.pdf?{query}")
    assert answer.status_code == 422 and "Please check" in answer.text


def test_reports_are_the_supervisors(site: Site) -> None:
    assert "Collection Report" in site.page("ramon", "/reports")
    for name in ("carla", "nena"):
        assert site.get(name, "/reports").status_code == 403
        assert site.get(name, "/reports/collection.pdf").status_code == 403


def test_an_amount_short_is_called_short() -> None:
    reading = {
        "change_fund": 0, "cash_collected": 500, "less_voided_cash": 0, "less_drops": 0, "less_expenses": 0, "expected_cash": 500,
        "counted": [{"value": 100, "kind": "coin", "count": 4}, {"value": 25, "kind": "coin", "count": 0}],
        "counted_cash": 400, "short_over": -100,
    }  # fmt: skip
    lines = {line.label: line.value for line in page_module.cash_lines(reading)}
    assert lines["Short"] == "1.00" and lines["4 x 1.00 coin"] == "4.00" and "0 x 0.25 coin" not in lines
    even = {line.label for line in page_module.cash_lines({**reading, "short_over": 0})}
    assert "Short or over" in even
    assert "not counted yet" in {line.value for line in page_module.cash_lines({**reading, "counted": None})}


def test_a_row_of_the_report_keeps_its_status_words(site: Site) -> None:
    with site.app.app_context():
        lines = list(report_rows.collection(EVERY))
        html = site.app.jinja_env.get_template("pdf/collection_report.html").render(
            DEMO=True, ORGANISATION=site.app.config["ORGANISATION"], made_at=lines[0][0].row.received_at,
            **collection_report.contents(lines, ["20 Nov 2026"], []),
        )  # fmt: skip
        assert ledger.totals(PaymentFilter()).count == 3
    text = text_of(html.replace("<script", "<s"))
    assert "Pending, not assigned" in text and "3 payments" in text and "₱600.00" in text and "DEMO DATA" in text
    assert "<script>" not in html


def opened(site: Site) -> str:
    """Jun's phone opens a registry, takes a payment, uploads, and is lost."""
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        phone.pay(make_soa("S1"), 100)
        upload(phone, "automatic")
    assert phone.registry
    return phone.registry


def test_a_supervisor_closes_a_registry_for_a_lost_phone(site: Site) -> None:
    registry = opened(site)
    page = site.page("carla", "/readings")
    assert attributes(page, "data-registry") == [registry] and "Close the registry" not in page
    assert "Close the registry" in site.page("ramon", "/readings")
    path = f"/readings/registries/{registry}/close"
    assert site.post("carla", path, {"reason": "The phone was stolen"}).status_code == 403
    assert site.post("ramon", path, {"reason": " "}, {"HX-Request": "true", "HX-Boosted": "true"}).status_code == 422
    answer = site.post("ramon", path, {"reason": "The phone was stolen"})
    assert answer.status_code == 303
    detail = text_of(site.page("carla", answer.headers["Location"]))
    assert "Made by the office (ramon), because the phone could not: The phone was stolen" in detail and "In no journal" in detail
    page = site.page("carla", "/readings")
    assert not attributes(page, "data-registry") and "Made by the office" in page
    assert site.get("carla", f"{answer.headers['Location']}.pdf").data.startswith(b"%PDF-")


def test_the_calendar_says_which_terminal_closed_which_day_in_words(site: Site) -> None:
    opened(site)
    page = site.page("carla", "/readings/calendar?from=2026-11-20")
    assert len(attributes(page, "data-day")) == 20 and "November 2026" in page
    row = text_of(page[page.index('data-day="2026-11-20"') :].split("</tr>")[0])
    assert "Fri 20 Z 1* differs from the ledger Open" in row
    assert "No registry in this month" in site.page("carla", "/readings/calendar?from=2026-10-05")
    assert "is not a date" in site.page("carla", "/readings/calendar?from=gestern")


def test_the_chain_shows_counters_and_totals_hand_in_hand(site: Site) -> None:
    page = site.page("carla", "/readings/chain?terminal=T01")
    assert attributes(page, "data-z") == ["1"] and "0.00 600.00 0.00 600.00 Goes on" in text_of(page)
    with site.app.app_context():
        idle = make_phone("jun").code
    assert attributes(site.page("carla", f"/readings/chain?terminal={idle}"), "data-z") == []
    broken = ChainRow(None, {"z_counter": 2, "previous_accumulated": 5, "gross": 1, "present_accumulated": 6})  # type: ignore[arg-type]
    before = ChainRow(None, {"z_counter": 1, "previous_accumulated": 0, "gross": 4, "present_accumulated": 4})  # type: ignore[arg-type]
    assert not page_module._link(broken, before).holds and page_module._link(before, None).holds
