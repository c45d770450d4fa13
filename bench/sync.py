"""How long downloads take beside what one would pick instead and beside the least that must be done: `python -m bench.sync --peers PYTHON`.

Fills a PostgreSQL of its own from a PSCloud of its own that only sends (bench/pscloud_pages.py), three times over: first into empty
tables, again with nothing changed, again with 1 % changed all over the list. Each time three ways, one after the other: the portal's own
worker process, rung for through Redis, from asking to Completed; the same by hand (bench/sync_floor.py); dlt (bench/sync_dlt.py), when
PYTHON has what bench/requirements-peers.in names. Of several rounds the quickest of each counts, the least disturbed one.

`--memory 20000 1000000` only downloads lists of these lengths three times each and prints the worker's peak memory."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import flask_migrate
from sqlalchemy import make_url, text

from bench.sync_floor import bodies
from config import TestConfig
from portal import create_app
from portal.domain.soa import Soa
from portal.extensions import db
from portal.pscloud.mapping import to_soa
from portal.pscloud.paging import records_of
from portal.pscloud.profile import load
from portal.services import sync
from portal.store import models, soas, sync_runs
from portal.store.sync_runs import RunRow
from tests import postgres, redis_server
from workers.processes import die_with_parent

ROOT = Path(__file__).parents[1]
MERGED = 2000
"""SOAs that are merged row by row; all of them would take many minutes, and each costs the same."""


@contextmanager
def pscloud(count: int) -> Iterator[str]:
    """A PSCloud in a process of its own; its address."""
    command = [sys.executable, "-m", "bench.pscloud_pages", str(count)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


@contextmanager
def worker(environment: dict[str, str]) -> Iterator[int]:
    """The portal's worker for downloads; its process id."""
    command = [sys.executable, "-m", "workers.run", "sync"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, preexec_fn=die_with_parent)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def peak(pid: int) -> int:
    """Most memory a process has held at once, in MB; 0 when it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return max((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), default=0)


class Watch:
    """Looks at a worker's job processes until told to stop; `peak` in MB."""

    def __init__(self, pid: int) -> None:
        """`pid` is the worker's."""
        self.pid, self.peak, self.stop = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self) -> None:
        """Twenty times a second."""
        while not self.stop.wait(0.05):
            self.peak = max([self.peak, *map(peak, children(self.pid))])


def download(pid: int) -> tuple[float, int, RunRow]:
    """One run through Redis and the worker: seconds from asking to Completed, its peak memory in MB, and what it says of itself."""
    watch = Watch(pid)
    begun = time.perf_counter()
    run_id = sync.request_run("manual", "bench", datetime.now(UTC))
    while True:
        row = sync_runs.get(run_id)
        db.session.rollback()
        assert row
        if not row.active:
            break
        time.sleep(0.003)
    seconds = time.perf_counter() - begun
    watch.stop.set()
    watch.thread.join()
    assert row.status == "completed" and not row.failed and row.total == row.pscloud_count, (row.status, row.error, row.note)
    return seconds, watch.peak, row


def by_hand(what: str, url: str, database: str) -> float:
    """Seconds of the floor."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.sync_floor", what, url, plain(database)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[0])


def by_dlt(python: str, url: str, database: str, folder: Path) -> tuple[float, int]:
    """Seconds and MB of dlt."""
    address = make_url(database)
    named = f"postgresql://portal:none@localhost/{address.database}?host={address.query['host']}"
    done = subprocess.run(
        [python, str(ROOT / "bench" / "sync_dlt.py"), url, named, str(folder)], cwd=folder, capture_output=True, text=True, check=True
    )
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds), int(megabytes)


def by_merge(url: str) -> float:
    """Seconds that session.merge() takes for one SOA and its invoices, row by row, measured over MERGED SOAs that are stored already."""
    found: list[Soa] = []
    for body in bodies(url):
        found += [to_soa(raw, load()) for raw in records_of(body, "data")]
        if len(found) >= MERGED:
            break
    begun = time.perf_counter()
    for soa in found[:MERGED]:
        values = {name: getattr(soa, name) for name in soas.COLUMNS}
        db.session.merge(models.Soa(**values, search_text=soas.search_text(soa), version=soa.version, changed_run_id=1))
        for place, one in enumerate(soa.invoices):
            parts: dict[str, Any] = {name: getattr(one, name) for name in soas.INVOICE_COLUMNS}
            db.session.merge(models.Invoice(soa_id=soa.id, position=place, **parts))
    db.session.commit()
    return (time.perf_counter() - begun) / MERGED


def plain(database: str) -> str:
    """As psycopg takes it."""
    return make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)


def prepared(folder: Path, server: str) -> str:
    """An empty database with the portal's tables, to be copied; its name."""
    url = postgres.create_database(server, "bench_empty")
    app = create_app(TestConfig(folder, DATABASE_URL=url))
    with app.app_context():
        flask_migrate.upgrade()
        db.session.execute(
            text(
                "INSERT INTO sync_runs (trigger, kind, started_by, status, heartbeat_at, requested_at, pages, succeeded, failed, added, "
                "changed, unchanged, closed, amount_due, error, note) "
                "VALUES ('manual', 'full', 'bench', 'failed', now(), now(), 0, 0, 0, 0, 0, 0, 0, 0, '', '')"
            )
        )  # run 1, for the rows of the floor
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    return "bench_empty"


