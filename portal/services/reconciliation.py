"""Reconciliation: our SOAs and payments beside PSCloud's as they are now, record by record. It reads and reports, and changes nothing."""

from __future__ import annotations

import json
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

from flask import current_app
from sqlalchemy.exc import IntegrityError

from portal import doorbell
from portal.domain import reconciliation as domain
from portal.domain.errors import Conflict, NotFound
from portal.domain.money import centavos, from_centavos
from portal.domain.reconciliation import Held, Verdict
from portal.domain.soa import Soa
from portal.extensions import db
from portal.pscloud import mapping
from portal.pscloud.client import Page, PscloudClient, PscloudError, Rejected
from portal.pscloud.mapping import MappingError
from portal.pscloud.payments_list import HeldPayment
from portal.services.waiting import Patience
from portal.store import audit, soas, sync_runs
from portal.store import reconciliations as store
from portal.store.reconciliations import BookedRow, NewDifference
from portal.store.soas import SoaFilter

log = logging.getLogger(__name__)

SILENCE = timedelta(seconds=90)
"""A comparison under way shows life every few seconds, and at least once in a request's minute; after this long its worker is gone."""
HEARTBEAT = timedelta(seconds=1)
PATIENCE = Patience(
    timedelta(minutes=60),
    "No worker took this comparison within an hour. Check that the worker for exports is running, then press Compare now.",
    "The job queue (Redis) did not answer, so no worker heard of this comparison. Press Compare now when it is back.",
)
DOWNLOAD_PATIENCE = timedelta(minutes=30)
LOOK = 2.0
"""Seconds between two looks at whether a download has ended."""
RESTARTS = 2
ASKED_ONE_BY_ONE = 100
"""So many SOAs that only we have are asked for by their id, to tell what became of them."""
LONGEST_RAW = 20_000
NO_LIST = {400, 404, 405, 422, 501}
"""Answers by which a PSCloud says that it has no such list."""
OVERTIME = "JobTimeoutException"


class ReportEnded(Exception):
    """It was cancelled, or given up by the sweep, while we worked on it."""


class BooksMoved(Exception):
    """A download changed our SOAs while they were compared."""


# --- asking, cancelling


def request(who: str, payments_from: date | None, now: datetime, ring: bool = True) -> int:
    """A new report, waiting for a worker; payments are compared that were collected from this business date on (None: all). Commits and
    rings, unless it is done at once by whoever asks. Raises Conflict while another one is active."""
    try:
        report_id = store.add(who, payments_from, now)
    except IntegrityError:
        db.session.rollback()
        raise Conflict("A comparison is already waiting or running. Wait for its end, or cancel it first.", "comparison_active") from None
    audit.add(who, "reconciliation_requested", f"reconciliation {report_id}", {"payments_from": str(payments_from or "")}, now)
    db.session.commit()
    if ring:
        doorbell.ring("reconcile", report_id, job_id=_job_id(report_id))
    return report_id


def cancel(report_id: int, who: str, now: datetime) -> None:
    """End a waiting or running comparison; its worker finds out within a second or two. Commits. Raises NotFound, or Conflict when it has
    ended."""
    if store.get(report_id) is None:
        db.session.rollback()
        raise NotFound("There is no reconciliation with this number.")
    if not store.end(report_id, "cancelled", now, f"Cancelled by {who}."):
        db.session.rollback()
        raise Conflict("This comparison has already ended; there is nothing left to cancel.")
    audit.add(who, "reconciliation_cancelled", f"reconciliation {report_id}", {}, now)
    db.session.commit()


def fail(report_id: int, reason: str, now: datetime) -> None:
    """A comparison that cannot even begin, because the settings are wrong, ends Failed with this reason. Commits."""
    store.end(report_id, "failed", now, reason)
    db.session.commit()


def sweep(now: datetime) -> None:
    """End comparisons whose worker is gone, ring again for those nobody has taken, and clear what ended ones left behind. Commits."""
    for report_id in store.silent_since(now - SILENCE):
        store.end(report_id, "failed", now, "The worker stopped before the comparison was finished. Press Compare now to start again.")
    left = store.left_behind()
    waiting = store.waiting()
    db.session.commit()  # Redis is asked outside any transaction
    for report in waiting:
        if reason := _why_given_up(report.id, now - report.requested_at):
            store.end(report.id, "failed", now, reason)
            db.session.commit()
    for report_id in left:
        _tidy(report_id)


