"""Reports: each on screen and as three files that hold the same rows and totals, narrowed by days, collector and code."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from portal import clock, doorbell, report_files
from portal.blueprints import reports as pages
from portal.extensions import db
from portal.report_files import Wanted
from portal.reports import REPORTS
from portal.store import sync_runs
from portal.store.report_rows import ReportFilter
from tests.blueprints.office_site import HTMX, TRICKY, Site, attributes, element, text_of
from workers import jobs

DAY = "from=2026-11-20&to=2026-11-20"


def lines_of(site: Site, path: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(site.page("ramon", path).removeprefix("\ufeff"))))


def test_every_report_is_listed_and_shown_empty_and_full(site: Site) -> None:
    page = site.page("ramon", "/reports")
    for report in REPORTS.values():
        assert f'href="/reports/{report.name}"' in page and report.title in page and report.about in text_of(page)
        full = site.page("ramon", f"/reports/{report.name}{'' if 'due' in report.asks else f'?{DAY}'}")
        assert (report.title in full and "Nothing here" not in full) or report.name in {
            "remittances",
            "advances",
            "late-missing",
            "voids-reprints",
            "promises",
            "visits",
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
    aging = site.page("ramon", "/reports/aging")
    assert "as of" in aging and "Due from" in aging and re.findall(r'type="date"[^>]*value="([^"]*)"', aging) == ["", ""]


def test_the_days_of_a_report_are_drawn_when_there_are_several(site: Site) -> None:
    page = site.page("ramon", "/reports/daily-collection?from=2026-11-18&to=2026-11-21")
    assert "Most on 20 Nov 2026: ₱600.00" in page and page.count('class="chart-bar"') == 1 and page.count("<title>") == 1 + 4
    assert 'role="img"' in page and "19 Nov 2026: ₱0.00" in page
    for path in (f"daily-collection?{DAY}", "daily-collection?from=2026-01-01&to=2026-11-20", f"tenders?{DAY}&code=B2"):
        assert "chart-bar" not in site.page("ramon", f"/reports/{path}"), path
    tenders = site.page("ramon", f"/reports/tenders?{DAY}")
    assert tenders.count('class="chart-bar"') == 3 and "<dt>Check, BDO</dt>" in tenders and "₱200.00" in tenders


def test_a_long_report_of_any_kind_is_prepared_by_a_worker(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[int] = []
    monkeypatch.setattr(doorbell, "ring", lambda name, number, job_id: rung.append(number) or True)  # type: ignore[func-returns-value]
    monkeypatch.setattr(report_files, "AT_ONCE", {"pdf": 2, "xlsx": 2})
    query = f"{DAY}&collector=nena"
    for form in ("pdf", "xlsx"):
        page = site.page("ramon", f"/reports/collection.{form}?{query}")
        assert "too long to wait for" in page and f'action="/reports/collection.{form}?' in page and "3 payments" in text_of(page)
        assert site.post("carla", f"/reports/collection.{form}?{query}").status_code == 403
        answer = site.post("ramon", f"/reports/collection.{form}?{query}")
        assert answer.status_code == 303
        place = answer.headers["Location"]
        waiting = site.page("ramon", place)
        assert "Collection Report as" in waiting and "Waiting for the worker" in waiting and 'href="/reports/collection?' in waiting
        assert site.get("carla", place).status_code == 404
        with site.app.app_context():
            jobs.export_list(rung[-1])
        assert "3 payments" in text_of(site.page("ramon", place))
        got = site.get("ramon", f"{place}/file")
        assert got.headers["Content-Disposition"] == f"attachment; filename=collection-2026-11-20-2026-11-20.{form}"
        assert got.data[:4] == (b"%PDF" if form == "pdf" else b"PK\x03\x04")
        assert site.get("ada", f"{place}/file").status_code == 200
    assert "Collection Report" in site.page("ramon", "/exports") and len(rung) == 2
    monkeypatch.setattr(report_files, "MOST", {"pdf": 2})
    refused = text_of(site.page("ramon", f"/reports/collection.pdf?{query}"))
    assert "A PDF holds at most 2 payments" in refused and "Prepare Excel" in refused and "Prepare PDF" not in refused
    assert site.post("ramon", f"/reports/collection.pdf?{query}").status_code == 422


def test_a_worker_writes_each_report_with_true_progress(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_files, "TELL_EVERY", 1)
    day = date(2026, 11, 20)
    with site.app.app_context():
        for report in REPORTS.values():
            wanted = ReportFilter(*((date.min, date.max) if "due" in report.asks else (day, day)), clock.midnight(day), clock.now())
            asked = Wanted(report, wanted, ("20 Nov",), day)
            for form in ("pdf", "xlsx", "csv") if report.name in {"collection", "tenders"} else ("xlsx",):
                export = SimpleNamespace(format=form, chosen=report_files.pack(asked), words=("20 Nov",), day=day)
                told: list[int] = []
                announced: list[int] = []
                file = report_files.write(export, tmp_path, told.append, announced.append)  # type: ignore[arg-type]
                assert announced == [told[-1]] == [report_files.count(asked)] and file.stat().st_size, (report.name, form)
                assert told == sorted(told)
        db.session.rollback()


def test_what_a_report_cannot_be_narrowed_by_is_said(site: Site) -> None:
    for report in REPORTS.values():
        page = text_of(site.page("ramon", f"/reports/{report.name}"))
        assert report.unasked in page
        if not {"collector", "code"} <= set(report.asks) or not {"days", "due"} & set(report.asks):
            assert report.unasked, report.name


def test_aging_leads_to_the_accounts_of_a_code(site: Site) -> None:
    page = site.page("ramon", "/reports/aging?to=2026-12-31")
    way = next(href for href in attributes(page, "href") if "/reports/aging-accounts" in href and "code=A1" in href)
    accounts = site.page("ramon", way.replace("&amp;", "&"))
    none = next(href for href in attributes(page, "href") if "/reports/aging-accounts" in href and "code=-" in href)
    assert "Nobody&#39;s Account" in site.page("ramon", none.replace("&amp;", "&"))
    assert "Code: A1" in text_of(accounts) and "due to 31 Dec 2026" in text_of(accounts) and len(attributes(accounts, "data-line")) > 1


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
