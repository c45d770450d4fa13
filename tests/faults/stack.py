"""The product's own processes, started one by one so that a test can kill and cut each; phones and an office that speak HTTP to it.

Everything is on free ports, in a folder of its own, and dies with the test that started it. Only processes started here are killed, by
the ids they were started with."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar

import psycopg
import requests
from redis import Redis
from rq import Worker
from sqlalchemy import NullPool, create_engine, select, update

from config import TestConfig
from demo.pscloud.testing import RunningPSCloud
from portal import create_app
from portal.extensions import db, read_only
from portal.pscloud.client import PscloudClient
from portal.services import sync
from portal.store.models import Payment, Posting, ScheduleSlot, SyncRun
from portal.store.models import Soa as SoaTable
from portal.store.money_tables import Circuit
from tests import factories, postgres
from tests.faults.phone import HttpPhone, Pool, pay
from tests.faults.proxy import FaultProxy
from workers import jobs, redis_server
from workers.processes import ROOT, die_with_parent, session_members

Database = Literal["sqlite", "postgresql"]
Answer = TypeVar("Answer")
CODES = ("BUL-01", "BUL-02", "BUL-03", "BUL-04", "BUL-05", "PAM-01", "PAM-02")
RUNNING = ("web", "worker sync", "worker posting", "scheduler")
SECRET = "faults-only-" + "k" * 40


def wait_until(look: Callable[[], Answer], what: str, seconds: float = 30.0, pause: float = 0.05) -> Answer:
    """What `look` says, as soon as it is true. Fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds:g} seconds in vain until {what}"
        time.sleep(pause)
    return found


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One of the product's processes, in a session of its own, with its output in a file; it never outlives the test."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path, user: int | None = None) -> None:
        self.name, self.command, self.environment, self.log, self.user = name, command, environment, log, user
        self.death_signal = signal.SIGKILL
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; nothing happens while it runs."""
        if self.alive:
            return
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT if self.user is None else "/",
                env=self.environment,
                user=self.user,
                group=self.user and 65534,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=functools.partial(die_with_parent, self.death_signal, os.getpid()),
            )

    @property
    def pid(self) -> int:
        """Its id; of the last one that was started."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def members(self) -> list[int]:
        """It and everything it started."""
        return session_members(self.pid)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to it and to everything it started, all at once: a power cut for this part of the machine."""
        for member in self.members():
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._gone()

    def kill_only_the_parent(self) -> None:
        """SIGKILL to the process that was started, and to nothing that it started."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)

    def end(self) -> None:
        """Kill it if it was ever started, and everything it started."""
        if self._process is not None:
            self.kill()

    def _gone(self) -> None:
        assert self._process is not None
        self._process.wait(10)
        wait_until(lambda: not self.members(), f"{self.name} is gone with all it started", 10)

    def text(self, start: int = 0) -> str:
        """What it printed, from that byte on."""
        return self.log.read_bytes()[start:].decode(errors="replace") if self.log.exists() else ""


