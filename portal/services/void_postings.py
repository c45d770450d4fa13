"""Telling PSCloud of approved voids of payments it holds: again until it is known how that ended, with one effect (DOMAIN 8)."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from portal.extensions import db
from portal.pscloud import mapping
from portal.pscloud.client import AuthFailed, PaymentResult, PscloudClient, Rejected, Retryable
from portal.services.postings import ABOUT_CONTENT, FIRST_PAUSE, LEASE, LONGEST_PAUSE, TRIES_ALONE
from portal.store import audit, incidents
from portal.store import voids as store
from portal.store.voids import VoidItem

log = structlog.get_logger(__name__)
FINAL = frozenset({404, 409, 410})
"""PSCloud never held the payment, or voids it no more: sending again cannot help, a person must look."""


@dataclass
class Outcome:
    """How one run went, in voids."""

    completed: int = 0
    failed: int = 0
    postponed: int = 0
    reason: str = ""


def post_due(client: PscloudClient, now: Callable[[], datetime]) -> Outcome:
    """Tell PSCloud of every void that is due, one by one, until nothing is left or PSCloud does not answer.

    Each: claim and commit; send outside any transaction; store what PSCloud answered and commit. PSCloud takes the same void with the same
    reason again without a second effect, so a lost answer is simply sent again. May run twice at once: the claim decides who sends what."""
    outcome = Outcome()
    while True:
        lease, at = secrets.token_hex(16), now()
        item = store.claim(lease, at, at + LEASE)
        db.session.commit()
        if item is None:
            return outcome
        try:
            _send(client, item, lease, now, outcome)
        except (Retryable, AuthFailed, Rejected) as error:
            _postpone(item, lease, error, now(), outcome)
            outcome.reason = error.message
            log.warning("telling PSCloud of voids stopped", reason=error.message, void=item.void_number)
            return outcome


def anything_due(now: datetime) -> bool:
    """Whether a void waits to be sent: what the sweep asks. Ends its transaction, so that no lock outlives the question."""
    due = store.due_count(now) > 0
    db.session.rollback()
    return due


def _send(client: PscloudClient, item: VoidItem, lease: str, now: Callable[[], datetime], outcome: Outcome) -> None:
    """One call and its result. Raises what is to be tried again."""
    record = mapping.to_void(item.reason, item.decided_at, item.decided_by, client.profile)
    if not client.profile.payments.void_path:
        why = "The connector profile names no call for voids (payments.void_path). Void the payment in PSCloud by hand."
        _finish(item, lease, PaymentResult(item.payment_id, "rejected", None, "", why, ""), now(), outcome)
        return
    try:
        result = client.void_payment(item.payment_id, record)
    except Rejected as refusal:
        if refusal.status not in FINAL and not (refusal.status in ABOUT_CONTENT and item.attempts >= TRIES_ALONE):
            raise
        result = PaymentResult(item.payment_id, "rejected", None, str(refusal.status), refusal.message, "")
    _finish(item, lease, result, now(), outcome)


def _finish(item: VoidItem, lease: str, result: PaymentResult, at: datetime, outcome: Outcome) -> None:
    """Store the result and its audit row together; nothing when the lease is no longer ours."""
    good = result.status == "voided"
    reason = "" if good else (result.error_message or f"PSCloud answered {result.status}, not that the payment is voided.")
    status = "completed" if good else "failed"
    if store.finish(item.void_id, lease, status, reason, result.raw, at):
        detail = {"void_number": item.void_number, "result": result.status, "reason": reason, "attempt": item.attempts}
        if good:
            outcome.completed += 1
        else:
            outcome.failed += 1
            told = f"{item.void_number}: the void of {item.receipt_number} is approved here, but PSCloud did not take it: {reason}"
            incidents.add("void_failed", told, at, subject=item.payment_id)
        audit.add("posting", f"void_posting_{status}", item.payment_id, detail, at)
    db.session.commit()


def _postpone(item: VoidItem, lease: str, error: Retryable | AuthFailed | Rejected, at: datetime, outcome: Outcome) -> None:
    wish = getattr(error, "retry_after", None) or 0.0
    pause = max(min(FIRST_PAUSE * 2 ** min(item.attempts - 1, 20), LONGEST_PAUSE) * random.uniform(0.75, 1.25), wish)
    if store.postpone(item.void_id, lease, error.message, at + timedelta(seconds=pause)):
        outcome.postponed += 1
    db.session.commit()
