"""What Download SOA costs the portal: `python -m bench.soa_download [--soas 1000] [--rounds 9]`.

Beside it the plain way: ORM objects with their invoices, made into dictionaries and given to jsonify, which is then compressed as Flask
compresses it. Each round does both, one after the other, in one process on SQLite. Prints bytes, medians of
processor time and ratios, and what an unchanged list costs."""

from __future__ import annotations

import argparse
import gc
import gzip
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask_migrate
from flask import jsonify
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from bench.phone_data import CODE, make_list
from config import TestConfig
from portal import create_app
from portal.domain import columns
from portal.domain.money import centavos
from portal.extensions import db
from portal.packing import packed
from portal.services import snapshot
from portal.store import models, reading_view
from tests.factories import make_user, store_soas

PESOS = {"amount_due", "penalty", "amount", "balance", "vat_amount"}


def plain(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """An ORM object as a dictionary for JSON, money in centavos."""
    values = {name: getattr(row, name) for name in names}
    return {name: centavos(value) if name in PESOS else value if isinstance(value, str) else str(value) for name, value in values.items()}


def objects() -> bytes:
    """The list by ORM objects and jsonify."""
    query = select(models.Soa).where(models.Soa.status == "active", models.Soa.collector_code == CODE).order_by(models.Soa.id)
    found = db.session.execute(query.options(selectinload(models.Soa.invoices))).scalars()
    soas = [
        {**plain(soa, columns.SOA_FIELDS), "invoices": [plain(invoice, columns.INVOICE_FIELDS) for invoice in soa.invoices]}
        for soa in found
    ]
    return jsonify({"soas": soas, "count": len(soas), "amount_due": sum(soa["amount_due"] for soa in soas)}).get_data()


def seconds(body: Callable[[], object]) -> float:
    """How long `body` takes from a session that holds nothing."""
    db.session.rollback()
    db.session.expunge_all()
    reading_view.begin()
    gc.collect()
    started = time.process_time()
    body()
    return time.process_time() - started


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--soas", type=int, default=1000)
    asked.add_argument("--rounds", type=int, default=9)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as directory, create_app(TestConfig(Path(directory))).test_request_context():
        flask_migrate.upgrade()
        user = make_user("nena", "collector", codes=[CODE])
        store_soas(*make_list(given.soas))
        ways: dict[str, Callable[[], object]] = {
            "objects": objects,
            "objects, gzip": lambda: gzip.compress(objects(), 6),
            "columns": lambda: packed(snapshot.columns(user, [CODE], {}), None),
            "columns, br": lambda: packed(snapshot.columns(user, [CODE], {}), "br"),
            "304": lambda: snapshot.tag(user, [CODE], {}),
        }
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(given.rounds):
            for name, body in random.sample(list(ways.items()), len(ways)):
                took[name].append(seconds(body))
        median = {name: statistics.median(values) * 1000 for name, values in took.items()}
        whole, small = objects(), snapshot.columns(user, [CODE], {})
        print(f"{given.soas:,} SOAs   objects {len(whole):,} B, gzipped {len(gzip.compress(whole, 6)):,} B")
        print(f"{'':>{len(str(given.soas)) + 9}} columns {len(packed(small, None)):,} B, gzip {len(packed(small, 'gzip')):,} B", end="")
        print(f", brotli {len(packed(small, 'br')):,} B")
        for name, milliseconds in median.items():
            print(f"{name:>14}  {milliseconds:8.2f} ms")
        for mine, theirs in (("columns", "objects"), ("columns, br", "objects, gzip"), ("columns, br", "objects")):
            print(f"{theirs} / {mine}: {median[theirs] / median[mine]:.1f}")


if __name__ == "__main__":
    main()
