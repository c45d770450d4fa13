"""Many values in one question and many rows in one statement, the same statement however many they are. Never commits.

A list of a thousand values written out in a statement takes longer to put together, and to take apart again, than to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Date, DateTime, Integer, String, Table, Text, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger, NullType, TypeDecorator, TypeEngine

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
        connection.exec_driver_sql(statement, tuple(columns))
    else:
        connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))


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
    readers = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in given]
    defaults = [column.default.arg for column in rest]  # type: ignore[union-attr]
    columns = ", ".join(f'"{column.name}"' for column in (*given, *rest))
    if dialect.name == "postgresql":
        arrays = ", ".join(f"%s::{_array_of(column.type.dialect_impl(dialect))}[]" for column in (*given, *rest))
        return f"INSERT INTO {table.name} ({columns}) SELECT * FROM unnest({arrays})", readers, defaults  # noqa: S608 - our own names
    marks = ", ".join("?" * (len(given) + len(rest)))
    return f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", readers, defaults  # noqa: S608 - our own names


_ARRAYS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (Boolean, "boolean"),
    (BigInteger, "bigint"),
    (Integer, "integer"),
    (DateTime, "timestamptz"),
    (Date, "date"),
    (String, "text"),
)


def _array_of(kind: TypeEngine[Any]) -> str:
    below = kind.impl_instance if isinstance(kind, TypeDecorator) else kind
    return next(name for one, name in _ARRAYS if isinstance(below, one))
