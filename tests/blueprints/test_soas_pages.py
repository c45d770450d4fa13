"""SOA Customer List and Home: one handler, a page or its part; filters in the address; exports no spreadsheet can be fooled by."""

from __future__ import annotations

import csv
import io
import re

import pytest

from portal.blueprints import soas as pages_of_soas
from portal.filters import recorded
from tests.blueprints.office_site import TRICKY, Site, attributes, element, text_of


def test_the_list_says_how_many_and_how_much_and_marks_each_row(site: Site) -> None:
    page = site.page("carla", "/soas")
    assert element(page, "soa-count") == "60"
    assert len(attributes(page, "data-soa")) == 50
    assert element(page, "soa-total").startswith("₱")
    assert page.count("<h1>") == 1 and 'id="q"' in page and "50 of 60 shown" in text_of(page)


def test_htmx_gets_the_part_alone_and_the_whole_page_when_it_restores_or_boosts(site: Site) -> None:
    part = site.get("carla", "/soas?q=nobody", HX_Request="true")
    assert "<html" not in part.text and element(part.text, "soa-count") == "1"
    assert "HX-Request" in part.headers["Vary"] and "no-store" in part.headers["Cache-Control"]
    for header in ("HX_History_Restore_Request", "HX_Boosted"):
        assert "<html" in site.page("carla", "/soas?q=nobody", HX_Request="true", **{header: "true"})


def test_the_next_page_holds_the_rest_and_the_previous_one_comes_back(site: Site) -> None:
    first = site.page("carla", "/soas?sort=name")
    onward = [link for link in attributes(first, "href") if "after=" in link]
    second = site.page("carla", onward[0])
    rows = attributes(first, "data-soa") + attributes(second, "data-soa")
    assert len(rows) == len(set(rows)) == 60
    back = [link for link in attributes(second, "href") if "before=" in link]
    assert attributes(site.page("carla", back[0]), "data-soa") == attributes(first, "data-soa")


def test_a_mistyped_name_is_mended_and_said_so(site: Site) -> None:
    page = site.page("carla", "/soas?q=custmer+05")
    assert len(attributes(page, "data-soa")) == 7 and "Nothing matches custmer 05" in text_of(page)
    assert element(page, "soa-count") == "7" and any("q=customer+05" in link for link in attributes(page, "href") if "soas.csv" in link)
    nothing = site.page("carla", "/soas?q=xqzzxq")
    assert attributes(nothing, "data-soa") == [] and "Nothing matches" not in text_of(nothing)


def test_a_broad_search_shows_its_rows_before_it_is_counted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    part = site.get("carla", "/soas?q=customer", HX_Request="true").text
    assert len(attributes(part, "data-soa")) == 50 and element(part, "soa-total") == "adding up"
    later = next(link for link in attributes(part, "hx-get") if "part=totals" in link)
    counted = site.get("carla", later, HX_Request="true").text
    whole = site.page("carla", "/soas?q=customer")
    assert element(counted, "soa-count") == element(whole, "soa-count") == "56"
    assert element(counted, "soa-total") == element(whole, "soa-total").strip() and "data-soa" not in counted
    monkeypatch.setattr(pages_of_soas, "LARGE", 59)
    assert "More than 50" in text_of(site.page("carla", "/soas?q=customer")) and element(site.page("carla", "/soas"), "soa-count") == "60"
    monkeypatch.setattr(pages_of_soas, "LARGE", 60)
    monkeypatch.setattr(pages_of_soas, "COUNTED", 55)
    broad = site.page("carla", "/soas?q=customer")
    assert "More than 50" in text_of(broad) and len(attributes(broad, "data-soa")) == 50
    asked = next(link for link in attributes(broad, "href") if "part=counted" in link)  # without script
    assert element(site.page("carla", asked), "soa-total") == element(whole, "soa-total")
    assert element(site.get("carla", "/soas?q=customer+05", HX_Request="true").text, "soa-count") == "7"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=unknown", ["U1"]),
        ("q=ACC-N1", ["N1"]),
        ("collector_code=B2", ["A/1"]),
        ("collector_code=-", ["N1"]),
        ("collector_code=nowhere", []),
        ("penalty=1", ["A/1"]),
        ("status=closed", []),
        ("q=customer+05&sort=-amount_due&penalty=0", ["S055", "S054", "S053", "S052", "S051", "S050", "S005"]),
        ("due_from=2199-01-01", []),
        ("due_to=2001-01-01&status=all", []),
    ],
)
def test_each_filter_narrows_the_list(site: Site, query: str, found: list[str]) -> None:
    page = site.page("carla", f"/soas?{query}")
    assert attributes(page, "data-soa") == found
    assert element(page, "soa-count") == str(len(found))
    if not found:
        assert "No SOA matches" in page and "Clear all filters" in page


