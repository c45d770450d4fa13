"""How long the SOA Customer List takes over a million SOAs, over HTTP: `python -m bench.soa_list [--peers PYTHON] [--soas N] [--rounds N]`.

Per database, three servers of the same kind (gunicorn, one process of eight threads, kept connections) answer on loopback over the same
rows: the portal with somebody logged in, the floor (bench/soa_list_floor.py) and, with `--peers`, Django admin (bench/soa_list_django.py)
run by the interpreter given, which needs bench/requirements-peers.in. Requests are interleaved, so that a busy machine is busy for all. Of
the portal both are measured: the part that htmx asks for with every letter typed, and the whole page. Prints p50 and p95 in milliseconds
and the ratios; `--markdown` as the README quotes them."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import flask_migrate

from bench.soa_list_data import TODAY, fill
from config import ROOT, TestConfig
from portal import create_app
from portal.extensions import db
from portal.store import soas
from tests import factories, postgres

GUNICORN = ["-m", "gunicorn", "--workers", "1", "--worker-class", "gthread", "--threads", "8", "--keep-alive", "600", "--timeout", "300"]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing somebody does: its address at the portal, at the floor and at Django admin, and what the ratios should be."""

    name: str
    ours: str
    floor: str
    peer: str
    most_floor: float
    least_peer: float


