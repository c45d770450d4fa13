"""What every invented PSCloud of these tests shares: the books it keeps, the faults it can be told to show, and its HTTP thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Bill:
    """An invoice in a PSCloud's books."""

    id: str
    number: str
    dated: date
    due: date
    text: str
    amount: Decimal
    balance: Decimal
    penalty: Decimal
    vat: Decimal
    kind: str = "vatable"


@dataclass
class Statement:
    """An SOA with its customer in a PSCloud's books; `spoiled` says what it gets wrong when it sends this one."""

    id: str
    number: str
    customer: str
    account: str
    name: str
    address: str
    phone: str
    tin: str
    issued: date
    due: date
    amount_due: Decimal
    penalty: Decimal
    collector: str | None
    changed: datetime
    bills: list[Bill]
    active: bool = True
    spoiled: str = ""


@dataclass
class Receipt:
    """A payment a PSCloud took; `parts` are (invoice or None, our word for the kind, amount)."""

    reference: str
    number: str
    soa: str
    amount: Decimal
    method: str
    method_reference: str | None
    collected_at: datetime
    collector: str
    parts: list[tuple[str | None, str, Decimal]]
    own_id: str
    void_reason: str | None = None


class Refused(Exception):
    """A payment that a PSCloud does not take, with its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class Books:
    """What a PSCloud holds."""

    statements: list[Statement]
    collectors: list[tuple[str, str, str, bool]]
    receipts: dict[str, Receipt] = field(default_factory=dict)
    refuse: set[str] = field(default_factory=set)
    """Receipt numbers it refuses."""

    def active(self) -> list[Statement]:
        """The open SOAs, in order of their ids."""
        return sorted((one for one in self.statements if one.active), key=lambda one: one.id)

    def known(self, soa: str) -> Statement | None:
        """The SOA with this id, or None."""
        return next((one for one in self.statements if one.id == soa), None)

    def take(self, receipt: Receipt) -> Receipt:
        """Book a payment. Raises Refused for those of `refuse`, for unknown SOAs and for parts that do not add up."""
        if receipt.number in self.refuse:
            raise Refused("closed_period", f"Receipt {receipt.number} belongs to a period that is closed.")
        if self.known(receipt.soa) is None:
            raise Refused("soa_not_found", f"There is no statement {receipt.soa}.")
        if sum(amount for _, _, amount in receipt.parts) != receipt.amount:
            raise Refused("invalid", "The parts do not add up to the amount.")
        self.receipts[receipt.reference] = receipt
        return receipt


def books(count: int = 7) -> Books:
    """Books with so many open SOAs of two invoices each, 1,510.00 and more due, and one settled SOA."""
    statements = []
    for number in range(1, count + 2):
        bills = [
            Bill(
                id=f"INV-{number:04d}-{part}",
                number=f"SI-{number:04d}{part}",
                dated=date(2026, 9, part),
                due=date(2026, 10, part),
                text="Lawn lot, monthly",
                amount=Decimal("1120.00"),
                balance=Decimal("1000.00") if part == 1 else Decimal("500.00") + number,
                penalty=Decimal("10.00") if part == 1 else Decimal("0.00"),
                vat=Decimal("120.00"),
            )
            for part in (1, 2)
        ]
        statements.append(
            Statement(
                id=f"SOA-{number:04d}",
                number=f"2026-{number:05d}",
                customer=f"CUST-{number:04d}",
                account=f"HP-{number:05d}",
                name=f"Maria Santos {number}",
                address=f"{number} Rizal Street, Malolos",
                phone=f"0917 555 {number:04d}",
                tin="123-456-789-000",
                issued=date(2026, 9, 15),
                due=date(2026, 10, 15),
                amount_due=Decimal("1510.00") + number,
                penalty=Decimal("10.00"),
                collector="COL-01" if number % 2 else "COL-02",
                changed=datetime(2026, 11, 19, 0, number, tzinfo=UTC),
                bills=bills,
                active=number <= count,
            )
        )
    return Books(statements, [("COL-01", "North", "Malolos", True), ("COL-02", "South", "Bulakan", True), ("COL-09", "Old", "", False)])


@dataclass
class Heard:
    """A request that arrived; header names are in small letters."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    def one(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        return dict(self.query).get(name, default)

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Say:
    """An answer."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """An answer given in place of the right one, so many times, to requests that `when` picks."""

    when: Callable[[Heard], bool]
    say: Say
    times: int = 1


class Shape:
    """One PSCloud: books, an address, a credential, and what a test may tell it to do wrong."""

    credential = "unset"
    profile: str | None = None

    def __init__(self) -> None:
        self.books = books()
        self.url = ""
        self.heard: list[Heard] = []
        self.faults: list[Fault] = []
        self.cap = 3
        """The most records on one page, whatever is asked for."""
        self.total: int | None = None
        """A total it claims in place of the true one."""
        self.next_goes: str = ""
        """Where its next page leads: '' as it should, 'same' to itself, 'foreign' to another host, 'endless' to ever new ones."""
        self.lose_answer = 0
        """So many posts are done and then not answered."""
        self.served = 0
        self.after_page: Callable[[int], None] = lambda number: None
        """Called after each page of SOAs with its number."""

    def answer(self, heard: Heard) -> Say:
        """The right answer."""
        raise NotImplementedError

    def is_soa_list(self, heard: Heard) -> bool:
        """Whether this request asks for a page of SOAs (and not for a sum over them)."""
        raise NotImplementedError

    def is_post(self, heard: Heard) -> bool:
        """Whether this request posts payments."""
        raise NotImplementedError

    def is_void(self, heard: Heard) -> bool:
        """Whether this request voids a payment."""
        raise NotImplementedError

    def fail(self, when: Callable[[Heard], bool], say: Say, times: int = 1) -> None:
        """Give this answer instead, so many times."""
        self.faults.append(Fault(when, say, times))

    def respond(self, heard: Heard) -> Say | None:
        """What is sent; None hangs up."""
        self.heard.append(heard)
        for fault in self.faults:
            if fault.times > 0 and fault.when(heard):
                fault.times -= 1
                return fault.say
        said = self.answer(heard)
        if self.is_soa_list(heard) and said.status == 200:
            self.served += 1
            self.after_page(self.served)
        if self.lose_answer and heard.method != "GET" and (self.is_post(heard) or self.is_void(heard)):
            self.lose_answer -= 1
            return None
        return said


def later(moment: datetime, minutes: int = 1) -> datetime:
    """Some minutes after it."""
    return moment + timedelta(minutes=minutes)


@contextmanager
def serving(shape: Shape) -> Iterator[None]:
    """The shape answers at `shape.url` inside the block."""
    lock = threading.Lock()
    wrong: list[Exception] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = parse_qsl(parts.query, keep_blank_values=True)
            with lock:
                try:
                    said = shape.respond(Heard(self.command, unquote(parts.path), query, headers, body))
                except Exception as error:
                    wrong.append(error)
                    said = None
            if said is None:
                self.close_connection = True
                return
            content = b"" if said.body is None else said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_one

        def log_message(self, *args: Any) -> None:
            """Nothing: the tests look at `heard`."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    shape.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    if wrong:
        raise AssertionError("the invented PSCloud itself broke") from wrong[0]
