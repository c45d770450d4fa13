"""SOA Daily Download: the history, one run at a time, progress that polls only while there is something to wait for."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from portal import clock
from portal.blueprints import sync_files
from portal.extensions import db
from portal.filters import short_day
from portal.store import sync_runs
from tests.blueprints.office_site import TRICKY, Site, attributes, element, text_of
from tests.factories import NOW, make_soa, store_soas


def test_each_run_is_a_row_with_its_counts(site: Site) -> None:
    page = site.page("carla", "/syncs")
    assert attributes(page, "data-sync") == ["2", "1"] and attributes(page, "data-status") == ["completed", "completed"]
    row = page[page.index('data-sync="1"') :]
    for name, count in (("total", "61"), ("succeeded", "60"), ("failed", "1")):
        cell = row[row.index(f'class="number {name}"') :]
        assert text_of(cell[cell.index(">") + 1 : cell.index("</td>")]).strip() == count
    assert "Sync now" in page and "every 2s" not in page


def test_sync_now_starts_one_run_and_a_second_one_is_told_so(site: Site) -> None:
    answer = site.post("carla", "/syncs")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/syncs")
    page = site.page("carla", "/syncs")
    assert attributes(page, "data-status")[0] == "pending" and "every 2s" in page and "<progress" in page
    assert "Cancel" in page and "Sync now" not in page and "Manual, carla" in page
    again = site.post("ramon", "/syncs", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert again.status_code == 409 and "data-error" in again.text and "already" in again.text


def test_quick_sync_is_offered_beside_sync_now_and_each_run_says_its_kind(site: Site) -> None:
    page = site.page("carla", "/syncs")
    assert "Quick sync" in page and 'name="kind" value="quick"' in page and attributes(page, "data-kind") == ["full", "full"]
    assert site.post("carla", "/syncs", {"kind": "monthly"}).status_code == 422
    assert site.post("carla", "/syncs", {"kind": "quick"}).status_code == 303
    assert attributes(site.page("carla", "/syncs"), "data-kind")[0] == "quick"
    assert "what changed since the last download" in text_of(site.page("carla", "/syncs/3"))
    assert "every open SOA" in text_of(site.page("carla", "/syncs/1"))


def test_the_progress_counts_records_and_stops_asking_when_the_run_ends(site: Site) -> None:
    site.post("carla", "/syncs")
    with site.app.app_context():
        sync_runs.claim(3, "lease", NOW)
        sync_runs.keep(3, "lease", NOW, pages=2, total=200, succeeded=199, failed=1, pscloud_count=500)
        db.session.commit()
    for path in ("/syncs?part=now&was=3", "/syncs/3"):
        part = site.page("carla", path, HX_Request="true")
        assert "<html" not in part and "200 of 500 records" in text_of(part) and "every 2s" in part and 'max="500" value="200"' in part
    with site.app.app_context():
        sync_runs.end(3, "failed", NOW, "PSCloud answered with a web page.")
        db.session.commit()
    for path in ("/syncs?part=now&was=3", "/syncs/3"):
        part = site.page("carla", path, HX_Request="true")
        assert "every 2s" not in part and "PSCloud answered with a web page." in part
    assert "goes on" in text_of(site.page("carla", "/syncs")) or "go on with PSCloud's data" in text_of(site.page("carla", "/syncs"))


def test_the_history_tells_what_pscloud_says_of_a_download_that_differs(site: Site) -> None:
    assert text_of(site.page("carla", "/syncs")).count("PSCloud says") == 0, "of failed records nobody knows the pesos"
    with site.app.app_context():
        sync_runs.change_numbers(1, failed=0, total=60, pscloud_count=61, pscloud_amount_due=Decimal("999.99"))
        db.session.commit()
    assert text_of(site.page("carla", "/syncs")).count("PSCloud says 999.99, 61 SOAs") == 1


def test_cancel_ends_a_run_and_an_ended_run_cannot_be_cancelled(site: Site) -> None:
    site.post("carla", "/syncs")
    assert site.post("carla", "/syncs/3/cancel").status_code == 303
    assert attributes(site.page("carla", "/syncs"), "data-status")[0] == "cancelled"
    assert attributes(site.page("carla", "/syncs?status=cancelled"), "data-sync") == ["3"]
    assert site.post("carla", "/syncs/3/cancel").status_code == 409
    assert site.post("carla", "/syncs/99/cancel").status_code == 404


def test_a_failed_record_shows_its_raw_payload_its_field_and_the_reason(site: Site) -> None:
    page = site.page("carla", "/syncs/1")
    assert "Retry failed" in page
    for words in ("X9", "amount_due", "'NaN' is not an amount.", '{"id": "X9", "amount_due": "NaN"}', "999.99", TRICKY):
        assert words in text_of(page.replace("<script", "<s"))
    assert "Retry failed" not in site.page("carla", "/syncs/2")
    assert site.get("carla", "/syncs/99").status_code == 404


def test_retry_failed_without_a_queue_says_so_and_changes_nothing(site: Site) -> None:
    answer = site.post("carla", "/syncs/1/retry-failed", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert answer.status_code == 503 and "queue" in answer.text
    assert "X9" in site.page("carla", "/syncs/1")


def test_an_office_that_never_downloaded_is_told_what_to_do(site: Site) -> None:
    with site.app.app_context():
        for table in ("soa_changes", "invoices", "soas", "sync_failures", "sync_runs"):
            db.session.execute(db.metadata.tables[table].delete())
        db.session.commit()
    assert "Nothing has been downloaded yet" in site.page("carla", "/syncs")
    assert "No SOAs have been downloaded yet" in site.page("carla", "/soas")
    assert "None yet" in site.page("carla", "/")


def test_collectors_and_strangers_neither_see_nor_start_downloads(site: Site) -> None:
    assert site.get("nena", "/syncs").status_code == 403
    client = site.app.test_client()
    assert client.get("/syncs").status_code == 302
    token_missing = site.client("carla").post("/syncs")
    assert token_missing.status_code == 403
    with site.app.app_context():
        assert sync_runs.active() is None


def many_runs(count: int = 60) -> None:
    """Downloads of earlier days, one each ten hours, every tenth failed; the scheduled ones are quick."""
    for number in range(count, 0, -1):
        at = NOW - timedelta(hours=10 * number)
        scheduled = number % 2 == 0
        run = sync_runs.add(
            "scheduled" if scheduled else "manual", "schedule" if scheduled else "carla", at, "quick" if scheduled else "full"
        )
        assert sync_runs.claim(run, "lease", at)
        if number % 10 == 0:
            sync_runs.end(run, "failed", at + timedelta(seconds=5), "PSCloud did not answer.")
        else:
            sync_runs.complete(run, "lease", at + timedelta(seconds=90), total=1000 + number, succeeded=998 + number, failed=2)
    db.session.commit()


def test_the_history_is_filtered_by_status_kind_starter_and_days(site: Site) -> None:
    with site.app.app_context():
        many_runs()
    for query, count in (
        ("", 62),
        ("?status=failed", 6),
        ("?kind=quick", 30),
        ("?by=schedule", 30),
        ("?by=carla&status=completed", 30),
        ("?by=test", 2),
        ("?from=2026-11-20&to=2026-11-20", 2),
        ("?from=2026-11-19&to=2026-11-19&kind=quick", 1),
        ("?from=2026-11-01&to=2026-10-01", 0),
    ):
        page = site.page("carla", f"/syncs{query}")
        assert element(page, "sync-count").strip() == str(count), query
        assert len(attributes(page, "data-sync")) == min(count, 50), query
    assert "is not a date" in site.page("carla", "/syncs?from=yesterday")
    assert "No download fits these filters" in site.page("carla", "/syncs?status=cancelled&kind=quick")
    older = next(href for href in attributes(site.page("carla", "/syncs"), "href") if "before_id=" in href)
    rest = site.page("carla", older)
    assert len(attributes(rest, "data-sync")) == 12 and "12 of 62 shown" in text_of(rest)


def test_who_watches_a_run_is_told_when_it_ends_so_that_history_and_charts_follow(site: Site) -> None:
    site.post("carla", "/syncs")
    assert "HX-Trigger" not in site.get("carla", "/syncs?part=now&was=3", HX_Request="true").headers
    with site.app.app_context():
        sync_runs.end(3, "failed", NOW, "PSCloud did not answer.")
        db.session.commit()
    assert site.get("carla", "/syncs?part=now&was=3", HX_Request="true").headers["HX-Trigger"] == "download-ended"
    assert "HX-Trigger" not in site.get("carla", "/syncs?part=now", HX_Request="true").headers
    page = site.page("carla", "/syncs")
    assert page.count('hx-trigger="download-ended from:body"') == 2


def test_progress_says_how_fast_it_goes_and_how_long_it_takes(site: Site) -> None:
    site.post("carla", "/syncs")
    with site.app.app_context():
        sync_runs.claim(3, "lease", NOW)
        sync_runs.keep(3, "lease", NOW + timedelta(seconds=10), pages=4, succeeded=2000, pscloud_count=10_000)
        db.session.commit()
    text = text_of(site.page("carla", "/syncs?part=now&was=3", HX_Request="true"))
    assert "2,000 of 10,000 records 20 %" in text and "200 records a second, about 40 s left" in text
    with site.app.app_context():
        sync_runs.keep(3, "lease", NOW + timedelta(seconds=50), pages=20, succeeded=10_000)
        db.session.commit()
    assert "comparing and writing now" in text_of(site.page("carla", "/syncs/3", HX_Request="true"))


def test_the_last_thirty_days_are_three_charts_each_told_in_words_and_in_a_table(site: Site) -> None:
    with site.app.app_context():
        for table in ("soa_changes", "invoices", "soas", "sync_failures", "sync_runs"):
            db.session.execute(db.metadata.tables[table].delete())
        db.session.commit()
    assert "<svg class=" not in site.page("carla", "/syncs").replace('<svg class="icon', "")
    with site.app.app_context():
        today = clock.midnight(clock.today()) + timedelta(hours=4)
        for days_ago, succeeded, seconds, failed in ((0, 1200, 61, 3), (1, 600, 30, 0), (29, 900, 45, 1), (30, 5000, 500, 9)):
            at = today - timedelta(days=days_ago)
            run = sync_runs.add("manual", "carla", at)
            sync_runs.claim(run, "lease", at)
            sync_runs.complete(run, "lease", at + timedelta(seconds=seconds), succeeded=succeeded, failed=failed)
        run = sync_runs.add("manual", "carla", today - timedelta(days=2))
        sync_runs.end(run, "failed", today - timedelta(days=2), "PSCloud did not answer.")
        db.session.commit()
    part = site.page("carla", "/syncs?part=charts", HX_Request="true")
    text, day = text_of(part), short_day(today.date())
    assert part.count('role="img"') == 3 and part.count('class="chart-bar"') == 3 + 3 + 3 and " style=" not in part
    assert (
        f"Most on {day}: 1,203 records read." in text
        and f"Most on {day}: 1 min 1 s." in text
        and f"Most on {day}: 3 failed records." in text
    )
    for named in attributes(part, "aria-labelledby"):
        assert all(f'id="{one}"' in part for one in named.split())
    assert attributes(part, "data-day") == [str(today.date() - timedelta(days=ago)) for ago in (0, 1, 2, 29)]
    for one in attributes(part, "data-day"):
        count = element(site.page("carla", f"/syncs?from={one}&to={one}"), "sync-count")
        assert count == "1"


def test_the_history_and_the_failed_records_are_files(site: Site) -> None:
    with site.app.app_context():
        many_runs()
    rows = list(csv.DictReader(io.StringIO(site.get("carla", "/syncs.csv?status=failed").data.decode("utf-8-sig"))))
    assert len(rows) == 6 and {row["Status"] for row in rows} == {"Failed"} and rows[0]["Reason"] == "PSCloud did not answer."
    assert len(site.get("carla", "/syncs.csv").data.splitlines()) == 63
    assert site.get("carla", "/syncs.csv?from=never").status_code == 422
    (row,) = csv.DictReader(io.StringIO(site.get("carla", "/syncs/1/failed-records.csv").data.decode("utf-8-sig")))
    assert row == {
        "PSCloud id": "X9", "Record": TRICKY, "Field": "amount_due", "Reason": "'NaN' is not an amount.",
        "Raw payload": '{"id": "X9", "amount_due": "NaN"}',
    }  # fmt: skip
    for path, words in (("/syncs.xlsx?by=test", "Manual"), ("/syncs/1/failed-records.xlsx", "NaN")):
        answer = site.get("carla", path)
        assert "spreadsheet" in str(answer.mimetype) and answer.headers["Content-Disposition"].startswith("attachment")
        assert words in zipfile.ZipFile(io.BytesIO(answer.data)).read("xl/worksheets/sheet1.xml").decode()
    assert site.get("nena", "/syncs.csv").status_code == 403 and site.get("carla", "/syncs/99/failed-records.csv").status_code == 404


def test_an_excel_file_that_would_keep_everybody_waiting_is_refused_in_plain_words(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_files, "MOST_IN_EXCEL", 1)
    answer = site.get("carla", "/syncs.xlsx")
    assert answer.status_code == 422 and "Take CSV" in answer.text
    assert site.get("carla", "/syncs.csv").status_code == 200


def test_each_failed_record_can_be_copied(site: Site) -> None:
    page = site.page("carla", "/syncs/1")
    (copied,) = attributes(page, "data-copy")
    assert f'id="{copied}"' in page and element(page, "failure-count") == "1" and "1 of 1 shown" in text_of(page)
    assert "Copy the raw payload of" in page and "/syncs/1/failed-records.csv" in attributes(page, "href")


def test_a_download_tells_what_it_changed_field_by_field(site: Site) -> None:
    with site.app.app_context():
        run = store_soas(replace(make_soa("S1"), address="Third street", amount_due=Decimal("2000.00")), make_soa("NEW1"), make_soa("NEW2"))
        sync_runs.change_numbers(run, added=2, changed=1)
        db.session.commit()
    page = site.page("carla", f"/syncs/{run}")
    assert sorted(attributes(page, "data-kind")) == ["added", "added", "changed"]
    text = text_of(page)
    assert (
        "Address: 14 Rizal St. Third street" in text
        and "Amount due: 2,240.00 2,000.00" in text
        and "/soas/NEW1" in attributes(page, "href")
    )
    assert attributes(site.page("carla", f"/syncs/{run}?change=changed"), "data-kind") == ["changed"]
    assert "Nothing of this kind" in site.page("carla", f"/syncs/{run}?change=closed")
    assert 'id="changes"' not in site.page("carla", "/syncs/2"), "a download that changed nothing has no such list"


def test_a_long_list_of_changes_has_pages(site: Site) -> None:
    with site.app.app_context():
        run = store_soas(*(make_soa(f"MANY{number:03d}") for number in range(120)))
        sync_runs.change_numbers(run, added=120)
        db.session.commit()
    seen: list[str] = []
    address = f"/syncs/{run}?change=added"
    while address:
        page = site.page("carla", address.partition("#")[0])
        seen += attributes(page, "data-change")
        address = next((href for href in attributes(page, "href") if "change_id=" in href), "")
    assert len(seen) == len(set(seen)) == 120


def test_only_a_supervisor_says_whether_a_great_drop_is_right(site: Site) -> None:
    with site.app.app_context():
        db.session.execute(db.metadata.tables["absent_soas"].insert().values(soa_id="S1", run_id=2))
        sync_runs.change_numbers(2, waiting_to_close=1)
        db.session.commit()
    assert "Ask a supervisor" in site.page("carla", "/syncs/2") and "Close them" not in site.page("carla", "/syncs/2")
    assert site.post("carla", "/syncs/2/absent", {"answer": "close"}).status_code == 403
    assert "Close them" in site.page("ramon", "/syncs/2") and site.post("ramon", "/syncs/2/absent", {"answer": "x"}).status_code == 422
    assert site.post("ramon", "/syncs/2/absent", {"answer": "close"}).status_code == 303
    page = site.page("ramon", "/syncs/2")
    assert "ramon had the 1 SOA closed" in text_of(page) and "Close them" not in page
    assert site.post("ramon", "/syncs/2/absent", {"answer": "keep"}).status_code == 409
