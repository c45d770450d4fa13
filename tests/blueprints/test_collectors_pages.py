"""Collector Code: who holds what, what nobody collects, and codes of our own."""

from __future__ import annotations

import re
from datetime import date, timedelta

from portal import clock
from portal.extensions import db
from portal.services import collector_codes as service
from portal.store import collector_codes, terminals
from portal.store import users as user_store
from tests.blueprints.office_site import TRICKY, Site, attributes, element, text_of
from tests.factories import NOW, make_phone, make_soa, make_user, store_soas


def test_codes_show_holders_accounts_money_and_double_collection_risk(site: Site) -> None:
    page = site.page("carla", "/collector-codes")
    assert attributes(page, "data-code") == ["A1", "B2", "OWN"] and element(page, "code-count") == "3"
    text = text_of(page)
    assert "Nena since" in text and "Shared: double collection risk" in text
    assert "/soas?collector_code=A1" in attributes(page, "href")


def test_soas_without_a_known_code_are_pointed_at(site: Site) -> None:
    assert "SOAs to assign 2" in text_of(site.page("carla", "/collector-codes"))
    page = site.page("carla", "/collector-codes/unassigned")
    assert list(zip(attributes(page, "data-unassigned"), attributes(page, "data-why"), strict=True)) == [("-", "none"), ("ZZ9", "unknown")]
    assert element(page, "unassigned-count") == "2" and {"/soas?collector_code=-", "/soas?collector_code=ZZ9"} <= set(
        attributes(page, "href")
    )
    assert "ask an admin to add it" in text_of(page)
    assert "/collector-codes?add=ZZ9" in attributes(site.page("ada", "/collector-codes/unassigned"), "href")
    assert 'value="ZZ9"' in site.page("ada", "/collector-codes?add=ZZ9")


def test_an_admin_adds_and_removes_a_code_of_our_own(site: Site) -> None:
    assert site.post("ada", "/collector-codes", {"code": "NEW1", "name": "New", "area": "Angat"}).status_code == 303
    assert "NEW1" in attributes(site.page("ada", "/collector-codes"), "data-code")
    assert site.post("ada", "/collector-codes", {"code": "NEW1"}).status_code == 409
    assert site.post("ada", "/collector-codes/remove", {"code": "NEW1"}).status_code == 303
    assert "NEW1" not in attributes(site.page("ada", "/collector-codes"), "data-code")


def test_a_code_in_use_cannot_be_removed(site: Site) -> None:
    assert site.post("ada", "/collector-codes/remove", {"code": "A1"}).status_code == 409
    assert "A1" in attributes(site.page("ada", "/collector-codes"), "data-code")


def test_only_admins_change_codes(site: Site) -> None:
    for name in ("carla", "ramon"):
        page = site.page(name, "/collector-codes")
        assert "Add a code" not in page and "Remove" not in page
        assert site.post(name, "/collector-codes", {"code": "X1"}).status_code == 403
    assert site.get("nena", "/collector-codes").status_code == 403


def test_codes_are_searched_and_sorted_out(site: Site) -> None:
    with site.app.app_context():
        for number in range(240):
            collector_codes.add(f"Z{number:03d}", f"Zone {number}", "", NOW)
        db.session.commit()
    for query, found, shown in (
        ("", 243, 100), ("?q=nena", 1, 1), ("?q=plaridel+south", 1, 1), ("?show=shared", 1, 1), ("?show=unheld", 241, 100),
        ("?show=unused&q=zone+z07", 10, 10), ("?q=nothing+like+it", 0, 0),
    ):  # fmt: skip
        page = site.page("carla", f"/collector-codes{query}")
        assert element(page, "code-count") == str(found), query
        assert len(attributes(page, "data-code")) == shown, query
    seen: list[str] = []
    address = "/collector-codes?show=unheld"
    while address:
        page = site.page("carla", address)
        seen += attributes(page, "data-code")
        address = next((href for href in attributes(page, "href") if "after=" in href), "")
    assert len(seen) == len(set(seen)) == 241 and seen == sorted(seen)


def test_each_number_of_a_code_is_the_count_of_the_list_it_leads_to(site: Site) -> None:
    today = clock_today(site)
    with site.app.app_context():
        store_soas(make_soa("T1", due_date=today), make_soa("T2", due_date=today + timedelta(days=3)))
    page = site.page("carla", "/collector-codes/one?code=A1")
    for name, count in (("all-accounts", 59), ("today-accounts", 1), ("overdue-accounts", 57)):
        cell = page[page.index(f'id="{name}"') :]
        (address,) = attributes(cell[: cell.index("</td>")], "href")
        assert text_of(cell[cell.index(">") + 1 : cell.index("</td>")]).strip() == str(count), name
        assert element(site.page("carla", address), "soa-count") == str(count), name
    assert element(page, "account-total") == element(site.page("carla", "/soas?collector_code=A1"), "soa-total")
    index = site.page("carla", "/collector-codes")
    for address in ("/soas?collector_code=A1", "/soas?collector_code=A1&overdue=1", "/soas?collector_code=B2"):
        shown = re.search(rf'href="{re.escape(address.replace("&", "&amp;"))}">([0-9,]+)<', index)
        assert shown and shown[1] == element(site.page("carla", address), "soa-count")


def clock_today(site: Site) -> date:
    with site.app.app_context():
        return clock.today()


