"""After the database was put back from a backup: codes stay with their phones, PSCloud is asked before anything is posted. On both."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from sqlalchemy import select, text

from demo.pscloud.testing import running_pscloud
from portal.domain.errors import Conflict, InvalidInput
from portal.extensions import db
from portal.pscloud import mapping
from portal.services import payments, postings, restore, terminals
from portal.services.journal import Policy
from portal.store import audit, incidents, ledger, restores
from portal.store import postings as outbox
from portal.store.models import Payment, PaymentAllocation
from tests.factories import NOW, Phone, make_phone, make_user
from tests.services.test_journal import send
from tests.services.test_postings import World

MANUAL = Policy("manual", 7)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with running_pscloud(customers=300, faulty_records=False) as pscloud:
        yield pscloud


@pytest.fixture
def world(any_app: Flask, server: Any) -> Iterator[World]:
    server.reset()
    yield World(server)
    server.reset()


def posted_before_the_restore(world: World, payment_id: str) -> None:
    """PSCloud holds this payment, and the database does not know."""
    row = db.session.execute(select(Payment).where(Payment.id == payment_id)).scalar_one()
    columns = (PaymentAllocation.invoice_id, PaymentAllocation.kind, PaymentAllocation.amount)
    rows = db.session.execute(select(*columns).where(PaymentAllocation.payment_id == payment_id, PaymentAllocation.generation == 0))
    parts = tuple((invoice, kind, amount) for invoice, kind, amount in rows)
    to_post = mapping.PaymentToPost(
        payment_id, row.claimed_receipt_number, row.soa_id, row.amount, row.tender, row.reference, row.collected_at, "BUL-01", parts
    )
    client = world.client()
    (result,) = client.post_payments([mapping.to_payment(to_post, client.profile)])
    assert result.status == "accepted"
    db.session.rollback()


def claim(phone: Phone, code: str) -> str:
    """A phone that the portal forgot says its code."""
    return terminals.enroll("Phone", phone.jwk(), phone.terminal.user_id, phone.user_name, "automatic", NOW, code).code


def forget(code: str) -> None:
    """The terminal was enrolled after the backup."""
    db.session.execute(text("DROP TRIGGER terminals_is_never_deleted" + ("" if db.engine.name == "sqlite" else " ON terminals")))
    db.session.execute(text("DELETE FROM terminals WHERE code = :code"), {"code": code})
    db.session.commit()


def test_a_forgotten_terminal_gets_its_own_code_again_and_nobody_else_does(any_app: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    first, lost = make_phone("nena"), make_phone("nena")
    assert (first.code, lost.code) == ("T01", "T02")
    forget("T02")
    with pytest.raises(Conflict, match="flask restored"):
        claim(lost, "T02")
    done = restore.note("command line", NOW, 50)
    assert (done.first_code, done.last_code, done.terminals) == ("T02", "T51", 1)
    new = make_phone("nena")
    assert new.code == "T52", "a new phone never gets a code that was kept back"
    for code in ("T53", "T00", "T2", "t02", "T02x", "T9999999", 2):
        with pytest.raises(Conflict, match="flask restored"):
            claim(lost, code)  # type: ignore[arg-type]
    assert claim(lost, "T02") == "T02"
    assert claim(lost, "T02") == "T02" == claim(lost, "T40"), "once enrolled the key decides"
    with pytest.raises(Conflict, match="another phone"):
        claim(with_another_key(lost), "T02")
    assert [one.kind for one in incidents.open_incidents()].count("enrolled_again") == 1
    assert make_phone("nena").code == "T53"
    assert audit.verify()[1] is None


def with_another_key(phone: Phone) -> Phone:
    """Somebody who says to be that phone, with a key of their own."""
    other = copy.copy(phone)
    other.key = ec.generate_private_key(ec.SECP256R1())
    return other


def test_a_second_restore_keeps_back_codes_above_the_first(any_app: Flask) -> None:
    assert restore.note("command line", NOW, 10).last_code == "T10"
    assert restore.note("command line", NOW + timedelta(hours=1), 10).first_code == "T11"
    for skip in (0, 10_001):
        with pytest.raises(InvalidInput):
            restore.note("command line", NOW, skip)


def test_what_pscloud_holds_already_is_asked_about_and_never_sent(world: World) -> None:
    (waiting,) = world.pay(1)
    posted_before_the_restore(world, waiting)
    restore.note("command line", world.now(), 10)
    sent = len(world.pscloud.payments())
    assert world.post().completed == 1
    assert world.status(waiting) == "completed" and len(world.pscloud.payments()) == sent
    found = ledger.get(waiting)
    assert found and found.posting and "accepted" in found.posting.last_answer


def test_payments_that_wait_for_a_person_are_recognised_and_the_rest_goes_on_waiting(world: World) -> None:
    held = [world.phone.pay(soa, 5000).payload["payment"] for soa in world.soas[:2]]
    send(world.phone, policy=MANUAL)
    posted_before_the_restore(world, held[0])
    restore.note("command line", world.now(), 10)
    assert restore.anything_to_ask(world.now())
    assert restore.recognise(world.client(), world.now) == 1
    assert [world.status(one) for one in held] == ["completed", "pending"]
    assert not restore.anything_to_ask(world.now()) and restore.recognise(world.client(), world.now) == 0
    later = world.phone.pay(world.soas[2], 5000).payload["payment"]
    send(world.phone, policy=MANUAL)
    posted_before_the_restore(world, later)
    assert restore.recognise(world.client(), world.now) == 1, "what arrives after the restore is asked about, too"
    assert world.status(later) == "completed"
    assert audit.verify()[1] is None


def test_an_approval_while_pscloud_is_asked_is_posted_after_asking(world: World) -> None:
    held = world.phone.pay(world.soas[0], 5000).payload["payment"]
    send(world.phone, policy=MANUAL)
    posted_before_the_restore(world, held)
    restore.note("command line", world.now(), 10)
    payments.approve([held], "ramon", True, world.now())
    payments.hold(held, "ramon", "wrong person", world.now())
    assert restores.anything_unasked(world.now()), "a payment taken out of the outbox is still asked about"
    payments.approve([held], "ramon", True, world.now())
    assert restore.recognise(world.client(), world.now) == 0, "the outbox asks for it now"
    before = len(world.pscloud.payments())
    assert world.post().completed == 1 and len(world.pscloud.payments()) == before


def test_a_pscloud_that_does_not_answer_is_asked_again_after_a_while(world: World) -> None:
    held = world.phone.pay(world.soas[0], 5000).payload["payment"]
    send(world.phone, policy=MANUAL)
    restore.note("command line", world.now(), 10)
    client = world.client()
    client.url = "http://127.0.0.1:9"
    assert restore.recognise(client, world.now) == 0
    assert not restore.anything_to_ask(world.now())
    world.now.on(minutes=11)
    assert restore.anything_to_ask(world.now()) and restore.recognise(world.client(), world.now) == 0
    assert world.status(held) == "pending" and not restore.anything_to_ask(world.now())


def test_without_a_restore_nothing_is_asked(world: World) -> None:
    ids = world.pay(2)
    held = world.phone.pay(world.soas[5], 5000).payload["payment"]
    send(world.phone, policy=MANUAL)
    assert not restore.anything_to_ask(world.now()) and not restores.ever()
    assert [item.ask_first for item in outbox.claim("lease", world.now(), world.now(), 10)] == [False, False]
    db.session.rollback()
    assert world.post() == postings.Outcome(completed=2) and world.status(held) == "pending"
    assert ids