def _why_given_up(report_id: int, waited: timedelta) -> str:
    name = _job_id(report_id)
    return PATIENCE.why_given_up(
        waited, lambda: doorbell.is_waiting("reconcile", name), lambda: doorbell.ring("reconcile", report_id, job_id=name)
    )


def _tidy(report_id: int) -> None:
    """Throw away what an ended report left behind, some at a time, so that nobody waits long for the database's one writer."""
    while store.clear_some(report_id):
        db.session.commit()
    db.session.commit()


def _job_id(report_id: int) -> str:
    return f"reconciliation-{report_id}"


# --- the comparison


@dataclass
class _Work:
    """One comparison under way. `since` is the instant from which payments were collected, None for all; `groups` counts what differs."""

    report_id: int
    lease: str
    client: PscloudClient
    now: Callable[[], datetime]
    seen: datetime
    started: datetime
    since: datetime | None = None
    values: dict[str, Any] = field(default_factory=dict)
    groups: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    nameless: int = 0
    payments_equal: int = 0
    soas_moved: bool = False
    asked: int = 0


def run(report_id: int, client: PscloudClient, now_fn: Callable[[], datetime]) -> str | None:
    """Do a waiting comparison to its end; returns its status, or None when it was not ours to do.

    Whatever happens it ends: Completed, or Failed with a plain reason. Commits page by page what it has read and found, in tables of its
    own; the report is seen when it is whole."""
    started = now_fn()
    work = _Work(report_id, secrets.token_hex(8), client, now_fn, started, started)
    claimed = store.claim(report_id, work.lease, started)
    report = store.get(report_id)
    db.session.commit()
    if not claimed or report is None:
        return None
    if report.payments_from is not None:
        work.since = datetime.combine(report.payments_from, time(), current_app.config["ZONE"])
    client.on_wait = lambda: _show_life(work)
    try:
        _wait_for_download(work)
        _compare_soas(work)
        _compare_payments(work)
        return _finish(work)
    except ReportEnded:
        db.session.rollback()
        _tidy(report_id)
        log.info("Reconciliation %s was ended by somebody else; nothing of it was kept.", report_id)
        return None
    except PscloudError as error:
        return _fail(work, error.message)
    except BooksMoved:
        return _fail(work, "Downloads changed the SOAs here again and again while they were compared. Press Compare now later.")
    except Exception as error:
        log.exception("Reconciliation %s failed", report_id)
        if type(error).__name__ == OVERTIME:
            return _fail(work, "The comparison took too long and was stopped. Choose a later date for payments, then press Compare now.")
        return _fail(work, f"The portal could not finish the comparison ({type(error).__name__}). The log of the worker says more.")
    finally:
        client.on_wait = _nothing


def _nothing() -> None:
    return None


def _fail(work: _Work, reason: str) -> str | None:
    db.session.rollback()
    ended = store.end(work.report_id, "failed", work.now(), reason, work.lease)
    db.session.commit()
    _tidy(work.report_id)
    return "failed" if ended else None


def _show_life(work: _Work, force: bool = False) -> None:
    """Between requests: show how far it is, and notice that it was cancelled. Ends the transaction."""
    now = work.now()
    if not force and timedelta(0) <= now - work.seen < HEARTBEAT:
        db.session.rollback()  # nothing may stay open while we wait for PSCloud
        return
    _keep(work)
    db.session.commit()


def _keep(work: _Work) -> None:
    now = work.now()
    if not store.keep(work.report_id, work.lease, now, **work.values):
        raise ReportEnded
    work.seen = now


def _phase(work: _Work, name: str, expected: int | None = None) -> None:
    work.values |= {"phase": name, "done": 0, "expected": expected}
    _show_life(work, force=True)


def _wait_for_download(work: _Work) -> None:
    """While a download runs, our side is about to change: its end is waited for."""
    begun = work.now()
    while sync_runs.active() is not None and work.now() - begun < DOWNLOAD_PATIENCE:
        if work.values.get("phase") != "waiting":
            _phase(work, "waiting")
        _show_life(work)
        work.client.sleep(LOOK)
    db.session.rollback()


# --- SOAs


