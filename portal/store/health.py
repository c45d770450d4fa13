"""Whether the stores answer, and how much waits in them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal.extensions import db, get_redis
from portal.store import incidents
from portal.store.models import Payment


def database_answers() -> bool:
    """Whether the database answers and has our tables."""
    try:
        db.session.execute(text("SELECT seq FROM audit_head"))
    except SQLAlchemyError:
        db.session.rollback()
        return False
    return True


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
