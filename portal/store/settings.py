"""Settings that the office chose itself; what is not here has the value of the environment. Never commits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from portal.extensions import db, read_only
from portal.store.models import Setting

_ALL = select(Setting.name, Setting.value, Setting.version, Setting.changed_at, Setting.changed_by)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One chosen value; `version` is the number of the change that wrote it."""

    name: str
    value: Any
    version: int
    changed_at: datetime
    changed_by: str


def _row(name: str, value: str, version: int, changed_at: datetime, changed_by: str) -> SettingRow:
    return SettingRow(name, json.loads(value), version, changed_at, changed_by)


def all_rows() -> dict[str, SettingRow]:
    """Every chosen value by its name, as the transaction of the session sees them."""
    return {row[0]: _row(*row) for row in db.session.execute(_ALL)}


def committed() -> dict[str, SettingRow]:
    """The same, read beside the session: no transaction is begun in it, so none stays open while a page or paper is being set."""
    token = read_only.set(True)
    try:
        with db.engine.connect() as connection:
            return {row[0]: _row(*row) for row in connection.execute(_ALL)}
    finally:
        read_only.reset(token)


def put(name: str, value: Any, version: int, who: str, now: datetime) -> None:
    """Choose a value."""
    values = {"value": json.dumps(value, ensure_ascii=False), "version": version, "changed_at": now, "changed_by": who[:120]}
    done = db.session.execute(update(Setting).where(Setting.name == name).values(**values).execution_options(synchronize_session=False))
    if not done.rowcount:  # type: ignore[attr-defined]
        db.session.execute(insert(Setting).values(name=name, **values))
