"""How long the payment list takes over a million payments, over HTTP: `python -m bench.payment_list [--payments N] [--rounds N]`.

Per database two servers of the same kind (gunicorn, one process of eight threads, kept connections) answer on loopback over the same rows:
the portal with somebody logged in, and the floor (bench/payment_list_floor.py). Requests are interleaved, so that a busy machine is busy
for both. Of the portal both are measured: the part that htmx asks for with every letter typed, and the whole page. Prints p50 and p95 in
milliseconds and the ratios, and how long the header's totals take."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from urllib.parse import urlencode

import flask_migrate

from bench.payment_list_data import fill
from bench.soa_list import GUNICORN, Browser, free_port, quantiles, served
from config import TestConfig
from portal import create_app
from portal.extensions import db
from portal.store import payment_list
from portal.store.payment_list import PaymentFilter
from tests import factories, postgres


def cases() -> list[tuple[str, str, str]]:
    """(name, address at the portal, address at the floor) of what is measured."""
    deep = payment_list.list_page(PaymentFilter(date_to=date(2025, 12, 1)))
    last = deep.rows[-1]
    sqlite = db.engine.dialect.name == "sqlite"
    at = last.received_at.replace(tzinfo=None).isoformat(" ", "microseconds") if sqlite else last.received_at.isoformat()
    floor = {"name": "deep", "day": last.business_date.isoformat(), "at": at, "receipt": last.receipt_number, "id": last.id}
    return [
        ("first page", "/payments", "name=first"),
        ("deep page", f"/payments?{urlencode({'after': deep.next})}", urlencode(floor)),
        ("collector", "/payments?collector=collector07", "name=collector"),
        ("a month", "/payments?from=2026-03-01&to=2026-03-31", "name=dates"),
        ("checks", "/payments?tender=check", "name=tender"),
        ("failed ones", "/payments?status=failed", "name=status"),
        ("a flag", "/payments?flag=late", "name=flag"),
        ("a name: cruz", "/payments?q=cruz", "name=text"),
    ]


TOTALS = {
    "all": PaymentFilter(),
    "a month": PaymentFilter(date_from=date(2026, 3, 1), date_to=date(2026, 3, 31)),
    "a collector": PaymentFilter(collector="collector07"),
    "a flag": PaymentFilter(flag="late"),
}


def measure(url: str, folder: Path, rounds: int, only: str) -> None:
    """Serve the database both ways, ask in turns, and print a line per case."""
    sqlite = url.startswith("sqlite:")
    bare = url.removeprefix("sqlite:///") if sqlite else url.replace("postgresql+psycopg", "postgresql")
    ports = {name: free_port() for name in ("ours", "floor")}
    with ExitStack() as stack:
        ours = {
            "DATA_DIR": str(folder), "DATABASE_URL": url, "SECRET_KEY": "only-for-measuring" * 4, "PSCLOUD_URL": "http://127.0.0.1:9",
            "PSCLOUD_TOKEN": "none", "PORT": str(ports["ours"]), "WEB_WORKERS": "1", "REDIS_URL": "",
        }  # fmt: skip
        portal = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "--keep-alive", "600", "wsgi:app"]
        stack.enter_context(served(portal, ours, ports["ours"]))
        floor = [sys.executable, *GUNICORN, "--bind", f"127.0.0.1:{ports['floor']}", "bench.payment_list_floor:app"]
        stack.enter_context(served(floor, {"FLOOR_DATABASE": bare}, ports["floor"], folder))
        ours_browser, floor_browser = Browser(ports["ours"], b"data-payment="), Browser(ports["floor"], b"data-payment=")
        ours_browser.log_in("/login", "csrf_token", username="carla", password=factories.PASSWORD)
        wanted = cases()
        for name, chosen in TOTALS.items():
            payment_list.totals(chosen)
            taken = []
            for _ in range(rounds):
                started = time.perf_counter()
                payment_list.totals(chosen)
                taken.append(time.perf_counter() - started)
            print(
                f"{db.engine.dialect.name:10} totals of {name:12} p50/p95 {'/'.join(f'{ms:.2f}' for ms in quantiles(taken))} ms", flush=True
            )
        db.session.rollback()  # on SQLite it would keep everybody else from writing
        for name, address, bare_address in wanted:
            if only not in name:
                continue
            times: dict[str, list[float]] = {"part": [], "page": [], "floor": []}
            for number in range(-2, rounds):
                one = {
                    "floor": floor_browser.time(f"/?{bare_address}"),
                    "part": ours_browser.time(address, **{"HX-Request": "true"}),
                    "page": ours_browser.time(address),
                }
                if number >= 0:
                    for kind, seconds in one.items():
                        times[kind].append(seconds)
            found = {kind: quantiles(some) for kind, some in times.items()}
            base = found["floor"]
            line = f"{db.engine.dialect.name:10} {name:14} floor {base[0]:6.2f}/{base[1]:6.2f}  "
            for kind in ("part", "page"):
                line += f"{kind} {found[kind][0]:6.2f}/{found[kind][1]:6.2f} = {found[kind][0] / base[0]:4.2f}x  "
            print(line, flush=True)


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=1_000_000)
    parser.add_argument("--soas", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append", help="only this one; both by default")
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--filled", metavar="URL", help="measure on a database that an earlier run filled")
    parser.add_argument("--keep", metavar="FILE", help="leave the filled SQLite database here")
    chosen = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for database in chosen.database or ["sqlite", "postgresql"]:
            url = chosen.filled or f"sqlite:///{chosen.keep or folder / 'portal.sqlite3'}"
            if database == "postgresql" and not chosen.filled:
                url = postgres.create_database(stack.enter_context(postgres.running_postgres(settings=("shared_buffers=1GB",))), "bench")
            app = create_app(TestConfig(folder, DATABASE_URL=url))
            with app.app_context():
                if not chosen.filled:
                    flask_migrate.upgrade()
                    started = time.perf_counter()
                    fill(chosen.payments, chosen.soas)
                    print(f"{chosen.payments:,} payments on {database}, filled in {time.perf_counter() - started:.0f} s", flush=True)
                if chosen.rounds:
                    measure(url, folder, chosen.rounds, chosen.only)
                db.session.remove()
                db.engine.dispose()


if __name__ == "__main__":
    main()
