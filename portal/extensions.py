"""The Flask extensions, made once and bound to an app in create_app(). No behaviour beyond how a database connection is opened."""

from __future__ import annotations

import math
import select
import sqlite3
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import psycopg
from flask import current_app
from flask_compress import Compress
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import Engine, MetaData, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import Pool

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue

NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Declarative base whose constraints have stable names on both databases, so that migrations can name them."""

    metadata = MetaData(naming_convention=NAMES)


db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()
csrf = CSRFProtect()
compress = Compress()
limiter = Limiter(key_func=get_remote_address)

read_only: ContextVar[bool] = ContextVar("read_only", default=False)
"""True while a request that only reads is served. On SQLite every other transaction takes the write lock at its BEGIN: one that
starts as a reader and turns writer later fails at once with `database is locked` when another wrote meanwhile, busy_timeout or not."""


PATIENCE = 15_000
patience: ContextVar[int] = ContextVar("patience", default=PATIENCE)
"""Milliseconds a transaction waits for SQLite's one writer before it gives up with `database is locked`."""


@event.listens_for(Engine, "connect")
def _open_sqlite(connection: Any, _record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.isolation_level = None  # we send BEGIN ourselves: the driver's own would start no transaction before SAVEPOINT
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {PATIENCE}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Any) -> None:
    if connection.dialect.name == "sqlite":
        wait, known = patience.get(), connection.connection.info
        if known.get("patience", PATIENCE) != wait:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {wait:d}")
            known["patience"] = wait
        connection.exec_driver_sql("BEGIN" if read_only.get() else "BEGIN IMMEDIATE")


UNSEEN = 10
"""Seconds after which a connection to PostgreSQL is asked whether it still works before it is used; until then it is looked at."""


@event.listens_for(Pool, "checkin")
def _lay_down(_connection: Any, record: Any) -> None:
    record.info["laid_down"] = time.monotonic()


@event.listens_for(Pool, "checkout")
def _pick_up(connection: Any, record: Any, _proxy: Any) -> None:
    """Use no connection that PostgreSQL has ended meanwhile. An ended one has something to read, which costs nothing to see; one that lay
    long may have been cut in silence by what stands between, so it is asked, and only then does a request pay for a way there and back."""
    if not isinstance(connection, psycopg.Connection):
        return
    try:
        watched = select.poll()
        watched.register(connection.fileno(), select.POLLIN)
        if watched.poll(0):
            raise psycopg.OperationalError("the server has ended the connection")
        if time.monotonic() - record.info.get("laid_down", math.inf) > UNSEEN:
            connection.execute("SELECT 1")
            connection.rollback()
    except psycopg.Error as error:
        raise InvalidatePoolError from error


def get_redis() -> Redis:
    """The Redis of this app. Raises redis.RedisError only when used, not here."""
    from redis import Redis

    client: Redis = current_app.extensions.setdefault(
        "portal_redis",
        Redis.from_url(current_app.config["REDIS_URL"] or "redis://127.0.0.1:1", socket_connect_timeout=1, socket_timeout=2),
    )
    return client


def get_queue(name: str) -> Queue:
    """The RQ queue of that name; jobs travel as JSON, never as pickle."""
    from rq import Queue
    from rq.serializers import JSONSerializer

    return Queue(name, connection=get_redis(), serializer=JSONSerializer)
