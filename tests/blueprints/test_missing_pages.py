"""Missing numbers on their page: filtered, explained by a supervisor, taken back, closed by what arrives, told on Home."""

from __future__ import annotations

import pytest

from portal import clock
from portal.services import journal
from tests.blueprints.office_site import HTMX, Site, attributes, element, text_of, upload
from tests.factories import NOW, Phone, make_phone, make_soa, raw


@pytest.fixture(autouse=True)
def at_the_moment_of_the_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def skipping(site: Site, *numbers: int) -> Phone:
    """Jun's phone takes payments with these receipt numbers and uploads."""
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        for number in numbers:
            phone.receipts = number - 1
            phone.pay(make_soa("S1"), 100)
        upload(phone, "automatic")
    return phone


def test_gaps_are_listed_with_what_is_known_and_filtered(site: Site) -> None:
    phone = skipping(site, 1, 4, 6)
    page = site.page("carla", "/missing-numbers")
    words = text_of(page)
    assert (element(page, "missing-count"), len(attributes(page, "data-missing"))) == ("2", 2)
    assert f"{phone.code}-00000002 to {phone.code}-00000003 Receipts of {phone.code} 2 Missing Jun" in words
    assert f"After {phone.code}-00000001" in words and f"Before {phone.code}-00000004" in words
    assert "Jun: upload again, or bring the paper" in words and "3 numbers" in words
    for query, count in (
        ("?series=void", 0),
        ("?series=receipt", 2),
        (f"?terminal={phone.code}&collector=jun", 2),
        ("?state=explained", 0),
    ):
        found = site.page("carla", f"/missing-numbers{query}")
        assert len(attributes(found, "data-missing")) == count, query
    assert "No gap matches" in site.page("carla", "/missing-numbers?series=z")
    assert "is not one of the choices" in site.page("carla", "/missing-numbers?series=nothing")
    assert "<html" not in site.page("carla", "/missing-numbers", **HTMX)


def test_a_supervisor_explains_and_takes_back_and_home_counts_what_is_left(site: Site) -> None:
    skipping(site, 1, 3, 5)
    assert '"task-missing"' in site.page("ramon", "/")
    first, second = attributes(site.page("ramon", "/missing-numbers"), "data-missing")
    refused = site.post("ramon", f"/missing-numbers/{first}/explain", {"reason": " no "}, {**HTMX, "HX-Boosted": "true"})
    assert refused.status_code == 422 and "what happened to the number" in refused.text
    answer = site.post("ramon", f"/missing-numbers/{first}/explain", {"reason": "Test print", "back": "/missing-numbers?series=receipt"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/missing-numbers?series=receipt")
    assert attributes(site.page("ramon", "/missing-numbers"), "data-missing") == [second]
    explained = site.page("carla", "/missing-numbers?state=explained")
    assert attributes(explained, "data-missing") == [first] and "Test print ramon" in text_of(explained) and "Take back" not in explained
    assert "Take back" in site.page("ramon", "/missing-numbers?state=explained")
    assert site.post("ramon", f"/missing-numbers/{first}/reopen", {"reason": "Paper was found"}).status_code == 303
    assert len(attributes(site.page("ramon", "/missing-numbers"), "data-missing")) == 2


def test_the_office_looks_and_does_not_decide(site: Site) -> None:
    skipping(site, 1, 3)
    page = site.page("carla", "/missing-numbers")
    (number,) = attributes(page, "data-missing")
    assert "Keep the explanation" not in page
    for who in ("carla", "ada"):
        assert site.post(who, f"/missing-numbers/{number}/explain", {"reason": "I did it"}).status_code == 403, who
    assert site.get("nena", "/missing-numbers").status_code == 403


def test_what_is_held_behind_a_hole_is_on_the_phone_and_what_arrives_closes_its_gap(site: Site) -> None:
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        entries = [phone.pay(make_soa("S1"), 100) for _ in range(3)]
        uploader = journal.Uploader(phone.terminal.user_id, phone.user_name)
        policy = journal.Policy("automatic", 3650)
        journal.receive(phone.code, [raw(entries[-1])], phone.sign(entries[-1:]), uploader, policy, NOW)
    page = site.page("carla", "/missing-numbers")
    assert attributes(page, "data-on-phone") == [phone.code] and not attributes(page, "data-missing")
    assert f"1 entry, {phone.code}-00000003" in text_of(page) and "No number is missing" in page
    with site.app.app_context():
        bodies = [raw(entry) for entry in phone.entries]
        bodies[-3]["payload"] = {**bodies[-3]["payload"], "amount": 7}
        journal.receive(phone.code, bodies, phone.sign(phone.entries), uploader, policy, NOW)
    page = site.page("carla", "/missing-numbers")
    assert not attributes(page, "data-on-phone") and len(attributes(page, "data-missing")) == 1
    assert "1 entry sent between could not be booked" in page and "Before the first receipt that arrived" in page
    with site.app.app_context():
        journal.receive(phone.code, [raw(entries[0])], phone.sign(entries[:1]), uploader, policy, NOW)
    assert not attributes(site.page("carla", "/missing-numbers"), "data-missing")
    assert "Arrived 20 Nov 2026, 09:30." in text_of(site.page("carla", "/missing-numbers?state=arrived"))
