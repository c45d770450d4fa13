"""Reconciliation on the page: start, progress, cancel, a report whose every count leads to its list, its files, who may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from demo.pscloud.testing import RunningPSCloud, running_pscloud
from portal import doorbell, lists
from portal.domain.reconciliation import CASES, Differing
from portal.extensions import db
from portal.services import reconciliation as service
from portal.services import sync
from portal.store import reconciliations as store
from portal.store.reconciliations import NewDifference, ReportRow
from tests.blueprints.office_site import HTMX, NOW, TRICKY, Site, attributes, text_of
from tests.blueprints.test_exports_pages import pdf_text, records, sheet
from workers import jobs

LISTING = Path(__file__).parents[2] / "demo" / "pscloud" / "profile.toml"


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    heard: list[tuple[Any, ...]] = []

    def ring(job_name: str, *args: int | str, job_id: str | None = None) -> bool:
        heard.append((job_name, *args))
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    return heard


tables = db.metadata.tables
MANY = [
    NewDifference(
        "soa", "different", "soa_changed", f"S{one:03d}", f"SOA-S{one:03d}", f"ACC-S{one:03d}", f"Customer {one:03d}", Decimal(one + 1),
        Decimal(one + 2), (Differing("amount_due", f"{one + 1}.00", f"{one + 2}.00"),),
    )
    for one in range(56)
]  # fmt: skip
SOME = [
    NewDifference("soa", "only_here", "soa_gone", "A/1", "SOA-A/1", "ACC-A/1", TRICKY, Decimal("5.00")),
    NewDifference("soa", "only_pscloud", "soa_new", "NEW1", "SOA-NEW1", "ACC-NEW1", "Newcomer", None, Decimal("7.00")),
    NewDifference("soa", "unreadable", "soa_unreadable", "X9", detail="amount_due: 'NaN' is not an amount.", raw='{"id": "X9<script>"}'),
    NewDifference(
        "payment", "only_pscloud", "payment_stranger", "ref-77", "COUNTER", "S1", "", None, Decimal("77.00"), (), "PSCloud: Accepted"
    ),
]


def report(site: Site, differences: list[NewDifference], listed: bool = True, note: str = "") -> int:
    """A finished comparison that found these."""
    with site.app.app_context():
        number = service.request("carla", date(2026, 8, 20), NOW)
        assert store.claim(number, "lease", NOW)
        store.add_differences(number, differences)
        counts: dict[str, Any] = {}
        fields: dict[str, int] = {}
        for one in differences:
            name = f"{one.record}s_{one.kind}"
            counts[name] = counts.get(name, 0) + 1
            for field in one.fields:
                fields[field.group] = fields.get(field.group, 0) + 1
        figures = {"here_count": 60, "here_amount": Decimal("100.00"), "pscloud_count": 61, "pscloud_amount": Decimal("102.50")}
        assert store.complete(
            number, "lease", NOW, fields, soas_equal=4, payments_equal=3, payments_listed=listed, note=note, **figures, **counts
        )
        db.session.commit()
    return number


def found(site: Site, number: int) -> ReportRow:
    with site.app.app_context():
        row = store.get(number)
    assert row
    return row


def test_nothing_compared_yet_is_said_with_the_way_to_begin(site: Site) -> None:
    page = site.page("carla", "/reconciliation")
    assert "Nothing was compared yet" in page and 'id="compare-now"' in page and 'name="payments_from" value="20' in page
    assert "<html" not in site.page("carla", "/reconciliation", **HTMX)


def test_compare_now_starts_one_and_a_second_is_told_so(site: Site, rings: list[tuple[Any, ...]]) -> None:
    answer = site.post("carla", "/reconciliation", {"payments_from": "2026-11-01"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/reconciliation/1") and rings == [("reconcile", 1)]
    assert found(site, 1).payments_from == date(2026, 11, 1)
    second = site.post("ramon", "/reconciliation")
    assert second.status_code == 409 and "already waiting or running" in second.text and len(rings) == 1
    page = site.page("ramon", "/reconciliation/1")
    assert "Waiting for the worker to begin" in page and 'hx-trigger="every 1s"' in page and "Cancel" in page
    assert "Waiting for the worker" in site.page("carla", "/reconciliation") and 'hx-trigger="every 2s"' in site.page(
        "carla", "/reconciliation"
    )
    with site.app.app_context():
        store.claim(1, "lease", NOW)
        store.keep(1, "lease", NOW, phase="soas", done=1500, expected=3000)
        db.session.commit()
    assert 'max="3000" value="1500"' in site.page("carla", "/reconciliation/1", **HTMX)


@pytest.mark.parametrize("typed", ["yesterday", "1899-01-01", "2026-13-01"])
def test_a_day_that_is_none_is_refused(site: Site, typed: str) -> None:
    answer = site.post("carla", "/reconciliation", {"payments_from": typed})
    assert answer.status_code == 422 and "leave it empty" in answer.text


def test_cancel_and_what_it_says(site: Site) -> None:
    site.post("carla", "/reconciliation")
    assert site.post("ramon", "/reconciliation/1/cancel").status_code == 303
    page = site.page("carla", "/reconciliation/1")
    assert "Cancelled by ramon." in page and "Nothing was changed" in page and "Compare now" in page
    assert "Cancelled by ramon." in site.page("carla", "/reconciliation")
    assert site.post("carla", "/reconciliation/1/cancel").status_code == 409
    assert site.post("carla", "/reconciliation/99/cancel").status_code == 404


def test_a_report_tells_counts_that_lead_to_their_lists(site: Site) -> None:
    number = report(site, [*MANY, *SOME], note="PSCloud's list changed.")
    page = site.page("carla", f"/reconciliation/{number}")
    text = text_of(page)
    assert "60 records differ." in text and "PSCloud's list changed." in text and 'data-equal="no"' in page
    assert "₱2.50" in text and "Payments collected from 20 Aug 2026 on" in text
    for record, kind, count in (("soa", "different", 56), ("soa", "only_here", 1), ("payment", "only_pscloud", 1)):
        link = f"/reconciliation/{number}?record={record}&outcome={kind}"
        assert f"{link}#differences" in attributes(page, "href")
        shown = site.page("carla", link)
        assert f"of {count} shown" in text_of(shown) and set(attributes(shown, "data-kind")) >= {kind}
        assert {*re.findall(r'data-difference="[^"]*" data-record="(\w+)" data-kind="(\w+)"', shown)} == {(record, kind)}
    assert TRICKY not in page and "X9&lt;script&gt;" in site.page("carla", f"/reconciliation/{number}?outcome=unreadable")
    assert "/soas/A/1" in attributes(site.page("carla", f"/reconciliation/{number}?outcome=only_here"), "href")
    one = text_of(site.page("carla", f"/reconciliation/{number}?record=payment"))
    assert CASES["payment_stranger"].means in one and CASES["payment_stranger"].do in one and "ref-77" in one


def test_the_list_pages_filters_and_says_when_nothing_fits(site: Site) -> None:
    number = report(site, [*MANY, *SOME])
    page = site.page("carla", f"/reconciliation/{number}?record=soa&field=amount_due", HX_Target="results", **HTMX)
    assert page.count("data-difference=") == 50 and "<html" not in page and 'id="pick-field"' not in page
    following = next(one for one in attributes(page, "href") if "after=" in one)
    rest = site.page("carla", following)
    assert rest.count("data-difference=") == 6 and "before=" in rest
    found_one = site.page("carla", f"/reconciliation/{number}?q=customer+011")
    assert attributes(found_one, "data-difference") == ["S011"]
    assert "Nothing matches" in site.page("carla", f"/reconciliation/{number}?q=nobody")
    odd = site.page("carla", f"/reconciliation/{number}?outcome=wrong&after=x&before=-1")
    assert "is not one of the choices" in odd and odd.count("data-difference=") == 50


def test_equal_books_and_a_pscloud_without_a_list_are_said_in_plain_words(site: Site) -> None:
    number = report(site, [], listed=False)
    page = text_of(site.page("ada", f"/reconciliation/{number}"))
    assert "Our books and PSCloud's are equal." in page and "4 SOAs and 3 payments" in page
    assert "cannot list its payments" in page and "not known" in page
    assert "Equal" in text_of(site.page("ada", "/reconciliation"))
    assert site.get("carla", "/reconciliation/99").status_code == 404


def test_the_files_hold_exactly_the_filter(site: Site) -> None:
    number = report(site, [*MANY[:3], *SOME])
    rows = records(site.get("carla", f"/differences.csv?report={number}").data)
    assert [row["PSCloud id or reference"] for row in rows] == ["S000", "S001", "S002", "A/1", "NEW1", "X9", "ref-77"]
    assert rows[0]["What differs"] == "Amount due: 1.00 here, 2.00 in PSCloud" and rows[0]["What to do"] == CASES["soa_changed"].do
    assert (rows[4]["Amount here"], rows[4]["Amount in PSCloud"]) == ("", "7.00")
    rows = records(site.get("carla", f"/differences.csv?report={number}&record=soa&outcome=different").data)
    assert len(rows) == 3
    book = site.get("carla", f"/differences.xlsx?report={number}&record=payment").data
    assert [cell[1] for cell in sheet(book)[1]][:3] == ["Payment", "Only in PSCloud", "ref-77"]
    about = {row[0][1]: row[1][1] for row in sheet(book, 2) if len(row) > 1}
    assert about["SOAs: different"] == "3" and about["Payments: only in pscloud"] == "1" and about["Amount due here"] == "100.00"
    paper = pdf_text(site.get("carla", f"/differences.pdf?report={number}").data)
    assert "RECONCILIATION WITH PSCLOUD" in paper and "7 records differ." in paper and "Newcomer" in paper and "CONTROL TOTALS" in paper
    assert site.get("carla", "/differences.csv?report=99").status_code == 404
    assert site.get("carla", "/differences.csv").status_code == 404
    assert site.get("carla", f"/reconciliation?report={number}&outcome=different").headers["Location"] == (
        f"/reconciliation/{number}?outcome=different"
    )


def test_a_long_report_is_prepared_by_a_worker_and_cut_on_paper_with_plain_words(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "AT_ONCE", {"csv": 10, "xlsx": 10, "pdf": 5})
    monkeypatch.setattr("portal.blueprints.exports.AT_ONCE", lists.AT_ONCE)
    monkeypatch.setattr(lists, "LISTS", {**lists.LISTS, "differences": replace(lists.DIFFERENCES, most_on_paper=20)})
    number = report(site, [*MANY, *SOME])
    offered = site.page("carla", f"/differences.pdf?report={number}")
    assert "too long to wait for" in offered and f"/differences.pdf?report={number}" in offered
    answer = site.post("carla", f"/differences.pdf?report={number}")
    assert answer.status_code == 303
    with site.app.app_context():
        jobs.export_list(1)
    paper = pdf_text(site.get("carla", "/exports/1/file").data)
    assert "The first 20 differences follow; 40 more" in paper and "60 records differ." in paper
    assert f"/reconciliation?report={number}" in attributes(site.page("carla", "/exports/1"), "href")
    site.post("carla", f"/differences.xlsx?report={number}&record=soa")
    with site.app.app_context():
        jobs.export_list(2)
    assert len(sheet(site.get("carla", "/exports/2/file").data)) == 60


def test_who_may_look_and_start(site: Site) -> None:
    number = report(site, [])
    for name in ("carla", "ramon", "ada"):
        assert site.get(name, "/reconciliation").status_code == 200 and "/reconciliation" in attributes(site.page(name, "/"), "href")
        assert site.get(name, f"/reconciliation/{number}").status_code == 200
    for path in ("/reconciliation", f"/reconciliation/{number}", f"/differences.csv?report={number}"):
        assert site.get("nena", path).status_code in {302, 403}


# --- the whole way: page and worker


@pytest.fixture
def server() -> Iterator[RunningPSCloud]:
    with running_pscloud(customers=30, faulty_records=False) as running:
        yield running


def test_the_worker_compares_with_a_real_pscloud(site: Site, server: RunningPSCloud) -> None:
    site.app.config.update(PSCLOUD_URL=server.url, PSCLOUD_TOKEN=server.token, PSCLOUD_PROFILE=str(LISTING))
    with site.app.app_context():
        run = sync.request_run("manual", "test", NOW)
        jobs.download_soas(run)
    changed = server.records("active")[0]["id"]
    server.change_soa(changed, penalty_add="1.50")
    site.post("carla", "/reconciliation")
    with site.app.app_context():
        jobs.reconcile(1)
    page = site.page("carla", "/reconciliation/1?record=soa&outcome=different")
    assert changed in attributes(page, "data-difference") and "Penalty" in text_of(page)


def test_a_supervisor_sends_a_lost_payment_again_from_the_latest_report_alone(site: Site, rings: list[tuple[Any, ...]]) -> None:
    with site.app.app_context():
        payment = db.session.execute(tables["payments"].select().limit(1)).mappings().one()["id"]
        db.session.execute(tables["payments"].update().where(tables["payments"].c.id == payment).values(status="completed"))
        db.session.commit()
    number = report(site, [NewDifference("payment", "only_here", "payment_missing", payment, "T01-00000001", amount_here=Decimal("50.00"))])
    address = f"/reconciliation/{number}/send-again/{payment}"
    assert f'action="{address}"' in site.page("ramon", f"/reconciliation/{number}")
    assert address not in site.page("carla", f"/reconciliation/{number}") and site.post("carla", address).status_code == 403
    short = site.post("ramon", address, {"reason": " "})
    assert short.status_code == 422 and "Say why" in short.text
    done = site.post("ramon", address, {"reason": "Deleted by mistake"})
    assert (done.status_code, done.headers["Location"]) == (303, f"/payments/{payment}") and rings[-1] == ("post_payments",)
    page = site.page("ramon", f"/payments/{payment}")
    assert "Sent again by ramon: Deleted by mistake" in text_of(page)
    assert site.post("ramon", address, {"reason": "Once more"}).status_code == 409
    report(site, [])
    assert address not in site.page("ramon", f"/reconciliation/{number}")
