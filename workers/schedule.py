"""The scheduler: starts periodic jobs at their time, catches a missed one up once, and sweeps. `python -m workers.schedule`"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from croniter import croniter
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from config import Config, ConfigError
from portal import clock
from portal.services import sync
from workers import jobs

log = logging.getLogger(__name__)
TICK = 3.0
"""Seconds between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Periodic:
    """A job and when it is due: `cron` names the setting that holds a cron line (business time), `every` is in seconds.

    Cron jobs get their name, their latest slot and the time; they remember the slot in the database, so that of two schedulers one
    starts it and a missed one is caught up once. Interval jobs get nothing and may run in several schedulers at once."""

    name: str
    job: Callable[..., object]
    cron: str = ""
    every: float = 0.0


PERIODIC = (
    Periodic("daily_download", sync.start_scheduled, cron="SYNC_SCHEDULE"),
    # Done here rather than by a worker: it is what notices that workers or Redis are gone.
    Periodic("sweep", jobs.sweep, every=15.0),
)


def latest_slot(cron: str, now: datetime, zone: Any) -> datetime:
    """The last moment at or before `now` that the cron line names on the wall clocks of `zone`; in UTC."""
    # croniter looks strictly before the moment it is given.
    after: datetime = croniter(cron, now.astimezone(zone) + timedelta(microseconds=1)).get_prev(datetime)
    return after.astimezone(UTC)


class Scheduler:
    """Looks at the clock every few seconds until told to stop. One bad job never ends it."""

    def __init__(self, app: Flask, periodic: tuple[Periodic, ...] = PERIODIC, stop: threading.Event | None = None) -> None:
        """`app` gives the settings and the database; setting `stop` ends run()."""
        self.app = app
        self.periodic = periodic
        self.stop = stop or threading.Event()
        self.last_done: dict[str, datetime] = {}

    def run(self) -> None:
        """Tick until `stop` is set."""
        while not self.stop.is_set():
            self.tick(clock.now())
            self.stop.wait(TICK)

    def tick(self, now: datetime) -> None:
        """Start what is due at `now`."""
        for one in self.periodic:
            try:
                with self.app.app_context():
                    self._look_at(one, now)
            except SQLAlchemyError as error:
                log.warning("%s must wait: the database does not answer (%s).", one.name, type(error).__name__)
            except Exception:
                log.exception("%s failed; the scheduler goes on.", one.name)

    def _look_at(self, one: Periodic, now: datetime) -> None:
        if one.cron:
            one.job(one.name, latest_slot(self.app.config[one.cron], now, self.app.config["ZONE"]), now)
            return
        last = self.last_done.get(one.name)
        # A clock that was set back must not silence a job.
        if last is None or not timedelta(0) <= now - last < timedelta(seconds=one.every):
            self.last_done[one.name] = now
            one.job()


def main() -> int:
    """Entry point. Exit code 2 for wrong settings; ends promptly on SIGTERM and SIGINT."""
    from portal import create_app

    try:
        config = Config()
    except ConfigError as error:
        print(f"A setting is wrong: {error}", file=sys.stderr)
        return 2
    if not croniter.is_valid(config.SYNC_SCHEDULE):
        print(f"SYNC_SCHEDULE {config.SYNC_SCHEDULE!r} is not a cron line. Write it like: 0 5 * * *", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Scheduler(create_app(config), stop=stop).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
