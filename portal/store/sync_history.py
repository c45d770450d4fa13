"""Reads of past downloads: the filtered history, each day in figures, and the records one download could not read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Select, func, literal_column, select

from portal.extensions import db
from portal.store.models import CHANGE_KINDS, RUN_STATUSES, Soa, SoaChange, SyncFailure, SyncRun
from portal.store.soa_changes import FieldChange, field_words
from portal.store.sync_runs import FailureRow, RunRow

BATCH = 500
_COLUMNS = tuple(field.name for field in fields(RunRow))
_FAILURE_COLUMNS = tuple(field.name for field in fields(FailureRow))


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What the history shows; empty = all. `by` is who asked for it, `since` and `until` bound when, `until` excluded."""

    status: str = ""
    kind: str = ""
    by: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DayRow:
    """The downloads asked for on one business date. Of the completed ones `records` and `seconds` are of the one that read most, None
    when none was completed; `failed_records` of all of them."""

    day: date
    runs: int
    records: int | None
    seconds: int | None
    failed_records: int
    failed_runs: int


@dataclass(frozen=True, slots=True)
class StandingFailures:
    """A completed download that left records unread, and no full one was completed since."""

    run_id: int
    failed: int


@dataclass(frozen=True, slots=True)
class UndecidedDrop:
    """A completed download that lacked so many open SOAs that none was closed; `since` then they wait for a supervisor's word, UTC."""

    run_id: int
    soas: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class RunChange:
    """What a download did to one SOA, with whose it is (empty when the SOA is no longer here); `kind` is a key of KIND_WORDS."""

    id: int
    soa_id: str
    customer_name: str
    account_number: str
    kind: str
    fields: list[FieldChange]


def _where(query: Any, wanted: RunFilter) -> Any:
    if wanted.status in RUN_STATUSES:
        query = query.where(SyncRun.status == wanted.status)
    if wanted.kind:
        query = query.where(SyncRun.kind == wanted.kind)
    if wanted.by:
        query = query.where(SyncRun.started_by == wanted.by)
    if wanted.since:
        query = query.where(SyncRun.requested_at >= wanted.since)
    if wanted.until:
        query = query.where(SyncRun.requested_at < wanted.until)
    return query


def _runs() -> Select[Any]:
    return select(*(getattr(SyncRun, name) for name in _COLUMNS))


def list_page(wanted: RunFilter, before_id: int | None = None, limit: int = 50) -> list[RunRow]:
    """Downloads of a filter, the latest first, those before `before_id` when it is given."""
    query = _where(_runs(), wanted).order_by(SyncRun.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(SyncRun.id < before_id)
    return [RunRow(*row) for row in db.session.execute(query)]


def iterate(wanted: RunFilter) -> Iterator[RunRow]:
    """Every download of a filter, the latest first, some hundred in memory at a time."""
    before: int | None = None
    while True:
        rows = list_page(wanted, before, BATCH)
        yield from rows
        if len(rows) < BATCH:
            return
        before = rows[-1].id


def status_counts(wanted: RunFilter) -> dict[str, int]:
    """Number of downloads per status; the filter's own status is left out."""
    unbound = RunFilter(kind=wanted.kind, by=wanted.by, since=wanted.since, until=wanted.until)
    query = _where(select(SyncRun.status, func.count()), unbound).group_by(SyncRun.status)
    counts: dict[str, int] = {row[0]: row[1] for row in db.session.execute(query)}
    return {status: counts.get(status, 0) for status in RUN_STATUSES}


def starters() -> list[str]:
    """Everybody who ever asked for a download, by name; the schedule is `schedule`."""
    return [name for name in db.session.scalars(select(SyncRun.started_by).distinct().order_by(SyncRun.started_by)) if name]


def days(last: date, count: int, zone: tzinfo) -> list[DayRow]:
    """The `count` business dates up to `last`, each with its downloads, the oldest first."""
    first = last - timedelta(days=count - 1)
    since, until = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (first, last + timedelta(days=1)))
    columns = (SyncRun.requested_at, SyncRun.status, SyncRun.succeeded, SyncRun.failed, SyncRun.started_at, SyncRun.finished_at)
    query = select(*columns).where(SyncRun.requested_at >= since, SyncRun.requested_at < until)
    by_day: dict[date, list[Any]] = {}
    for row in db.session.execute(query):
        by_day.setdefault(row.requested_at.astimezone(zone).date(), []).append(row)
    return [_day(first + timedelta(days=number), by_day.get(first + timedelta(days=number), [])) for number in range(count)]