def test_what_cannot_be_used_is_said_at_its_field_and_the_rest_still_applies(site: Site) -> None:
    page = site.page("carla", "/soas?q=unknown&due_from=31.12.2026&status=sideways&sort=password")
    assert attributes(page, "data-soa") == ["U1"]
    assert "is not a date" in element(page, "problem-due_from")
    assert "is not one of the choices" in text_of(page)
    part = site.page("carla", "/soas?due_from=x", HX_Request="true")
    assert 'id="problem-due_from" hx-swap-oob="true"' in part and "is not a date" in element(part, "problem-due_from")
    assert "nothing can match" in text_of(site.page("carla", "/soas?due_from=2026-11-20&due_to=2026-11-01"))


@pytest.mark.parametrize(
    "query",
    [
        "q=%00%0a",
        "q=%ff%fe",
        "after=x&before=y",
        "after=" + "A" * 3000,
        "due_from=0000-00-00",
        "due_to=20261120",
        "overdue=2&q=" + "x" * 5000,
    ],
)
def test_nothing_in_the_address_breaks_the_page(site: Site, query: str) -> None:
    assert site.get("carla", f"/soas?{query}").status_code == 200


def test_chips_name_each_filter_and_drop_only_it(site: Site) -> None:
    page = site.page("carla", "/soas?q=customer&overdue=1&sort=-name")
    links = [link for link in attributes(page, "href") if link.startswith("/soas?") and "after" not in link]
    assert "/soas?overdue=1&sort=-name" in links and "/soas?q=customer&sort=-name" in links
    assert "Text: customer" in page and "Clear all" in page
    assert 'aria-sort="descending"' in page


def test_a_customers_name_is_text_wherever_it_stands(site: Site) -> None:
    for path in ("/soas?q=script", "/soas/A/1", "/syncs/1", "/payments"):
        page = site.page("ramon", path)
        assert "<script>alert" not in page and TRICKY in text_of(page.replace("<script", "<s")), path


def test_the_detail_shows_invoices_payments_and_what_the_downloads_changed(site: Site) -> None:
    page = text_of(site.page("carla", "/soas/S1"))
    for words in (
        "SI-0001",
        "SI-0002",
        "14 Rizal St.",
        "12 Mabini St., Malolos City, Bulacan",
        "₱100.00 collected by Nena",
        "₱200.00 collected",
    ):
        assert words in page
    assert site.get("carla", "/soas/no-such").status_code == 404
    assert "<html" not in site.page("carla", "/soas/S1", HX_Request="true")


def test_the_csv_is_the_filtered_list_with_a_byte_order_mark_and_no_formula(site: Site) -> None:
    answer = site.get("carla", "/soas.csv?collector_code=B2")
    assert answer.mimetype == "text/csv" and answer.data.startswith(b"\xef\xbb\xbf")
    assert "attachment" in answer.headers["Content-Disposition"] and "no-store" in answer.headers["Cache-Control"]
    head, row = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert dict(zip(head, row, strict=True))["Customer"] == TRICKY
    assert dict(zip(head, row, strict=True))["Amount due"] == "1130.50"
    assert len(list(csv.reader(io.StringIO(site.get("carla", "/soas.csv").text)))) == 61


def test_collectors_are_sent_to_the_phone_app_and_see_no_soas_of_the_office(site: Site) -> None:
    answer = site.get("nena", "/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/mpos/")
    for path in ("/soas", "/soas/S1", "/soas.csv"):
        assert site.get("nena", path).status_code == 403
        assert site.app.test_client().get(path).status_code == 302


def test_every_page_carries_the_tested_htmx_settings_and_no_inline_script(site: Site) -> None:
    page = site.page("carla", "/soas")
    for setting in (
        '"allowEval":false',
        '"allowScriptTags":false',
        '"historyCacheSize":0',
        '"selfRequestsOnly":true',
        '"includeIndicatorStyles":false',
    ):
        assert setting in page
    assert 'integrity="sha384-2OatzQy1H+Zd/IIrjr1TcuDGqLXeHhbooAyJY1KdQMKnr4LZ22k31GBLdYKHmVjg"' in page and "htmx_fallback.js" in page
    assert "hx-on" not in page and " style=" not in page and "<script>" not in page and "javascript:" not in page


def test_what_a_download_changed_reads_like_the_rest_of_the_page() -> None:
    told = {
        "2026-11-20": "20 Nov 2026",
        "12345.60": "12,345.60",
        "HP-2026-00001": "HP-2026-00001",
        "2026-99-99": "2026-99-99",
        "": "",
        "balance 10733.33, penalty 448.67, due 2026-07-23": "balance 10,733.33, penalty 448.67, due 23 Jul 2026",
    }
    assert {value: recorded(value) for value in told} == told


def test_an_soa_says_what_was_collected_since_pscloud_counted(site: Site) -> None:
    assert "Collected by phones" not in (page := text_of(site.page("carla", "/soas/N1"))) and "N1" in page
    assert re.search(
        r"Collected by phones, not yet in PSCloud's figures ₱300\.00 Left to collect ₱1,940\.00", text_of(site.page("carla", "/soas/S1"))
    )