class Browser:
    """One kept connection with its cookies; an answer that holds no row is an error."""

    def __init__(self, port: int, mark: bytes) -> None:
        """Connects at the first request."""
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.mark = mark
        self.cookies: dict[str, str] = {}

    def send(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and body."""
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, content

    def log_in(self, path: str, field: str, **values: str) -> None:
        """By the form, as a person would."""
        _, page = self.send("GET", path)
        token = re.search(rf'name="{field}"[^>]*value="([^"]+)"', page.decode())
        assert token, path
        status, _ = self.send("POST", path, urlencode({field: token[1], **values}))
        assert status in (302, 303), (path, status)

    def time(self, path: str, **headers: str) -> float:
        """Seconds until the whole answer with its rows is here."""
        started = time.perf_counter()
        try:
            status, content = self.send("GET", path, **headers)
        except http.client.RemoteDisconnected:  # kept for too long: the next one is asked anew, and counts
            self.connection.close()
            started = time.perf_counter()
            status, content = self.send("GET", path, **headers)
        taken = time.perf_counter() - started
        assert status == 200 and content.count(self.mark) > 1, (path, status, content[:300])
        return taken


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        number: int = asked.getsockname()[1]
        return number


@contextlib.contextmanager
def served(command: list[str], environment: dict[str, str], port: int, folder: Path = ROOT) -> Iterator[None]:
    """A server, once it accepts connections, until we are done; gunicorn takes settings it finds in `folder`."""
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None and time.monotonic() < deadline, f"{command} did not start"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def cases() -> list[Case]:
    """What is measured, with addresses that hold the same rows everywhere."""
    deep = soas.list_page(soas.SoaFilter(due_from=TODAY.replace(year=2027, month=5, day=1)), TODAY)
    last = deep.rows[-1]
    before = soas.totals(soas.SoaFilter(due_to=last.due_date), TODAY).count
    active = "/admin/admin/soa/?status__exact=active"
    return [
        Case("first page", "/soas", "name=first", active, 2, 15),
        Case("deep page", f"/soas?after={deep.next}", f"name=deep&due={last.due_date}&id={last.id}", f"{active}&p={before // 50}", 2, 15),
        Case(
            "collector code and due date",
            "/soas?collector_code=BUL-07&due_to=2026-06-30",
            "name=code&code=BUL-07&due=2026-06-30",
            f"{active}&collector_code__exact=BUL-07&due_date__lte=2026-06-30",
            2,
            15,
        ),
        Case("three letters of a name: cru", "/soas?q=cru", "name=search&q=cru", f"{active}&q=cru", 1.5, 20),
        Case("three letters of a name: zar", "/soas?q=zar", "name=search&q=zar", f"{active}&q=zar", 1.5, 20),
        Case("a whole name: villanueva", "/soas?q=villanueva", "name=search&q=villanueva", f"{active}&q=villanueva", 1.5, 20),
        Case(
            "beginning of an account number",
            "/soas?q=MP-2011-000&sort=account_number",
            "name=account&q=MP-2011-000",
            f"{active}&q=MP-2011-000",
            2,
            30,
        ),
    ]


def quantiles(taken: list[float]) -> tuple[float, float]:
    """p50 and p95 in milliseconds."""
    ordered = sorted(taken)
    return statistics.median(ordered) * 1000, ordered[min(len(ordered) - 1, round(len(ordered) * 0.95))] * 1000


def measure(url: str, folder: Path, peers: str | None, rounds: int, write: Callable[..., None], only: str) -> None:
    """Serve the database in each way, ask in turns, and print a line per case."""
    sqlite = url.startswith("sqlite:")
    file = url.removeprefix("sqlite:///")
    bare = file if sqlite else url.replace("postgresql+psycopg", "postgresql")
    ports = {name: free_port() for name in ("ours", "floor", "peer")}
    bind = {name: ["--bind", f"127.0.0.1:{port}"] for name, port in ports.items()}
    with ExitStack() as stack:
        ours = {
            "DATA_DIR": str(folder), "DATABASE_URL": url, "SECRET_KEY": "only-for-measuring" * 4, "PSCLOUD_URL": "http://127.0.0.1:9",
            "PSCLOUD_TOKEN": "none", "PORT": str(ports["ours"]), "WEB_WORKERS": "1", "REDIS_URL": "",
        }  # fmt: skip
        portal = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "--keep-alive", "600", "wsgi:app"]
        stack.enter_context(served(portal, ours, ports["ours"]))
        floor = [sys.executable, *GUNICORN, *bind["floor"], "bench.soa_list_floor:app"]
        stack.enter_context(served(floor, {"FLOOR_DATABASE": bare}, ports["floor"], folder))
        if peers:
            environment = {"PEER_DATABASE": bare, "PYTHONDONTWRITEBYTECODE": "1"}
            prepare = [peers, "-m", "bench.soa_list_django", "prepare"]
            subprocess.run(prepare, cwd=ROOT, env={**os.environ, **environment}, check=True)
            command = [peers, *GUNICORN, *bind["peer"], "bench.soa_list_django:app"]
            stack.enter_context(served(command, environment, ports["peer"], folder))
        ours_browser, floor_browser = Browser(ports["ours"], b"data-soa="), Browser(ports["floor"], b"data-soa=")
        peer_browser = Browser(ports["peer"], b"<tr")
        ours_browser.log_in("/login", "csrf_token", username="carla", password=factories.PASSWORD)
        if peers:
            peer_browser.log_in("/admin/login/", "csrfmiddlewaretoken", username="peer", password="peer-looks-on", next="/admin/")  # noqa: S106
        wanted = cases()
        db.session.rollback()  # on SQLite it would keep everybody else from writing
        for case in wanted:
            if only not in case.name:
                continue
            taken: dict[str, list[float]] = {"part": [], "page": [], "floor": [], "peer": []}
            for number in range(-2, rounds):
                one = {
                    "floor": floor_browser.time(f"/?{case.floor}"),
                    "part": ours_browser.time(case.ours, **{"HX-Request": "true"}),
                    "page": ours_browser.time(case.ours),
                }
                if peers and number % 10 == 0:
                    one["peer"] = peer_browser.time(case.peer)
                if number >= 0:
                    for name, seconds in one.items():
                        taken[name].append(seconds)
            write("sqlite" if sqlite else "postgresql", case, {name: quantiles(times) if times else None for name, times in taken.items()})


def show(database: str, case: Case, found: dict[str, tuple[float, float] | None]) -> None:
    """One line of figures."""
    floor, part, page, peer = found["floor"], found["part"], found["page"], found["peer"]
    assert floor and part and page
    line = f"{database:10} {case.name:32} floor {floor[0]:7.2f}/{floor[1]:7.2f}  "
    for name, ours in (("part", part), ("page", page)):
        line += f"{name} {ours[0]:7.2f}/{ours[1]:7.2f} = {ours[0] / floor[0]:5.2f}x p95 {ours[1] / floor[1]:5.2f}x  "
    if peer:
        line += f"Django {peer[0]:8.1f}: {peer[0] / part[0]:6.1f}x, {peer[0] / page[0]:6.1f}x"
    print(line, flush=True)


def markdown(rows: list[tuple[str, Case, dict[str, tuple[float, float] | None]]]) -> None:
    """The table of the README: milliseconds, in brackets times the floor at p50 and p95; of Django admin how many times faster ours are."""
    print("| | floor | part | page | Django admin |\n|---|---|---|---|---|")
    before = ""
    for database, case, found in rows:
        floor, peer = found["floor"], found["peer"]
        assert floor
        name = f"**{'SQLite' if database == 'sqlite' else 'PostgreSQL'}**, {case.name}" if database != before else case.name
        ours = [one for one in (found["part"], found["page"]) if one]
        cells = [f"{one[0]:,.1f} ({one[0] / floor[0]:.1f}, {one[1] / floor[1]:.1f})" for one in ours]
        told = f"{peer[0]:,.0f} ({', '.join(f'{peer[0] / one[0]:.0f}' for one in ours)})" if peer else ""
        print(f"| {name} | {floor[0]:.1f} | {' | '.join(cells)} | {told} |")
        before = database


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soas", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter with bench/requirements-peers.in, for Django admin")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append", help="only this one; both by default")
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--filled", metavar="URL", help="measure on a database that an earlier run filled")
    parser.add_argument("--markdown", action="store_true", help="at the end the table as the README has it")
    chosen = parser.parse_args()
    rows: list[tuple[str, Case, dict[str, tuple[float, float] | None]]] = []

    def write(database: str, case: Case, found: dict[str, tuple[float, float] | None]) -> None:
        show(database, case, found)
        rows.append((database, case, found))

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for database in chosen.database or ["sqlite", "postgresql"]:
            url = chosen.filled or f"sqlite:///{folder / 'portal.sqlite3'}"
            if database == "postgresql" and not chosen.filled:
                url = postgres.create_database(stack.enter_context(postgres.running_postgres(settings=("shared_buffers=1GB",))), "bench")
            app = create_app(TestConfig(folder, DATABASE_URL=url))
            with app.app_context():
                if not chosen.filled:
                    flask_migrate.upgrade()
                    factories.make_user("carla", "office")
                    started = time.perf_counter()
                    fill(chosen.soas)
                    print(f"{chosen.soas:,} SOAs on {database}, filled in {time.perf_counter() - started:.0f} s", flush=True)
                measure(url, folder, chosen.peers, chosen.rounds, write, chosen.only)
                db.session.remove()
                db.engine.dispose()
    if chosen.markdown:
        markdown(rows)


if __name__ == "__main__":
    main()
