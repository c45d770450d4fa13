"""Lists as files: exactly the filter in the address, at once or prepared; only its owner fetches a prepared file. Saved filters."""

from __future__ import annotations

import csv
import io
import re
import stat
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markupsafe import escape
from pypdf import PdfReader

from portal import clock, doorbell, lists
from portal.extensions import db
from portal.services import exports
from portal.store import exports as store
from portal.store import soas
from tests.blueprints.office_site import TRICKY, Site, attributes, element, text_of
from tests.factories import make_soa, store_soas
from workers import jobs

CELLS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    heard: list[tuple[str, int]] = []

    def ring(job_name: str, number: int, job_id: str) -> bool:
        heard.append((job_name, number))
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    return heard


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ten rows are a long list."""
    monkeypatch.setattr(lists, "AT_ONCE", {"csv": 10, "xlsx": 10, "pdf": 5})
    monkeypatch.setattr("portal.blueprints.exports.AT_ONCE", lists.AT_ONCE)
    monkeypatch.setattr(lists, "TELL_EVERY", 7)
    yield


def sheet(content: bytes, number: int = 1) -> list[list[tuple[str, str]]]:
    """The cells of a sheet as (type, value); "n" is a number."""
    root = ElementTree.fromstring(  # noqa: S314 - a file of our own making
        zipfile.ZipFile(io.BytesIO(content)).read(f"xl/worksheets/sheet{number}.xml")
    )
    return [[(cell.get("t", "n"), "".join(cell.itertext())) for cell in row] for row in root.iter(f"{CELLS}row")]


def records(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def pdf_text(content: bytes) -> str:
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages))


def test_csv_excel_and_pdf_hold_the_same_filter(site: Site) -> None:
    query = "status=all&q=customer&sort=-amount_due"
    rows = records(site.get("carla", f"/soas.csv?{query}").data)
    assert len(rows) == 56 and rows[0]["SOA"] == "S055"
    answer = site.get("carla", f"/soas.xlsx?{query}")
    assert answer.mimetype == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert re.fullmatch(r"attachment; filename=soa-list-\d{4}-\d\d-\d\d\.xlsx", answer.headers["Content-Disposition"])
    head, *cells = sheet(answer.data)
    assert [text for _, text in head] == list(rows[0])
    assert [row[0][1] for row in cells] == [row["SOA"] for row in rows]
    assert cells[0][6] == ("n", rows[0]["Amount due"]), "money is a number of two decimals"
    assert cells[0][4][0] == "n", "a day is a day"
    about = {row[0][1]: row[1][1] for row in sheet(answer.data, 2) if len(row) == 2}
    assert about["SOAs"] == "56" and "Text: customer" in about["Filter"] and "amount due, descending" in about["Filter"]
    answer = site.get("carla", f"/soas.pdf?{query}")
    text = pdf_text(answer.data)
    assert answer.mimetype == "application/pdf" and "Hardin ng Kapayapaan" in text and "SOA CUSTOMER LIST" in text
    assert "56 SOAs" in text and "Text: customer" in text and "Page 1 of " in text and "Customer 055" in text
    assert text.count("Customer Due date") == len(PdfReader(io.BytesIO(answer.data)).pages), "headings on every page"


def test_a_name_is_text_in_excel_and_keeps_its_letters(site: Site) -> None:
    cells = sheet(site.get("carla", "/soas.xlsx?collector_code=B2").data)[1]
    assert cells[3] == ("inlineStr", TRICKY) and not [kind for kind, _ in cells if kind not in {"inlineStr", "n"}]
    assert b"<f>" not in site.get("carla", "/payments.xlsx").data
    formula = sheet(site.get("carla", "/payments.xlsx?tender=e_wallet").data)[1]
    assert ("inlineStr", "=1+1") in formula


ODD_NAMES = {
    "right to left": "\u202egnp.exe",
    "formula": "=cmd|'/c calc'!A0",
    "script": "<script>alert(1)</script>",
    "template": "{{7*7}}",
    "line break": 'O"Brien\nJr.',
    "combining": "n\u0303o\u0301",
    "longest": "x" * 300,
}


@pytest.mark.parametrize("kind", ODD_NAMES)
def test_an_odd_name_is_text_on_the_page_and_in_every_file(site: Site, kind: str) -> None:
    name = ODD_NAMES[kind]
    with site.app.app_context():
        store_soas(make_soa("ODD1", customer_name=name, collector_code="ODD"))
    page = site.page("carla", "/soas?collector_code=ODD")
    assert f'title="{escape(name)}"' in page and "<script>alert" not in page and "49" not in element(page, "soa-count")
    (row,) = records(site.get("carla", "/soas.csv?collector_code=ODD").data)
    assert row["Customer"] == ("'" + name if kind == "formula" else name)
    cells = sheet(site.get("carla", "/soas.xlsx?collector_code=ODD").data)[1]
    assert cells[3] == ("inlineStr", name)
    paper = site.get("carla", "/soas.pdf?collector_code=ODD")
    told = pdf_text(paper.data)
    assert paper.status_code == 200 and "1 SOA" in told
    if kind in {"formula", "script", "template"}:
        assert name in told


def test_payments_come_in_the_same_three_forms(site: Site) -> None:
    rows = records(site.get("carla", "/payments.csv").data)
    cells = sheet(site.get("carla", "/payments.xlsx").data)
    assert [row[0][1] for row in cells[1:]] == [row["Receipt number"] for row in rows] and len(rows) == 3
    text = pdf_text(site.get("carla", "/payments.pdf?tender=check").data)
    assert "1 payment" in text and "₱200.00" in text and "Tender: Check" in text


def test_the_report_is_the_same_pdf_and_a_supervisors(site: Site) -> None:
    assert site.get("carla", "/reports/soa-list.pdf").status_code == 403
    answer = site.get("ramon", "/reports/soa-list.pdf?q=nobody")
    assert answer.mimetype == "application/pdf" and "1 SOA" in pdf_text(answer.data) and "Nobody's Account" in pdf_text(answer.data)


def test_an_empty_list_is_said_to_be_empty(site: Site) -> None:
    assert "Nothing fits this filter" in pdf_text(site.get("carla", "/soas.pdf?due_to=2001-01-01").data)
    assert len(sheet(site.get("carla", "/soas.xlsx?due_to=2001-01-01").data)) == 1


@pytest.mark.parametrize("form", ["csv", "xlsx", "pdf"])
def test_a_value_that_cannot_be_used_makes_no_file_that_passes_for_the_right_one(site: Site, form: str) -> None:
    answer = site.get("carla", f"/soas.{form}?due_from=soon")
    assert answer.status_code == 422 and "is not a date" in answer.text


def test_a_mistyped_name_gives_the_rows_its_page_shows(site: Site) -> None:
    shown = attributes(site.page("carla", "/soas?q=nobodu"), "data-soa")
    rows = records(site.get("carla", "/soas.csv?q=nobodu").data)
    assert [row["SOA"] for row in rows] == shown == ["N1"]


@pytest.mark.parametrize("form", ["csv", "xlsx", "pdf"])
def test_a_long_list_is_prepared_by_a_worker_and_fetched_when_it_is_whole(
    site: Site, long: None, rings: list[tuple[str, int]], form: str, tmp_path: Path
) -> None:
    page = site.page("carla", f"/soas.{form}?q=customer&sort=-name")
    assert "too long to wait for" in page and "56" in text_of(page) and not rings
    (action,) = [one for one in attributes(page, "action") if one.startswith(f"/soas.{form}?")]
    answer = site.post("carla", action)
    assert answer.status_code == 303
    place = answer.headers["Location"]
    number = int(place.rpartition("/")[2])
    assert rings == [("export_list", number)]
    waiting = site.page("carla", place)
    assert "Waiting for the worker" in waiting and 'hx-trigger="every 1s"' in waiting and "See how far it is" in waiting
    assert "<html" not in site.page("carla", place, HX_Request="true")
    assert site.get("carla", f"{place}/file").status_code == 404
    assert site.post("carla", action).headers["Location"] == place, "asked twice, written once"
    with site.app.app_context():
        jobs.export_list(number)
    ready = site.page("carla", place)
    assert "hx-trigger" not in ready.partition('id="results"')[2] and f"{place}/file" in attributes(ready, "href")
    file = site.get("carla", f"{place}/file")
    assert file.headers["Content-Disposition"].startswith("attachment; filename=soa-list-") and "no-store" in file.headers["Cache-Control"]
    at_once = site.get("carla", f"/soas.{form}?q=nobody")
    assert file.mimetype == at_once.mimetype
    if form == "csv":
        assert [row["SOA"] for row in csv.DictReader(io.StringIO(file.data.decode("utf-8-sig")))] == [
            f"S{n:03d}" for n in range(55, -1, -1)
        ]
    elif form == "xlsx":
        assert len(sheet(file.data)) == 57
    else:
        assert "56 SOAs" in pdf_text(file.data)
    kept = tmp_path / "exports"
    assert [stat.S_IMODE(one.stat().st_mode) for one in kept.iterdir()] == [0o600] and stat.S_IMODE(kept.stat().st_mode) == 0o700
    listed = site.page("carla", "/exports")
    assert attributes(listed, "data-export") == [str(number)] and f"{place}/file" in listed


def test_only_its_owner_and_an_admin_see_a_file(site: Site, long: None) -> None:
    place = site.post("carla", "/soas.csv").headers["Location"]
    with site.app.app_context():
        jobs.export_list(int(place.rpartition("/")[2]))
    for path in (place, f"{place}/file"):
        assert site.get("ramon", path).status_code == 404 and site.get("nena", path).status_code == 403
        assert site.get("ada", path).status_code == 200
    assert site.post("ramon", f"{place}/cancel").status_code == 404
    assert attributes(site.page("ramon", "/exports"), "data-export") == []


def test_a_file_can_be_given_up_and_asked_for_again(site: Site, long: None) -> None:
    place = site.post("carla", "/soas.xlsx?q=customer").headers["Location"]
    assert site.post("carla", f"{place}/cancel").status_code == 303
    page = site.page("carla", place)
    assert "Cancelled by carla" in page and "/soas.xlsx?q=customer" in attributes(page, "action")
    assert site.post("carla", f"{place}/cancel").status_code == 409
    assert site.post("carla", "/soas.xlsx?q=customer").headers["Location"] != place


def test_a_long_pdf_is_lines_with_every_row_once_and_its_sums_at_the_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "TABLE", 3)
    shown = site.page("carla", "/soas")
    texts = [page.extract_text() for page in PdfReader(io.BytesIO(site.get("carla", "/soas.pdf").data)).pages]
    words = " ".join(" ".join(texts).split())
    for soa in attributes(shown, "data-soa"):
        with site.app.app_context():
            detail = soas.get(soa)
        assert detail and words.count(detail.soa.soa_number) == 1
    assert "SOA CUSTOMER LIST, TOTALS" in texts[-1] and element(shown, "soa-total").removeprefix("₱") in texts[-1]
    assert [f"Page {number} of {len(texts)}" in text for number, text in enumerate(texts, start=1)] == [True] * len(texts)


def test_a_file_under_way_says_how_fast_it_goes_and_what_remains(site: Site, long: None) -> None:
    place = site.post("carla", "/soas.pdf").headers["Location"]
    number = int(place.rpartition("/")[2])
    assert "Waiting for the worker to begin" in text_of(site.page("carla", place))
    begun = clock.now()
    with site.app.app_context():
        store.claim(number, "lease", begun)
        store.keep(number, "lease", begun + timedelta(seconds=4), rows_done=8, rows_total=40)
        db.session.commit()
    page = site.page("carla", place)
    assert "8 of 40 SOAs 20 %" in text_of(page) and "2.0 a second, about 16 s left" in text_of(page)
    assert attributes(page, "value")[-1] == "8" and f"{place}/cancel" in attributes(page, "action")


def test_a_pdf_that_would_be_a_book_is_refused_and_the_others_offered(site: Site, long: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lists.MOST, "pdf", 20)
    page = site.page("carla", "/soas.pdf")
    assert "A PDF holds at most 20 SOAs" in text_of(page)
    assert [one.partition("?")[0] for one in attributes(page, "action") if one.startswith("/soas.")] == ["/soas.csv", "/soas.xlsx"]
    assert site.post("carla", "/soas.pdf").status_code == 422
    assert site.page("carla", "/soas.pdf?q=customer+01").count('action="/soas.') == 3


def test_one_person_may_have_a_few_under_way(site: Site, long: None) -> None:
    for number in range(exports.MOST_AT_ONCE):
        assert site.post("carla", f"/soas.csv?q=customer&due_from=2020-01-0{number + 1}").status_code == 303
    answer = site.post("carla", "/soas.csv?q=other")
    assert answer.status_code == 409 and "Wait for one of them" in answer.text
    assert site.post("ramon", "/soas.csv").status_code == 303


def test_the_buttons_under_the_list_carry_its_filter(site: Site) -> None:
    page = site.page("carla", "/soas?q=customer&overdue=1")
    for form in ("csv", "xlsx", "pdf"):
        assert f"/soas.{form}?q=customer&overdue=1" in attributes(page, "href")


# --- saved filters


def save(site: Site, name: str, query: str, who: str = "carla") -> str:
    answer = site.post(who, f"/soas/saved-filters?{query}", {"name": name})
    assert answer.status_code == 303, answer.text[:300]
    return str(answer.headers["Location"])


def test_a_filter_is_saved_opened_renamed_and_deleted(site: Site) -> None:
    page = site.page("carla", "/soas?overdue=1&collector_code=A1")
    assert "Save this filter" in page
    (action,) = [one for one in attributes(page, "action") if one.startswith("/soas/saved-filters?")]
    assert site.post("carla", action, {"name": "  Late \n in A1 "}).headers["Location"] == "/soas?collector_code=A1&overdue=1"
    page = site.page("carla", "/soas")
    (number,) = attributes(page, "data-saved")
    assert "/soas?collector_code=A1&overdue=1" in attributes(page, "href") and "Late in A1" in text_of(page)
    assert 'aria-current="true" data-saved' in site.page("carla", "/soas?collector_code=A1&overdue=1")
    answer = site.post("carla", f"/soas/saved-filters/{number}/rename", {"name": "North, late", "back": "/soas?overdue=1"})
    assert answer.headers["Location"] == "/soas?overdue=1" and "North, late" in text_of(site.page("carla", "/soas"))
    assert site.post("carla", f"/soas/saved-filters/{number}/delete").headers["Location"] == "/soas"
    assert attributes(site.page("carla", "/soas"), "data-saved") == []


def test_saved_filters_are_ones_own(site: Site) -> None:
    save(site, "Late", "overdue=1")
    (number,) = attributes(site.page("carla", "/soas"), "data-saved")
    assert attributes(site.page("ramon", "/soas"), "data-saved") == []
    for act in ("rename", "delete"):
        assert site.post("ramon", f"/soas/saved-filters/{number}/{act}", {"name": "Mine"}).status_code == 404
    save(site, "Late", "overdue=1", "ramon")
    assert attributes(site.page("carla", "/soas"), "data-saved") == [number]


def test_what_is_saved_can_be_opened_and_each_name_and_filter_once(site: Site) -> None:
    for query, name in (("", "All"), ("q=x", ""), ("q=x", "x" * 61), ("due_from=soon", "Soon")):
        assert site.post("carla", f"/soas/saved-filters?{query}", {"name": name}).status_code == 422, (query, name)
    assert save(site, "Late", "overdue=1&after=abc&utm=1&sort=-name") == "/soas?overdue=1&sort=-name"
    assert site.post("carla", "/soas/saved-filters?penalty=1", {"name": "Late"}).status_code == 409
    assert site.post("carla", "/soas/saved-filters?sort=-name&overdue=1", {"name": "Again"}).status_code == 409


def test_thirty_are_enough(site: Site) -> None:
    for number in range(30):
        save(site, f"No. {number}", f"q=n{number}")
    answer = site.post("carla", "/soas/saved-filters?q=more", {"name": "More"})
    assert answer.status_code == 409 and "Delete one" in answer.text


def test_a_file_of_a_week_ago_is_gone(site: Site, long: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = site.post("carla", "/soas.csv").headers["Location"]
    number = int(place.rpartition("/")[2])
    with site.app.app_context():
        jobs.export_list(number)
        exports.sweep(clock.now())
        assert store.get(number)
        (tmp_path / "exports" / "999.csv").write_text("of an export that is not known any more")
        (tmp_path / "exports" / f"{number}-dead").mkdir()
        exports.sweep(clock.now())
        assert [one.name for one in (tmp_path / "exports").iterdir()] == [f"{number}.csv"]
        exports.sweep(clock.now() + exports.KEPT + exports.HEARTBEAT)
        assert store.get(number) is None and list((tmp_path / "exports").iterdir()) == []
    assert site.get("carla", f"{place}/file").status_code == 404
    assert element(site.page("carla", "/soas"), "soa-count") == "60"
