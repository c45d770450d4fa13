"""Many values in one question and many rows in one statement, the same statement however many they are. Never commits.

A list of a thousand values written out in a statement takes longer to put together, and to take apart again, than to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, cast

import psycopg
from sqlalchemy import ColumnElement, Integer, Table, Text, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from portal.extensions import db


class Many(TypeDecorator[Sequence[Any]]):
    """Texts, or whole numbers, as one value: an array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, numbers: bool = False) -> None:
        """Of whole numbers, or of texts."""
        super().__init__()
        self.numbers = numbers

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """What the database takes it as."""
        return ARRAY(Integer() if self.numbers else Text()) if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        """The list itself, or its JSON."""
        given = list(value or ())
        return given if dialect.name == "postgresql" else json.dumps(given)


class _Among(FunctionElement[Any]):
    type = NullType()  # of a Boolean, SQLite is asked whether it equals 1, and uses no index
    inherit_cache = True
    name = "among"


@compiles(_Among, "postgresql")
def _among_array(element: _Among, compiler: Any, **given: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **given)} = ANY ({compiler.process(values, **given)})"


@compiles(_Among, "sqlite")
def _among_json(element: _Among, compiler: Any, **given: Any) -> str:
    column, values = (compiler.process(part, **given) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - parts that were compiled already


def among(column: Any, name: str, numbers: bool = False) -> ColumnElement[bool]:
    """Whether a column is one of the values that are given to the statement as a list under this name."""
    return _Among(column, bindparam(name, type_=Many(numbers)))


def insert_all(table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert them, all with the same columns as the first. Raises IntegrityError or DataError when the database refuses one."""
    if not rows:
        return
    connection = db.session.connection()
    names = tuple(rows[0])
    statement, readers, defaults = _insert(table, names, connection.dialect)
    columns = [_read([row[name] for row in rows], reader) for name, reader in zip(names, readers, strict=True)]
    columns += [[value] * len(rows) for value in defaults]
    if connection.dialect.name == "postgresql":
        _copy(statement, "".join(f"{line}\n" for line in map("\t".join, zip(*columns, strict=True))))
    else:
        connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))


def _copy(statement: str, lines: str) -> None:
    """COPY, with SQLAlchemy's errors."""
    driver = cast(psycopg.Connection[Any], db.session.connection().connection.driver_connection)
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as writer:
            writer.write(lines)
    except psycopg.IntegrityError as error:
        raise IntegrityError(statement, None, error) from error
    except psycopg.DataError as error:
        raise DataError(statement, None, error) from error
    except psycopg.Error as error:
        raise OperationalError(statement, None, error) from error


def _read(values: list[Any], reader: Callable[[Any], Any] | None) -> list[Any]:
    """Values as the driver takes them; the same instant stands in row after row."""
    if reader is None:
        return values
    found, known, last = [], None, object()
    for value in values:
        if value is not last:
            known, last = reader(value), value
        found.append(known)
    return found


@cache
def _insert(table: Table, names: tuple[str, ...], dialect: Dialect) -> tuple[str, list[Any], list[Any]]:
    """The statement, what reads each column's values, and the values of columns that are not given and have a default."""
    given = [table.c[name] for name in names]
    rest = [column for column in table.c if column.name not in names and column.default is not None and column.default.is_scalar]
    columns = ", ".join(f'"{column.name}"' for column in (*given, *rest))
    readers = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in given]
    defaults = [column.default.arg for column in rest]  # type: ignore[union-attr]
    if dialect.name == "postgresql":
        texts = [_as_text(reader) for reader in readers]
        return f"COPY {table.name} ({columns}) FROM STDIN", texts, [_as_text(None)(value) for value in defaults]
    marks = ", ".join("?" * (len(given) + len(rest)))
    return f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", readers, defaults  # noqa: S608 - our own names


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _as_text(reader: Callable[[Any], Any] | None) -> Callable[[Any], str]:
    """What writes a value as COPY reads it."""

    def write(value: Any) -> str:
        if reader is not None:
            value = reader(value)
        if type(value) is str:
            return value.translate(_ESCAPES)
        if value is None:
            return "\\N"
        return value.isoformat() if isinstance(value, date) else str(value)

    return write
