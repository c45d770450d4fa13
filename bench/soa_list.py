"""How long the SOA Customer List takes over many SOAs, beside a bare query: `python -m bench.soa_list [--database postgresql]`.

The floor of a page is the same 50 rows by one keyset query on a bare connection, rendered by a bare Jinja template, and sent by a Flask
view without login; of a search, the rows that the trigram index finds, fetched and sorted. Both go through the same test client in the
same process, so the ratio says what filters, totals, login, layout and the rest cost. Prints medians of 15 and ratios; lower is better."""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import flask_migrate
from flask import Flask, request
from jinja2 import Template
from sqlalchemy import insert, text

from config import TestConfig
from demo.pscloud import material
from portal import create_app
from portal.access import public
from portal.extensions import db
from portal.store import models, search, soas
from tests import factories, postgres

TODAY = date(2026, 11, 20)
ROW = Template(
    "<table>{% for row in rows %}<tr data-soa='{{ row.id|e }}'>"
    "{% for value in row %}<td>{{ value|e }}</td>{% endfor %}</tr>{% endfor %}</table>"
)
CHUNK = 20_000


def fill(count: int) -> None:
    """So many SOAs of invented customers, of 60 collector codes, due over two years."""
    rng = random.Random(7)
    run_id = factories.store_soas(factories.make_soa("first"))
    names: set[str] = set()
    for start in range(0, count, CHUNK):
        rows = []
        for number in range(start, min(start + CHUNK, count)):
            name = f"{rng.choice(material.SURNAMES)}, {rng.choice(material.WOMEN)} {rng.choice(material.SURNAMES)}"
            names.add(name)
            soa = factories.make_soa(
                f"S{number:07}",
                customer_name=name,
                account_number=f"MP-{2005 + number % 20}-{number:07}",
                soa_number=f"SOA-{number:08}",
                due_date=TODAY + timedelta(days=rng.randint(-400, 330)),
                collector_code=f"BUL-{rng.randint(1, 60):02}",
            )
            values = {column: getattr(soa, column) for column in soas.COLUMNS}
            rows.append({**values, "search_text": soas.search_text(soa), "version": "v", "changed_run_id": run_id, "closed_on": None})
        db.session.execute(insert(models.Soa), rows)
    search.learn(names)
    db.session.execute(text("DELETE FROM soa_totals"))
    db.session.execute(
        text(
            "INSERT INTO soa_totals SELECT status, coalesce(collector_code, ''), due_date, penalty > 0, count(*), sum(amount_due), "
            "sum(penalty) FROM soas GROUP BY 1, 2, 3, 4"
        )
    )
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


COLUMNS = "id, soa_number, account_number, customer_name, due_date, amount_due, penalty, collector_code, status, closed_on, changed_run_id"
FLOORS = {
    "first page": f"SELECT {COLUMNS} FROM soas WHERE status = 'active' ORDER BY due_date, id LIMIT 50",  # noqa: S608
    "deep page": f"SELECT {COLUMNS} FROM soas WHERE status = 'active' AND due_date >= '2027-05-01' ORDER BY due_date, id LIMIT 50",  # noqa: S608
    "code and due date": f"SELECT {COLUMNS} FROM soas WHERE collector_code = 'BUL-07' AND status = 'active' AND due_date <= '2026-06-30' "  # noqa: S608
    "ORDER BY due_date, id LIMIT 50",
    "account number": f"SELECT {COLUMNS} FROM soas WHERE account_number >= 'MP-2011-000' "  # noqa: S608
    "AND account_number < 'MP-2011-000~' ORDER BY account_number LIMIT 50",
}
SEARCH_FLOOR = {
    "sqlite": f"SELECT {COLUMNS} FROM soas WHERE id IN (SELECT soa_id FROM soa_search_rows WHERE id IN "  # noqa: S608
    "(SELECT rowid FROM soa_search WHERE soa_search MATCH '\"{word}\"')) AND status = 'active' ORDER BY due_date, id LIMIT 50",
    "postgresql": f"SELECT {COLUMNS} FROM soas WHERE search_text LIKE '%{{word}}%' AND status = 'active' ORDER BY due_date, id LIMIT 50",  # noqa: S608
}


def median(body: Callable[[], Any], times: int = 15) -> float:
    """Seconds, the middle one of so many, after one that does not count."""
    body()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        body()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def add_floor(app: Flask, dialect: str) -> None:
    """A bare view for each floor."""

    @app.get("/floor")
    @public
    def floor() -> str:
        word = request.args.get("word")
        query = SEARCH_FLOOR[dialect].format(word=word) if word else FLOORS[request.args["name"]]
        with db.engine.connect() as connection:
            return ROW.render(rows=connection.execute(text(query)).all())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soas", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder / 'portal.sqlite3'}"
        if chosen.database == "postgresql":
            server = stack.enter_context(postgres.running_postgres())
            url = postgres.create_database(server, "bench")
        app = create_app(TestConfig(folder, DATABASE_URL=url))
        add_floor(app, chosen.database)
        stack.enter_context(app.app_context())
        flask_migrate.upgrade()
        factories.make_user("carla", "office")
        started = time.perf_counter()
        fill(chosen.soas)
        print(f"{chosen.soas:,} SOAs on {chosen.database}, filled in {time.perf_counter() - started:.0f} s")
        client = factories.sign_in(app, "carla")
        mark = soas.list_page(soas.SoaFilter(due_from=date(2027, 5, 1)), TODAY).next

        def measure(name: str, path: str, floor: str) -> None:
            def get(address: str, **headers: str) -> None:
                answer = client.get(address, headers=headers)
                assert answer.status_code == 200 and b"data-soa=" in answer.data, (address, answer.status_code)

            ours = median(lambda: get(path, **{"HX-Request": "true"}))
            bare = median(lambda: get(f"/floor?{floor}"))
            print(f"{name:34} {ours * 1000:8.1f} ms   floor {bare * 1000:8.1f} ms   ratio {ours / bare:5.2f}")

        measure("first page", "/soas", "name=first page")
        measure("deep page", f"/soas?after={mark}", "name=deep page")
        measure("collector code and due date", "/soas?collector_code=BUL-07&due_to=2026-06-30", "name=code and due date")
        measure("account number, first letters", "/soas?q=MP-2011-000&sort=account_number", "name=account number")
        for word in ("cru", "zar", "villanueva", "dela cruz"):
            measure(f"search: {word}", f"/soas?q={word}", f"word={word}")
        for word in ("villanuevs ana", "0123456"):
            started = time.perf_counter()
            answer = client.get(f"/soas?q={word}", headers={"HX-Request": "true"})
            print(f"search: {word:26} {(time.perf_counter() - started) * 1000:8.1f} ms, {answer.data.count(b'data-soa=')} rows")
        for word in ("cru", "villanueva"):
            taken = median(lambda word=word: client.get(f"/soas?q={word}&part=totals", headers={"HX-Request": "true"}), 3)  # type: ignore[misc]
            print(f"count of: {word:24} {taken * 1000:8.1f} ms, after the rows")
        db.session.remove()
        db.engine.dispose()


if __name__ == "__main__":
    main()
