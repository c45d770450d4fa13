"""How long 10,000 approved payments take to be posted: `python -m bench.posting [--payments N] [--pause MS] [--rounds N]`.

PSCloud is a server of its own that answers each batch of up to 200 after a pause of 50 ms. *Batches alone* are the same records sent by the
same client, one batch after the other, with no database; *posting* is the job as workers run it: claims, statuses, results, audit rows and
totals of every payment. Per database, the rounds interleaved; prints the median of each and the ratio."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import flask_migrate
from sqlalchemy import insert, text

from bench.soa_list import free_port, served
from config import TestConfig
from portal import create_app
from portal.extensions import db
from portal.pscloud import mapping
from portal.pscloud.client import PscloudClient
from portal.pscloud.profile import load
from portal.services import postings
from portal.store import payment_totals
from portal.store import postings as outbox
from portal.store.models import Payment, PaymentAllocation, Posting
from tests import factories, postgres

NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)


class Answers(BaseHTTPRequestHandler):
    """Takes every payment of a batch, after a pause."""

    protocol_version = "HTTP/1.1"
    pause = 0.05

    def do_POST(self) -> None:
        """Each payment sent is accepted."""
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.pause)
        results = [
            {"reference": one["reference"], "status": "accepted", "pscloud_id": f"P-{one['reference'][:8]}"} for one in sent["payments"]
        ]
        body = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


def serve(port: int, pause: float) -> None:
    """Answer until we are ended."""
    Answers.pause = pause
    ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()


def fill(count: int, terminal_id: int, user_id: int) -> None:
    """So many approved payments with an allocation each, due to be posted; commits."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    start = int(time.time())
    nothing = dict.fromkeys(("vatable", "vat_amount", "vat_exempt", "zero_rated", "balance_after"), Decimal(0))
    rows = [
        {
            "id": one, "terminal_id": terminal_id, "user_id": user_id, "registry_id": "r" * 36, "journal_seq": start + number,
            "entry_hash": "h" * 64, "receipt_number": f"T01-{start}{number}"[-24:], "claimed_receipt_number": f"T01-{start}{number}"[-24:],
            "soa_id": f"S{number}", "soa_number": f"SOA-{number}", "account_number": f"A-{number}", "customer_name": "Dela Cruz, Maria",
            "tender": "cash", "mode": "oldest_first", "business_date": NOW.date(), "collected_at": NOW, "received_at": NOW,
            "status": "approved", "status_at": NOW, "collector_code": "A1", **nothing, "amount": Decimal(100),
        }
        for number, one in enumerate(ids)
    ]  # fmt: skip
    db.session.execute(insert(Payment), rows)
    parts = [
        {"payment_id": one, "generation": 0, "position": 0, "soa_id": f"S{number}", "invoice_id": "I1", "invoice_number": "SI-1",
         "kind": "principal", "amount": Decimal(100)}
        for number, one in enumerate(ids)
    ]  # fmt: skip
    db.session.execute(insert(PaymentAllocation), parts)
    due = [{"payment_id": one, "status": "due", "next_attempt_at": NOW, "created_at": NOW, "outcome_unknown": False} for one in ids]
    db.session.execute(insert(Posting), due)
    payment_totals.rebuild()
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
        plain.execute(text("ANALYZE" if is_sqlite() else "VACUUM ANALYZE"))


def is_sqlite() -> bool:
    """Which of the two databases this is."""
    return db.engine.dialect.name == "sqlite"


def client(port: int) -> PscloudClient:
    """As a worker has it."""
    return PscloudClient(f"http://127.0.0.1:{port}", "token", load(None), allow_private=True)


def alone(port: int, records: list[dict[str, Any]]) -> float:
    """Seconds to send these records, 200 a call."""
    with client(port) as sender:
        started = time.perf_counter()
        for start in range(0, len(records), postings.BATCH):
            results = sender.post_payments(records[start : start + postings.BATCH])
            assert all(result.status == "accepted" for result in results)
        return time.perf_counter() - started


def records(count: int) -> list[dict[str, Any]]:
    """What is sent of the payments that are due, worked out beforehand."""
    items = outbox.claim("bench", NOW, NOW, count)
    db.session.rollback()
    profile = load(None)
    return [mapping.to_payment(postings._to_post(item), profile) for item in items]


def main() -> None:
    """Fill, post and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=10_000)
    parser.add_argument("--pause", type=float, default=50, help="milliseconds PSCloud takes for a batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append", help="only this one; both by default")
    parser.add_argument("--serve", type=int, metavar="PORT", help="be PSCloud")
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen.pause / 1000)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    with ExitStack() as stack:
        folder, port = Path(stack.enter_context(tempfile.TemporaryDirectory())), free_port()
        command = [sys.executable, "-m", "bench.posting", "--serve", str(port), "--pause", str(chosen.pause)]
        stack.enter_context(served(command, {}, port))
        for database in chosen.database or ["sqlite", "postgresql"]:
            url = f"sqlite:///{folder / 'portal.sqlite3'}"
            if database == "postgresql":
                url = postgres.create_database(stack.enter_context(postgres.running_postgres(settings=("shared_buffers=1GB",))), "bench")
            with create_app(TestConfig(folder, DATABASE_URL=url)).app_context():
                flask_migrate.upgrade()
                user_id = factories.make_user("nena", "collector")
                terminal_id = factories.make_phone("nena").terminal.id
                times: dict[str, list[float]] = {"alone": [], "posting": []}
                for _ in range(chosen.rounds):
                    fill(chosen.payments, terminal_id, user_id)
                    times["alone"].append(alone(port, records(chosen.payments)))
                    with client(port) as sender:
                        started = time.perf_counter()
                        outcome = postings.post_due(sender, lambda: datetime.now(UTC))
                        times["posting"].append(time.perf_counter() - started)
                    assert outcome.completed == chosen.payments, outcome
                    assert payment_totals.wrong() == []
                    db.session.rollback()
                floor, ours = (statistics.median(times[name]) for name in ("alone", "posting"))
                print(f"{database:10} batches alone {floor:6.2f} s  posting {ours:6.2f} s = {ours / floor:4.2f}x", flush=True)
                db.session.remove()
                db.engine.dispose()


if __name__ == "__main__":
    main()
