"""The one place that asks the machine for the time. Rules and services get it as an argument."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from flask import current_app


def now() -> datetime:
    """This instant, aware, in UTC."""
    return datetime.now(UTC)


def zone() -> ZoneInfo:
    """The business time zone of this app."""
    found: ZoneInfo = current_app.config["ZONE"]
    return found


def today() -> date:
    """The business date at this instant."""
    return now().astimezone(zone()).date()


def to_business(instant: datetime) -> datetime:
    """The instant on the wall clocks of the business."""
    return instant.astimezone(zone())


def midnight(day: date) -> datetime:
    """The instant at which a business date begins."""
    return datetime.combine(day, time(), zone())
