"""Sync runs and the records they could not read. Moves of a run are conditional UPDATEs whose row count tells who won. Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, delete, insert, select, update

from portal.extensions import db
from portal.store.models import SyncFailure, SyncRun


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run; money in pesos, moments in UTC. While it runs, `pscloud_count` is what PSCloud announced; afterwards its summary's."""

    id: int
    trigger: str
    kind: str
    started_by: str
    status: str
    active_slot: int | None
    lease: str | None
    heartbeat_at: datetime
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    as_of: datetime | None
    pages: int
    total: int | None
    succeeded: int
    failed: int
    added: int
    changed: int
    unchanged: int
    closed: int
    amount_due: Decimal
    pscloud_count: int | None
    pscloud_amount_due: Decimal | None
    error: str
    note: str
    watermark: datetime | None
    bytes_read: int
    pages_unchanged: int
    fetch_ms: int
    map_ms: int
    write_ms: int
    check_ms: int
    swap_ms: int
    waiting_to_close: int

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from its start to its end; None while it runs or when it never started."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max((self.finished_at - self.started_at).total_seconds(), 0.0)

    @property
    def active(self) -> bool:
        """Whether it is waiting or running."""
        return self.status in {"pending", "processing"}


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One record that could not be read: its raw payload and the reason in plain words."""

    id: int
    run_id: int
    pscloud_id: str | None
    label: str
    field: str
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class NewFailure:
    """A record to be quarantined."""

    pscloud_id: str | None
    label: str
    field: str
    reason: str
    raw: str


_COLUMNS = tuple(field.name for field in fields(RunRow))


def _runs() -> Select[Any]:
    return select(*(getattr(SyncRun, name) for name in _COLUMNS))


# --- reads


def recent(limit: int = 50, before_id: int | None = None, status: str | None = None) -> list[RunRow]:
    """Runs, the latest first, those before `before_id` when it is given."""
    query = _runs().order_by(SyncRun.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(SyncRun.id < before_id)
    if status:
        query = query.where(SyncRun.status == status)
    return [RunRow(*row) for row in db.session.execute(query)]


def get(run_id: int) -> RunRow | None:
    """One run, or None."""
    row = db.session.execute(_runs().where(SyncRun.id == run_id)).one_or_none()
    return None if row is None else RunRow(*row)


def get_locked(run_id: int) -> RunRow | None:
    """One run, or None; nobody else changes it until the transaction ends."""
    row = db.session.execute(_runs().where(SyncRun.id == run_id).with_for_update()).one_or_none()
    return None if row is None else RunRow(*row)


def active() -> RunRow | None:
    """The run that is waiting or running, if there is one."""
    row = db.session.execute(_runs().where(SyncRun.active_slot == 1)).one_or_none()
    return None if row is None else RunRow(*row)


def last_completed() -> RunRow | None:
    """The run whose SOAs everybody sees, or None."""
    row = db.session.execute(_runs().where(SyncRun.status == "completed").order_by(SyncRun.id.desc()).limit(1)).one_or_none()
    return None if row is None else RunRow(*row)


def watermark() -> datetime | None:
    """The moment of PSCloud's up to which every change is here; None when no completed run could vouch for one."""
    marked = select(SyncRun.watermark).where(SyncRun.status == "completed", SyncRun.watermark.is_not(None))
    return db.session.scalar(marked.order_by(SyncRun.id.desc()).limit(1))


def failures(run_id: int, after_id: int = 0, limit: int = 50) -> list[FailureRow]:
    """Quarantined records of a run, oldest first, those after `after_id`."""
    rows = db.session.execute(
        select(*(getattr(SyncFailure, field.name) for field in fields(FailureRow)))
        .where(SyncFailure.run_id == run_id, SyncFailure.id > after_id)
        .order_by(SyncFailure.id)
        .limit(limit)
    )
    return [FailureRow(*row) for row in rows]


def waiting() -> list[RunRow]:
    """Runs that no worker has taken yet."""
    return [RunRow(*row) for row in db.session.execute(_runs().where(SyncRun.status == "pending"))]


