"""SOA Daily Download: the history, one run at a time, progress that polls only while there is something to wait for."""

from __future__ import annotations

from portal.extensions import db
from portal.store import sync_runs
from tests.blueprints.office_site import TRICKY, Site, attributes, text_of
from tests.factories import NOW


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
    for path in ("/syncs", "/syncs/3"):
        part = site.page("carla", path, HX_Request="true")
        assert "<html" not in part and "200 of 500 records" in text_of(part) and "every 2s" in part and 'max="500" value="200"' in part
    with site.app.app_context():
        sync_runs.end(3, "failed", NOW, "PSCloud answered with a web page.")
        db.session.commit()
    for path in ("/syncs", "/syncs/3"):
        part = site.page("carla", path, HX_Request="true")
        assert "every 2s" not in part and "PSCloud answered with a web page." in part
    assert "goes on" in text_of(site.page("carla", "/syncs")) or "go on with PSCloud's data" in text_of(site.page("carla", "/syncs"))


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
