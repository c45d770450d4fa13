"""The real portal in one process: one app, a database in memory that is fresh for each seed, and a fuse that kills whoever works on it."""

from __future__ import annotations

import gc
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import flask_migrate
import structlog
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from config import TestConfig
from portal import create_app
from portal.extensions import db
from portal.store import users

T = TypeVar("T")
START = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
"""07:30 on a Friday in Manila."""
PEOPLE = (
    ("nena", ("collector",), ("A1", "A2")),
    ("jun", ("collector",), ("B1",)),
    ("lito", ("collector",), ("A2", "C1")),  # shares A2 with nena: two collectors may meet on one account
    ("carla", ("office",), ()),
    ("ramon", ("office", "supervisor"), ()),
    ("boss", ("admin",), ()),
)
COLLECTORS = tuple(name for name, roles, _ in PEOPLE if roles == ("collector",))


class Killed(BaseException):
    """The process died here. Not an Exception: no handler of the product may survive it."""


class Lasting(sqlite3.Connection):
    """The database is in memory: closing the connection of a killed process must not throw it away, only what was not committed."""

    def close(self) -> None:
        """Roll back."""
        self.rollback()


class Portal:
    """One app and one database in memory. `process` runs a piece of work as a process of its own."""

    def __init__(self, directory: Path) -> None:
        self.raw = sqlite3.connect(":memory:", factory=Lasting, check_same_thread=False)
        config = TestConfig(directory, DATABASE_URL="sqlite:///:memory:")
        config.SQLALCHEMY_ENGINE_OPTIONS = {"creator": lambda: self.raw, "poolclass": StaticPool}
        self.app = create_app(config)
        self.template = sqlite3.connect(":memory:")
        self.left: int | None = None
        self.how = "kill"
        self.copy: sqlite3.Connection | None = None
        """The backup somebody made of the database, if there is one."""
        self.doors: list[Callable[[sqlite3.Connection], None]] = []
        """What a planted bug does to every fresh database."""
        with self.app.app_context():
            flask_migrate.upgrade()
            self.ids = {name: users.add(name, name.title(), "no password", START) for name, _, _ in PEOPLE}
            for name, roles, codes in PEOPLE:
                users.set_roles(self.ids[name], roles)
                users.set_codes(self.ids[name], codes, START)
            db.session.commit()
            self.raw.backup(self.template)
            event.listen(db.engine, "before_cursor_execute", self._statement)
            event.listen(db.engine, "commit", self._commit)
        really_commit = db.session.commit

        def commit() -> None:
            really_commit()
            self._burn("after the commit")

        db.session.commit = commit  # type: ignore[method-assign]

    def reset(self) -> None:
        """A fresh, migrated database with the people in it."""
        self.left = self.copy = None
        self._fill_from(self.template)
        for door in self.doors:
            door(self.raw)

    def _fill_from(self, copy: sqlite3.Connection) -> None:
        if self.raw.in_transaction:
            self.raw.rollback()
        copy.backup(self.raw)
        self.raw.execute("PRAGMA foreign_keys = ON")

    def back_up(self) -> None:
        """Copy the database aside, in place of an earlier copy."""
        self.copy = sqlite3.connect(":memory:")
        self.raw.backup(self.copy)

    def put_back(self) -> None:
        """Put the copy in the place of the database: what came after it is gone."""
        assert self.copy is not None
        self._fill_from(self.copy)

    # --- one process

    def process(self, work: Callable[[], T], fuse: int | None = None, how: str = "kill") -> T:
        """Do `work` in a session of its own. After `fuse` statements and commits it dies (`how` "kill": Killed), or its database fails
        once ("fail": OperationalError). With "kill at commit" and "fail at commit" only commits count, twice each: before and after.
        What was not committed is gone."""
        before = (self.left, self.how)
        self.left, self.how = fuse, how
        try:
            with self.app.app_context():
                try:
                    return work()
                except BaseException:
                    self.left = None
                    db.session.rollback()
                    raise
        except Killed:
            if self.raw.in_transaction:  # the operating system closed its connection
                self.raw.rollback()
            raise
        finally:
            self.left, self.how = before

    @contextmanager
    def spared(self) -> Iterator[None]:
        """Others work while this process waits: its fuse does not burn."""
        before, self.left = self.left, None
        try:
            yield
        finally:
            self.left = before

    def _burn(self, statement: str) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left >= 0:
            return
        self.left = None
        if self.how.startswith("kill"):
            raise Killed(statement[:80])
        raise OperationalError(statement, {}, sqlite3.OperationalError("disk I/O error"))

    def _statement(self, _c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "commit" not in self.how and not statement.startswith(("BEGIN", "ROLLBACK")):
            self._burn(statement)

    def _commit(self, _connection: Any) -> None:
        self._burn("COMMIT")

    # --- looking at it from outside

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds, past all of the product's code."""
        return self.raw.execute(query, values).fetchall()

    def one(self, query: str, *values: object) -> Any:
        """The one value a query finds."""
        return self.raw.execute(query, values).fetchone()[0]


def have_process_to_itself() -> None:
    """Make this process fast and quiet: the faults are meant, so nobody reads what the product logs of them."""
    structlog.configure(processors=[_silence])
    for name, level in (("portal", "CRITICAL"), ("workers", "CRITICAL"), ("alembic", "ERROR")):
        logging.getLogger(name).setLevel(level)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # a seed makes many short-lived objects and hardly any rings


def _silence(_logger: Any, _name: str, _event: Any) -> Any:
    raise structlog.DropEvent
