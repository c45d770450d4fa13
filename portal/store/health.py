"""Whether the stores answer, and how much waits in them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal.extensions import db, get_redis
from portal.store import incidents
from portal.store.models import Payment


@cache
def newest_migration() -> str | None:
    """The migration this program was written for: files are named by their revision, in rising order."""
    files = (Path(__file__).parent.parent / "migrations" / "versions").glob("[0-9]*_*.py")
    return max((file.name.partition("_")[0] for file in files), default=None)


def database_state() -> str:
    """`ok`; `outdated` when it has not the tables this program was written for; `away` when it does not answer."""
    try:
        found = db.session.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except SQLAlchemyError as error:
        db.session.rollback()
        return "outdated" if "alembic_version" in str(getattr(error, "orig", "")) else "away"
    return "ok" if found == newest_migration() else "outdated"


def redis_answers() -> bool:
    """Whether Redis answers and takes writes: one that is full or a copy of another answers a ping all the same."""
    try:
        return bool(get_redis().set("portal:ready", "1", ex=60))
    except RedisError:
        return False


class Backlog(Collector):
    """Payments by status and open incidents, read when scraped."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        payments = GaugeMetricFamily("portal_payments", "Payments in the ledger by status", labels=["status"])
        for status, count in db.session.execute(select(Payment.status, func.count()).group_by(Payment.status)):
            payments.add_metric([status], count)
        yield payments
        yield GaugeMetricFamily("portal_open_incidents", "Incidents nobody has resolved", value=incidents.count_open())
