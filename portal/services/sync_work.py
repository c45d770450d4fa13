"""One download in progress: its numbers so far, and how it shows that it lives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from flask import current_app

from portal.domain.money import ZERO
from portal.extensions import db
from portal.pscloud.client import PscloudClient
from portal.store import read_pages, staging, sync_runs
from portal.store.read_pages import Memory
from portal.store.seen import Totals

HEARTBEAT = timedelta(seconds=1)


class RunEnded(Exception):
    """The run was cancelled, or given up by the sweep, while we worked on it: nothing of it may be written any more."""


class ReadAgain(Exception):
    """What was remembered of the last download cannot be relied on, for a reason in plain words: every record must be read."""


@dataclass
class Work:
    """One run in progress, with its numbers so far; `announced` is PSCloud's own count, where its list says one, `moved` that the list
    changed from page to page. A quick run reads what changed `since`; `mark` is the watermark it began with. `first_as_of` is PSCloud's
    time on the first page, `started` ours before anything was asked. `memory` is what it relies on of the run before, as of the change
    `last_change`, when this was open `here`; `skipped` records were taken to be as they are stored. `phases` in seconds; of `notes` the
    first `reasons` say why reading began anew; `words` of names were written by this run; it `filled` tables that were empty."""

    run_id: int
    lease: str
    client: PscloudClient
    now: Callable[[], datetime]
    alive_at: datetime
    started: datetime
    memory: Memory = read_pages.NOTHING
    last_change: int = 0
    here: Totals | None = None
    pages: int = 0
    pages_unchanged: int = 0
    bytes_read: int = 0
    succeeded: int = 0
    staged: int = 0
    skipped: int = 0
    failed: int = 0
    amount_due: Decimal = ZERO
    announced: int | None = None
    as_of: datetime | None = None
    first_as_of: datetime | None = None
    mark: datetime | None = None
    since: datetime | None = None
    repeated: int = 0
    moved: bool = False
    left_open: bool = False
    waiting_to_close: int = 0
    notes: list[str] = field(default_factory=list)
    reasons: int = 0
    words: set[str] = field(default_factory=set)
    filled: bool = False
    phases: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("fetch", "map", "write", "check", "swap"), 0.0))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What is done inside counts for this phase."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] += time.perf_counter() - begun

    def figures(self) -> dict[str, int]:
        """What the run keeps of its work so far, whatever becomes of it."""
        kept = {f"{name}_ms": round(seconds * 1000) for name, seconds in self.phases.items()}
        return {"pages": self.pages, "pages_unchanged": self.pages_unchanged, "bytes_read": self.bytes_read, **kept}

    def show_life(self) -> None:
        """Show that the run lives, and notice that it was cancelled; nothing may be open in the session. Raises RunEnded."""
        now = self.now()
        if now - self.alive_at < HEARTBEAT:
            return
        if not sync_runs.keep(self.run_id, self.lease, now):
            raise RunEnded
        db.session.commit()
        self.alive_at = now

    def begin_again(self, why: str) -> None:
        """Forget what was read so far, and say why. Commits."""
        staging.clear(self.run_id)
        read_pages.forget_run(self.run_id)
        sync_runs.remove_failures(self.run_id)
        db.session.commit()
        self.pages = self.pages_unchanged = self.repeated = self.succeeded = self.staged = self.skipped = self.failed = 0
        self.amount_due = ZERO
        self.moved = False
        self.announced = self.as_of = self.first_as_of = None
        self.notes.append(why)


def business_date(now: datetime) -> date:
    """The day in the office."""
    return now.astimezone(current_app.config.get("ZONE", UTC)).date()


def many(number: int, word: str) -> str:
    """`1 record`, `1,234 records`."""
    return f"{number} {word}" if number == 1 else f"{number:,} {word}s"
