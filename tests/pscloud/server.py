"""A PSCloud in a thread that answers exactly what a test tells it to, wrong answers among them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from portal.pscloud.client import PscloudClient
from portal.pscloud.profile import load

TOKEN = "test-token"


@dataclass
class Answer:
    """What to send: a status, a body (anything but bytes goes as JSON), headers; or `raw`, which writes to the connection itself."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[BaseHTTPRequestHandler], None] | None = None


@dataclass
class Asked:
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Script:
    """`reply` decides about every request; `asked` holds those that arrived."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.asked: list[Asked] = []
        self.reply: Callable[[Asked], Answer] = lambda asked: Answer(status=404)

    def answers(self, *answers: Answer) -> None:
        """Give these answers in turn, the last one for ever."""
        left = list(answers)
        self.reply = lambda asked: left.pop(0) if len(left) > 1 else left[0]

    def client(self, **options: Any) -> PscloudClient:
        """A client for this server that does not really wait between attempts; what it would have waited is in `client.pauses`."""
        pauses: list[float] = []
        client = PscloudClient(self.url, TOKEN, load(), allow_private=True, **{"sleep": pauses.append, **options})
        client.pauses = pauses  # type: ignore[attr-defined]
        return client


@contextmanager
def scripted() -> Iterator[Script]:
    """A server that is up inside the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, parts.path, parse_qs(parts.query), dict(self.headers), body)
            script.asked.append(asked)
            answer = script.reply(asked)
            if answer.raw is not None:
                self.close_connection = True
                answer.raw(self)
                return
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = handle_one

        def log_message(self, *args: Any) -> None:
            """Nothing: the tests look at `asked`."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up in the middle is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    script = Script(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def page(records: list[Any], next_cursor: str | None = None, total: int | None = None) -> dict[str, Any]:
    """One page of the list of SOAs."""
    return {
        "data": records,
        "next_cursor": next_cursor,
        "total": len(records) if total is None else total,
        "as_of": "2026-11-20T05:00:00+08:00",
    }


def invoice(number: int = 1, **fields: Any) -> dict[str, Any]:
    """An invoice record with 1,000.00 open and 10.00 penalty."""
    return {
        "id": f"I{number}",
        "invoice_number": f"SI-{number:04d}",
        "invoice_date": "2026-09-01",
        "due_date": "2026-10-01",
        "description": "Lawn lot",
        "amount": "1120.00",
        "balance": "1000.00",
        "penalty": "10.00",
        "vat_type": "vatable",
        "vat_amount": "120.00",
        **fields,
    }


def record(number: int = 1, *, customer: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """An SOA record as the contract has it, 1,010.00 due."""
    named = {"id": f"C{number}", "account_number": f"HP-{number:05d}", "name": f"Customer {number}", "address": None, **(customer or {})}
    return {
        "id": f"S{number:04d}",
        "soa_number": f"SOA-{number:06d}",
        "customer": named,
        "issued_on": "2026-09-15",
        "due_date": "2026-10-15",
        "amount_due": "1010.00",
        "penalty": "10.00",
        "collector_code": "COL-01",
        "status": "active",
        "updated_at": "2026-11-19T08:00:00+08:00",
        "invoices": [invoice()],
        **fields,
    }


@dataclass
class Books:
    """What a well-behaved PSCloud holds; change it between two downloads. `total`, `count` and `amount_due` override what is true."""

    records: list[Any]
    page_size: int = 2
    collectors: list[Any] = field(default_factory=lambda: [{"code": "COL-01", "name": "North", "area": "Malolos"}])
    total: int | None = None
    count: int | None = None
    amount_due: str | None = None
    as_of: str = "2026-11-20T05:00:00+08:00"
    broken: dict[str, Answer] = field(default_factory=dict)
    before: Callable[[Asked], None] = lambda asked: None

    def __call__(self, asked: Asked) -> Answer:
        """The answer to one request."""
        self.before(asked)
        if asked.path in self.broken:
            return self.broken[asked.path]
        if asked.path == "/api/v1/soas/summary":
            return Answer({"count": self._count(), "amount_due": self.amount_due or str(self._sum()), "collectors": []})
        if asked.path == "/api/v1/collectors":
            return Answer({"data": self.collectors})
        if asked.path == "/api/v1/soas":
            start = int(asked.query.get("cursor", ["0"])[0])
            end = start + self.page_size
            records = self._listed(asked)
            total = len(records) if self.total is None else self.total
            body = page(records[start:end], str(end) if end < len(records) else None, total)
            return Answer({**body, "as_of": self.as_of})
        wanted = unquote(asked.path.rpartition("/")[2])
        found = [one for one in self.records if isinstance(one, dict) and one.get("id") == wanted]
        return Answer(found[0]) if found else Answer(status=404)

    def _listed(self, asked: Asked) -> list[Any]:
        """The open ones; or, when asked for changes, everything since that instant whatever its status is."""
        since = asked.query.get("updated_since")
        if since is None:
            return self._open()
        return [one for one in self.records if datetime.fromisoformat(one["updated_at"]) >= datetime.fromisoformat(since[0])]

    def _open(self) -> list[Any]:
        return [one for one in self.records if not isinstance(one, dict) or one.get("status", "active") not in {"settled", "cancelled"}]

    def _count(self) -> int:
        return len(self._open()) if self.count is None else self.count

    def _sum(self) -> Decimal:
        amounts = [Decimal(0)]
        for one in self._open():
            try:
                amounts.append(Decimal(one["amount_due"]))
            except (ArithmeticError, TypeError, KeyError, ValueError):
                continue
        return sum(amounts, Decimal("0.00"))
