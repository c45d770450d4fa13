"""Terminals: which phones may collect, and barring one for good."""

from __future__ import annotations

import io
import json
import re

from werkzeug.test import TestResponse

from portal.extensions import db
from portal.store import terminals
from tests.blueprints.office_site import Site, attributes, text_of
from tests.factories import make_phone, make_soa


def state(site: Site) -> str:
    with site.app.app_context():
        found = terminals.by_code("T01")
        assert found
        return found.state


def set_state(site: Site, word: str) -> None:
    with site.app.app_context():
        terminals.set_fields(1, state=word)
        db.session.commit()


def test_the_list_shows_how_far_each_journal_is_held(site: Site) -> None:
    page = site.page("carla", "/terminals")
    assert attributes(page, "data-terminal") == ["T01"] and attributes(page, "data-state") == ["active"]
    text = text_of(page)
    assert "Nena" in text and "600.00" in text and "1 active" in text


def test_an_admin_revokes_for_good(site: Site) -> None:
    assert site.post("ada", "/terminals/T01/revoke").status_code == 303
    assert state(site) == "revoked"
    page = site.page("ada", "/terminals")
    assert "Revoked" in page and "/terminals/T01/revoke" not in page
    assert site.post("ada", "/terminals/T01/revoke").status_code == 409
    assert site.post("ada", "/terminals/T99/revoke").status_code == 404


def test_a_waiting_phone_is_approved(site: Site) -> None:
    set_state(site, "waiting")
    assert "/terminals/T01/approve" in site.page("ada", "/terminals")
    assert site.post("ada", "/terminals/T01/approve").status_code == 303
    assert state(site) == "active"
    assert site.post("ada", "/terminals/T01/approve").status_code == 409


def test_the_office_looks_and_does_not_touch(site: Site) -> None:
    for name in ("carla", "ramon"):
        assert "/revoke" not in site.page(name, "/terminals")
        assert site.post(name, "/terminals/T01/revoke").status_code == 403
    assert site.get("nena", "/terminals").status_code == 403
    assert state(site) == "active"


def test_a_rescue_file_is_handed_in_and_tells_what_became_of_it(site: Site) -> None:
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        body = {"what": "unsent journal entries", "user": "jun", "uploads": [phone.upload_body()]}
        code, count = phone.code, str(len(phone.entries))
    assert "Rescue file" in site.page("carla", "/terminals") and 'type="file"' in site.page("carla", "/rescue")

    def hand_in(content: bytes) -> TestResponse:
        return site.post("carla", "/rescue", {"file": (io.BytesIO(content), "rescue-T07.json")})

    first, again = hand_in(json.dumps(body).encode()), hand_in(json.dumps(body).encode())
    assert (first.status_code, again.status_code) == (200, 200)
    assert attributes(first.text, "data-terminal") == [code]
    cells = [re.findall(r'<td class="number (new|known)"[^>]*>(\d+)', answer.text) for answer in (first, again)]
    assert cells == [[("new", count), ("known", "0")], [("new", "0"), ("known", count)]]
    wrong = hand_in(b"<html>")
    assert wrong.status_code == 422 and "This is not a rescue file" in wrong.text and 'role="alert"' in wrong.text
    assert site.post("carla", "/rescue").status_code == 422


def test_a_payment_is_rebuilt_from_its_receipt_after_the_office_saw_what_it_says(site: Site) -> None:
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        code = phone.receipt_code(phone.pay(make_soa(), 123400, tender="check", channel="BDO", reference="0012"))
        number = f"{phone.code}-00000001"
    assert "Rebuild from a receipt" in site.page("carla", "/rescue")
    read = site.post("carla", "/rescue/receipt", {"code": f"https://portal.example/verify/{code}"})
    assert read.status_code == 200 and all(
        text in read.text for text in (number, "1,234.00", "Genuine", "Dela Cruz", "Record this payment")
    )
    without = site.post("carla", "/rescue/receipt/record", {"code": code})
    assert without.status_code == 422 and "number that the paper shows" in without.text and number in without.text
    done = site.post("carla", "/rescue/receipt/record", {"code": code, "channel": "BDO", "reference": "0012"})
    assert done.status_code == 200 and "is recorded" in done.text
    again = site.post("carla", "/rescue/receipt", {"code": code})
    assert "This payment is in the books." in again.text and "Record this payment" not in again.text
    twice = site.post("carla", "/rescue/receipt/record", {"code": code, "reference": "0012"})
    assert twice.status_code == 422 and "in the books already" in twice.text
    shown = site.page("carla", next(link for link in attributes(done.text, "href") if re.fullmatch("/payments/[0-9a-f-]{36}", link)))
    assert "Recorded from its receipt by carla" in shown and "has not arrived" in shown and "Rebuilt from receipt" in shown
    wrong = site.post("carla", "/rescue/receipt", {"code": "<script>x"})
    assert wrong.status_code == 422 and 'role="alert"' in wrong.text and "&lt;script&gt;x" in wrong.text
