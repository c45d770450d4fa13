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
