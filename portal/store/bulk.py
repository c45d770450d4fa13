"""Many rows into one table at once: COPY on PostgreSQL, one prepared statement on SQLite. Never commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import psycopg
from psycopg import sql

from portal.extensions import db

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def is_postgresql() -> bool:
    """Which of the two databases this is."""
    return db.engine.dialect.name == "postgresql"


def line(texts: Sequence[str], end: str | None) -> str:
    """One row for copy(), of texts that hold no NUL; `end` is the last column, None for NULL."""
    joined = "\t".join(text.translate(_ESCAPES) for text in (*texts, end or ""))
    return joined + ("\\N\n" if end is None else "\n")


def copy(table: str, columns: Sequence[str], lines: Iterable[str]) -> None:
    """Write lines of line() into a table, on PostgreSQL."""
    connection = cast(psycopg.Connection[Any], db.session.connection().connection.driver_connection)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as writer:
        writer.write("".join(lines))


def insert_many(table: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    """Write rows of values as the driver takes them into a table, on SQLite."""
    if rows:
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - names of our own
        db.session.connection().exec_driver_sql(statement, rows)
