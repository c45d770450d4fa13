"""Column types that cannot hold a wrong value: exact pesos and UTC instants."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, DateTime
from sqlalchemy.types import TypeDecorator

from portal.domain.money import centavos


class Pesos(TypeDecorator[Decimal]):
    """Exact pesos, kept as integer centavos, so that SUM is exact on every database. Refuses a fraction of a centavo."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:
        """Centavos of the pesos given; raises InvalidAmount for a float or a fraction of a centavo."""
        return None if value is None else centavos(value)

    def process_result_value(self, value: Any, dialect: Any) -> Decimal | None:
        """Pesos; a SUM comes back as int or Decimal according to the database."""
        return pesos(value)

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        """The same for a whole column, without a call between."""
        return pesos


def pesos(value: Any) -> Decimal | None:
    """Pesos of what the database holds in centavos."""
    return None if value is None else Decimal(int(value)).scaleb(-2)


class Instant(TypeDecorator[datetime]):
    """An instant. Goes in with any offset, is stored in UTC and comes out aware, in UTC. Refuses naive values."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """UTC, without the offset where the database has no type for it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        """The same for a whole column; what SQLite holds is read as it stands, without three calls between."""
        return _utc if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _utc(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)
