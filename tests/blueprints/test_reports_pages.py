"""Reports: each on screen and as three files that hold the same rows and totals, narrowed by days, collector and code."""

from __future__ import annotations

import csv
import io
import re

import pytest

from portal.blueprints import reports as pages
from portal.extensions import db
from portal.reports import REPORTS
from portal.store import sync_runs
from tests.blueprints.office_site import HTMX, TRICKY, Site, attributes, element, text_of

DAY = "from=2026-11-20&to=2026-11-20"


def lines_of(site: Site, path: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(site.page("ramon", path).removeprefix("\ufeff"))))


def test_every_report_is_listed_and_shown_empty_and_full(site: Site) -> None:
    page = site.page("ramon", "/reports")
    for report in REPORTS.values():
        assert f'href="/reports/{report.name}"' in page and report.title in page and report.about in text_of(page)
        full = site.page("ramon", f"/reports/{report.name}?{DAY}")
        assert (report.title in full and "Nothing here" not in full) or report.name in {
            "remittances",
            "advances",
            "late-missing",
            "voids-reprints",
            "promises",
        }
        if "days" in report.asks:
            empty = site.page("ramon", f"/reports/{report.name}?from=2020-01-01&to=2020-01-02")
            assert "1 Jan 2020 to 2 Jan 2020" in text_of(empty)
            assert "Nothing here" in empty or report.name == "performance"


@pytest.mark.parametrize("name", REPORTS)
def test_the_files_hold_what_the_screen_shows(site: Site, name: str) -> None:
    report = REPORTS[name]
    query = f"?{DAY}" if "days" in report.asks else ""
    page = site.page("ramon", f"/reports/{name}{query}")
    count = int(element(page, "report-count"))
    lines = lines_of(site, f"/reports/{name}.csv{query}")
    assert lines[0] == list(report.head) and len(lines) - 1 == count == len(attributes(page, "data-line"))
    assert site.get("ramon", f"/reports/{name}.xlsx{query}").data[:2] == b"PK"
    answer = site.get("ramon", f"/reports/{name}.pdf{query}")
    assert answer.data[:5] == b"%PDF-" and answer.headers["Content-Disposition"].startswith("inline")
    for form in ("csv", "xlsx", "pdf"):
        assert any(href.startswith(f"/reports/{name}.{form}") for href in attributes(page, "href")), form


def test_days_collector_and_code_narrow_a_report(site: Site) -> None:
    for query, total in ((DAY, "600.00"), (f"{DAY}&collector=nena", "600.00"), (f"{DAY}&code=A1", "300.00"), (f"{DAY}&code=B2", "300.00")):
        page = text_of(site.page("ramon", f"/reports/tenders?{query}"))
        assert re.search(rf"Total \d+ {total}", page), (query, page[-400:])
        assert lines_of(site, f"/reports/collection.csv?{query}")[1:], query
        assert site.get("ramon", f"/reports/collection.pdf?{query}").data[:5] == b"%PDF-"
    part = site.get("ramon", "/reports/tenders?from=2026-11-21&to=2026-11-20&collector=nobody", **HTMX).text
    assert "nothing can match" in part and "is not one of the choices" in part and "<html" not in part
    assert site.get("ramon", "/reports/tenders.csv?from=x").status_code == 422
    long = text_of(site.page("ramon", "/reports/tenders?from=2020-01-01&to=2026-11-20"))
    assert "at most 400 days" in long and site.get("ramon", "/reports/tenders.pdf?from=2020-01-01&to=2026-11-20").status_code == 422


def test_a_report_says_its_days_when_none_were_given(site: Site) -> None:
    page = site.page("ramon", "/reports/daily-collection")
    first, last = re.findall(r'type="date"[^>]*value="([^"]+)"', page)
    assert first.endswith("-01") and first <= last
    assert "As of" in site.page("ramon", "/reports/aging") and 'type="date"' not in site.page("ramon", "/reports/aging")


def test_the_days_of_a_report_are_drawn_when_there_are_several(site: Site) -> None:
    page = site.page("ramon", "/reports/daily-collection?from=2026-11-18&to=2026-11-21")
    assert "Most on 20 Nov 2026: ₱600.00" in page and page.count('class="chart-bar"') == 1 and page.count("<title>") == 1 + 4
    assert 'role="img"' in page and "19 Nov 2026: ₱0.00" in page
    for path in (f"daily-collection?{DAY}", "daily-collection?from=2026-01-01&to=2026-11-20", f"tenders?{DAY}"):
        assert "chart-bar" not in site.page("ramon", f"/reports/{path}"), path


def test_a_name_that_looks_like_a_formula_or_markup_stays_text(site: Site) -> None:
    page = site.page("ramon", f"/reports/collection?{DAY}")
    assert "<script>alert" not in page and "=Sons" in page
    assert any(line[3] == TRICKY for line in lines_of(site, f"/reports/collection.csv?{DAY}")[1:])
    assert any(line[8] == "'=1+1" for line in lines_of(site, f"/reports/collection.csv?{DAY}")[1:])


def test_a_long_report_shows_its_first_lines_and_the_totals_of_all_or_says_that_it_is_too_long(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "ON_SCREEN", 2)
    page = site.page("ramon", f"/reports/collection?{DAY}")
    assert len(attributes(page, "data-line")) == 2 and "The first 2 are shown; the totals are of all 3" in page and "600.00" in page
    monkeypatch.setattr(pages, "ADDED_UP", 2)
    page = site.page("ramon", f"/reports/collection?{DAY}")
    assert "more than 2" in text_of(page) and "<tfoot" not in page


def test_downloads_are_reported_with_what_changed(site: Site) -> None:
    with site.app.app_context():
        days = {f"{run.requested_at:%Y-%m-%d}" for run in sync_runs.recent(limit=9)}
        db.session.rollback()
    assert days == {"2026-11-20"} and len(lines_of(site, f"/reports/downloads.csv?{DAY}")) == 3


def test_only_supervisors_and_admins_see_reports(site: Site) -> None:
    for path in ("/reports", "/reports/vat", "/reports/vat.csv"):
        assert site.get("carla", path).status_code == 403 and site.get("nena", path).status_code == 403
    assert site.get("ada", "/reports/vat").status_code == 200
    assert site.get("ramon", "/reports/nothing").status_code == 404 == site.get("ramon", "/reports/nothing.csv").status_code
