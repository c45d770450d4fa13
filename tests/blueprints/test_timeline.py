"""The story of an account: everything that happened to it, in plain words, newest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from flask import Flask
from sqlalchemy import event, text, update

from portal.blueprints import timeline
from portal.extensions import db
from portal.store import ledger, soas
from portal.store.models import Payment, SoaDownload, Void
from portal.store.soas import TimelineEvent
from tests.blueprints.office_site import upload
from tests.factories import NOW, Phone, make_invoice, make_phone, make_soa, make_user, sign_in, store_soas


def story(soa_id: str = "S1") -> list[TimelineEvent]:
    detail = soas.get(soa_id)
    assert detail
    return timeline.of_account(detail, ledger.payments_of_soa(soa_id))


def downloaded(phone: Phone, snapshot: str, day: int) -> None:
    """The phone has that list since 08:00 in Manila of a day after the first."""
    db.session.add(
        SoaDownload(
            terminal_id=phone.terminal.id,
            user_id=db.session.execute(text("SELECT user_id FROM terminals WHERE id = :id"), {"id": phone.terminal.id}).scalar_one(),
            seq=1000 + day * 10 + phone.terminal.id,
            snapshot=snapshot,
            as_of=NOW,
            downloaded_at=NOW + timedelta(days=day, hours=1),
            count=1,
            amount_due=Decimal(1),
        )
    )
    db.session.commit()


def test_payments_postings_refusals_and_voids_are_told_with_their_links(any_app: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    make_user("ramon", "supervisor")
    store_soas(make_soa("S1"))
    phone = make_phone("nena")
    phone.start()
    phone.pay(make_soa("S1"), 10000)
    phone.pay(make_soa("S1"), 25050, tender="e_wallet", channel="GCash", reference="1")
    upload(phone, "automatic")
    rows = {row.amount: row.id for row in ledger.payments_of_soa("S1")}
    posted, refused = rows[Decimal("100.00")], rows[Decimal("250.50")]
    db.session.execute(
        update(Payment).where(Payment.id == posted).values(status="completed", posted_at=NOW + timedelta(hours=1), pscloud_id="P-77")
    )
    db.session.execute(
        update(Payment)
        .where(Payment.id == refused)
        .values(status="failed", status_reason="Unknown account", status_at=NOW + timedelta(hours=2))
    )
    db.session.commit()
    events = story()
    assert [event.at for event in events] == sorted((event.at for event in events), reverse=True)
    told = {event.title: event for event in events}
    assert told["PSCloud refused ₱250.50 of receipt T01-00000002"].detail == [("Reason", "", "Unknown account")]
    assert told["₱100.00 of receipt T01-00000001 posted to PSCloud, there P-77"].link == f"/payments/{posted}"
    assert told["₱250.50 collected by Nena, E-wallet, GCash, receipt T01-00000002"].link == f"/payments/{refused}"
    assert told["Downloaded for the first time"].link.startswith("/syncs/")


def test_a_void_is_told_from_its_request_to_pscloud(any_app: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    make_user("ramon", "supervisor")
    store_soas(make_soa("S1"))
    phone = make_phone("nena")
    phone.start()
    phone.ask_void(phone.pay(make_soa("S1"), 10000))
    upload(phone, "automatic")
    void = db.session.query(Void).one()
    asked = next(event for event in story() if event.kind == "asked")
    assert asked.title == "Void of receipt T01-00000001 of ₱100.00 asked for by Nena" and asked.link == f"/voids/{void.id}"
    decided = NOW + timedelta(hours=3)
    values = {"state": "approved", "decided_by": "ramon", "decided_at": decided, "decision_reason": "Wrong account"}
    db.session.execute(update(Void).values(**values, posted_at=decided + timedelta(hours=1)))
    db.session.commit()
    latest, before = story()[:2]
    assert latest.title == "Void of receipt T01-00000001 of ₱100.00 recorded in PSCloud"
    assert (before.title, before.detail) == (
        "Void of receipt T01-00000001 of ₱100.00 approved by Ramon",
        [("Reason", "", "Wrong account")],
    )


def test_an_account_was_on_the_phones_of_those_who_held_its_code_while_it_was_open(any_app: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    make_user("jun", "collector", codes=["B2"])
    soa = make_soa("S1", invoices=[make_invoice(1)])
    first = store_soas(soa, now=NOW)
    moved = store_soas(replace(soa, collector_code="B2"), now=NOW + timedelta(days=2))
    closed = store_soas(replace(soa, collector_code="B2", status="closed"), now=NOW + timedelta(days=5))
    hers, his = make_phone("nena"), make_phone("jun")
    for phone, snapshot, day in (
        (hers, f"{first}-0", 0),
        (hers, f"{first}-0", 1),
        (his, f"{first}-0", 1),  # under A1 then
        (hers, f"{moved}-0", 3),  # under B2 then
        (his, f"{moved}-0", 3),
        (his, f"{moved}-0", 4),
        (his, f"{closed}-0", 6),  # closed then
        (hers, "of another kind", 4),  # its name tells nothing: the day decides
    ):
        downloaded(phone, snapshot, day)
    seen = [event.title for event in story() if event.kind == "downloaded"]
    assert seen == ["Downloaded to T02 of Jun, 2 times since 23 Nov 2026", "Downloaded to T01 of Nena, 2 times since 20 Nov 2026"]
    assert [event.kind for event in story() if event.kind != "downloaded"] == ["closed", "changed", "added"]


def test_the_list_and_an_account_are_served_by_both_databases(any_app: Flask) -> None:
    make_user("carla", "office")
    store_soas(make_soa("S1"), make_soa("S2", status="closed"))
    client = sign_in(any_app, "carla")
    db.session.remove()
    for path, words in (
        ("/soas", "SOA-S1"),
        ("/soas?status=all&sort=-name", "SOA-S2"),
        ("/soas?q=cruz", "SOA-S1"),
        ("/soas/S1", "SI-0001"),
    ):
        for headers in ({}, {"HX-Request": "true"}):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 200 and words in answer.text, path


def test_a_page_of_the_list_asks_a_handful_of_questions(any_app: Flask) -> None:
    make_user("carla", "office")
    store_soas(make_soa("S1"))
    client = sign_in(any_app, "carla")
    db.session.remove()
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        client.get("/soas")  # makes statements
        asked.clear()
        client.get("/soas")
        whole = [one for one in asked if one.startswith("SELECT")]
        asked.clear()
        client.get("/soas", headers={"HX-Request": "true"})
        part = [one for one in asked if one.startswith("SELECT")]
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(part) <= 5 and len(whole) <= 7, (part, whole)