def _compare_soas(work: _Work) -> None:
    """PSCloud's open SOAs beside ours, page by page, then ours that were in no page. Raises BooksMoved after too many restarts."""
    for _ in range(RESTARTS + 1):
        mark = _mark()
        _phase(work, "soas")
        for page in work.client.soa_pages():
            _compare_page(work, page)
        _compare_absent(work)
        if _mark() == mark:
            return
        store.restart(work.report_id)
        work.groups.clear()
        work.asked = 0
        work.notes = ["A download changed SOAs here while they were compared, so all were compared again."]
        db.session.commit()
        _wait_for_download(work)
    raise BooksMoved


def _mark() -> tuple[object, ...]:
    """What moves whenever an SOA is changed here."""
    last = sync_runs.last_completed()
    mark = (soas.last_change()[0], last and (last.id, last.finished_at))
    db.session.rollback()
    return mark


def _compare_page(work: _Work, page: Page) -> None:
    """Compare one page, and commit what was found with the comparison's progress."""
    if page.restarted:
        store.restart(work.report_id)
        work.groups.clear()
        work.values["done"] = 0
        work.soas_moved = False
    work.soas_moved |= page.moved
    latest: dict[str, Soa] = {}
    unreadable: dict[str, NewDifference] = {}
    for raw in page.records:
        try:
            soa = mapping.to_soa(raw, work.client.profile)
            if soa.id not in latest or soa.updated_at >= latest[soa.id].updated_at:
                latest[soa.id] = soa
        except MappingError as error:
            text = raw.decode("utf-8", "replace").replace("\x00", "\ufffd")[:LONGEST_RAW]
            name, _, numbers = error.label.partition(" · ")
            number = error.pscloud_id or f"record {work.values['done'] + len(unreadable) + 1}"
            unreadable[number] = NewDifference(
                "soa", "unreadable", "soa_unreadable", number, numbers, customer_name=name, detail=str(error), raw=text
            )
    _keep(work)
    again = store.forget(work.report_id, "soa", [*latest, *unreadable])
    work.groups.subtract(group for one in again for group in {field.group for field in one.fields})
    staged: list[tuple[str, str, Decimal | None, str | None]] = [(one, "unreadable", None, None) for one in unreadable if one not in latest]
    found = [one for number, one in unreadable.items() if number not in latest]
    here = store.soa_versions(list(latest))
    whole = soas.get_many([one for one, soa in latest.items() if one in here and here[one] != (soa.version, "active")])
    for soa in latest.values():
        same = here.get(soa.id) == (soa.version, "active")
        verdict = domain.EQUAL if same else domain.compare_soas(whole.get(soa.id), soa)
        if verdict is None:
            continue  # neither is open: PSCloud's list held one that is closed
        staged.append((soa.id, verdict.kind, soa.amount_due, None))
        if verdict.kind != "equal":
            found.append(_soa_difference(work, verdict, whole.get(soa.id), soa))
    store.stage(work.report_id, "soa", staged, first=page.number == 1)
    store.add_differences(work.report_id, found)
    work.values |= {"done": work.values["done"] + len(page.records), "expected": page.total, "as_of": page.as_of}
    _keep(work)
    db.session.commit()


def _soa_difference(work: _Work, verdict: Verdict, here: Soa | None, pscloud: Soa | None, detail: str = "") -> NewDifference:
    shown = here or pscloud
    if shown is None:
        raise ValueError("there is no SOA")
    work.groups.update({field.group for field in verdict.fields})
    return NewDifference(
        "soa",
        verdict.kind,
        verdict.case,
        shown.id,
        shown.soa_number,
        shown.account_number,
        shown.customer_name,
        None if here is None else here.amount_due,
        None if pscloud is None else pscloud.amount_due,
        verdict.fields[: domain.MOST_FIELDS],
        detail,
    )


def _compare_absent(work: _Work) -> None:
    """Our open SOAs that PSCloud's list did not hold. The first of them are asked for one by one: settled there, unknown, or missed."""
    after = ""
    while ids := store.absent_soas(work.report_id, after):
        db.session.rollback()
        after = ids[-1]
        some = ids[: max(ASKED_ONE_BY_ONE - work.asked, 0)]
        work.asked += len(some)
        told = {soa_id: _ask_for(work, soa_id) for soa_id in some}
        ours = soas.get_many(ids)
        found: list[NewDifference] = []
        staged: list[tuple[str, str, Decimal | None, str | None]] = []
        for soa_id, here in ours.items():
            case, pscloud = told.get(soa_id, ("soa_gone", None))
            if pscloud is not None and pscloud.status == "active":
                verdict = domain.compare_soas(here, pscloud) or domain.EQUAL
                staged.append((soa_id, verdict.kind, pscloud.amount_due, None))
            else:
                verdict = Verdict("only_here", case)
            if verdict.kind != "equal":
                found.append(_soa_difference(work, verdict, here, pscloud if verdict.kind == "different" else None))
        _keep(work)
        store.stage(work.report_id, "soa", staged)
        store.add_differences(work.report_id, found)
        db.session.commit()
    db.session.rollback()


