"""Giving a code for a void: what is typed, what is read out, who sees it, and how it can be taken back."""

from __future__ import annotations

import pytest

from portal.domain import void_codes as rules
from portal.store import soas
from portal.store import voids as store
from tests.blueprints.office_site import Site, attributes, cookie_of, element, text_of, upload
from tests.factories import Phone, make_phone, make_user


class Near:
    """Jun's phone, about to void a payment of 300.00 that the portal has not seen."""

    def __init__(self, site: Site) -> None:
        with site.app.app_context():
            self.phone: Phone = make_phone("jun")
            self.phone.start()
            self.paid = self.phone.pay(soas.get_many(["S050"])["S050"], 30000)
        self.number = f"{self.phone.code}-V000001"
        self.challenge = rules.challenge(self.phone.code, str(self.paid.payload["payment"]), self.number, 30000)

    @property
    def form(self) -> dict[str, str]:
        return {"void_number": self.number, "amount": "300.00", "challenge": self.challenge}


@pytest.fixture
def near(site: Site) -> Near:
    return Near(site)


def test_a_code_is_given_read_out_used_and_then_shown_no_more(site: Site, near: Near) -> None:
    assert 'id="give-a-code"' in site.page("ramon", "/voids") and 'id="give-a-code"' not in site.page("carla", "/voids")
    answer = site.post("ramon", "/voids/codes", near.form)
    assert answer.status_code == 303
    place = answer.headers["Location"]
    shown = site.get("ramon", place)
    assert shown.headers["Cache-Control"] == "no-store"
    code = element(shown.text, "void-code").replace(" ", "")
    assert rules.plausible(code, near.challenge)
    assert "has no payment that fits" in text_of(shown.text), "the payment is not uploaded: the supervisor is told to look"
    assert attributes(site.page("ramon", "/voids/codes"), "data-code") == [place.rsplit("/", 1)[1]]
    with site.app.app_context():
        upload(near.phone, "automatic")
    assert near.paid.payload["receipt_number"] in site.page("ramon", place)
    with site.app.app_context():
        near.phone.ask_void(near.paid, supervisor_code=code)
        upload(near.phone, "automatic")
        void = store.by_number(near.number)
        assert void and (void.state, void.decided_by) == ("approved", "ramon")
    used = site.page("ramon", place)
    assert code[:4] not in used and "This code was used" in used
    assert "By the supervisor&#39;s code" in site.page("carla", f"/voids/{void.id}")
    assert "None. A code is listed here" in site.page("ramon", "/voids/codes")


def test_what_was_typed_stays_when_it_is_wrong_and_the_words_say_why(site: Site, near: Near) -> None:
    for change, words in (
        ({"challenge": "123"}, "eight letters and digits"),
        ({"void_number": "T98-V000001"}, "no terminal T98"),
        ({"amount": "many"}, "amount"),
        ({"amount": ""}, ""),
    ):
        answer = site.post("ramon", "/voids/codes", {**near.form, **change})
        assert 400 <= answer.status_code < 500 and words in text_of(answer.text)
        assert near.form["void_number"] in answer.text or "void_number" in change
    assert attributes(site.page("ramon", "/voids/codes"), "data-code") == []


def test_a_code_taken_back_leaves_the_void_to_the_office_which_is_told_why(site: Site, near: Near) -> None:
    place = site.post("ramon", "/voids/codes", near.form).headers["Location"]
    code = element(site.page("ramon", place), "void-code").replace(" ", "")
    assert site.post("ramon", f"{place}/revoke").status_code == 303
    assert "This code was taken back" in site.page("ramon", place) and "void-code" not in site.page("ramon", place)
    with site.app.app_context():
        near.phone.ask_void(near.paid, supervisor_code=code)
        upload(near.phone, "automatic")
        void = store.by_number(near.number)
        assert void and void.state == "requested"
    assert "it was taken back, or used before" in text_of(site.page("carla", f"/voids/{void.id}"))


def test_nobody_else_sees_a_code(site: Site, near: Near) -> None:
    place = site.post("ramon", "/voids/codes", near.form).headers["Location"]
    with site.app.app_context():
        make_user("sonia", "supervisor")
        sonia = site.app.test_client()
        sonia.set_cookie("portal", cookie_of(site.app, "sonia"))
    assert sonia.get(place).status_code == 404
    assert site.get("nena", place).status_code == 403
    for name in ("carla", "ada"):
        assert site.get(name, place).status_code == 403
        assert site.post(name, "/voids/codes", near.form).status_code == 403
