"""The front page: what it says of the day, and that every number is the count of the list it leads to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock
from portal.extensions import db
from portal.services import pushing
from portal.store import circuits, dashboard, incidents, ledger, payment_totals, sync_runs, terminals
from tests.blueprints.office_site import Site, attributes, element, text_of, upload
from tests.factories import NOW, make_invoice, make_phone, make_soa, make_user, store_soas

COUNTS = {
    "/soas": "soa-count",
    "/payments": "payment-count",
    "/remittances": "remittance-count",
    "/incidents": "incident-count",
    "/missing-numbers": "missing-count",
    "/terminals": "terminal-count",
    "/voids": "void-shown",
    "/collector-codes/downloads": "download-count",
    "/collector-codes/unassigned": "unassigned-count",
}
"""Where each list says how many it holds."""
PARTS = ("sync", "ready", "phones", "collected", "waiting", "breakdown", "latest")


@pytest.fixture(autouse=True)
def on_the_day_of_the_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its phones collect on one fixed date: let that be today."""
    monkeypatch.setattr(clock, "now", lambda: NOW)


def tables() -> dict[str, Any]:
    return dict(db.metadata.tables)


def count_of(page: str, address: str) -> str:
    """What the list of this address says of itself."""
    path, _, place = address.partition("#")
    path = path.partition("?")[0]
    if path.startswith("/syncs/"):
        return element(page, {"failures": "failure-count", "waiting-to-close": "waiting-to-close-count"}.get(place, "run-total"))
    if path in ("/checks", "/transfers"):
        return element(page, "paper-count")
    return element(page, "to-remit-count" if place == "to-remit" else COUNTS[path])


def links(page: str, mark: str) -> Iterator[tuple[str, str, str]]:
    """Each link that carries a number with this mark: (id, address, number)."""
    for tag, inside in re.findall(r"<a ([^>]*)>(.*?)</a>", page, re.DOTALL):
        if mark in tag or mark in inside:
            number = re.search(r">?([₱0-9][0-9,.]*)", re.sub(r"<svg.*?</svg>", "", inside))
            assert number, (tag, inside)
            yield attributes(f"<a {tag}>", "id")[0], unescape(attributes(f"<a {tag}>", "href")[0]), number[1].rstrip(".")


def fill_the_day(site: Site) -> date:
    """A download today, SOAs due before, on and after it, and something of everything that can wait; the date."""
    with site.app.app_context():
        now, today = clock.now(), clock.today()
        due = [today - timedelta(days=3), today, today, today + timedelta(days=9)]
        store_soas(*(make_soa(f"D{number}", due_date=day) for number, day in enumerate(due)), now=now)
        last = store_soas(make_soa("D9", collector_code=None), now=now)
        sync_runs.change_numbers(last, failed=2, total=3, pscloud_count=3, pscloud_amount_due=make_soa().amount_due)
        sync_runs.add_failures(last, [sync_runs.NewFailure(f"F{n}", "Record", "amount_due", "No amount.", "{}") for n in range(2)])
        db.session.commit()
        make_user("mina", "collector", codes=["B2"])
        phone = make_phone("jun")
        phone.start()
        for number, amount in enumerate((12300, 4500, 6700, 8900)):
            check: dict[str, Any] = {"tender": "check", "channel": "BDO", "reference": f"{number}"}
            paid = phone.pay(make_soa(f"D{number}"), amount, **({} if number % 2 else check))
        phone.ask_void(paid)
        upload(phone, "manual")
        payments = tables()["payments"]
        numbers = [row.id for row in db.session.execute(payments.select().order_by(payments.c.claimed_receipt_number))]
        for number, status in ((0, "failed"), (3, "completed"), (4, "approved"), (5, "processing")):
            db.session.execute(payments.update().where(payments.c.id == numbers[number]).values(status=status))
        payment_totals.rebuild()
        terminals.add("Borrowed phone", phone.terminal.user_id, "{}", "f" * 64, "waiting", now)
        incidents.add("quarantined", "T01, entry 9: unreadable", now, phone.terminal.id)
        db.session.commit()
    return today


