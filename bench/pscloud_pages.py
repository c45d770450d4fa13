"""A PSCloud that only sends: pages of the default contract, rendered once into a file and handed to the socket by the kernel.

`python -m bench.pscloud_pages 100000` renders so many SOAs with three invoices each, prints its address, and serves until it is ended.
A GET of /_use/changed sends from then on the list in which one SOA in a hundred, all over it, owes another amount; /_use/base the first
one again."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from demo.pscloud import material

PAGE = 500
CHANGED = 100
"""One SOA in so many differs between the two lists."""
TODAY = date(2026, 11, 20)


def pesos(centavos: int) -> str:
    """As the contract writes money."""
    return f"{centavos // 100}.{centavos % 100:02d}"


def soa(number: int, changed: bool) -> tuple[dict[str, Any], int]:
    """An invented SOA, and the centavos that are due on it."""
    rng = random.Random(number)
    due = TODAY + timedelta(days=rng.randint(-400, 330))
    invoices, total, penalties = [], 0, 0
    for part in range(3):
        balance = rng.randint(10_000, 900_000) + (changed and number % CHANGED == 7 and part == 0) * 100
        penalty = rng.choice((0, 0, balance // 50))
        total, penalties = total + balance + penalty, penalties + penalty
        day = due - timedelta(days=30 * part)
        invoices.append(
            {
                "id": f"INV{number:07d}{part}",
                "invoice_number": f"SI-{number * 3 + part:08d}",
                "invoice_date": (day - timedelta(days=30)).isoformat(),
                "due_date": day.isoformat(),
                "description": "Lawn lot, monthly instalment",
                "amount": pesos(balance * 2),
                "balance": pesos(balance),
                "penalty": pesos(penalty),
                "vat_type": "vatable",
                "vat_amount": pesos(balance // 10),
            }
        )
    town = rng.choice(material.TOWNS)
    record = {
        "id": f"SOA{number:07d}",
        "soa_number": f"2026-11-{number:07d}",
        "customer": {
            "id": f"CUS{number:07d}",
            "account_number": f"HP-{2010 + number % 15}-{number:07d}",
            "name": f"{rng.choice(material.SURNAMES)}, {rng.choice(material.WOMEN)} {rng.choice(material.SURNAMES)}",
            "address": f"{rng.randint(1, 400)} Mabini St., Barangay Sto. Niño, Malolos City, Bulacan",
            "contact_number": f"0917 000 {rng.randint(0, 9999):04d}",
            "tin": f"900-{rng.randint(0, 999):03d}-{rng.randint(0, 999):03d}-00000" if number % 5 == 0 else None,
            "latitude": round(14.8 + rng.random() / 10, 6),
            "longitude": round(120.8 + rng.random() / 10, 6),
        },
        "issued_on": (due - timedelta(days=30)).isoformat(),
        "due_date": due.isoformat(),
        "amount_due": pesos(total),
        "penalty": pesos(penalties),
        "collector_code": town.code,
        "status": "active",
        "updated_at": f"2026-11-{'20' if changed and number % CHANGED == 7 else '19'}T08:{rng.randint(0, 59):02d}:"
        f"{rng.randint(0, 59):02d}.{rng.randint(0, 999_999):06d}+08:00",
        "invoices": invoices,
    }
    return record, total


@dataclass
class Listing:
    """A list in a file: where each page's records stand in it, and what its control totals are."""

    file: BinaryIO
    places: list[tuple[int, int]]
    count: int
    amount_due: int


def render(count: int, changed: bool) -> Listing:
    """Write the pages of a list."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server runs
    listing = Listing(file, [], count, 0)
    for start in range(0, count, PAGE):
        lines = []
        for number in range(start, min(start + PAGE, count)):
            record, total = soa(number, changed)
            lines.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
            listing.amount_due += total
        body = f"[{','.join(lines)}]".encode()
        listing.places.append((file.tell(), len(body)))
        file.write(body)
    file.flush()
    return listing


class Server:
    """Answers on one port, a thread for each connection."""

    def __init__(self, lists: dict[str, Listing]) -> None:
        """`lists` by the names that /_use knows."""
        self.lists = lists
        self.listing = lists["base"]
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def serve(self) -> None:
        """For ever."""
        while True:
            connection, _ = self.socket.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection: socket.socket) -> None:
        """One keep-alive connection."""
        with connection, connection.makefile("rb") as lines:
            try:
                for target in requests(lines):
                    self.answer(connection, target)
            except OSError:
                return  # who asked has gone

    def answer(self, connection: socket.socket, target: str) -> None:
        """One answer."""
        parts = urlsplit(target)
        page = None
        if parts.path == "/api/v1/soas":
            number = int(parse_qs(parts.query).get("cursor", ["0"])[0])
            page = self.listing.places[number]
            following = json.dumps(str(number + 1)) if number + 1 < len(self.listing.places) else "null"
            as_of = datetime.now(UTC).isoformat()
            before, after = b'{"data":', f',"next_cursor":{following},"total":{self.listing.count},"as_of":"{as_of}"}}'.encode()
        elif parts.path == "/api/v1/soas/summary":
            before, after = f'{{"count":{self.listing.count},"amount_due":"{pesos(self.listing.amount_due)}"}}'.encode(), b""
        elif parts.path.startswith("/_use/"):
            self.listing = self.lists[parts.path.rpartition("/")[2]]
            before, after = b"{}", b""
        else:
            codes = [{"code": town.code, "name": town.code, "area": "Bulacan"} for town in material.TOWNS]
            before, after = json.dumps({"data": codes}).encode(), b""
        length = len(before) + len(after) + (page[1] if page else 0)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
        connection.sendall(head + before)
        if page:
            place, left = page
            while left:
                sent = os.sendfile(connection.fileno(), self.listing.file.fileno(), place, left)
                place, left = place + sent, left - sent
        connection.sendall(after)


def requests(lines: BinaryIO) -> Iterator[str]:
    """The targets of the requests that arrive; their headers are read and left."""
    while first := lines.readline():
        while lines.readline().strip():
            continue
        yield first.split()[1].decode()


def main(arguments: list[str]) -> None:
    """Render, say the address, serve."""
    count = int(arguments[0])
    server = Server({"base": render(count, False), "changed": render(count, True)})
    print(server.url, flush=True)
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
