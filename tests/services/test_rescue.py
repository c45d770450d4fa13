"""Rescue files: taken as uploads are, each entry once by whatever way, and nobody else's file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.domain.errors import InvalidInput, NotFound
from portal.extensions import db
from portal.services import journal, rescue, users
from portal.services.journal import BadSignature, Policy, Uploader
from portal.store import ledger
from portal.store import users as user_store
from portal.store.models import AuditEntry, Payment
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas

AUTOMATIC = Policy("automatic", 7)


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa(), make_soa("S2"))
    made = make_phone("nena")
    made.start()
    return made


def upload(phone: Phone) -> journal.Answer:
    body = phone.upload_body()
    return journal.receive(phone.code, body["entries"], body["signature"], Uploader(phone.terminal.user_id, "nena"), AUTOMATIC, NOW)


def file_of(*uploads: dict[str, Any]) -> bytes:
    return json.dumps({"what": "unsent journal entries", "user": "nena", "uploads": list(uploads)}).encode()


def payments() -> int:
    return db.session.execute(select(func.count()).select_from(Payment)).scalar_one()


def test_each_entry_is_taken_once_by_whatever_way_and_in_whatever_order_it_comes(phone: Phone) -> None:
    upload(phone)
    sent = len(phone.entries)
    phone.pay(make_soa(), 5000)
    phone.pay(make_soa("S2"), 700)
    file = file_of(phone.upload_body(phone.entries[sent:]))
    (first,) = rescue.take(file, "carla", AUTOMATIC, NOW)
    assert (first.terminal, first.collector, first.new, first.known, first.problems, first.approved) == (phone.code, "Nena", 2, 0, 0, True)
    (again,) = rescue.take(file, "carla", AUTOMATIC, NOW)
    assert (again.new, again.known, again.approved) == (0, 2, False)
    assert {verdict["status"] for verdict in upload(phone).verdicts} == {"repeat"}
    phone.pay(make_soa(), 100)
    upload(phone)
    (late,) = rescue.take(file_of(phone.upload_body()), "carla", AUTOMATIC, NOW)
    assert (late.new, late.known) == (0, len(phone.entries)) and payments() == 3
    told = db.session.execute(select(AuditEntry.who, AuditEntry.subject).where(AuditEntry.action == "rescue_file_taken")).all()
    assert [tuple(row) for row in told] == [("carla", phone.code)] * 3


def test_what_is_missing_in_between_holds_the_rest_until_it_comes(phone: Phone) -> None:
    phone.pay(make_soa(), 5000)
    (held,) = rescue.take(file_of(phone.upload_body(phone.entries[-1:])), "carla", AUTOMATIC, NOW)
    assert (held.new, held.held) == (0, 1) and payments() == 0
    upload(phone)
    assert payments() == 1


def test_a_collector_who_may_not_log_in_any_more_loses_nothing(phone: Phone) -> None:
    entry = phone.pay(make_soa(), 5000)
    user = user_store.by_name("nena")
    assert user
    users.disable("nena", "ada", NOW)
    (taken,) = rescue.take(file_of(phone.upload_body()), "carla", AUTOMATIC, NOW)
    assert taken.new == len(phone.entries)
    detail = ledger.get(entry.payload["payment"])
    assert detail and detail.row.flags == ("disabled_collector",) and detail.row.status == "pending"


OTHER_FILES = [b"", b"{", b"[]", b"null", b'{"what": "unsent journal entries"}', b'{"what": "x", "uploads": []}', b"\xff\xfe"]


@pytest.mark.parametrize("raw", OTHER_FILES)
def test_another_file_is_refused_in_plain_words(phone: Phone, raw: bytes) -> None:
    with pytest.raises(InvalidInput, match="not a rescue file"):
        rescue.take(raw, "carla", AUTOMATIC, NOW)


def test_a_file_that_was_changed_or_is_of_nobody_changes_nothing(phone: Phone) -> None:
    phone.pay(make_soa(), 5000)
    body = phone.upload_body()
    other = make_phone("nena")
    with pytest.raises(BadSignature):
        rescue.take(file_of({**body, "signature": other.sign(phone.entries)}), "carla", AUTOMATIC, NOW)
    for code in ("T99", None, "T\x00"):
        with pytest.raises(NotFound):
            rescue.take(file_of({**body, "terminal": code}), "carla", AUTOMATIC, NOW)
    with pytest.raises(InvalidInput, match="damaged"):
        rescue.take(json.dumps({"what": "unsent journal entries", "uploads": [5]}).encode(), "carla", AUTOMATIC, NOW)
    assert payments() == 0 and rescue.take(file_of(), "carla", AUTOMATIC, NOW) == []