def silent_since(moment: datetime) -> list[int]:
    """Ids of running runs that have not shown life since `moment`. A run that is just being finished is left out."""
    query = select(SyncRun.id).where(SyncRun.status == "processing", SyncRun.heartbeat_at < moment)
    return list(db.session.scalars(query.with_for_update(skip_locked=True)))


# --- moves


def add(trigger: str, started_by: str, now: datetime, kind: str = "full") -> int:
    """A new run, Pending. The unique `active_slot` raises IntegrityError when another one is waiting or running."""
    run = SyncRun(
        trigger=trigger, kind=kind, started_by=started_by[:120], status="pending", active_slot=1, requested_at=now, heartbeat_at=now
    )
    db.session.add(run)
    db.session.flush()
    return run.id


def claim(run_id: int, lease: str, now: datetime) -> bool:
    """Pending to Processing under this lease; False when another worker was faster or the run has ended."""
    return _move(run_id, ("pending",), None, status="processing", lease=lease, started_at=now, heartbeat_at=now)


def keep(run_id: int, lease: str, now: datetime, **values: Any) -> bool:
    """Show life and write progress; False when the run was cancelled or taken away. Locks the run until the transaction ends."""
    return _move(run_id, ("processing",), lease, heartbeat_at=now, **values)


def complete(run_id: int, lease: str, now: datetime, **values: Any) -> bool:
    """Processing to Completed under this lease; False when the run was cancelled or taken away."""
    ended = {"status": "completed", "active_slot": None, "lease": None, "finished_at": now, "heartbeat_at": now}
    return _move(run_id, ("processing",), lease, **ended, **values)


def end(run_id: int, status: str, now: datetime, error: str = "", lease: str | None = None, **values: Any) -> bool:
    """A waiting or running run ends Failed or Cancelled; with `lease`, only if that lease still holds it."""
    ended = {"status": status, "active_slot": None, "lease": None, "finished_at": now, "error": error}
    return _move(run_id, ("pending", "processing"), lease, **ended, **values)


def is_free(run_id: int) -> bool:
    """False while the run's row is locked because it is just being finished (PostgreSQL; SQLite has one writer anyway)."""
    query = select(SyncRun.id).where(SyncRun.id == run_id).with_for_update(skip_locked=True)
    return db.session.scalar(query) is not None


def change_numbers(run_id: int, **values: Any) -> None:
    """Correct an ended run's numbers after records were retried."""
    db.session.execute(update(SyncRun).where(SyncRun.id == run_id).values(**values))


def add_failures(run_id: int, found: Sequence[NewFailure]) -> None:
    """Quarantine records."""
    if found:
        db.session.execute(
            insert(SyncFailure),
            [{"run_id": run_id, **{field.name: getattr(one, field.name) for field in fields(NewFailure)}} for one in found],
        )


def remove_failures(run_id: int, ids: Sequence[int] | None = None) -> int:
    """Remove quarantined records of a run, all or these. Returns how many."""
    statement = delete(SyncFailure).where(SyncFailure.run_id == run_id)
    if ids is None:
        return int(db.session.execute(statement).rowcount)  # type: ignore[attr-defined]
    return sum(int(db.session.execute(statement.where(SyncFailure.id == one)).rowcount) for one in ids)  # type: ignore[attr-defined, misc]


def change_failure(failure_id: int, field: str, reason: str, raw: str) -> None:
    """The record was asked for again and still cannot be read."""
    db.session.execute(update(SyncFailure).where(SyncFailure.id == failure_id).values(field=field, reason=reason, raw=raw))


def _move(run_id: int, held: tuple[str, ...], holder: str | None, **values: Any) -> bool:
    query = update(SyncRun).where(SyncRun.id == run_id, SyncRun.status.in_(held))
    if holder is not None:
        query = query.where(SyncRun.lease == holder)
    # The row is never in the session here, so there is nothing to bring up to date.
    done = db.session.execute(query.values(**values), execution_options={"synchronize_session": False})
    return int(done.rowcount) == 1  # type: ignore[attr-defined]