class Postgres:
    """A PostgreSQL of our own that can be cut, crashed and restarted. A commit is in the system's hands before it is answered."""

    def __init__(self, directory: Path) -> None:
        """`directory` must have a short path and belong to whom the server runs as."""
        programs = postgres.find_programs()
        assert programs is not None
        account = postgres._account()
        self.directory, self.data = directory, directory / "data"
        user = account.pw_uid if account else None
        if account:
            os.chown(directory, account.pw_uid, account.pw_gid)
        done = subprocess.run(
            [programs / "initdb", "-D", self.data, "-U", "portal", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            cwd=directory,
            user=user,
            extra_groups=[] if account else None,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        settings = ["listen_addresses=", f"unix_socket_directories={directory}", "shared_buffers=32MB", "max_connections=60", "fsync=off"]
        command = [str(programs / "postgres"), "-D", str(self.data), *(part for setting in settings for part in ("-c", setting))]
        self.process = Process("postgresql", command, dict(os.environ), directory.parent / f"{directory.name}.log", user)
        self.process.death_signal = signal.SIGQUIT
        self.process.log.touch()
        self.url = f"postgresql+psycopg://portal@/portal?host={directory}"

    def start(self) -> None:
        """Up, and answering."""
        self.process.start()

        def answers() -> bool:
            assert self.process.alive, self.process.text()[-2000:]
            try:
                self.connect("postgres").close()
            except psycopg.OperationalError:
                return False
            return True

        wait_until(answers, "PostgreSQL answers")

    def connect(self, database: str = "portal") -> psycopg.Connection:
        """A connection of the test itself."""
        return psycopg.connect(host=str(self.directory), user="portal", dbname=database, autocommit=True, connect_timeout=2)

    def cut_connections(self) -> int:
        """End every connection of the portal's processes; how many there were."""
        with self.connect("postgres") as connection:
            done = connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'portal'").fetchall()
        return len(done)

    def crash(self) -> int:
        """Kill one server process of the portal with SIGKILL, at which PostgreSQL drops everybody and recovers; its id."""
        query = "SELECT pid FROM pg_stat_activity WHERE datname = 'portal' LIMIT 1"
        with self.connect("postgres") as connection:
            found = wait_until(lambda: connection.execute(query).fetchone(), "the portal is connected")
        assert found
        os.kill(found[0], signal.SIGKILL)  # a child of the server that was started here
        return int(found[0])

    def stop(self) -> None:
        """Fast shutdown: connections are ended, then the server."""
        if self.process.alive:
            self.process.signal(signal.SIGINT)
        self.process._gone()


class Office:
    """Somebody in the office, logged in with a browser."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.session = url, requests.Session()
        self.session.trust_env = False
        page = self.session.get(f"{url}/login", timeout=30)
        data = {"username": name, "password": factories.PASSWORD, "csrf_token": factories.csrf_of(page.text)}
        answer = self.session.post(f"{url}/login", data=data, allow_redirects=False, timeout=30)
        assert answer.status_code == 303, answer.text

    def get(self, path: str) -> requests.Response:
        """A page."""
        return self.session.get(self.url + path, timeout=60)

    def post(self, path: str, **data: str) -> requests.Response:
        """Press a button."""
        token = self.session.get(f"{self.url}/api/v1/ping", timeout=30).json()["csrf_token"]
        return self.session.post(self.url + path, data={"csrf_token": token, **data}, allow_redirects=False, timeout=60)


class Stack:
    """The product on one database: PSCloud's simulator, Redis, web, workers, scheduler, and a fault proxy before PSCloud and before web."""

    def __init__(self, directory: Path, database: Database, pscloud: RunningPSCloud, sqlite_template: Path) -> None:
        """Makes the data and starts the stores; start() starts the rest."""
        self.directory, self.database, self.pscloud = directory, database, pscloud
        directory.mkdir(parents=True, exist_ok=True)
        self.to_pscloud = FaultProxy(pscloud.port)
        self.port = free_port()
        self.to_web = FaultProxy(self.port)
        self.postgres: Postgres | None = None
        self.phones: list[HttpPhone] = []
        self.pool = Pool()
        self.processes: dict[str, Process] = {}
        self._offices: dict[str, Office] = {}
        if database == "postgresql":
            # A socket needs a short path, which pytest's folders do not have.
            self.postgres = Postgres(Path(tempfile.mkdtemp(prefix="faults-pg-")))
            self.postgres.start()
            postgres.create_database(self.postgres.url.replace("/portal?", "/postgres?"), "portal")
            self.url = self.postgres.url
        else:
            shutil.copy(sqlite_template, directory / "portal.sqlite3")
            self.url = f"sqlite:///{directory / 'portal.sqlite3'}"
        self.redis_server = redis_server.prepare(directory)
        self._make("redis", self.redis_server.command)
        self.start_redis()
        self.redis = Redis.from_url(self.redis_server.url, socket_timeout=5)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR"}},
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DATA_DIR": str(directory),
            "PORT": str(self.port),
            "DATABASE_URL": self.url,
            "REDIS_URL": self.redis_server.url,
            "SECRET_KEY": SECRET,
            "PSCLOUD_URL": self.to_pscloud.url,
            "PSCLOUD_TOKEN": pscloud.token,
            "PSCLOUD_ALLOW_PRIVATE": "1",
            "PORTAL_DEMO": "0",
            "HTMX_SOURCE": "local",
            "LOGIN_ATTEMPTS": "10000 per minute",
            "SYNC_SCHEDULE": "0 5 1 1 *",
            "TRUSTED_PROXIES": "1",  # each phone has an address of its own
            "ORGANISATION_NAME": "Hardin ng Kapayapaan Memorial Park, Inc.",
        }
        for name, module in (
            ("web", ["gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]),
            ("worker sync", ["workers.run", "sync"]),
            ("worker posting", ["workers.run", "posting"]),
            ("scheduler", ["workers.schedule"]),
        ):
            self._make(name, [sys.executable, "-m", *module])
        self._engine = create_engine(self.url, poolclass=NullPool)
        self._fill()

    def _make(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> Process:
        environment = environment or getattr(self, "environment", dict(os.environ))
        process = Process(name, command, environment, self.directory / f"{name.replace(' ', '-')}.log")
        self.processes[name] = process
        return process

    def _fill(self) -> None:
        """People, and a first download of PSCloud's SOAs."""
        import flask_migrate

        self.app = create_app(
            TestConfig(
                self.directory,
                DATABASE_URL=self.url,
                PSCLOUD_URL=self.pscloud.url,
                PSCLOUD_TOKEN=self.pscloud.token,
                REDIS_URL=self.redis_server.url,
                SECRET_KEY=SECRET,
            )
        )
        with self.app.app_context():
            if self.postgres is not None:
                flask_migrate.upgrade()
            now = datetime.now(UTC)
            with PscloudClient.from_config(self.app.config) as client:
                run_id = sync.request_run("manual", "test", now)
                assert sync.run(run_id, client, lambda: datetime.now(UTC)) == "completed"
            factories.make_user("carla", "office")
            factories.make_user("ramon", "supervisor")
            factories.make_user("nena", "collector", codes=CODES)
            factories.make_user("tomas", "collector", codes=CODES)
            db.session.remove()
            db.engine.dispose()

    # --- processes

    def start(self, *names: str) -> None:
        """Start these, or all, and wait until they work."""
        chosen = names or RUNNING
        for name in chosen:
            self.processes[name].start()
        for name in chosen:
            if name == "web":
                wait_until(self._web_answers, "web is ready")
            elif name.startswith("worker"):
                self.wait_for_worker(name)

    def another(self, name: str) -> Process:
        """A second one of the same kind, started beside the first."""
        first = self.processes[name]
        number = sum(other.startswith(name) for other in self.processes) + 1
        process = self._make(f"{name} {number}", first.command)
        process.start()
        if name.startswith("worker"):
            self.wait_for_worker(process.name)
        return process

    def worker_for(self, queue: str) -> Process:
        """A worker for a queue that has none here otherwise; heal() ends it."""
        process = self._make(f"worker {queue}", [sys.executable, "-m", "workers.run", queue])
        process.start()
        self.wait_for_worker(process.name)
        return process

    def wait_for_worker(self, name: str) -> None:
        """Until this worker waits for jobs."""
        wait_until(lambda: self.idle(name), f"{name} waits for jobs")

    def idle(self, name: str) -> bool:
        """Whether RQ knows this worker as one that waits for jobs; it forgets those that lived when Redis was emptied."""
        process = self.processes[name]
        assert process.alive, process.text()[-3000:]
        return any(one.pid == process.pid and one.get_state() == "idle" for one in Worker.all(connection=self.redis))

    def _web_answers(self) -> bool:
        process = self.processes["web"]
        assert process.alive, process.text()[-3000:]
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=30).status_code == 200
        except requests.ConnectionError:
            return False

    def restart(self, name: str) -> None:
        """Kill it if it runs, and start it again."""
        if self.processes[name].alive:
            self.processes[name].kill()
        self.start(name)

    def start_redis(self, *, empty: bool = False) -> None:
        """Start Redis and wait until it answers; `empty` throws away what it kept."""
        if empty:
            shutil.rmtree(self.redis_server.directory / "appendonlydir", ignore_errors=True)
        process = self.processes["redis"]
        process.start()
        wait_until(lambda: redis_server.answers(self.redis_server), "Redis answers")

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """The process stands still: it takes connections and answers nothing."""
        process = self.processes[name]
        process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.signal(signal.SIGCONT)

    def sweep(self) -> None:
        """Sweep now, as the scheduler does every fifteen seconds (and this may happen at the same moment as its own)."""
        with self.app.app_context():
            jobs.sweep()
            db.session.remove()

    # --- what stands in the database

    def rows(self, query: Any) -> list[Any]:
        """The rows of a query, read without standing in anybody's way."""
        token = read_only.set(True)
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(query).all())
        finally:
            read_only.reset(token)

    def change(self, statement: Any) -> int:
        """Change rows; how many."""
        with self._engine.begin() as connection:
            return int(connection.execute(statement).rowcount)

    def payments(self) -> dict[str, Any]:
        """The ledger's payments by id."""
        return {row.id: row for row in self.rows(select(*Payment.__table__.columns))}

    def statuses(self, ids: Sequence[str]) -> Counter[str]:
        """How many of these payments have which status; `missing` when the ledger does not know them."""
        known = dict(map(tuple, self.rows(select(Payment.id, Payment.status))))
        return Counter(known.get(one, "missing") for one in ids)

    def runs(self) -> list[Any]:
        """The downloads, oldest first."""
        return self.rows(select(*SyncRun.__table__.columns).order_by(SyncRun.id))

    def run(self, run_id: int) -> Any:
        """One download."""
        return self.rows(select(*SyncRun.__table__.columns).where(SyncRun.id == run_id))[0]

    def wait_for_run(self, run_id: int, seconds: float = 60) -> Any:
        """The download when it has ended."""

        def ended() -> Any:
            row = self.run(run_id)
            return row if row.status not in {"pending", "processing"} else None

        return wait_until(ended, f"download {run_id} has ended", seconds)

    def active_soas(self) -> set[str]:
        """Ids of the SOAs that are active in the portal."""
        return {row.id for row in self.rows(select(SoaTable.id).where(SoaTable.status == "active"))}

    def pass_time(self, seconds: float) -> None:
        """Let what waits for a time have waited this much longer: silence of downloads, leases and pauses of postings."""
        span = timedelta(seconds=seconds)
        for table, columns in ((SyncRun, ("heartbeat_at", "requested_at")), (Posting, ("lease_until", "next_attempt_at"))):
            states = ["pending", "processing"] if table is SyncRun else ["due", "claimed"]
            for row in self.rows(select(table.id, *(getattr(table, name) for name in columns)).where(table.status.in_(states))):
                values = {name: getattr(row, name) - span for name in columns if getattr(row, name) is not None}
                self.change(update(table).where(table.id == row.id).values(**values))

    def miss_a_day(self) -> None:
        """The daily download was due and not started."""
        self.change(update(ScheduleSlot).values(last_slot=datetime(2000, 1, 1, tzinfo=UTC)))

    # --- people

    @property
    def office(self) -> Office:
        """Carla, of the office."""
        if "carla" not in self._offices:
            self._offices["carla"] = Office(f"http://127.0.0.1:{self.port}", "carla")
        return self._offices["carla"]

    def sync_now(self) -> int:
        """Press Sync now; the number of the download."""
        answer = self.office.post("/syncs")
        assert answer.status_code == 303, f"{answer.status_code}: {_words(answer.text)}"
        return int(self.runs()[-1].id)

    # --- the books

    def posted(self) -> list[str]:
        """References of the payments PSCloud holds, as often as it holds them."""
        return [payment["reference"] for payment in self.pscloud.payments()]

    def sent_to_pscloud(self) -> Counter[str]:
        """How often each payment was sent to PSCloud."""
        sent: Counter[str] = Counter()
        for request in list(self.to_pscloud.requests):
            if request.method == "POST" and request.path.startswith("/api/v1/payments"):
                sent.update(payment["reference"] for payment in json.loads(request.body)["payments"])
        return sent

    def wait_until_posted(self, ids: Sequence[str], seconds: float = 40) -> None:
        """Until all of these payments are Completed."""
        wait_until(lambda: self.statuses(ids) == Counter(completed=len(ids)), f"{len(ids)} payments are posted", seconds, 0.2)

    def compare_books(self) -> None:
        """Ids and figures on the phones, in the ledger and in PSCloud are the same sets, or this fails with the ids that differ."""
        phones = {
            payment["payment"]: (payment["amount"], payment["receipt_number"], payment["soa"])
            for phone in self.phones
            for payment in phone.payments()
        }
        rows = self.payments()
        ledger = {one: (int(row.amount * 100), row.claimed_receipt_number, row.soa_id) for one, row in rows.items()}
        differing = {one for one in phones.keys() | ledger.keys() if phones.get(one) != ledger.get(one)}
        assert not differing, {one: (phones.get(one), ledger.get(one)) for one in differing}
        completed = sorted(one for one, row in rows.items() if row.status == "completed")
        held = [payment for payment in self.pscloud.payments() if payment["reference"] in ledger]
        assert sorted(payment["reference"] for payment in held) == completed
        for payment in held:
            figures = (int(Decimal(payment["amount"]) * 100), payment["receipt_number"], payment["soa_id"])
            assert figures == ledger[payment["reference"]], payment["reference"]

    def compare_books_after_posting(self) -> None:
        """Compare as soon as everything that is on the phones is posted."""
        self.wait_until_posted([payment["payment"] for phone in self.phones for payment in phone.payments()])
        self.compare_books()

    # --- between two tests

    def phone(self, user: str = "nena") -> HttpPhone:
        """A new phone, enrolled and with its registry open; it talks to the portal through the fault proxy."""
        phone = HttpPhone(self.to_web.url, user)
        self.phones.append(phone)
        return phone

    def pay(self, phone: HttpPhone, count: int = 3, amount: int = 5000) -> list[str]:
        """Take so many payments, each on an SOA that nobody has paid on; their ids."""
        return pay(phone, self.pool.take(phone, count), amount)

    def heal(self) -> None:
        """Everything up and well, nothing under way: where a test begins."""
        self.to_pscloud.clear()
        self.to_web.clear()
        self.pscloud.reset()
        self.to_pscloud.requests.clear()
        self.to_web.requests.clear()
        for name in [name for name in self.processes if name not in RUNNING and name != "redis"]:
            self.processes.pop(name).end()
        if self.postgres is not None:
            self.postgres.start()
        self.start_redis()
        self.redis.config_set("maxmemory", 0)
        for key in self.redis.scan_iter("LIMITS*"):
            self.redis.delete(key)
        for name in ("worker sync", "worker posting"):
            if self.processes[name].alive and not self.idle(name):
                self.processes[name].kill()
        self.start()
        self.change(
            update(SyncRun).where(SyncRun.status.in_(["pending", "processing"])).values(status="cancelled", active_slot=None, lease=None)
        )
        self.change(update(Circuit).values(failures=0, since=None, open_until=None, reason=""))

    def complaints(self) -> list[str]:
        """Errors that the web server met and had not foreseen."""
        return [line for line in self.processes["web"].text().splitlines() if "unexpected error" in line]

    def stop(self) -> None:
        """End every process that was started here."""
        self.to_web.clear()
        self.to_pscloud.clear()
        for process in reversed(self.processes.values()):
            process.end()
        self.redis.close()
        self._engine.dispose()
        with self.app.app_context():
            db.engine.dispose()
        if self.postgres is not None:
            self.postgres.stop()
            shutil.rmtree(self.postgres.directory, ignore_errors=True)
            self.postgres.process.log.unlink(missing_ok=True)
        self.to_web.close()
        self.to_pscloud.close()


def _words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())[:300]