def use(url: str, name: str) -> None:
    """Which list PSCloud sends."""
    urlopen(f"{url}/_use/{name}").read()  # noqa: S310 - our own server


Times = dict[tuple[str, str], list[float]]


def one_round(server: str, empty: str, folder: Path, url: str, redis: str, peers: str | None, times: Times) -> None:
    """Everything once, the three ways in turn."""
    ours, floor, dlts = (postgres.create_database(server, f"bench_{name}", empty) for name in ("ours", "floor", "dlt"))
    dlt_folder = Path(tempfile.mkdtemp(dir=folder))
    environment = {"DATABASE_URL": ours, "REDIS_URL": redis, "PSCLOUD_URL": url, "PSCLOUD_TOKEN": "t", "PSCLOUD_ALLOW_PRIVATE": "1"}
    environment |= {"DATA_DIR": str(folder), "SECRET_KEY": "b" * 40}
    app = create_app(TestConfig(folder, DATABASE_URL=ours, REDIS_URL=redis))
    with app.app_context(), worker(environment) as pid:
        time.sleep(4)  # until the worker listens
        for work, listing in (("first", "base"), ("again, nothing changed", "base"), ("again, 1 % changed", "changed")):
            use(url, listing)
            times[work, "bytes"].append(by_hand("fetch", url, floor))
            times[work, "floor"].append(by_hand("write", url, floor))
            seconds, memory, row = download(pid)
            times[work, "ours"].append(seconds)
            times["memory", "ours"].append(memory)
            phases = f"fetched {row.fetch_ms} ms, mapped {row.map_ms}, staged {row.write_ms}, checked {row.check_ms}, swapped {row.swap_ms}"
            print(f"  {work}: {seconds:.2f} s; {phases}; added {row.added:,}, changed {row.changed:,}; {memory} MB", flush=True)
            if peers:
                seconds, memory = by_dlt(peers, url, dlts, dlt_folder)
                times[work, "dlt"].append(seconds)
                times["memory", "dlt"].append(memory)
        times["merge", "each"].append(by_merge(url))
        db.session.remove()
        db.engine.dispose()


def show(count: int, times: Times) -> None:
    """The table of ratios."""
    least_of = {key: min(found) for key, found in times.items()}
    merge = least_of["merge", "each"] * count
    print(f"\n{count:,} SOAs and {count * 3:,} invoices into PostgreSQL, through the worker's own process\n")
    print("| work | portal | floor | portal takes | dlt | dlt takes |")
    print("|---|---|---|---|---|---|")
    for work, against in (("first", "floor"), ("again, nothing changed", "bytes"), ("again, 1 % changed", "floor")):
        ours, least, other = least_of[work, "ours"], least_of[work, against], least_of.get((work, "dlt"))
        name = "by hand" if against == "floor" else "fetching the bytes"
        dlt = f"{other:.2f} s | {other / ours:.1f} x as long" if other else "- | -"
        print(f"| {work} | {ours:.2f} s | {name} {least:.2f} s | {ours / least:.2f} x that | {dlt} |")
    changed = least_of["again, 1 % changed", "ours"]
    print(f"\nsession.merge() row by row: {merge:.0f} s (from {MERGED:,} SOAs), {merge / changed:.0f} x the download with 1 % changed")
    if ("memory", "dlt") in least_of:
        ours, other = max(times["memory", "ours"]), max(times["memory", "dlt"])
        print(f"peak memory: the worker's job {ours:.0f} MB, dlt {other:.0f} MB: {ours / other:.2f} x that")


def memory(server: str, empty: str, folder: Path, redis: str, counts: list[int]) -> None:
    """The worker's peak memory for lists of these lengths, first and again."""
    for count in counts:
        ours = postgres.create_database(server, "bench_ours", empty)
        with pscloud(count) as url:
            environment = {"DATABASE_URL": ours, "REDIS_URL": redis, "PSCLOUD_URL": url, "PSCLOUD_TOKEN": "t", "PSCLOUD_ALLOW_PRIVATE": "1"}
            environment |= {"DATA_DIR": str(folder), "SECRET_KEY": "b" * 40}
            app = create_app(TestConfig(folder, DATABASE_URL=ours, REDIS_URL=redis))
            with app.app_context(), worker(environment) as pid:
                time.sleep(4)
                for work, listing in (("first", "base"), ("again", "base"), ("1 % changed", "changed")):
                    use(url, listing)
                    seconds, megabytes, _ = download(pid)
                    print(f"{count:>9,} SOAs, {work:12} {megabytes:4} MB  {seconds:7.2f} s", flush=True)
                db.session.remove()
                db.engine.dispose()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soas", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that has what bench/requirements-peers.in names")
    parser.add_argument("--memory", type=int, nargs="+", metavar="SOAS")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(postgres.running_postgres())
        redis = stack.enter_context(redis_server.running_redis(folder))
        empty = prepared(folder, server)
        if chosen.memory:
            memory(server, empty, folder, redis, chosen.memory)
            return
        times: Times = defaultdict(list)
        url = stack.enter_context(pscloud(chosen.soas))
        for number in range(chosen.rounds):
            print(f"round {number + 1}", flush=True)
            one_round(server, empty, folder, url, redis, chosen.peers, times)
        show(chosen.soas, times)


if __name__ == "__main__":
    main()
