"""The office's front page, downloads and collector codes in a real browser: readable in both themes and sizes, alive with script, whole
without."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import make_server

from config import TestConfig
from portal import clock, create_app
from portal.extensions import db
from portal.store import sync_runs
from tests.blueprints.office_site import cookie_of, fill
from tests.factories import make_user

WIDE, SMALL = {"width": 1366, "height": 768}, {"width": 360, "height": 740}
PAGES = (
    "/", "/syncs", "/syncs/1", "/collector-codes", "/collector-codes/one?code=A1", "/collector-codes/unassigned",
    "/collector-codes/downloads", "/incidents", "/missing-numbers", "/voids/codes", "/expenses", "/expenses/cash-drops",
    "/reports/e-journal?from=2026-11-20&to=2026-11-20",
    "/payments", "/checks", "/transfers", "/deposits", "/deposits/new",
    "/reports/tenders?from=2026-11-20&to=2026-11-20", "/reports/performance",
    "/readings", "/readings/calendar?from=2026-11-01", "/readings/chain",
)  # fmt: skip


@dataclass(frozen=True)
class Office:
    """The running office pages, and a cookie of a supervisor."""

    app: Flask
    address: str
    cookie: str


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Office]:
    """The office of the page tests, served."""
    folder = tmp_path_factory.mktemp("office")
    shutil.copy(sqlite_template, folder / "portal.sqlite3")
    app = create_app(TestConfig(folder, DATABASE_URL=f"sqlite:///{folder / 'portal.sqlite3'}", HTMX_SOURCE="local"))
    with app.app_context():
        fill()
    cookie = cookie_of(app, "ramon")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Office(app, f"http://127.0.0.1:{server.server_port}", cookie)
    server.shutdown()
    thread.join()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def browse(chromium: Browser, office: Office, viewport: dict[str, int], theme: str = "light", script: bool = True) -> BrowserContext:
    context = chromium.new_context(viewport=viewport, color_scheme=theme, java_script_enabled=script)  # type: ignore[arg-type]
    context.add_cookies([{"name": "portal", "value": office.cookie, "url": office.address}])
    return context


@pytest.fixture
def page(chromium: Browser, office: Office) -> Iterator[Page]:
    context = browse(chromium, office, WIDE)
    opened = context.new_page()
    told: list[str] = []
    opened.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: told.append(str(error)))
    yield opened
    context.close()
    assert told == []


@pytest.mark.parametrize(("viewport", "theme"), [(WIDE, "light"), (WIDE, "dark"), (SMALL, "light"), (SMALL, "dark")])
def test_every_page_is_readable_in_both_themes_and_sizes(chromium: Browser, office: Office, viewport: dict[str, int], theme: str) -> None:
    context = browse(chromium, office, viewport, theme)
    page, wrong = context.new_page(), []
    for path in PAGES:
        page.goto(office.address + path)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px too wide"
        for details in page.locator("details:not([open]) > summary").all()[:4]:
            details.click()
        found = Axe().run(page).response["violations"]
        wrong += [(path, one["id"], one["nodes"][0]["target"]) for one in found]
    context.close()
    assert wrong == []


def test_a_download_is_watched_to_its_end_and_history_and_charts_follow(page: Page, office: Office) -> None:
    page.goto(f"{office.address}/syncs")
    charts = page.locator(".chart")
    expect(charts).to_have_count(3)
    rows = page.locator("tr[data-sync]")
    before = rows.count()
    with office.app.app_context():
        now = clock.now()
        run = sync_runs.add("manual", "carla", now)
        assert sync_runs.claim(run, "lease", now - timedelta(seconds=20))
        sync_runs.keep(run, "lease", now, succeeded=4000, pscloud_count=10_000, pages=8)
        db.session.commit()
    page.reload()
    under_way = page.get_by_role("region", name="Download under way")
    expect(under_way).to_contain_text("4,000 of 10,000 records")
    expect(under_way).to_contain_text("records a second, about 30 s left")
    with office.app.app_context():
        sync_runs.keep(run, "lease", clock.now(), succeeded=9000)
        db.session.commit()
    expect(under_way).to_contain_text("9,000 of 10,000 records")
    with office.app.app_context():
        sync_runs.complete(run, "lease", clock.now(), succeeded=9990, failed=10, total=10_000)
        db.session.commit()
    expect(under_way).to_have_count(0)
    expect(rows).to_have_count(before + 1)
    expect(rows.first.locator(".total")).to_have_text("10,000")
    expect(page.locator("#chart-records-told")).to_contain_text("10,000 records read")
    expect(page.locator("#spoken")).to_have_text(f"Download {run}: Completed")


def test_the_front_page_renews_its_parts_and_keeps_the_focus(page: Page, office: Office) -> None:
    page.goto(office.address)
    link = page.locator("#home-soas")
    link.focus()
    page.evaluate("htmx.ajax('GET', '/?part=ready', {target: '#part-ready', swap: 'outerHTML'})")
    page.wait_for_timeout(400)
    assert page.evaluate("document.activeElement.id") == "home-soas"
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator("#soa-count")).to_have_text(re.compile("[0-9,]+"))


def test_a_failed_record_is_copied_and_the_button_says_so(chromium: Browser, office: Office) -> None:
    context = browse(chromium, office, WIDE)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=office.address)
    page = context.new_page()
    page.goto(f"{office.address}/syncs/1")
    button = page.get_by_role("button", name=re.compile("^Copy the raw payload"))
    button.click()
    expect(button).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == '{"id": "X9", "amount_due": "NaN"}'
    expect(button).to_contain_text("Copy", timeout=5000)
    context.close()


def test_a_narrow_screen_shows_the_list_first_and_the_filters_when_asked(chromium: Browser, office: Office) -> None:
    context = browse(chromium, office, SMALL)
    page = context.new_page()
    page.goto(f"{office.address}/payments?tender=cash")
    fold, tender = page.get_by_role("button", name="Filters (1)"), page.get_by_label("Tender")
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(tender).to_be_hidden()
    expect(page.get_by_role("searchbox")).to_be_visible()
    fold.click()
    tender.select_option("check")
    expect(page).to_have_url(re.compile("tender=check"))
    expect(tender).to_be_visible()
    page.get_by_label("Collector").select_option(index=0)
    tender.select_option("")
    expect(page.get_by_role("button", name="Filters", exact=True)).to_have_attribute("aria-expanded", "true")
    page.goto(f"{office.address}/payments?from=31/31/2026")
    expect(page.get_by_label("From")).to_be_visible()
    page.set_viewport_size({"width": WIDE["width"], "height": WIDE["height"]})
    expect(page.get_by_role("button", name=re.compile("^Filters"))).to_be_hidden()
    expect(tender).to_be_visible()
    context.close()


def test_every_place_of_the_rail_is_in_sight_on_a_small_laptop(chromium: Browser, office: Office) -> None:
    context = chromium.new_context(viewport=WIDE)  # type: ignore[arg-type]
    with office.app.app_context():
        make_user("root", "admin", "supervisor")
    context.add_cookies([{"name": "portal", "value": cookie_of(office.app, "root"), "url": office.address}])
    page = context.new_page()
    page.goto(f"{office.address}/exports")
    for place in page.locator(".rail nav a").all():
        expect(place).to_be_in_viewport(ratio=1)
    nav = page.locator(".rail nav")
    assert nav.evaluate("nav => nav.scrollHeight <= nav.clientHeight") and nav.evaluate("nav => nav.scrollWidth <= nav.clientWidth")
    context.close()


def test_everything_works_without_script(chromium: Browser, office: Office) -> None:
    context = browse(chromium, office, WIDE, script=False)
    page = context.new_page()
    page.goto(f"{office.address}/syncs")
    page.get_by_label("Started by").select_option("test")
    page.get_by_role("button", name="Show").click()
    assert "by=test" in page.url
    expect(page.locator("tr[data-sync]")).to_have_count(2)
    page.goto(f"{office.address}/collector-codes")
    page.get_by_role("searchbox").fill("north")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tr[data-code]")).to_have_count(1)
    page.goto(f"{office.address}/incidents")
    page.locator("summary").first.click()
    page.get_by_label("What you found and what was done").first.fill("Late payment, explained by the collector")
    page.get_by_role("button", name="Close incident").first.click()
    expect(page.get_by_text("Nothing needs your attention")).to_be_visible()
    context.close()
