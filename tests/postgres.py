"""A throw-away PostgreSQL for tests: quick, unsafe on purpose (no fsync), reachable only through a socket in its own folder."""

from __future__ import annotations

import functools
import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from workers.processes import die_with_parent

MISSING = "PostgreSQL's server programs are not installed; as root: apt-get install -y postgresql"


def find_programs() -> Path | None:
    """The folder of initdb and postgres: the newest under /usr/lib/postgresql, else where PATH finds them, else None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    for folder in reversed(folders):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found and shutil.which("postgres") else None


@contextmanager
def running_postgres(directory: Path | None = None, settings: tuple[str, ...] = ()) -> Iterator[str]:
    """A running server; gives the URL of its database `postgres`. Skips the test, with the reason, where none is installed. `settings`,
    such as `shared_buffers=1GB`, replace ours.

    Data live in `directory` when its path is short enough for a socket and the server's user may use it, else in a temporary folder.
    """
    programs = find_programs()
    if programs is None:
        pytest.skip(MISSING)
    account = _account()
    # A socket's path may have 107 characters; pytest's folders are closed to other users when root runs the tests.
    if directory is None or account is not None or len(str(directory)) > 60:
        temporary = directory = Path(tempfile.mkdtemp(prefix="portal-pg-"))
    else:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = None
    if account is not None:
        os.chown(directory, account.pw_uid, account.pw_gid)
    try:
        with _server(programs, directory, account, settings):
            yield f"postgresql+psycopg://portal@/postgres?host={directory}"
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def create_database(server_url: str, name: str, template: str = "template0") -> str:
    """Make the database `name`, empty or as a copy of `template` (to which nobody may be connected); replaces an old one. Gives its URL."""
    drop_database(server_url, name)
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(name), sql.Identifier(template))
    with _connect(server_url) as connection:
        connection.execute(statement)
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


SHAPE = """SELECT md5(string_agg(part, ',' ORDER BY part)) FROM (
    SELECT concat_ws(' ', 'class', oid, relname, relkind, reloptions) AS part
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'
    UNION ALL SELECT concat_ws(' ', 'index', indexrelid, indisvalid, indisready, reloptions)
        FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'column', attrelid, attname, atttypid, attnotnull, atthasdef, attisdropped)
        FROM pg_attribute JOIN pg_class ON oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0
    UNION ALL SELECT concat_ws(' ', 'trigger', tgrelid, tgname, tgenabled) FROM pg_trigger
    UNION ALL SELECT concat_ws(' ', 'constraint', conrelid, conname, convalidated)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'function', oid, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'setting', setdatabase, setconfig) FROM pg_db_role_setting
) AS shape"""
"""All of a database that is not rows, as one word: its tables, indexes, columns, triggers."""

GROWN = """SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 10 * 8192"""
"""Tables that deleted rows have made so long that plans would be made for them: below ten pages an empty table counts as ten."""

NUMBERS = """SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE last_value IS NOT NULL"""
"""Begins every number anew."""

_kept: dict[tuple[str, str], tuple[str, dict[str, list[tuple[Any, ...]]]]] = {}


def fresh_database(server_url: str, name: str, template: str) -> str:
    """The database `name` as a copy of `template`; its URL. One that a test has left is emptied instead, five times as quick, unless
    anything besides rows was changed in it."""
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    kept = _kept.pop((server_url, name), None)
    if kept is None or not _emptied(url, *kept):
        create_database(server_url, name, template)
        with _connect(url) as connection:
            kept = (_shape(connection), {table: connection.execute(_all(table)).fetchall() for table in _filled(connection)})
    _kept[server_url, name] = kept
    return url


def _emptied(url: str, shape: str, rows: dict[str, list[tuple[Any, ...]]]) -> bool:
    """Put the rows back that were in it at first, and only those. Tells whether it is like new."""
    others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with _connect(url) as connection:
        connection.execute(others)
        connection.execute("SET session_replication_role = replica")  # no trigger may keep a ledger's rows here
        for table in sorted({*_filled(connection), *rows}):
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        grown = connection.execute(GROWN).fetchall()
        if grown:
            connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(",").join(sql.Identifier(name) for (name,) in grown)))
        connection.execute(NUMBERS)
        connection.execute("DELETE FROM pg_statistic WHERE starelid >= 16384")
        connection.execute("UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE oid >= 16384 AND relkind = 'r' AND reltuples > 0")
        for table, lines in rows.items():
            places = sql.SQL(",").join([sql.Placeholder()] * len(lines[0]))
            with connection.cursor() as cursor:
                cursor.executemany(sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), places), lines)
        return _shape(connection) == shape


def _shape(connection: psycopg.Connection) -> str:
    (found,) = connection.execute(SHAPE).fetchone() or ("",)
    return str(found)


def _all(table: str) -> sql.Composed:
    return sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))


def _filled(connection: psycopg.Connection) -> list[str]:
    """Tables that have a row."""
    tables = [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    one = sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})")
    found = connection.execute(sql.SQL(" UNION ALL ").join(one.format(table, sql.Identifier(table)) for table in tables))
    return [name for (name,) in found]


def drop_database(server_url: str, name: str) -> None:
    """Remove the database `name`, connections to it included; nothing happens when there is none."""
    with _connect(server_url) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True)


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as: None for ourselves; another user when we are root, whom PostgreSQL refuses."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip(f"PostgreSQL refuses to run as {getpass.getuser()}, and there is neither a user postgres nor nobody")


@contextmanager
def _server(programs: Path, directory: Path, account: pwd.struct_passwd | None, own: tuple[str, ...]) -> Iterator[None]:
    data, log = directory / "data", directory / "postgres.log"
    user, group = (account.pw_uid, account.pw_gid) if account else (None, None)
    extra_groups: list[int] | None = [] if account else None
    initdb: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "portal",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
    ]
    done = subprocess.run(
        initdb, cwd=directory, user=user, group=group, extra_groups=extra_groups, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")
    settings = ["listen_addresses=", f"unix_socket_directories={directory}", "shared_buffers=32MB", "max_connections=60"]
    settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "timezone=UTC", *own]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, *(part for setting in settings for part in ("-c", setting))],
            cwd=directory,
            user=user,
            group=group,
            extra_groups=extra_groups,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in a test run must not stop the server before the fixtures that use it
            preexec_fn=functools.partial(die_with_parent, signal.SIGQUIT),
        )
    try:
        _wait(process, directory, log)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # "fast": ends connections, then stops
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()


def _wait(process: subprocess.Popen[bytes], directory: Path, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(host=str(directory), user="portal", dbname="postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}") from error
        time.sleep(0.03)
