"""An office with people, SOAs, downloads, payments and readings, for the tests of its pages. No app context stays open between
requests, as in the real server: a context that did would carry one person's login into the next one's request."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.services import journal
from portal.store import collector_codes, sync_runs
from portal.store.collector_codes import Listed
from portal.store.sync_runs import NewFailure
from tests import factories
from tests.factories import NOW, Phone, make_invoice, make_phone, make_soa, make_user, store_soas

PEOPLE = {"carla": ("office",), "ramon": ("supervisor",), "ada": ("admin",)}
TRICKY = '<script>alert("1")</script> & =Sons "O\'Neil" {{7*7}}'
"""A customer's name that must arrive as text everywhere."""
HTMX = {"HX-Request": "true"}


class Site:
    """The app and a way to ask it as somebody."""

    def __init__(self, app: Flask, cookies: dict[str, str]) -> None:
        self.app, self._cookies = app, cookies
        self._clients: dict[str, FlaskClient] = {}

    def client(self, name: str) -> FlaskClient:
        """A browser of that person, who logged in when the office was made."""
        if name not in self._clients:
            self._clients[name] = self.app.test_client()
            self._clients[name].set_cookie("portal", self._cookies[name])
        return self._clients[name]

    def get(self, name: str, path: str, **headers: str) -> TestResponse:
        """GET as that person."""
        return self.client(name).get(path, headers={key.replace("_", "-"): value for key, value in headers.items()})

    def page(self, name: str, path: str, **headers: str) -> str:
        """The text of a page that must be there."""
        answer = self.get(name, path, **headers)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        return answer.text

    def post(self, name: str, path: str, data: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> TestResponse:
        """POST a form as that person, with the token of a page they have open."""
        client = self.client(name)
        token = factories.csrf_of(client.get("/").text)
        return client.post(path, data={"csrf_token": token, **(data or {})}, headers=headers or {})


def text_of(page: str) -> str:
    """What a reader sees: no tags, entities resolved, white space folded."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def attributes(page: str, name: str) -> list[str]:
    """Every value of an attribute, in order."""
    return [html.unescape(value) for value in re.findall(rf'\b{name}="([^"]*)"', page)]


def element(page: str, identifier: str) -> str:
    """The text of the element with this id (no element inside)."""
    found = re.search(rf'id="{identifier}"[^>]*>([^<]*)<', page)
    assert found, f"there is no #{identifier}"
    return html.unescape(found[1])


def fill() -> None:
    """The data: two downloads, 60 SOAs, three payments (one held, one waiting, one approved), an X and a Z, one failed record."""
    for name, roles in PEOPLE.items():
        make_user(name, *roles)
    make_user("nena", "collector", codes=["A1"])
    make_user("jun", "collector", codes=["A1", "B2"])
    collector_codes.refresh([Listed("A1", "North", "Malolos", True), Listed("B2", "South", "Plaridel", True)], NOW)
    collector_codes.add("OWN", "Ours", "", NOW)
    many = [
        make_soa(f"S{number:03d}", customer_name=f"Customer {number:03d}", invoices=[make_invoice(1, balance=Decimal(number + 1))])
        for number in range(56)
    ]
    special = [
        make_soa("A/1", customer_name=TRICKY, collector_code="B2", invoices=[make_invoice(1, penalty=Decimal("10.50"))]),
        make_soa("N1", customer_name="Nobody's Account", collector_code=None),
        make_soa("U1", customer_name="Unknown Code", collector_code="ZZ9"),
        make_soa("S1"),
    ]
    first = store_soas(*many, *special)
    store_soas(replace(make_soa("S1"), address="14 Rizal St."))
    sync_runs.add_failures(first, [NewFailure("X9", TRICKY, "amount_due", "'NaN' is not an amount.", '{"id": "X9", "amount_due": "NaN"}')])
    sync_runs.change_numbers(first, failed=1, total=61, pscloud_count=61, pscloud_amount_due=Decimal("999.99"))
    db.session.commit()
    phone = make_phone("nena")
    phone.start()
    phone.pay(make_soa("S1"), 10000)
    upload(phone, "automatic")
    phone.pay(make_soa("S1"), 20000, tender="check", channel="BDO", reference="000123")
    upload(phone, "manual")
    phone.pay(special[0], 30000, tender="e_wallet", channel="GCash", reference="=1+1")
    phone.x_reading()
    phone.taken[0] = replace(phone.taken[0], amount=10001)
    phone.count(1)
    phone.z_reading()
    phone.close()
    upload(phone, "automatic")


def cookie_of(app: Flask, name: str) -> str:
    """The session cookie of somebody who logs in now."""
    cookie = factories.sign_in(app, name).get_cookie("portal")
    assert cookie
    return str(cookie.value)


def upload(phone: Phone, approval: str) -> None:
    """Send the whole journal under this policy."""
    body = phone.upload_body()
    uploader = journal.Uploader(phone.terminal.user_id, phone.user_name)
    journal.receive(body["terminal"], body["entries"], body["signature"], uploader, journal.Policy(approval, 3650), NOW)
