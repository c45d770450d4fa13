"""A portal for phones in one process: no PSCloud, no workers, ready in a moment. Its collectors are nena and jun."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from flask import Flask
from werkzeug.serving import make_server

from config import TestConfig
from portal import create_app
from portal.extensions import db
from tests.factories import PASSWORD, make_invoice, make_soa, make_user, store_soas

__all__ = ["CUSTOMERS", "PASSWORD", "PhonePortal", "serve"]

CUSTOMERS = ["Abad, Teresita", "Bonifacio, Andrea", "Carpio, Felicidad", "Dimaculangan, Ruel"]
"""nena's customers; each owes 4,321.00 on one invoice that is overdue."""
DUE = Decimal("4321.00")


@dataclass(frozen=True)
class PhonePortal:
    """The portal as served."""

    app: Flask
    url: str
    database: Path

    def payments(self, terminal: str) -> list[tuple[str, int]]:
        """What the ledger holds of a terminal: receipt numbers and centavos, in order of the number."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as database:
            query = "SELECT receipt_number, amount FROM payments WHERE receipt_number LIKE ? ORDER BY receipt_number"
            return database.execute(query, (f"{terminal}-%",)).fetchall()


@contextmanager
def serve(folder: Path, template: Path) -> Iterator[PhonePortal]:
    """The portal on a copy of a migrated database, with two collectors and nena's four SOAs."""
    database = folder / "portal.sqlite3"
    shutil.copy(template, database)
    app = create_app(TestConfig(folder, DATABASE_URL=f"sqlite:///{database}"))
    with app.app_context():
        make_user("nena", "collector", codes=["A1"])
        make_user("jun", "collector", codes=["B1"])
        late = datetime.now(UTC).date() - timedelta(days=20)
        soas = []
        for number, name in enumerate(CUSTOMERS, 1):
            numbered = {"id": f"inv-{number}", "invoice_number": f"SI-{number:04d}", "due_date": late, "amount": DUE, "balance": DUE}
            soas.append(make_soa(f"S{number}", invoices=[make_invoice(number, **numbered)], customer_name=name, due_date=late))
        store_soas(*soas, now=datetime.now(UTC))
        db.session.remove()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield PhonePortal(app, f"http://127.0.0.1:{server.server_port}", database)
    finally:
        server.shutdown()
        thread.join()
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
