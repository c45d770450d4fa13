"""Files of long lists that workers write. Moves are conditional UPDATEs whose row count tells who won. Never commits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, Select, delete, select, update

from portal.extensions import db
from portal.store.models import Export, User

ACTIVE = ("pending", "processing")
_COLUMNS = (
    "id", "user_id", "kind", "format", "query", "chosen", "words", "day", "status", "lease", "rows_done", "rows_total", "size", "error",
    "created_at", "started_at", "heartbeat_at", "finished_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One export: whose it is, what of which list (`words` says it to people), and how far it is. Moments in UTC, size in bytes;
    `heartbeat_at` is when its rows were last counted."""

    id: int
    user_id: int
    kind: str
    format: str
    query: str
    chosen: str
    words: tuple[str, ...]
    day: date
    status: str
    lease: str | None
    rows_done: int
    rows_total: int | None
    size: int | None
    error: str
    created_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime
    finished_at: datetime | None
    who: str

    @property
    def active(self) -> bool:
        """Whether it is waiting or being written."""
        return self.status in ACTIVE


def _query() -> Select[Any]:
    return select(*(getattr(Export, name) for name in _COLUMNS), User.display_name).join(User, User.id == Export.user_id)


def _read(row: Row[Any]) -> ExportRow:
    values: dict[str, Any] = dict(zip(_COLUMNS, row[:-1], strict=True))
    return ExportRow(**{**values, "words": tuple(json.loads(values["words"]))}, who=row[-1])


def get(export_id: int) -> ExportRow | None:
    """One export, or None."""
    row = db.session.execute(_query().where(Export.id == export_id)).one_or_none()
    return None if row is None else _read(row)


def of_user(user_id: int, limit: int = 50) -> list[ExportRow]:
    """Somebody's exports, the latest first."""
    return [_read(row) for row in db.session.execute(_query().where(Export.user_id == user_id).order_by(Export.id.desc()).limit(limit))]


def waiting() -> list[ExportRow]:
    """Exports that no worker has taken yet."""
    return [_read(row) for row in db.session.execute(_query().where(Export.status == "pending"))]


def active_of(user_id: int) -> list[ExportRow]:
    """Somebody's exports that are waiting or being written."""
    return [_read(row) for row in db.session.execute(_query().where(Export.user_id == user_id, Export.status.in_(ACTIVE)))]


def silent_since(moment: datetime) -> list[int]:
    """Ids of exports being written that have not shown life since `moment`."""
    return list(db.session.scalars(select(Export.id).where(Export.status == "processing", Export.heartbeat_at < moment)))


def ended_before(moment: datetime) -> list[int]:
    """Ids of exports that ended before `moment`."""
    return list(db.session.scalars(select(Export.id).where(Export.finished_at < moment)))


def with_files(ids: Sequence[int]) -> dict[int, str]:
    """Those of these exports that have, or are being given, a file: id and status."""
    found: dict[int, str] = {}
    for start in range(0, len(ids), 500):
        query = select(Export.id, Export.status).where(
            Export.id.in_(ids[start : start + 500]), Export.status.in_(("processing", "completed"))
        )
        found |= {row[0]: row[1] for row in db.session.execute(query)}
    return found


def add(user_id: int, kind: str, form: str, query: str, chosen: str, words: Sequence[str], day: date, now: datetime) -> int:
    """A new export, Pending."""
    export = Export(
        user_id=user_id, kind=kind, format=form, query=query, chosen=chosen, words=json.dumps(list(words), ensure_ascii=False), day=day,
        status="pending", heartbeat_at=now, created_at=now,
    )  # fmt: skip
    db.session.add(export)
    db.session.flush()
    return export.id


def lock_user(user_id: int) -> None:
    """Let other requests of this person wait until the transaction ends, so that what is counted stays true."""
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update()).one()


def claim(export_id: int, lease: str, now: datetime) -> bool:
    """Pending to Processing under this lease; False when another worker was faster or it has ended."""
    return _move(export_id, ("pending",), None, status="processing", lease=lease, started_at=now, heartbeat_at=now)


def keep(export_id: int, lease: str, now: datetime, **values: Any) -> bool:
    """Show life and write progress; False when it was cancelled or given up."""
    return _move(export_id, ("processing",), lease, heartbeat_at=now, **values)


def complete(export_id: int, lease: str, size: int, now: datetime) -> bool:
    """Processing to Completed under this lease; False when it was cancelled or given up."""
    return _move(export_id, ("processing",), lease, status="completed", lease=None, size=size, finished_at=now)


def end(export_id: int, status: str, now: datetime, error: str, lease: str | None = None) -> bool:
    """A waiting or running export ends Failed or Cancelled; with `lease`, only if that lease still holds it."""
    return _move(export_id, ACTIVE, lease, status=status, lease=None, finished_at=now, error=error)


def remove(ids: Sequence[int]) -> None:
    """Forget ended exports."""
    for start in range(0, len(ids), 500):
        db.session.execute(delete(Export).where(Export.id.in_(ids[start : start + 500]), Export.finished_at.is_not(None)))


def _move(export_id: int, held: tuple[str, ...], holder: str | None, **values: Any) -> bool:
    query = update(Export).where(Export.id == export_id, Export.status.in_(held))
    if holder is not None:
        query = query.where(Export.lease == holder)
    done = db.session.execute(query.values(**values), execution_options={"synchronize_session": False})
    return int(done.rowcount) == 1  # type: ignore[attr-defined]
