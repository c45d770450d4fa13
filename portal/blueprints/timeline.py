"""The story of an account in plain words: downloads and what they changed, phones, payments, postings, voids and visits, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby

from portal import clock
from portal.filters import FLAG_WORDS, TENDER_WORDS, day, pesos
from portal.store import account, soa_changes, soas, visits
from portal.store.account import PhoneDownload, VoidStep
from portal.store.downloads import run_of
from portal.store.ledger import PaymentRow
from portal.store.soa_changes import ChangeRow
from portal.store.soas import SoaDetail, TimelineEvent
from portal.store.visits import VisitRow

MOST = 1000
"""So many changes of one account are looked at, the latest of them."""


def of_account(detail: SoaDetail, payments: Sequence[PaymentRow]) -> list[TimelineEvent]:
    """Everything the portal knows to have happened to this account; `payments` are all of its payments."""
    soa_id = detail.soa.id
    changes = soa_changes.of_soa(soa_id, MOST)
    refused = account.refused_at(soa_id)
    events = [
        *soas.timeline(soa_id, MOST),
        *(event for row in payments for event in _of_payment(row)),
        *(_refused(row, refused[row.id]) for row in payments if row.id in refused),
        *(event for row in account.voids(soa_id) for event in _of_void(row)),
        *map(_visit, visits.of_soa(soa_id, MOST)),
        *_on_phones(detail, changes),
    ]
    return _together(sorted(events, key=lambda event: event.at, reverse=True))


def _of_payment(row: PaymentRow) -> Iterable[TimelineEvent]:
    link, amount = f"/payments/{row.id}", pesos(row.amount)
    how = TENDER_WORDS[row.tender] + (f", {row.channel}" if row.channel else "")
    detail = [("Held for a person", "", ", ".join(FLAG_WORDS.get(flag, flag) for flag in row.flags))] if row.flags else []
    title = f"{amount} collected by {row.collector_display}, {how}, receipt {row.receipt_number}"
    title += {"approved": ", voided", "requested": ", a void was asked for"}.get(row.void, "")
    yield TimelineEvent(row.collected_at, "payment", title, detail, link)
    if row.posted_at is not None:
        there = f", there {row.pscloud_id}" if row.pscloud_id else ""
        yield TimelineEvent(row.posted_at, "posted", f"{amount} of receipt {row.receipt_number} posted to PSCloud{there}", [], link)


def _refused(row: PaymentRow, at: datetime) -> TimelineEvent:
    title = f"PSCloud refused {pesos(row.amount)} of receipt {row.receipt_number}"
    detail = [("Reason", "", row.status_reason)] if row.status_reason else []
    return TimelineEvent(at, "refused", title, detail, f"/payments/{row.id}")


def _of_void(row: VoidStep) -> Iterable[TimelineEvent]:
    link, what = f"/voids/{row.id}", f"receipt {row.receipt_number} of {pesos(row.amount)}"
    yield TimelineEvent(row.requested_at, "asked", f"Void of {what} asked for by {row.asked_by}", [("Reason", "", row.reason)], link)
    if row.decided_at is not None:
        detail = [("Reason", "", row.decision_reason)] if row.decision_reason else []
        title = f"Void of {what} {row.state} by {row.decided_by}"
        yield TimelineEvent(row.decided_at, "voided" if row.state == "approved" else "asked", title, detail, link)
    if row.posted_at is not None:
        yield TimelineEvent(row.posted_at, "voided", f"Void of {what} recorded in PSCloud", [], link)


def _visit(row: VisitRow) -> TimelineEvent:
    if row.promised_on:
        what = f"{pesos(row.amount)} promised" if row.amount else "Payment promised"
        title = f"{what} for {day(row.promised_on)}, noted by {row.collector_display}"
    else:
        title = f"Could not collect: {row.reason}, noted by {row.collector_display}"
    return TimelineEvent(row.visited_at, row.kind, title, [("Note", "", row.note)] if row.note else [], "")


# --- on whose phones it was


def _on_phones(detail: SoaDetail, changes: Sequence[ChangeRow]) -> Iterable[TimelineEvent]:
    """A list holds the account when the list's own download had left it open under a code that its collector held."""
    codes = {detail.soa.collector_code or ""}
    for change in changes:
        codes.update(text for one in change.fields if one.name == "collector_code" for text in (one.before, one.after))
    for row in account.downloads(codes - {""}):
        if _was_open_under(row, detail, changes):
            yield TimelineEvent(row.at, "downloaded", f"Downloaded to {row.terminal} of {row.collector}", [], "")


def _was_open_under(row: PhoneDownload, detail: SoaDetail, changes: Sequence[ChangeRow]) -> bool:
    run_id = run_of(row.snapshot)
    code = detail.soa.collector_code or ""
    status: str = detail.soa.status
    for change in changes:  # the latest first: what came after the list is taken back
        if change.run_id <= run_id if run_id is not None else change.at <= row.at:
            break
        if change.kind == "added":
            return False
        status = {"closed": "active", "reopened": "closed"}.get(change.kind, status)
        code = next((one.before for one in change.fields if one.name == "collector_code"), code)
    return status == "active" and code == row.code


def _together(events: Sequence[TimelineEvent]) -> list[TimelineEvent]:
    """Downloads to one phone with nothing between them become one line: a phone downloads every morning."""
    found: list[TimelineEvent] = []
    for downloaded, some in groupby(events, lambda event: event.kind == "downloaded"):
        if not downloaded:
            found += some
            continue
        by_phone: dict[str, list[TimelineEvent]] = {}
        for event in some:
            by_phone.setdefault(event.title, []).append(event)
        for title, same in by_phone.items():
            often = f", {len(same)} times since {day(clock.to_business(same[-1].at).date())}" if len(same) > 1 else ""
            found.append(TimelineEvent(same[0].at, "downloaded", f"{title}{often}", [], ""))
    return found
