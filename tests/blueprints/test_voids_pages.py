"""Voids: what waits, who may decide it, and the mark a void leaves on lists, details and paper."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta

import pytest

from portal import collection_report
from portal.extensions import db
from portal.services import void_postings, voids
from portal.store import ledger, report_rows, soas
from portal.store import voids as store
from portal.store.report_rows import ReportFilter
from tests.blueprints.office_site import Site, attributes, cookie_of, element, text_of, upload
from tests.factories import NOW, Phone, make_phone, make_user

EVERY = ReportFilter(date(2026, 11, 20), date(2026, 11, 20), NOW, NOW)
REASON = '<b>Typed</b> 300 instead of "30"'


class Asked:
    """Two voids that wait: Jun asked for them, of payments of 300.00 and 7.00."""

    def __init__(self, site: Site) -> None:
        self.site = site
        with site.app.app_context():
            self.phone: Phone = make_phone("jun")
            self.phone.start()
            known = soas.get_many(["S050", "S051"])
            first = self.phone.pay(known["S050"], 30000)
            second = self.phone.pay(known["S051"], 700, tender="check", channel="BDO", reference="77")
            self.payment, self.receipt = str(first.payload["payment"]), str(first.payload["receipt_number"])
            self.phone.ask_void(first, REASON)
            self.phone.ask_void(second, "The check was taken back")
            upload(self.phone, "automatic")
            self.id, self.other = sorted(row.id for row in store.list_page("requested")[0])

    def approve(self) -> None:
        with self.site.app.app_context():
            voids.approve(self.id, "ramon", "", NOW)


@pytest.fixture
def asked(site: Site) -> Asked:
    return Asked(site)


def state(site: Site, void_id: int) -> str:
    with site.app.app_context():
        found = store.get(void_id)
        assert found
        return found.state


def test_what_waits_is_counted_everywhere_and_listed_longest_waiting_first(site: Site, asked: Asked) -> None:
    page = site.page("carla", "/voids")
    assert (element(page, "void-count"), element(page, "void-total")) == ("2", "₱307.00")
    assert attributes(page, "data-void") == [str(asked.id), str(asked.other)]
    text = text_of(page)
    assert "Waiting 2" in text and "All 2" in text and "Refused 0" in text and "ago" in text
    assert REASON in text and "<b>Typed" not in page
    assert "Voids 2 waiting" in text_of(site.page("carla", "/payments")), "the rail says how many wait"
    assert "2 voids to decide" in text_of(site.page("ramon", "/"))
    assert attributes(site.page("ramon", "/voids?state=approved", HX_Request="true"), "data-void") == []


def test_an_office_without_voids_says_so(site: Site) -> None:
    assert "No void waits" in site.page("carla", "/voids")
    assert "No voids here" in site.page("carla", "/voids?state=refused")
    assert "not one of the choices" in text_of(site.page("carla", "/voids?state=gold"))
    assert site.get("carla", "/voids/12345").status_code == 404


def test_only_a_supervisor_sees_the_forms_and_decides(site: Site, asked: Asked) -> None:
    for name in ("carla", "ada"):
        page = site.page(name, f"/voids/{asked.id}")
        assert "/approve" not in page and "/refuse" not in page and "A supervisor who neither" in page
        for action in ("approve", "refuse"):
            assert site.post(name, f"/voids/{asked.id}/{action}", {"reason": "because"}).status_code == 403
    assert site.get("nena", "/voids").status_code == 403
    page = site.page("ramon", f"/voids/{asked.id}")
    assert "Approve the void of ₱300.00" in page and f'action="/voids/{asked.id}/refuse"' in page
    assert "it never will be" in page, "what follows is said before anybody decides"
    assert state(site, asked.id) == "requested"


def test_approving_marks_the_payment_in_lists_totals_csv_and_the_soa(site: Site, asked: Asked) -> None:
    before = element(site.page("carla", "/payments"), "payment-total")
    answer = site.post("ramon", f"/voids/{asked.id}/approve")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/voids/{asked.id}")
    detail = text_of(site.page("ramon", f"/voids/{asked.id}"))
    assert "The void is approved. The payment is not in PSCloud" in detail and "Approved by Ramon" in detail and "Not posted" in detail
    page = site.page("carla", "/payments")
    assert before == "₱907.00" and element(page, "payment-total") == "₱607.00" and element(page, "payment-voided") == "₱300.00"
    assert text_of(page).count("Voided ") >= 2 and 'class="is-void"' in page and "Void waits" in text_of(page)
    assert attributes(site.page("carla", "/payments?void=approved"), "data-payment") == [asked.payment]
    assert element(site.page("carla", "/payments?void=requested"), "payment-count") == "1"
    assert element(site.page("carla", "/payments?void=none"), "payment-count") == "3"
    payment = text_of(site.page("carla", f"/payments/{asked.payment}"))
    for words in ("This payment is voided.", "It is not posted to PSCloud.", REASON, "-V000001", "Ramon, "):
        assert words in payment.replace("<script", "<s"), words
    assert "Hold this payment" not in payment
    head, *rows = csv.reader(io.StringIO(site.get("carla", "/payments.csv").text.removeprefix("\ufeff")))
    assert sorted(dict(zip(head, row, strict=True))["Void"] for row in rows) == ["", "", "", "Asked for", "Voided"]
    assert ", voided" in site.page("carla", "/soas/S050")
    assert site.post("ramon", f"/voids/{asked.id}/refuse", {"reason": "too late"}).status_code == 409


def test_a_refusal_needs_a_reason_and_lets_the_payment_go_on(site: Site, asked: Asked) -> None:
    assert site.post("ramon", f"/voids/{asked.id}/refuse", {"reason": "  "}).status_code == 422
    assert site.post("ramon", f"/voids/{asked.id}/refuse", {"reason": "The receipt is right"}).status_code == 303
    assert state(site, asked.id) == "refused" and "The receipt is right" in site.page("carla", f"/voids/{asked.id}")
    page = site.page("carla", f"/payments/{asked.payment}")
    assert "Hold this payment" in page and "A void was asked for." not in page and "Refused" in page
    assert attributes(site.page("carla", "/voids?state=refused"), "data-void") == [str(asked.id)]


def test_a_supervisor_who_collected_it_is_told_that_another_must_decide(site: Site, asked: Asked) -> None:
    with site.app.app_context():
        db.session.execute(db.text("INSERT INTO user_roles (user_id, role) SELECT id, 'supervisor' FROM users WHERE name = 'jun'"))
        db.session.commit()
        jun = cookie_of(site.app, "jun")
    site._cookies["jun"] = jun
    page = site.page("jun", f"/voids/{asked.id}")
    assert "Another supervisor must decide" in page and "/approve" not in page
    assert site.post("jun", f"/voids/{asked.id}/approve").status_code == 403 and state(site, asked.id) == "requested"


def test_a_payment_whose_void_waits_cannot_be_ticked_or_approved(site: Site, asked: Asked) -> None:
    with site.app.app_context():
        ledger.set_status(asked.payment, "approved", "pending", "", NOW)
        db.session.commit()
    assert f'value="{asked.payment}"' not in site.page("ramon", "/payments")
    page = site.page("ramon", f"/payments/{asked.payment}")
    assert "/payments/approve" not in page and "A void was asked for." in page
    answer = site.post("ramon", "/payments/approve", {"payment": [asked.payment]})
    assert answer.status_code == 409 and "Voids page" in answer.text


def test_what_pscloud_refused_is_shown_with_its_reason_and_sent_again(site: Site, asked: Asked) -> None:
    assert site.post("carla", f"/voids/{asked.id}/retry").status_code == 409
    asked.approve()
    with site.app.app_context():
        store.make_due([asked.payment], NOW)
        assert store.claim("lease", NOW, NOW + timedelta(minutes=1))
        assert store.finish(asked.id, "lease", "failed", "The period of this payment is closed.", "{}", NOW)
        db.session.commit()
    page = text_of(site.page("carla", f"/voids/{asked.id}"))
    assert "PSCloud still counts this payment. The period of this payment is closed." in page and "Tell PSCloud again" in page
    assert "1 void PSCloud refused" in text_of(site.page("carla", "/"))
    assert site.post("ada", f"/voids/{asked.id}/retry").status_code == 403
    assert site.post("carla", f"/voids/{asked.id}/retry").status_code == 303
    with site.app.app_context():
        assert void_postings.anything_due(NOW + timedelta(days=9999))


def test_the_collection_report_shows_voids_in_place_and_out_of_the_totals(site: Site, asked: Asked) -> None:
    asked.approve()
    with site.app.app_context():
        lines = list(report_rows.collection(EVERY))
        html = site.app.jinja_env.get_template("pdf/collection_report.html").render(
            DEMO=True, ORGANISATION=site.app.config["ORGANISATION"], made_at=NOW,
            **collection_report.contents(lines, ["20 Nov 2026"], []),
        )  # fmt: skip
    text = text_of(html.replace("<script", "<s"))
    assert f"VOID {asked.phone.code}-V000001: {REASON}. Approved by Ramon" in text and "<b>Typed" not in html
    assert "4 payments, 1 voided and not in the totals" in text and "₱607.00" in text and "Voided, not in the total (1) 300.00" in text
    assert "void asked for" in text and asked.receipt in text
    answer = site.get("ramon", "/reports/collection.pdf?from=2026-11-20&to=2026-11-20")
    assert answer.status_code == 200 and answer.data.startswith(b"%PDF")


def test_many_voids_come_in_pages(site: Site, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal.blueprints import voids as module

    monkeypatch.setattr(module, "PAGE", 1)
    first = site.page("carla", "/voids")
    onward = next(link for link in attributes(first, "href") if "after_id" in link)
    assert attributes(first, "data-void") == [str(asked.id)]
    assert attributes(site.page("carla", onward), "data-void") == [str(asked.other)]
    assert attributes(site.page("carla", "/voids?state=all"), "data-void") == [str(asked.other)], "decided or not, the newest first"


def test_the_page_tells_a_supervisor_what_an_approval_does_to_a_posted_payment(site: Site, asked: Asked) -> None:
    with site.app.app_context():
        make_user("sonia", "supervisor")
        ledger.set_status(asked.payment, "approved", "completed", "", NOW, posted_at=NOW)
        db.session.commit()
    assert "PSCloud is told to void it" in site.page("ramon", f"/voids/{asked.id}")
