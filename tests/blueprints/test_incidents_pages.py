"""Incidents: what waits for a person, filtered, and closed with words that stay."""

from __future__ import annotations

from datetime import timedelta

from portal.extensions import db
from portal.store import audit, incidents, terminals
from tests.blueprints.office_site import TRICKY, Site, attributes, element, text_of
from tests.factories import NOW

HTMX = {"HX-Request": "true", "HX-Boosted": "true"}


def raise_some(site: Site, count: int = 60) -> int:
    """So many more, every third a quarantined entry of T01; how many were open before."""
    with site.app.app_context():
        before = incidents.count_open()
        terminal = terminals.by_code("T01")
        assert terminal
        for number in range(count):
            kind, about = ("quarantined", terminal.id) if number % 3 == 0 else ("clock_jump", None)
            incidents.add(kind, f"Trouble {number} {TRICKY}", NOW + timedelta(seconds=number), about, f"T01/{number}")
        db.session.commit()
    return before


def test_the_rail_leads_to_the_incidents_also_when_none_is_open(site: Site) -> None:
    for who in ("carla", "ramon", "ada"):
        assert '<a href="/incidents"' in site.page(who, "/visits"), who


def test_open_incidents_are_listed_newest_first_and_filtered(site: Site) -> None:
    before = raise_some(site)
    for query, count in (("", 60 + before), ("?kind=quarantined", 20), ("?kind=quarantined&terminal=T01", 20), ("?state=closed", 0)):
        page = site.page("carla", f"/incidents{query}")
        assert element(page, "incident-count") == str(count), query
        assert len(attributes(page, "data-incident")) == min(count, 50), query
    page = site.page("carla", "/incidents")
    shown = [int(one) for one in attributes(page, "data-incident")]
    assert shown == sorted(shown, reverse=True) and "<script>alert" not in page and TRICKY in text_of(page.replace("<script", "<s"))
    older = next(href for href in attributes(page, "href") if "before_id=" in href)
    rest = [int(one) for one in attributes(site.page("carla", older), "data-incident")]
    assert len(rest) == 10 + before and max(rest) < min(shown)
    assert "is not one of the choices" in site.page("carla", "/incidents?kind=nothing")
    assert "Journal entry set aside" in page and "Clock moved" in page


def test_a_supervisor_closes_an_incident_once_and_says_what_came_of_it(site: Site) -> None:
    raise_some(site, 1)
    number = attributes(site.page("ramon", "/incidents"), "data-incident")[0]
    path = f"/incidents/{number}/close"
    refused = site.post("ramon", path, {"resolution": "  "}, HTMX)
    assert refused.status_code == 422 and "Say in 3 to 500 letters" in refused.text
    answer = site.post("ramon", path, {"resolution": "Phone was\n repaired", "back": "/incidents?kind=quarantined"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/incidents?kind=quarantined")
    assert site.post("ramon", path, {"resolution": "Again", "back": "//elsewhere.test"}, HTMX).status_code == 409
    assert number not in attributes(site.page("ramon", "/incidents"), "data-incident")
    closed = site.page("carla", "/incidents?state=closed")
    assert attributes(closed, "data-incident") == [number] and "Phone was repaired Ramon, " in text_of(closed)
    with site.app.app_context():
        assert audit.verify()[1] is None
        (entry,) = db.session.execute(
            db.metadata.tables["audit_log"].select().where(db.metadata.tables["audit_log"].c.action == "incident_closed")
        )
        assert (entry.who, entry.subject) == ("ramon", f"incident {number}") and "Phone was repaired" in entry.detail
    assert site.post("ramon", "/incidents/99999/close", {"resolution": "Nothing there"}, HTMX).status_code == 404


def test_the_office_sees_incidents_and_does_not_close_them(site: Site) -> None:
    raise_some(site, 1)
    page = site.page("carla", "/incidents")
    number = attributes(page, "data-incident")[0]
    assert "Close incident" not in page and "Close incident" in site.page("ada", "/incidents")
    assert site.post("carla", f"/incidents/{number}/close", {"resolution": "I did it"}).status_code == 403
    assert site.get("nena", "/incidents").status_code == 403


def test_an_office_without_incidents_is_told_so(site: Site) -> None:
    while numbers := attributes(site.page("ada", "/incidents"), "data-incident"):
        for number in numbers:
            site.post("ada", f"/incidents/{number}/close", {"resolution": "Looked at it"})
    assert "Nothing needs your attention" in site.page("carla", "/incidents")
    assert "No incident matches" in site.page("carla", "/incidents?kind=clock_jump")