def _ask_for(work: _Work, soa_id: str) -> tuple[str, Soa | None]:
    """What PSCloud says of one SOA of ours that its list did not hold."""
    try:
        raw = work.client.soa(soa_id)
        if raw is None:
            return "soa_gone_unknown", None
        soa = mapping.to_soa(raw, work.client.profile)
    except (PscloudError, MappingError):
        return "soa_gone", None  # that its list does not hold it is told all the same
    return ("soa_gone" if soa.status == "active" else "soa_gone_settled"), soa


# --- payments


def _compare_payments(work: _Work) -> None:
    """PSCloud's list, where it has one; then every payment of ours; then those of its list that our ledger does not know."""
    listed = work.client.profile.payments.listing is not None and _read_list(work)
    _phase(work, "payments", store.count_booked(work.since, work.started))
    after = ""
    while rows := store.booked_after(after, work.since, work.started):
        after = rows[-1].id
        known = {one: _held(text) for one, text in store.staged_documents(work.report_id, "payment", [row.id for row in rows]).items()}
        db.session.rollback()
        _compare_booked(work, rows, known)
    db.session.rollback()
    after, stranger = "", Verdict("only_pscloud", "payment_stranger")
    while strangers := store.strange_payments(work.report_id, after):
        after = strangers[-1][0]
        _keep(work)
        store.add_differences(
            work.report_id,
            [_payment_difference(work, stranger, reference, None, _held(text)) for reference, text in strangers],
        )
        db.session.commit()
    db.session.rollback()
    work.values["payments_listed"] = listed


def _read_list(work: _Work) -> bool:
    """Stage the payments of PSCloud's list; False, with a note, when PSCloud has none where the profile says."""
    _phase(work, "list")
    pages = work.client.listed_payments(work.since)
    try:
        first = next(pages, None)
    except Rejected as error:
        if error.status not in NO_LIST:
            raise
        work.notes.append(f"PSCloud's list of payments could not be read. {error.message}")
        return False
    moved = False
    for page in chain([] if first is None else [first], pages):
        moved |= page.moved
        work.nameless += page.strange
        newest = {one.reference: one for one in page.payments if "\x00" not in one.reference and len(one.reference) <= 100}
        _keep(work)
        store.forget(work.report_id, "payment", list(newest))
        listed = [(one.reference, "waiting", one.amount, _document(one)) for one in newest.values()]
        store.stage(work.report_id, "payment", listed, first=page is first)
        work.values |= {"done": work.values["done"] + len(page.payments), "expected": page.total}
        _keep(work)
        db.session.commit()
    if moved:
        work.notes.append("PSCloud's list of payments changed while it was read; a payment that only PSCloud holds may be missing here.")
    return True


def _compare_booked(work: _Work, rows: Sequence[BookedRow], known: dict[str, HeldPayment]) -> None:
    """Compare some payments of ours. Whatever the list leaves in doubt is asked for by reference, and our side looked at again after it:
    what moved meanwhile is on its way, and no difference."""
    settled = {row.id: verdict for row in rows if (verdict := _verdict(row, known.get(row.id))) and verdict.kind in {"equal", "waiting"}}
    settled = {one: verdict for one, verdict in settled.items() if one in known}
    doubtful = [row for row in rows if row.id not in settled]
    answers = work.client.held_payments([row.id for row in doubtful]) if doubtful else {}
    db.session.rollback()
    now = store.booked([row.id for row in doubtful])
    found: list[NewDifference] = []
    for row in rows:
        held = known.get(row.id)
        verdict = settled.get(row.id)
        if verdict is None:
            held = _completed(answers.get(row.id), held)
            verdict = _verdict(row, held) or domain.EQUAL
            if verdict.kind in domain.DIFFERENCES and (row.id not in now or now[row.id].booked != row.booked):
                verdict = Verdict("waiting", "payment_moving")
        if verdict.kind == "equal":
            work.payments_equal += 1
        else:
            found.append(_payment_difference(work, verdict, row.id, row, held))
    _keep(work)
    store.add_differences(work.report_id, found)
    work.values["done"] += len(rows)
    _keep(work)
    db.session.commit()


