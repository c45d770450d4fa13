"""The audit trail: plain words, filters, links to what an entry is about, files, and what the check of the chain found."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest

from portal.domain.audit_words import ACTIONS
from portal.extensions import db
from portal.services import audit_check
from portal.store import audit, audit_list
from portal.store.audit_list import AuditFilter
from tests.blueprints.office_site import HTMX, TRICKY, Site, attributes, element, text_of
from tests.factories import NOW

LONG_AGO = NOW - timedelta(days=300)
"""A day on which nobody logged in: people of the tests log in on the day the tests run. 24 January in Manila."""


def note(site: Site, action: str, subject: str, who: str = "ada", count: int = 1, **detail: object) -> None:
    with site.app.app_context():
        audit.add_all([audit.Event(who, action, subject, detail, LONG_AGO) for _ in range(count)])
        db.session.commit()


def test_the_newest_stand_first_and_older_ones_page_by_number(site: Site) -> None:
    note(site, "collector_code_added", "NEW", count=120, name=TRICKY)
    with site.app.app_context():
        length = audit.length()
    seen: list[int] = []
    address = "/audit"
    while address:
        page = site.page("ada", address)
        shown = [int(one) for one in attributes(page, "data-audit")]
        assert len(shown) <= 50 and shown == sorted(shown, reverse=True)
        seen += shown
        address = next((href for href in attributes(page, "href") if "before=" in href), "")
    assert seen == list(range(length, 0, -1)) and element(page, "audit-check") is not None
    page = site.page("ada", "/audit")
    assert "<script>alert" not in page and "Added a collector code" in page


def test_each_filter_lets_through_what_it_says(site: Site) -> None:
    note(site, "terminal_revoked", "T01", who="ramon")
    note(site, "user_added", "t01.user", who="ramon")
    for query, actions in (
        ("?who=ramon", {"terminal_revoked", "user_added", "login"}),
        ("?who=ramon&action=terminal_revoked", {"terminal_revoked"}),
        ("?q=t01&who=ramon", {"terminal_revoked", "user_added"}),
        ("?action=z_reading", {"z_reading"}),
        ("?from=2026-01-24&to=2026-01-24", {"terminal_revoked", "user_added"}),
    ):
        assert set(attributes(site.page("ada", f"/audit{query}"), "data-action")) == actions, query
    for query in ("?from=2026-01-25&to=2026-01-30", "?to=2026-01-23", "?q=%25", "?who=nobody"):
        assert "No entry matches" in site.page("ada", f"/audit{query}"), query
    page = site.page("ada", "/audit?from=2026-13-01&action=nonsense", **HTMX)
    assert "is not a date" in page and "is not one of the choices" in page and "<html" not in page


def test_a_receipt_number_finds_everything_about_its_payment(site: Site) -> None:
    page = site.page("ramon", "/audit?q=t01-00000001")
    assert "payment_booked" in attributes(page, "data-action")
    (payment,) = {href for href in attributes(page, "href") if href.startswith("/payments/")}
    assert "T01-00000001" in text_of(page) and "Amount 100.00" in text_of(page) and "Tender Cash" in text_of(page)
    assert site.get("ramon", payment).status_code == 200


def test_what_an_entry_is_about_leads_to_its_page_for_those_who_may_see_it(site: Site) -> None:
    things = {
        "user_added": "carla",
        "terminal_revoked": "T01",
        "sync_requested": "sync 1",
        "collector_code_added": "A1",
        "incident_closed": "incident 1",
    }
    for action, subject in things.items():
        note(site, action, subject)
    note(site, "export_requested", "export 77")
    note(site, "sync_cancelled", "sync of an old kind")
    for reader, missing in (("ada", {"export_requested"}), ("ramon", {"export_requested", "user_added"})):
        for action in things:
            page = site.page(reader, f"/audit?action={action}&who=ada")
            row = page[page.index("data-audit=") :]
            links = [href for href in attributes(row, "href") if re.match(r"/(users|terminals|syncs|collector-codes|incidents)", href)]
            assert bool(links) == (action not in missing), (reader, action)
            for link in links[:1]:
                assert site.get(reader, link).status_code == 200, link
    assert "/exports/77" in site.page("ada", "/audit") and "/exports/77" not in site.page("ramon", "/audit")


def test_every_action_is_offered_and_shown_in_words(site: Site) -> None:
    for action in ACTIONS:
        note(site, action, "some subject", reason="why", amount="1.00")
    page = site.page("ada", "/audit")
    for action, one in ACTIONS.items():
        assert one.words in page and f'value="{action}"' in page
    note(site, "from_a_later_version", "")
    assert "From a later version" in site.page("ada", "/audit")


def test_the_list_comes_as_csv_and_excel_of_exactly_what_is_filtered(site: Site) -> None:
    note(site, "payment_held", "=SUM(A1)", reason=TRICKY)
    answer = site.get("ramon", "/audit.csv?action=payment_held")
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    assert len(rows) == 2 and rows[1][3:6] == ["Held a payment", "payment_held", "'=SUM(A1)"] and TRICKY in rows[1][6]
    assert "attachment" in answer.headers["Content-Disposition"]
    assert len(rows[1][7]) == 64
    assert site.get("ramon", "/audit.xlsx?action=payment_held").data[:2] == b"PK"
    assert site.get("ramon", "/audit.csv?from=x", Accept="text/html").status_code == 422
    with site.app.app_context():
        everything = list(audit_list.iterate(AuditFilter()))
    whole = list(csv.reader(io.StringIO(site.get("ada", "/audit.csv").get_data(as_text=True).removeprefix("\ufeff"))))
    assert [int(row[0]) for row in whole[1:]] == [row.seq for row in everything]


def test_a_button_checks_the_chain_and_the_page_says_what_was_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    page = site.page("ada", "/audit")
    assert attributes(page, "data-state") == ["unchecked"] and "not checked yet" in page
    assert site.post("ramon", "/audit/check").status_code == 303
    page = site.page("ramon", "/audit")
    assert attributes(page, "data-state") == ["whole"] and "It is whole" in page
    note(site, "login", "", count=20)
    assert "20 have come since" in text_of(site.page("ada", "/audit"))
    monkeypatch.setattr(audit_check, "STEP", 10)
    assert site.post("ada", "/audit/check").status_code == 303
    page = site.page("ada", "/audit")
    assert attributes(page, "data-state") == ["checking"] and "Being checked" in page and "Check now" not in page
    with site.app.app_context():
        audit_check.run(NOW)
        db.session.execute(db.text("DROP TRIGGER audit_log_is_written_once"))
        db.session.execute(db.text("UPDATE audit_log SET who = 'nobody' WHERE seq = 3"))
        db.session.commit()
    site.post("ada", "/audit/check")
    page = site.page("ada", "/audit")
    assert attributes(page, "data-state") == ["broken"] and "entry 3 was changed after it was written" in page
    assert "entry 3 was changed after it was written" in site.page("ada", "/incidents")


def test_a_row_somebody_spoiled_is_shown_and_breaks_no_page(site: Site) -> None:
    note(site, "remittance_counted", "nena")
    with site.app.app_context():
        db.session.execute(db.text("DROP TRIGGER audit_log_is_written_once"))
        db.session.execute(db.text("UPDATE audit_log SET detail = '{\"lines\": [{\"expected\": 7}]' WHERE action = 'remittance_counted'"))
        db.session.commit()
    assert "&#34;expected&#34;: 7" in site.page("ada", "/audit?action=remittance_counted")


def test_only_supervisors_and_admins_read_it(site: Site) -> None:
    for path in ("/audit", "/audit.csv"):
        assert site.get("carla", path).status_code == 403 and site.get("nena", path).status_code == 403
    assert site.post("carla", "/audit/check").status_code == 403
    assert (
        "Audit Trail" not in site.page("carla", "/") and "Audit Trail" in site.page("ramon", "/") and "Audit Trail" in site.page("ada", "/")
    )
