"""Decisions on voids that a restore took away: what docs/backup.md says becomes of what the phone wrote down. On both databases."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from portal.extensions import db
from portal.services import journal, restore, voids
from portal.services.journal import Policy, Uploader
from portal.store import audit, incidents, ledger, readings
from portal.store import voids as store
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    make_user("ramon", "supervisor")
    store_soas(make_soa(), make_soa("S2"))
    made = make_phone("nena")
    made.start()
    return made


def send(phone: Phone) -> journal.Answer:
    """The phone sends its whole journal, as it does after a restore."""
    body = phone.upload_body()
    return journal.receive(
        phone.code, body["entries"], body["signature"], Uploader(phone.terminal.user_id, "nena"), Policy("manual", 7), NOW
    )


def decided_after_the_backup(phone: Phone, void_id: int, approved: bool, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the phone was told of a decision; the database is then what it was before it, and says that it was put back."""
    with monkeypatch.context() as lost:
        lost.setattr(db.session, "commit", db.session.flush)
        if approved:
            voids.approve(void_id, "ramon", "", NOW)
        else:
            voids.refuse(void_id, "ramon", "The receipt is right", NOW)
        (told,) = voids.decisions_for(phone.terminal.id)
        db.session.rollback()
    restore.note("command line", NOW, 10)
    return told


@pytest.mark.parametrize("approved", [True, False])
def test_a_decision_that_a_restore_took_away_is_set_aside_and_can_be_made_again(
    phone: Phone, approved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = phone.pay(make_soa(), 30000)
    phone.pay(make_soa("S2"), 12345)
    asked = phone.ask_void(wrong)
    send(phone)
    void = store.by_number(asked.payload["void_number"])
    assert void
    told = decided_after_the_backup(phone, void.id, approved, monkeypatch)
    forgotten = store.by_number(void.void_number)
    assert forgotten and forgotten.state == "requested" and voids.decisions_for(phone.terminal.id) == []

    written = phone.write_down(told)
    phone.z_reading()
    phone.close()
    answer = send(phone)
    verdicts = {entry.seq: verdict for entry, verdict in zip(phone.entries, answer.verdicts, strict=True)}
    set_aside = verdicts.pop(written.seq)
    assert set_aside["status"] == "quarantined" and "is not decided yet" in str(set_aside["reason"])
    assert {one["status"] for one in verdicts.values()} == {"repeat", "stored"}, "one entry that is set aside stops no other"
    waiting = store.by_number(void.void_number)
    assert waiting and (waiting.state, waiting.decided_by, waiting.counted_seq) == ("requested", None, None)
    z = readings.get(readings.recent(1)[0].id)
    assert z and (z.portal["gross"], z.portal["less_void"], z.portal["present_accumulated"]) == (42345, 0, 42345)
    assert z.phone["less_void"] == (30000 if approved else 0)
    too_much = z.portal["expected_cash"] - z.phone["expected_cash"]
    assert too_much == (30000 if approved else 0), "the desk expects what the phone had taken off"
    assert ("less_void" in {one["field"] for one in z.differences}) is approved
    kinds = {one.kind for one in incidents.open_incidents()}
    assert {"database_restored", "quarantined"} <= kinds and ("reading_differs" in kinds) is approved

    # Decided as before: the office's books are right again, and the same journal once more changes nothing.
    if approved:
        voids.approve(void.id, "ramon", "", NOW)
    else:
        voids.refuse(void.id, "ramon", "The receipt is right", NOW)
    again = send(phone)
    assert {one["status"] for one in again.verdicts} <= {"repeat", "quarantined"}
    decided = store.by_number(void.void_number)
    assert decided and (decided.state, decided.decided_by) == ("approved" if approved else "refused", "ramon")
    kept = ledger.get(wrong.payload["payment"])
    assert kept and str(kept.row.amount) == "300.00", "a voided payment stays in the ledger"
    (still_told,) = again.voids
    assert (still_told["void_number"], still_told["decision"]) == (void.void_number, decided.state)
    assert len(readings.recent(9)) == 1 and audit.verify()[1] is None