def _verdict(row: BookedRow, held: HeldPayment | None) -> Verdict | None:
    if held is not None and held.reason:
        return Verdict("unreadable", "payment_unreadable")
    return domain.compare_payments(row.booked, None if held is None else Held(held.voided, held.amount, held.soa_id, held.receipt_number))


def _completed(answer: HeldPayment | None, listed: HeldPayment | None) -> HeldPayment | None:
    """The answer by reference, with what only the list told; it is the newer one."""
    if answer is None or listed is None:
        return answer
    return replace(
        answer,
        amount=listed.amount if answer.amount is None else answer.amount,
        soa_id=answer.soa_id or listed.soa_id,
        receipt_number=answer.receipt_number or listed.receipt_number,
    )


def _payment_difference(work: _Work, verdict: Verdict, reference: str, row: BookedRow | None, held: HeldPayment | None) -> NewDifference:
    work.groups.update({field.group for field in verdict.fields})
    booked = None if row is None else row.booked
    states = [f"{side}: {one}" for side, one in (("Here", booked and booked.state), ("PSCloud", held and Held(held.voided).state)) if one]
    if held is not None and held.reason:
        verdict = Verdict("unreadable" if row is not None else verdict.kind, "payment_unreadable" if row is not None else verdict.case)
        states = [held.reason]
    return NewDifference(
        "payment",
        verdict.kind,
        verdict.case,
        reference,
        booked.receipt_number if booked else (held and held.receipt_number) or "",
        row.account_number if row else (held and held.soa_id) or "",
        row.customer_name if row else "",
        booked.amount if booked else None,
        held.amount if held else None,
        verdict.fields,
        "; ".join(states),
        held.raw if held is not None and held.reason else "",
    )


def _document(one: HeldPayment) -> str:
    return json.dumps(
        [
            one.reference,
            one.voided,
            None if one.amount is None else centavos(one.amount),
            one.soa_id,
            one.receipt_number,
            one.reason,
            one.raw if one.reason else "",
        ],
        ensure_ascii=False,
    )


def _held(document: str) -> HeldPayment:
    reference, voided, amount, soa_id, receipt_number, reason, raw = json.loads(document)
    return HeldPayment(reference, voided, None if amount is None else from_centavos(amount), soa_id, receipt_number, reason, raw)


# --- the end


def _finish(work: _Work) -> str | None:
    """One transaction: the report is whole and stays as it is."""
    try:
        summary = work.client.summary()
    except PscloudError as error:
        summary = None
        work.notes.append(f"PSCloud's control totals could not be asked. {error.message}")
    db.session.rollback()
    _keep(work)
    _, pscloud_read, equal = store.staged_totals(work.report_id)
    counts = store.counted(work.report_id)
    if work.soas_moved:
        work.notes.append("PSCloud's list of SOAs changed while it was read; an SOA that is only here may be there all the same.")
    if summary is not None and summary.amount_due != pscloud_read:
        work.notes.append("PSCloud's own total is not the sum of the SOAs it sent; what cannot be read is in its total alone.")
    if work.nameless:
        work.notes.append(f"{work.nameless:,} payments of PSCloud's list carry no reference: they were not posted from here.")
    ours = soas.totals(SoaFilter(), work.now().date())
    figures: dict[str, Any] = {
        "soas_equal": equal,
        "payments_equal": work.payments_equal,
        **{f"soas_{kind}": counts.get(("soa", kind), 0) for kind in store.SOA_KINDS if kind != "equal"},
        **{f"payments_{kind}": counts.get(("payment", kind), 0) for kind in store.PAYMENT_KINDS if kind != "equal"},
        "here_count": ours.count,
        "here_amount": ours.amount_due,
        "pscloud_count": None if summary is None else summary.count,
        "pscloud_amount": pscloud_read if summary is None else summary.amount_due,
        "note": " ".join(work.notes),
    }
    groups = {group: number for group, number in work.groups.items() if number > 0}
    done = store.complete(work.report_id, work.lease, work.now(), groups, **figures)
    db.session.commit()
    _tidy(work.report_id)
    return "completed" if done else None
