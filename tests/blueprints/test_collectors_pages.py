"""Collector Code: who holds what, what nobody collects, and codes of our own."""

from __future__ import annotations

from tests.blueprints.office_site import Site, attributes, text_of


def test_codes_show_holders_accounts_money_and_double_collection_risk(site: Site) -> None:
    page = site.page("carla", "/collector-codes")
    assert attributes(page, "data-code") == ["A1", "B2", "OWN"]
    text = text_of(page)
    assert "Nena since" in text and "Shared: double collection risk" in text
    assert "/soas?collector_code=A1" in attributes(page, "href")


def test_soas_without_a_known_code_are_pointed_at(site: Site) -> None:
    text = text_of(site.page("carla", "/collector-codes"))
    assert "SOAs without a known collector code" in text and "ZZ9 : 1 account" in text and "No code : 1 account" in text
    assert "/soas?collector_code=-" in attributes(site.page("carla", "/collector-codes"), "href")


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