def test_a_code_tells_who_held_it_when_and_warns_of_two_collectors(site: Site) -> None:
    with site.app.app_context():
        jun = user_store.by_name("jun")
        assert jun
        user_store.set_codes(jun.id, ["B2"], NOW + timedelta(days=1))
        db.session.commit()
    page = site.page("carla", "/collector-codes/one?code=A1")
    assert attributes(page, "data-holder") == ["jun", "nena"] and "Shared" not in page
    text = text_of(page)
    assert "Jun 20 Nov 2026, 09:30 21 Nov 2026, 09:30" in text and "Nena 20 Nov 2026, 09:30 Holds it now" in text
    with site.app.app_context():
        user_store.set_codes(jun.id, ["A1"], NOW + timedelta(days=2))
        db.session.commit()
    text = text_of(site.page("carla", "/collector-codes/one?code=A1"))
    assert "Nena, Jun download the same SOAs" in text
    assert "It comes from PSCloud" in text_of(site.page("ada", "/collector-codes/one?code=A1"))


def test_a_code_of_our_own_can_go_when_nothing_stands_in_its_way_and_else_says_what_does(site: Site) -> None:
    assert 'action="/collector-codes/remove"' in site.page("ada", "/collector-codes/one?code=OWN")
    with site.app.app_context():
        make_user("mina", "collector", codes=["OWN"])
    page = site.page("ada", "/collector-codes/one?code=OWN")
    assert 'action="/collector-codes/remove"' not in page and "1 person holds it: take it from them under Users." in text_of(page)
    answer = site.post("ada", "/collector-codes/remove", {"code": "OWN"}, {"HX-Request": "true", "HX-Boosted": "true"})
    assert answer.status_code == 409 and "1 person holds it" in answer.text


def test_a_code_on_no_list_has_a_page_and_one_nobody_knows_has_none(site: Site) -> None:
    text = text_of(site.page("carla", "/collector-codes/one?code=ZZ9"))
    assert "This code is on no list" in text and "1 account" in text
    for wrong in ("", "NOPE", "%00", "A" * 300):
        assert site.get("carla", f"/collector-codes/one?code={wrong}").status_code == 404
    odd = "A//B &<i> 1"
    with site.app.app_context():
        store_soas(make_soa("ODD", collector_code=odd))
        service.add("A//B", "", "", "ada", NOW)
    page = site.page("ada", "/collector-codes/unassigned")
    assert {"none", "unknown"} == set(attributes(page, "data-why"))
    links = [href for href in attributes(page, "href") if href.startswith("/collector-codes/one?") and "A" in href]
    assert "This code is on no list" in site.page("ada", links[0])


def test_who_has_the_latest_list_and_who_has_not(site: Site) -> None:
    with site.app.app_context():
        make_user("mina", "collector")
        phone = make_phone("jun")
        older = make_phone("jun")
        day = clock.now()
        earlier = day - timedelta(days=10)
        db.session.execute(db.metadata.tables["sync_runs"].update().values(requested_at=earlier, started_at=earlier, finished_at=earlier))
        last = store_soas(make_soa("S1"), now=day)
        terminals.add_download(phone.terminal.id, phone.terminal.user_id, 3, f"{last}-0", day, day, 57, make_soa().amount_due)
        terminals.add_download(older.terminal.id, older.terminal.user_id, 3, "1-0", NOW, NOW, 50, make_soa().amount_due)
        terminals.add_download(older.terminal.id, older.terminal.user_id, 2, f"{last}-0", NOW, NOW, 50, make_soa().amount_due)
        db.session.commit()
    page = site.page("carla", "/collector-codes/downloads")
    states = dict(zip(attributes(page, "data-collector"), attributes(page, "data-state"), strict=True))
    assert states == {"jun": "latest", "mina": "no_code", "nena": "missing"}
    assert len(attributes(page, "data-terminal")) == 3 and "On another phone" in page and f"Today's list: download {last}" in text_of(page)
    for state, count in (("latest", 1), ("missing", 1), ("no_code", 1)):
        part = site.page("carla", f"/collector-codes/downloads?state={state}")
        assert element(part, "download-count") == str(count) and len(attributes(part, "data-collector")) == count
    assert attributes(site.page("carla", "/collector-codes/downloads?q=B2"), "data-collector") == ["jun"]
    row = text_of(page[page.index(f'data-terminal="{phone.code}"') :])
    assert f"{last}-0 57 2,240.00" in row
    one = site.page("carla", "/collector-codes/one?code=B2")
    assert attributes(one, "data-terminal") == [phone.code, older.code]


def test_without_a_download_today_the_latest_list_is_named_with_its_day(site: Site) -> None:
    with site.app.app_context():
        old = NOW - timedelta(days=100)
        db.session.execute(db.metadata.tables["sync_runs"].update().values(requested_at=old, started_at=old, finished_at=old))
        db.session.commit()
    text = text_of(site.page("carla", "/collector-codes/downloads"))
    assert "No download from PSCloud was completed today. The latest list is of 12 Aug 2026: download 2" in text
    with site.app.app_context():
        for table in ("soa_changes", "invoices", "soas", "soa_totals", "sync_failures", "sync_runs"):
            db.session.execute(db.metadata.tables[table].delete())
        db.session.commit()
    page = site.page("carla", "/collector-codes/downloads")
    assert "Today's list" not in page and set(attributes(page, "data-state")) == {"missing"}
    assert "Every SOA has its collector" in site.page("carla", "/collector-codes/unassigned")


def test_hostile_names_arrive_as_text(site: Site) -> None:
    with site.app.app_context():
        collector_codes.add("<b>", TRICKY[:100], "<i>x</i>", NOW)
        user_id = make_user("hostile", "collector", codes=["<b>"])
        user_store.set_fields(user_id, display_name="<u>Mina</u>")
        db.session.commit()
        make_phone("hostile")
    for path in ("/collector-codes", "/collector-codes/one?code=%3Cb%3E", "/collector-codes/downloads"):
        page = site.page("carla", path)
        assert "<b>" not in page and "<u>" not in page and "<i>x" not in page and "<script>alert" not in page
