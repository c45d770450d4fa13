"""Posting approved payments to PSCloud, exactly once whatever dies on the way (RELIABILITY 1.5-1.7, DOMAIN 8)."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from portal.domain.payments import masked
from portal.extensions import db
from portal.pscloud import mapping
from portal.pscloud.client import AuthFailed, PaymentResult, PscloudClient, Rejected, Retryable
from portal.pscloud.profile import Profile
from portal.store import audit, incidents, ledger, postings, voids
from portal.store.postings import Attempt, Ended, PostingItem

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=95)
"""Longer than one request to PSCloud with its deadline and a late renewal; with the sweep after it, a killed worker's payments are taken
up again within two minutes. A living one renews it."""
RENEW = timedelta(seconds=20)
BATCH = 200
ABOUT_CONTENT = frozenset({400, 409, 413, 422})
"""Refusals that speak of what was sent, not of us or of the address."""
TRIES_ALONE = 3
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 900.0


@dataclass
class Outcome:
    """How one run went, in payments."""

    completed: int = 0
    failed: int = 0
    postponed: int = 0
    held: int = 0
    reason: str = ""


def post_due(client: PscloudClient, now: Callable[[], datetime]) -> Outcome:
    """Post everything that is due, batch by batch, until nothing is left or PSCloud does not answer.

    Each batch: claim rows and commit; ask PSCloud about those an earlier attempt may have delivered; post the rest outside any
    transaction; store each payment's own result and commit. May run twice at once: the claim decides who posts what."""
    outcome = Outcome()
    limit = min(BATCH, client.profile.payments.limit)
    while True:
        lease = secrets.token_hex(16)
        started = now()
        items = postings.claim(lease, started, started + LEASE, limit)
        ledger.set_statuses([item.payment_id for item in items], "approved", "processing", "", started)
        db.session.commit()
        if not items:
            return outcome
        client.on_wait = _renewing(lease, started, now)
        try:
            left = _ask(client, items, lease, now, outcome)
            if left:
                _post(client, left, lease, now, outcome)
        except (Retryable, AuthFailed, Rejected) as error:
            outcome.reason = error.message
            log.warning("posting stopped", reason=error.message, payments=len(items))
            return outcome
        finally:
            client.on_wait = lambda: None


def anything_due(now: datetime) -> bool:
    """Whether a posting waits to be claimed: what the sweep asks. Ends its transaction, so that no lock outlives the question."""
    due = postings.due_count(now) > 0
    db.session.rollback()
    return due


def _renewing(lease: str, started: datetime, now: Callable[[], datetime]) -> Callable[[], None]:
    """What keeps the lease alive while PSCloud is asked and posted to; the client calls it before and between its waits."""
    last = started

    def renew() -> None:
        nonlocal last
        at = now()
        if at - last >= RENEW:
            postings.keep(lease, at + LEASE)
            db.session.commit()
            last = at

    return renew


def _ask(client: PscloudClient, items: list[PostingItem], lease: str, now: Callable[[], datetime], outcome: Outcome) -> list[PostingItem]:
    """Settle what PSCloud holds already; the rest is returned, to be posted."""
    doubtful = [item.payment_id for item in items if item.ask_first]
    if not doubtful:
        return items
    try:
        held = {result.reference: result for result in client.find_payments(doubtful)}
    except (Retryable, AuthFailed, Rejected) as error:
        _give_back(items, lease, error, True, now, outcome)
        raise
    _settle([item for item in items if item.payment_id in held], lease, held, now(), outcome)
    db.session.commit()
    return [item for item in items if item.payment_id not in held]


