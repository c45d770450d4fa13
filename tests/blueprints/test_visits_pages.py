"""Visits in the office: what waits, what was said, and the account they belong to."""

from __future__ import annotations

import pytest

from tests.blueprints.office_site import HTMX, Site, attributes, element, upload
from tests.factories import make_phone

TRICKY = '<b>Dog</b> & "gate" {{7*7}}'


@pytest.fixture
def visited(site: Site) -> Site:
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        phone.append("no_collection", {"soa": "S050", "reason": TRICKY, "note": None})
        phone.append("promise", {"soa": "S051", "promised_on": "2026-01-05", "amount": 123450, "note": "After the 5th"})
        phone.append("promise", {"soa": "nowhere", "promised_on": "2099-01-05", "amount": None, "note": None})
        upload(phone, "automatic")
    return site


def test_promises_that_wait_come_first_and_each_tab_shows_its_own(visited: Site) -> None:
    page = visited.page("carla", "/visits")
    assert (element(page, "promises-open"), element(page, "promises-late")) == ("2", "1")
    assert len(attributes(page, "data-visit")) == 2 and "1,234.50" in page and "After the 5th" in page and "nowhere" in page
    assert "Could not collect" in page and "Dog" not in page
    others = visited.page("carla", "/visits?kind=no_collection")
    assert "&lt;b&gt;Dog&lt;/b&gt; &amp; " in others and "{{7*7}}" in others and len(attributes(others, "data-visit")) == 1
    assert len(attributes(visited.page("ada", "/visits?kind=all"), "data-visit")) == 3
    assert "is not one of the choices" in visited.page("carla", "/visits?kind=party")


def test_the_part_that_htmx_swaps_is_the_part(visited: Site) -> None:
    part = visited.get("carla", "/visits?kind=all", **HTMX).text
    assert "<html" not in part and len(attributes(part, "data-visit")) == 3


def test_an_office_without_visits_is_told_where_they_come_from(site: Site) -> None:
    assert "No promise waits" in site.page("carla", "/visits") and "No visits here" in site.page("carla", "/visits?kind=all")


def test_the_account_tells_of_its_visits(visited: Site) -> None:
    assert "1,234.50 promised for 5 Jan 2026" in visited.page("carla", "/soas/S051")
    assert "Could not collect: &lt;b&gt;Dog" in visited.page("carla", "/soas/S050")