@pytest.mark.parametrize("name", ["carla", "ramon", "ada"])
def test_every_number_is_the_count_of_the_list_it_leads_to(site: Site, name: str) -> None:
    fill_the_day(site)
    page = site.page(name, "/")
    found = list(links(page, "data-number"))
    for identifier, address, number in found:
        assert count_of(site.page(name, address.partition("#")[0]), address) == number, (identifier, address)
    assert {
        "home-soas", "home-today", "home-overdue", "home-stuck", "home-have", "home-missing", "home-payments", "home-held", "home-unposted",
        "home-posted", "home-read", "home-unread", "tender-cash", "tender-check", "collector-1", "collector-2", "task-refused",
        "task-flagged",
        "task-voids", "task-pending", "task-remit", "task-aside", "task-incidents", "task-terminals",
    } <= {identifier for identifier, _, _ in found}  # fmt: skip
    for identifier, address, pesos in links(page, "data-pesos"):
        total = element(site.page(name, address), "soa-total" if address.startswith("/soas") else "payment-total")
        assert total.lstrip("₱") == pesos.lstrip("₱"), (identifier, address)


def test_while_pscloud_takes_nothing_home_and_what_waits_say_so_and_one_press_asks_again(site: Site) -> None:
    fill_the_day(site)
    with site.app.app_context():
        for _ in range(pushing.OPENS_AFTER):
            circuits.fail("PSCloud does not answer.", NOW - timedelta(minutes=9))
        circuits.pause(NOW + timedelta(minutes=1))
        db.session.commit()
    for name in ("carla", "ada"):
        ((_, address, number),) = [found for found in links(site.page(name, "/"), "data-number") if found[0] == "task-paused"]
        page = site.page(name, address)
        assert count_of(page, address) == number == "1"
        assert "PSCloud has taken no payments since" in page and "PSCloud does not answer." in page
    assert "has taken no payments" not in site.page("carla", "/payments?status=completed")
    answer = site.post("carla", "/payments/try-now", {"back": "/payments?status=approved"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/payments?status=approved")
    with site.app.app_context():
        assert pushing.lets_through(NOW)
        circuits.close()
        db.session.commit()
    assert "task-paused" not in site.page("carla", "/")


def test_a_voided_payment_is_counted_and_its_pesos_are_not(site: Site) -> None:
    today = fill_the_day(site)
    (void_id,) = attributes(site.page("ramon", "/voids"), "data-void")
    with site.app.app_context():
        before = dashboard.collected(today)
    assert site.post("ramon", f"/voids/{void_id}/approve").status_code == 303
    with site.app.app_context():
        after = dashboard.collected(today)
    assert after.all.count == before.all.count and before.all.amount - after.all.amount == after.voided.amount > 0
    page = site.page("ramon", "/")
    for identifier, address, number in links(page, "data-number"):
        assert count_of(site.page("ramon", address.partition("#")[0]), address) == number, (identifier, address)
    for identifier, address, pesos in links(page, "data-pesos"):
        if address.startswith("/payments"):
            assert element(site.page("ramon", address), "payment-total").lstrip("₱") == pesos.lstrip("₱"), (identifier, address)
    assert "of them voided" in page


def test_each_role_is_told_first_what_it_may_do(site: Site) -> None:
    fill_the_day(site)
    mine = {}
    for name in ("carla", "ramon", "ada"):
        part = site.page(name, "/?part=waiting", HX_Request="true")
        mine[name] = set(attributes(part.partition("Waits for others")[0], "data-task"))
        assert {"flagged", "voids", "pending", "terminals", "incidents"} <= set(attributes(part, "data-task"))
    assert {"pending", "refused", "remit"} <= mine["carla"] and not mine["carla"] & {"flagged", "voids", "terminals", "incidents"}
    assert {"pending", "flagged", "voids", "incidents"} <= mine["ramon"] and "terminals" not in mine["ramon"]
    assert {"terminals", "incidents"} <= mine["ada"] and not mine["ada"] & {"pending", "flagged", "voids", "remit"}


def test_a_drop_that_waits_for_a_supervisor_is_a_task_on_home(site: Site) -> None:
    with site.app.app_context():
        run_id = store_soas(make_soa("S1"), make_soa("S2"))
        sync_runs.change_numbers(run_id, waiting_to_close=1)
        db.session.commit()
    for name, may in (("ramon", True), ("carla", False)):
        part = site.page(name, "/?part=waiting", HX_Request="true")
        mine, _, others = part.partition("Waits for others")
        assert ("drop" in attributes(mine, "data-task")) is may and ("drop" in attributes(others, "data-task")) is not may
        (address,) = (address for identifier, address, _ in links(part, "data-number") if identifier == "task-drop")
        assert address == f"/syncs/{run_id}#waiting-to-close"
        page = site.page(name, f"/syncs/{run_id}")
        assert element(page, "waiting-to-close-count") == "1" and ('id="close-absent"' in page) is may
    assert site.post("ramon", f"/syncs/{run_id}/absent", {"answer": "keep"}).status_code == 303
    assert "task-drop" not in site.page("ramon", "/")


def test_each_part_renews_itself_alone_and_the_page_works_without_script(site: Site) -> None:
    page = site.page("carla", "/")
    for part in PARTS:
        assert f'id="part-{part}"' in page and f"/?part={part}" in attributes(page, "hx-get")
        answer = site.page("carla", f"/?part={part}", HX_Request="true")
        assert answer.count("<section") == 1 and f'id="part-{part}"' in answer and "<html" not in answer
    assert "<html" in site.page("carla", "/?part=sync") and "<html" in site.page("carla", "/?part=nothing")
    assert site.get("nena", "/?part=ready", HX_Request="true").status_code == 302


def test_the_download_of_today_is_told_as_it_is(site: Site) -> None:
    def card() -> str:
        return text_of(site.page("carla", "/?part=sync", HX_Request="true"))

    with site.app.app_context():
        old = clock.now() - timedelta(days=2)
        db.session.execute(tables()["sync_runs"].update().values(requested_at=old, started_at=old, finished_at=old))
        db.session.commit()
    assert "Not yet today" in card() and "Everybody works with PSCloud's data of" in card()
    with site.app.app_context():
        now = clock.now()
        run = sync_runs.add("scheduled", "schedule", now)
        db.session.commit()
        assert "Pending Waiting for the worker to begin" in card() and "every 3s" in site.page("carla", "/?part=sync", HX_Request="true")
        sync_runs.claim(run, "lease", now)
        sync_runs.keep(run, "lease", now + timedelta(seconds=10), succeeded=500, pscloud_count=2000)
        db.session.commit()
        assert "Processing 500 of 2,000 records, about 30 s left" in card()
        sync_runs.complete(run, "lease", now, succeeded=1999, failed=1, total=2000, amount_due=5, pscloud_amount_due=5)
        db.session.commit()
        assert (
            "Complete 2,000 records read" in card() and "Agrees with PSCloud's totals" in card() and "1 of them could not be read" in card()
        )
        sync_runs.change_numbers(run, pscloud_count=2001)
        db.session.commit()
        assert "Incomplete" in card() and "Differs from PSCloud's totals" in card()
        again = sync_runs.add("manual", "carla", now)
        sync_runs.end(again, "failed", now, "PSCloud did not answer.")
        db.session.commit()
    assert "Failed" in card() and "Everybody works with PSCloud's data of" in card()


def test_an_empty_office_is_told_what_to_do(app: Flask, sign_in: Callable[[Flask, str], FlaskClient]) -> None:
    make_user("carla", "office")
    text = text_of(sign_in(app, "carla").get("/").text)
    for words in ("None yet", "Start the first download there.", "0 SOAs", "Nobody yet", "₱0.00", "Nothing waits for you.", "Nothing yet."):
        assert words in text, words


def test_many_collectors_are_cut_to_those_who_collected_most_until_all_are_asked_for(site: Site) -> None:
    with site.app.app_context():
        for number in range(9):
            make_user(f"late{number}", "collector", codes=["A1"])
        for number in range(12):
            make_user(f"c{number:02d}", "collector", codes=["A1"])
            phone = make_phone(f"c{number:02d}")
            phone.start()
            phone.pay(make_soa("S1", invoices=[make_invoice(1)]), 1000 + number)
            upload(phone, "automatic")
    page = site.page("carla", "/")
    rows = [identifier for identifier, _, _ in links(page, "data-number") if identifier.startswith("collector-")]
    assert len(rows) == 8 and "All 13 collectors" in text_of(page) and "and 4 more" in text_of(page)
    every = site.page("carla", "/?collectors=all")
    assert sum(identifier.startswith("collector-") for identifier, _, _ in links(every, "data-number")) == 13
    assert "/?part=breakdown&collectors=all" in attributes(every, "hx-get")


def test_what_is_collected_adds_up(site: Site) -> None:
    today = fill_the_day(site)
    with site.app.app_context():
        found = dashboard.collected(today)
        wanted = ledger.PaymentFilter(date_from=today, date_to=today)
        totals = ledger.totals(wanted)
    assert (found.all.count, found.all.amount, found.voided.amount) == (totals.count, totals.active_collection, totals.voided)
    for parts in (found.tenders, found.collectors, (found.held, found.unposted, found.posted)):
        assert sum(part.count for part in parts) == found.all.count
        assert sum(part.amount for part in parts) == found.all.amount
    with site.app.app_context():
        unposted = ledger.totals(replace(wanted, status="unposted"))
    assert (unposted.count, unposted.active_collection) == (found.unposted.count, found.unposted.amount)