def _day(day: date, rows: list[Any]) -> DayRow:
    completed = [row for row in rows if row.status == "completed"]
    largest = max(completed, key=lambda row: (row.succeeded + row.failed, row.requested_at), default=None)
    seconds = None
    if largest is not None and largest.started_at and largest.finished_at:
        seconds = max(round((largest.finished_at - largest.started_at).total_seconds()), 0)
    return DayRow(
        day,
        len(rows),
        None if largest is None else largest.succeeded + largest.failed,
        seconds,
        sum(row.failed for row in completed),
        sum(row.status == "failed" for row in rows),
    )


def standing_failures(limit: int = 5) -> list[StandingFailures]:
    """The completed downloads since the last full one, it included, that could not read some records, the latest first."""
    last_full = (
        select(SyncRun.id)
        .where(SyncRun.status == "completed", SyncRun.kind == "full")
        .order_by(SyncRun.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(SyncRun.id, SyncRun.failed)
        .where(SyncRun.status == "completed", SyncRun.failed > 0, SyncRun.id >= func.coalesce(last_full, 0))
        .order_by(SyncRun.id.desc())
        .limit(limit)
    )
    return [StandingFailures(run_id, failed) for run_id, failed in db.session.execute(query)]


def undecided() -> UndecidedDrop | None:
    """The download whose missing SOAs wait for a supervisor, or None; there is at most one."""
    query = select(SyncRun.id, SyncRun.waiting_to_close, SyncRun.finished_at).where(SyncRun.waiting_to_close > literal_column("0"))
    row = db.session.execute(query.order_by(SyncRun.id.desc()).limit(1)).one_or_none()
    return None if row is None else UndecidedDrop(*row)


def last_asked_since(since: datetime) -> RunRow | None:
    """The latest download asked for since then, or None."""
    query = _runs().where(SyncRun.requested_at >= since).order_by(SyncRun.requested_at.desc(), SyncRun.id.desc()).limit(1)
    row = db.session.execute(query).one_or_none()
    return None if row is None else RunRow(*row)


def count_failures(run_id: int) -> int:
    """How many records of a download stand as unread."""
    return db.session.execute(select(func.count()).select_from(SyncFailure).where(SyncFailure.run_id == run_id)).scalar_one()


def failures(run_id: int) -> Iterator[FailureRow]:
    """Every record a download could not read, in its order, some hundred in memory at a time."""
    after = 0
    while True:
        query = select(*(getattr(SyncFailure, name) for name in _FAILURE_COLUMNS)).where(
            SyncFailure.run_id == run_id, SyncFailure.id > after
        )
        rows = [FailureRow(*row) for row in db.session.execute(query.order_by(SyncFailure.id).limit(BATCH))]
        yield from rows
        if len(rows) < BATCH:
            return
        after = rows[-1].id


def changes(run_id: int, kind: str = "", after_id: int = 0, limit: int = 50) -> list[RunChange]:
    """What a download changed, SOA by SOA in the order in which it was written, those after `after_id`; of one kind when it is given."""
    rows: list[Any] = []
    for one in (kind,) if kind else CHANGE_KINDS:  # each by itself: their index parts them, so that a rare kind is not looked for in all
        query = (
            select(SoaChange, Soa.customer_name, Soa.account_number)
            .outerjoin(Soa, Soa.id == SoaChange.soa_id)
            .where(SoaChange.run_id == run_id, SoaChange.kind == one, SoaChange.id > after_id)
            .order_by(SoaChange.id)
            .limit(limit)
        )
        rows += db.session.execute(query)
    rows.sort(key=lambda found: found[0].id)
    return [
        RunChange(
            row.id,
            row.soa_id,
            name or "",
            account or "",
            row.kind,
            [FieldChange(field, field_words(field), was, now) for field, (was, now) in json.loads(row.changes).items()],
        )
        for row, name, account in rows[:limit]
    ]
