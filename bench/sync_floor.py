"""What a download costs when written by hand, for this contract only and without checks.

`python -m bench.sync_floor fetch PSCLOUD DATABASE` reads the bytes of every page and throws them away. `write` decodes them into typed
structures, COPYs them into temporary tables and moves them by one INSERT ... ON CONFLICT DO UPDATE ... WHERE changed into tables with the
columns, keys and indexes of the portal's own."""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
import psycopg


class Customer(msgspec.Struct):
    """A customer."""

    id: str
    account_number: str
    name: str
    address: str | None = None
    contact_number: str | None = None
    tin: str | None = None


class Invoice(msgspec.Struct):
    """An invoice."""

    id: str
    invoice_number: str
    invoice_date: str
    due_date: str
    description: str
    amount: str
    balance: str
    penalty: str
    vat_type: str
    vat_amount: str


class Soa(msgspec.Struct):
    """An SOA."""

    id: str
    soa_number: str
    customer: Customer
    issued_on: str
    due_date: str
    amount_due: str
    penalty: str
    collector_code: str
    status: str
    updated_at: str
    invoices: list[Invoice]


class Page(msgspec.Struct):
    """A page."""

    data: list[Soa]
    next_cursor: str | None


class Envelope(msgspec.Struct):
    """A page whose list is not looked at."""

    next_cursor: str | None


SOA_COLUMNS = (
    "id, soa_number, customer_id, account_number, customer_name, search_text, address, contact_number, tin, issued_on, due_date, "
    "amount_due, penalty, collector_code, status, updated_at, version, changed_run_id"
)
INVOICE_COLUMNS = (
    "soa_id, id, position, invoice_number, invoice_date, due_date, description, amount, balance, penalty, vat_type, vat_amount"
)


def bodies(url: str) -> Iterator[bytes]:
    """The pages, over one connection."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    cursor: str | None = "0"
    while cursor is not None:
        connection.request("GET", f"/api/v1/soas?limit=500&cursor={cursor}")
        body = connection.getresponse().read()
        yield body
        tail = body[-200:]
        cursor = msgspec.json.decode(b"{" + tail[tail.index(b'"next_cursor"') :], type=Envelope).next_cursor
    connection.close()


def fetch(url: str) -> int:
    """Read everything; returns the bytes."""
    return sum(len(body) for body in bodies(url))


def write(url: str, database: str) -> int:
    """Read everything and have it in the tables; returns the number of SOAs."""
    decoder = msgspec.json.Decoder(Page)
    count = 0
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE new_soas ON COMMIT DROP AS SELECT * FROM soas LIMIT 0")
        cursor.execute("CREATE TEMP TABLE new_invoices ON COMMIT DROP AS SELECT * FROM invoices LIMIT 0")
        for body in bodies(url):
            page = decoder.decode(body).data
            count += len(page)
            with cursor.copy(f"COPY new_soas ({SOA_COLUMNS}) FROM STDIN") as copy:
                copy.write("".join(map(soa_line, page)))
            with cursor.copy(f"COPY new_invoices ({INVOICE_COLUMNS}) FROM STDIN") as copy:
                copy.write("".join(invoice_line(one.id, place, invoice) for one in page for place, invoice in enumerate(one.invoices)))
        for table, columns, key in (("soas", SOA_COLUMNS, "id"), ("invoices", INVOICE_COLUMNS, "soa_id, id")):
            names = [name.strip() for name in columns.split(",")]
            cursor.execute(
                f"INSERT INTO {table} ({columns}) SELECT {columns} FROM new_{table} ON CONFLICT ({key}) DO UPDATE SET "  # noqa: S608
                f"{', '.join(f'{name} = excluded.{name}' for name in names)} "
                f"WHERE ({', '.join(f'{table}.{name}' for name in names)}) IS DISTINCT FROM "
                f"({', '.join(f'excluded.{name}' for name in names)})"
            )
    return count


def soa_line(one: Soa) -> str:
    """A line for COPY. The bench's texts hold nothing that must be escaped."""
    customer = one.customer
    search = f"{customer.name} {customer.account_number} {one.soa_number}".lower()
    return (
        f"{one.id}\t{one.soa_number}\t{customer.id}\t{customer.account_number}\t{customer.name}\t{search}\t{customer.address or ''}\t"
        f"{customer.contact_number or ''}\t{customer.tin or ''}\t{one.issued_on}\t{one.due_date}\t{one.amount_due.replace('.', '')}\t"
        f"{one.penalty.replace('.', '')}\t{one.collector_code}\t{one.status}\t{one.updated_at}\tv\t1\n"
    )


def invoice_line(soa_id: str, place: int, one: Invoice) -> str:
    """A line for COPY."""
    return (
        f"{soa_id}\t{one.id}\t{place}\t{one.invoice_number}\t{one.invoice_date}\t{one.due_date}\t{one.description}\t"
        f"{one.amount.replace('.', '')}\t{one.balance.replace('.', '')}\t{one.penalty.replace('.', '')}\t{one.vat_type}\t"
        f"{one.vat_amount.replace('.', '')}\n"
    )


def main(arguments: list[str]) -> None:
    """Do it and print the seconds it took."""
    what, url, database = arguments
    begun = time.perf_counter()
    done = fetch(url) if what == "fetch" else write(url, database)
    print(time.perf_counter() - begun, done)


if __name__ == "__main__":
    main(sys.argv[1:])
