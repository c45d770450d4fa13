"""The page Settings: every setting can be changed there, refused in plain words, and holds for phones, papers and services."""

from __future__ import annotations

import re
from dataclasses import replace

from portal.domain.settings import SECTIONS
from portal.extensions import db
from portal.services import settings
from portal.store import ledger
from portal.store.ledger import PaymentFilter
from tests.blueprints.office_site import HTMX, TRICKY, Site, text_of
from tests.factories import api_headers, make_phone, make_soa

RULES = {"payment_approval": "automatic", "stale_soa_days": "7", "terminal_approval": "automatic", "sync_drop_percent": "20"}
LETTERHEAD = {
    "registered_name": "Bagong Hardin, Inc.",
    "business_name": "",
    "address": "Baliuag",
    "tin": "123-456-789-00001",
    "min": "M",
    "serial": "S",
    "ptu": "P",
}
RECEIPTS = {"receipt_title": "RESIBO", "receipt_header": "Tel. 044 555", "receipt_phrase": "Not valid", "receipt_footer": "Salamat\npo"}


def save(site: Site, section: str, values: dict[str, str], version: int = 0, who: str = "ada") -> str:
    answer = site.post(who, f"/settings/{section}", {**values, "version": version})
    assert answer.status_code == 303, text_of(answer.text)
    return answer.headers["Location"]


def test_every_setting_has_a_labelled_field_and_its_group_can_be_saved(site: Site) -> None:
    page = site.page("ada", "/settings")
    for section in SECTIONS:
        assert f'action="/settings/{section.name}"' in page
        for one in section.settings:
            assert f'for="field-{one.name}"' in page and f'name="{one.name}"' in page
    assert "As installed" in page and "http://127.0.0.1:9" in page and "test-token" not in page
    assert save(site, "letterhead", LETTERHEAD) == "/settings#letterhead"
    page = site.page("ada", "/settings")
    assert "Letterhead: saved. It holds from now on." in page and "Changed by ada, " in text_of(page)
    assert "Bagong Hardin, Inc.</title>" in page and "Bagong Hardin" in site.page("ramon", "/")
    assert not re.search(r'name="vat_registered"[^>]*checked', page)  # a box that is not ticked is sent as nothing
    trail = text_of(site.page("ada", "/audit?action=settings_changed"))
    assert "Changed settings" in trail and "now Bagong Hardin, Inc." in trail and "VAT registered yes before, now no" in trail


def test_what_cannot_be_is_told_beside_its_field_and_what_was_typed_stays(site: Site) -> None:
    answer = site.post(
        "ada",
        "/settings/rules",
        {**RULES, "stale_soa_days": "<b>never", "sync_drop_percent": "33", "version": 0},
        {**HTMX, "HX-Boosted": "true"},
    )
    assert answer.status_code == 422 and "write a whole number from 1 to 365" in answer.text and "Nothing was saved" in answer.text
    assert 'value="33"' in answer.text and "&lt;b&gt;never" in answer.text and "<b>never" not in answer.text
    with site.app.app_context():
        assert settings.current().sync_drop_percent == 20
    assert site.post("ada", "/settings/letterhead", {**LETTERHEAD, "registered_name": " ", "version": 0}).status_code == 422
    assert site.post("ada", "/settings/rules", {**RULES, "version": "x"}).status_code == 409
    assert site.post("ada", "/settings/nothing", {}).status_code == 404


def test_a_form_that_was_opened_before_somebody_elses_change_is_refused_and_shows_what_stands(site: Site) -> None:
    save(site, "rules", {**RULES, "stale_soa_days": "3"})
    answer = site.post("ada", "/settings/rules", {**RULES, "stale_soa_days": "30", "version": 0})
    assert answer.status_code == 409 and "Somebody changed these settings" in answer.text and 'value="3"' in answer.text
    assert "nothing was different" in site.get("ada", save(site, "rules", {**RULES, "stale_soa_days": "3"}, version=1)).text


def test_letterhead_and_words_stand_on_paper_and_reach_the_phone(site: Site) -> None:
    save(site, "letterhead", {**LETTERHEAD, "vat_registered": "1", "registered_name": f"Hardin {TRICKY}"})
    save(site, "receipts", RECEIPTS)
    save(site, "reasons", {"void_reasons": "Typing error", "no_collection_reasons": "Nobody there\nMoved", "expense_kinds": "Fuel\nIce"})
    business = site.get("nena", "/api/v1/soas").get_json()["business"]
    assert business["registered_name"] == f"Hardin {TRICKY}" and business["vat_registered"] is True
    assert (business["receipt_title"], business["receipt_header"], business["receipt_footer"]) == (
        "RESIBO",
        ["Tel. 044 555"],
        ["Salamat", "po"],
    )
    assert (business["void_reasons"], business["no_collection_reasons"]) == (["Typing error"], ["Nobody there", "Moved"])
    assert business["expense_kinds"] == ["Fuel", "Ice"]
    assert "payment_approval" not in business and site.get("nena", "/api/v1/terminals/T01").get_json()["business"] == business
    assert site.get("ramon", "/readings/2.pdf").data[:5] == b"%PDF-"
    with site.app.app_context():
        from portal import documents

        filled = documents._filled("pdf/page_numbers.html", {"pages": 1})
        head = documents._filled("pdf/_letterhead.html", {})
        assert "VAT REG TIN 123-456-789-00001" in head and "Baliuag" in head and "<script>" not in head and filled


def test_the_phones_list_is_new_to_it_when_a_word_of_its_paper_changes(site: Site) -> None:
    tag = site.get("nena", "/api/v1/soas").headers["ETag"]
    assert site.get("nena", "/api/v1/soas", If_None_Match=tag).status_code == 304
    save(site, "receipts", RECEIPTS)
    assert site.get("nena", "/api/v1/soas", If_None_Match=tag).status_code == 200


def test_rules_hold_for_the_next_upload_and_the_next_phone(site: Site) -> None:
    save(site, "rules", {**RULES, "payment_approval": "manual", "terminal_approval": "manual", "stale_soa_days": "365"})
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start(snapshot="2-0")
        phone.pay(replace(make_soa("S1"), address="14 Rizal St."), 100)
        body = phone.upload_body()
        db.session.remove()
    from tests import factories

    client = factories.sign_in(site.app, "jun")
    answer = client.post("/api/v1/journal", json=body, headers=api_headers(client))
    assert answer.status_code == 200
    with site.app.app_context():
        newest = ledger.list_page(PaymentFilter(collector="jun")).rows[0]
        assert newest.status == "pending"
    key = {"kty": "EC", "crv": "P-256", **{name: factories.Phone.jwk(phone)[name] for name in ("x", "y")}}
    other = factories.ec.generate_private_key(factories.ec.SECP256R1()).public_key().public_numbers()
    key |= {"x": factories.b64(other.x.to_bytes(32, "big")), "y": factories.b64(other.y.to_bytes(32, "big"))}
    enrolled = client.post("/api/v1/terminals", json={"name": "New", "public_key": key}, headers=api_headers(client))
    assert enrolled.get_json()["state"] == "waiting"


def test_only_admins_see_or_change_settings(site: Site) -> None:
    for name in ("carla", "ramon", "nena"):
        assert site.get(name, "/settings").status_code == 403
    assert site.post("ramon", "/settings/rules", {**RULES, "version": 0}).status_code == 403
    assert "/settings" not in site.page("ramon", "/") and 'href="/settings"' in site.page("ada", "/")
