"""After the database was put back from a backup: phones bring back what it forgot, PSCloud is asked what it holds (I29, F14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from portal.domain.errors import InvalidInput
from portal.domain.receipts import terminal_code
from portal.extensions import db
from portal.pscloud.client import PaymentResult, PscloudClient, PscloudError
from portal.store import audit, incidents, ledger, postings, restores, terminals, voids
from portal.store.terminals import TerminalRow

log = structlog.get_logger(__name__)
BATCH = 200
PAUSE = timedelta(minutes=10)
SKIPPED = 100
"""Terminal codes kept back: more phones than any office enrols between two backups."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was noted: the terminal codes kept for phones that have them, how many terminals must upload again, payments to ask for."""

    first_code: str
    last_code: str
    terminals: int
    payments: int


def note(who: str, now: datetime, skip: int = SKIPPED) -> Restored:
    """Say that this database was just put back from a backup. Raises InvalidInput. Commits.

    From here on: `skip` terminal codes go only to phones that were given them already; every phone is told to send its whole journal
    again; PSCloud is asked for each payment before it is posted, and for each that waits for a person."""
    if not 1 <= skip <= 10_000:
        raise InvalidInput("Keep from 1 to 10,000 terminal codes back.")
    first = terminals.highest_number() + 1
    last = first + skip - 1
    restores.add(who, now, first, last)
    known = terminals.all_terminals()
    payments = restores.ask_before_posting() + restores.ask_for_all_that_rest(now)
    codes = (terminal_code(first), terminal_code(last))
    detail = {"first_code": codes[0], "last_code": codes[1], "terminals": len(known), "payments": payments}
    audit.add(who, "database_restored", "database", detail, now)
    told = (
        "The database was put back from a backup. Phones send again what it forgot by themselves, as soon as each is opened with a "
        "connection. What people decided since that backup must be decided again: approvals, holds, voids, revoked terminals, users."
    )
    incidents.add("database_restored", told, now)
    db.session.commit()
    return Restored(*codes, len(known), payments)


def restored_at() -> str | None:
    """The instant of the last restore, as phones are told it: one they have not seen yet tells them to send their whole journal again."""
    last = restores.latest()
    return last.restored_at.isoformat(timespec="milliseconds") if last else None


def awaits(terminal: TerminalRow) -> bool:
    """Whether this terminal has uploaded nothing since the last restore."""
    last = restores.latest()
    return last is not None and (terminal.last_contact_at is None or terminal.last_contact_at < last.restored_at)


def anything_to_ask(now: datetime) -> bool:
    """Whether PSCloud is to be asked for a held payment now: what the sweep asks. Ends its transaction."""
    found = restores.anything_unasked(now)
    db.session.rollback()
    return found


def recognise(client: PscloudClient, now: Callable[[], datetime]) -> int:
    """Ask PSCloud for held and failed payments that it may hold from before a restore; those it holds are Completed. Returns how many.

    Commits batch by batch. May run twice at once: the status decides who moves a payment. What PSCloud did not answer is asked again
    after a while."""
    recognised = 0
    while items := restores.unasked(now(), min(BATCH, client.profile.payments.limit)):
        db.session.rollback()  # nothing may stay open while we wait for PSCloud
        try:
            held = {result.reference: result for result in client.find_payments([payment_id for payment_id, _, _ in items])}
        except PscloudError as error:
            log.warning("PSCloud was not asked for held payments", reason=error.message)
            restores.ask_later(now() + PAUSE)
            db.session.commit()
            return recognised
        at = now()
        for payment_id, receipt_number, status in items:
            if payment_id in held and status in {"pending", "failed"}:
                recognised += _complete(payment_id, receipt_number, status, held[payment_id], at)
        restores.asked([payment_id for payment_id, _, _ in items])
        db.session.commit()
    db.session.rollback()
    return recognised


def _complete(payment_id: str, receipt_number: str, status: str, result: PaymentResult, at: datetime) -> bool:
    """PSCloud holds this payment: nobody has to decide it any more. False when somebody moved it meanwhile, or PSCloud refused it."""
    if result.status not in {"accepted", "duplicate", "voided"}:
        return False
    if not ledger.set_status(payment_id, status, "completed", "", at, posted_at=at, pscloud_id=result.pscloud_id):
        return False
    postings.found(payment_id, result.raw, at)
    voids.make_due([payment_id], at)
    detail = {"result": result.status, "pscloud_id": result.pscloud_id, "reason": "found in PSCloud after a restore", "was": status}
    audit.add("posting", "payment_completed", payment_id, detail, at)
    if result.status == "voided" and voids.open_of([payment_id]).get(payment_id) != "approved":
        told = f"{receipt_number}: PSCloud holds it as voided, which this database does not know since it was put back from a backup."
        incidents.add("voided_in_pscloud", told, at, subject=payment_id)
    return True