def _post(client: PscloudClient, items: list[PostingItem], lease: str, now: Callable[[], datetime], outcome: Outcome) -> None:
    """Post these and store each result. A request that PSCloud refuses for what is in it is halved until the payment that is meant stands
    alone, so that it stops nobody else; a 409 may speak of our own earlier request, so PSCloud is asked first what it holds."""
    records = _records(client.profile, items, lease, now, outcome)
    waiting = [[item for item in items if item.posting_id in records]]
    alone: list[tuple[PostingItem, Rejected]] = []
    part: list[PostingItem] = []
    got_through = False
    try:
        while waiting and (part := waiting.pop()):
            part = _still_ours(part, lease, now(), outcome)
            if not part:
                continue
            try:
                results = client.post_payments([records[item.posting_id] for item in part])
            except Rejected as refusal:
                if refusal.status not in ABOUT_CONTENT:
                    raise
                if refusal.status == 409 and not all(item.ask_first for item in part):
                    asked, part = [replace(item, ask_first=True) for item in part], []
                    left = _ask(client, asked, lease, now, outcome)
                    got_through |= len(left) < len(asked)
                    waiting += [left] if left else []
                elif len(part) > 1:
                    waiting += [part[len(part) // 2 :], part[: len(part) // 2]]
                else:
                    alone.append((part[0], refusal))
                continue
            got_through = True
            _store(part, {result.reference: result for result in results}, lease, now(), outcome)
    except (Retryable, AuthFailed, Rejected) as error:
        _give_back(part, lease, error, isinstance(error, Retryable) and error.outcome_unknown, now, outcome)
        _give_back([item for some in waiting for item in some] + [item for item, _ in alone], lease, error, False, now, outcome)
        raise
    for item, why in alone:
        if got_through or item.attempts >= TRIES_ALONE:
            _settle([item], lease, {item.payment_id: _kept(item, why.message)}, now(), outcome)
        else:  # nothing at all got through: the fault may lie elsewhere
            _postpone([item], lease, why.message, item.ask_first, now(), outcome)
        db.session.commit()


def _kept(item: PostingItem, why: str) -> PaymentResult:
    """The result of a payment that PSCloud did not take."""
    return PaymentResult(item.payment_id, "rejected", None, "", why, "")


def _still_ours(items: list[PostingItem], lease: str, at: datetime, outcome: Outcome) -> list[PostingItem]:
    """Those that no other worker took while this one slept past its lease, held for longer than one request can last; less those
    whose void was asked for or approved: PSCloud does not hold them, so they are not sent."""
    held = postings.keep(lease, at + LEASE, late=RENEW)
    ours = [item for item in items if item.posting_id in held]
    voided = voids.open_of(item.payment_id for item in ours)
    left = [item for item in ours if item.payment_id in voided and postings.postpone(item.posting_id, lease, "", at, False)]
    ledger.set_statuses([item.payment_id for item in left], "processing", "approved", "Not posted: its void was asked for.", at)
    outcome.held += len(left)
    db.session.commit()
    return [item for item in ours if item.payment_id not in voided]


def _records(
    profile: Profile, items: list[PostingItem], lease: str, now: Callable[[], datetime], outcome: Outcome
) -> dict[int, dict[str, Any]]:
    """What PSCloud is sent, by posting; a payment that must not leave the house fails by itself."""
    records = {}
    for item in items:
        try:
            records[item.posting_id] = mapping.to_payment(_to_post(item), profile)
        except ValueError as error:
            _settle([item], lease, {item.payment_id: _kept(item, f"{error}.")}, now(), outcome, "It was not sent to PSCloud: ")
            db.session.commit()
    return records


def _store(items: list[PostingItem], results: dict[str, PaymentResult], lease: str, at: datetime, outcome: Outcome) -> None:
    silent = [item for item in items if item.payment_id not in results]
    _postpone(silent, lease, "PSCloud's answer said nothing of this payment; it will be asked.", True, at, outcome)
    _settle([item for item in items if item.payment_id in results], lease, results, at, outcome)
    db.session.commit()


def _to_post(item: PostingItem) -> mapping.PaymentToPost:
    return mapping.PaymentToPost(
        reference=item.payment_id,
        receipt_number=item.receipt_number,
        soa_id=item.soa_id,
        amount=item.amount,
        tender=item.tender,
        tender_reference=item.reference,
        collected_at=item.collected_at,
        collector_code=item.collector_code,
        allocations=tuple((part.invoice_id, part.kind, part.amount) for part in item.parts),
    )


def _settle(
    items: list[PostingItem],
    lease: str,
    results: Mapping[str, PaymentResult],
    at: datetime,
    outcome: Outcome,
    whose: str = "PSCloud refused it: ",
) -> None:
    """Store the results of these payments, their statuses and their audit rows together; nothing of those whose lease is no longer ours.

    Rows first, of postings, payments, voids, and only then the audit trail's end: everybody takes their locks in this order."""
    ended: dict[str, list[PostingItem]] = {"completed": [], "failed": []}
    for item in items:
        ended["completed" if results[item.payment_id].status in TAKEN else "failed"].append(item)
    told: list[audit.Event] = []
    for status, some in ended.items():
        rows = [Ended(item.posting_id, _reason(results[item.payment_id]), masked(results[item.payment_id].raw)) for item in some]
        ours = postings.finish(rows, lease, status, at) if rows else set()
        held = [item for item in some if item.posting_id in ours]
        told += [_event(item, results[item.payment_id], status, at) for item in held]
        outcomes = [(item, results[item.payment_id]) for item in held]
        postings.note([Attempt(item.payment_id, at, item.attempts, status, _reason(one), masked(one.raw)) for item, one in outcomes])
        if status == "completed":
            _take_note(held, results, at)
            outcome.completed += len(held)
        else:
            for item in held:
                why = f"{whose}{_reason(results[item.payment_id])}"
                ledger.set_status(item.payment_id, "processing", "failed", why, at)
                incidents.add("posting_failed", f"{item.receipt_number}: {why}", at, subject=item.payment_id)
            outcome.failed += len(held)
    audit.add_all(told)


TAKEN = frozenset({"accepted", "duplicate", "voided"})


def _reason(result: PaymentResult) -> str:
    return "" if result.status in TAKEN else result.error_message or result.error_code or "PSCloud gave no reason."


def _event(item: PostingItem, result: PaymentResult, status: str, at: datetime) -> audit.Event:
    detail = {"result": result.status, "pscloud_id": result.pscloud_id, "reason": _reason(result), "attempt": item.attempts}
    return audit.Event("posting", f"payment_{status}", item.payment_id, detail, at)


def _take_note(items: list[PostingItem], results: Mapping[str, PaymentResult], at: datetime) -> None:
    """These are in PSCloud."""
    if not items:
        return
    voids.make_due([item.payment_id for item in items], at)
    ledger.set_posted({item.payment_id: results[item.payment_id].pscloud_id for item in items}, at)
    voided = [item for item in items if results[item.payment_id].status == "voided"]
    known = voids.open_of(item.payment_id for item in voided)
    for item in voided:
        if known.get(item.payment_id) != "approved":
            told = f"{item.receipt_number}: PSCloud holds it as voided, which nobody asked for here."
            incidents.add("voided_in_pscloud", told, at, subject=item.payment_id)


def _give_back(
    items: list[PostingItem],
    lease: str,
    error: Retryable | AuthFailed | Rejected,
    unknown: bool,
    now: Callable[[], datetime],
    outcome: Outcome,
) -> None:
    at = now()
    wish = getattr(error, "retry_after", None)
    _postpone(items, lease, error.message, unknown, at, outcome, wish)
    db.session.commit()


def _postpone(
    items: list[PostingItem], lease: str, reason: str, unknown: bool, at: datetime, outcome: Outcome, wish: float | None = None
) -> None:
    """Give these back, each to be tried again after a growing pause; whether an earlier attempt may have reached PSCloud is kept."""
    given: list[PostingItem] = []
    for item in items:
        pause = max(min(FIRST_PAUSE * 2 ** min(item.attempts - 1, 20), LONGEST_PAUSE) * random.uniform(0.75, 1.25), wish or 0.0)
        if postings.postpone(item.posting_id, lease, reason, at + timedelta(seconds=pause), unknown or item.ask_first):
            given.append(item)
    postings.note([Attempt(item.payment_id, at, item.attempts, "postponed", reason, "") for item in given])
    why = f"Not posted yet, will be tried again: {reason}"
    ledger.set_statuses([item.payment_id for item in given], "processing", "approved", why, at)
    outcome.postponed += len(given)
