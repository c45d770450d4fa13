"""The floor of the payment list: one keyset query on a bare connection, rendered by a bare Jinja template with the rows of our own page.

A Flask view without login, layout, filters or totals; each thread keeps one connection. FLOOR_DATABASE is a file of SQLite or an address of
PostgreSQL. Served by gunicorn as `bench.payment_list_floor:app`."""

from __future__ import annotations

import os
import sqlite3
import threading
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from flask import Flask, request
from jinja2 import Environment

app = Flask(__name__)
DATABASE = os.environ.get("FLOOR_DATABASE", "")
SQLITE = not DATABASE.startswith("postgresql:")
held = threading.local()
FLAGS = "group_concat(flag, ',')" if SQLITE else "string_agg(flag, ',')"
COLUMNS = (
    "id, claimed_receipt_number, collected_at, customer_name, account_number, soa_id, tender, channel, reference, amount, status, "
    "(SELECT {flags} FROM payment_flags WHERE payment_id = payments.id) AS flags, "
    "(SELECT state FROM voids WHERE payment_id = payments.id AND state <> 'refused') AS void, user_id, business_date, received_at"
)
ROWS = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""<table><tbody>
{% for row in rows %}
<tr data-payment="{{ row[0] }}" data-status="{{ row[10] }}"{% if row[12] == "approved" %} class="is-void"{% endif %}>
  <td class="nowrap"><a href="/payments/{{ row[0] }}">{{ row[1] }}</a></td>
  <td data-label="Collected" class="nowrap">{{ row[2].day }} {{ row[2].strftime("%b %Y, %H:%M") }}</td>
  <td data-label="Customer" class="clip clip-wide wide" title="{{ row[3] }}">{{ row[3] }}</td>
  <td data-label="Account" class="nowrap"><a class="muted" href="/soas/{{ row[5]|urlencode }}">{{ row[4] }}</a></td>
  <td data-label="Collector" class="nowrap">{{ row[16] }}</td>
  <td data-label="Tender" class="clip clip-tender">{{ row[6] }} <span class="second">{{ [row[7], row[8]]|select|join(" ") }}</span></td>
  <td class="number" data-label="Amount">{{ "{:,.2f}".format(row[9]) }}</td>
  <td data-label="Status"><span class="pill">{{ row[10]|capitalize }}</span></td>
  <td data-label="Flags">{% if row[11] %}<span class="pill wait">{{ row[11] }}</span>{% endif %}</td>
</tr>
{% endfor %}
</tbody></table>""")
ORDER = "ORDER BY business_date DESC, received_at DESC, claimed_receipt_number DESC, id DESC LIMIT 50"
WHERE = {
    "first": "true",
    "deep": "(business_date, received_at, claimed_receipt_number, id) < (:day, :at, :receipt, :id)",
    "collector": "user_id = 8",
    "dates": "business_date >= '2026-03-01' AND business_date <= '2026-03-31'",
    "tender": "tender = 'check' AND tender <> 'cash'",
    "status": "status = 'failed'",
    "flag": "EXISTS (SELECT 1 FROM payment_flags WHERE payment_id = payments.id AND flag = 'late')",
    "text": "EXISTS (SELECT 1 FROM soas WHERE id = payments.soa_id AND search_text LIKE '%%cruz%%')",
}


def statement(name: str) -> str:
    """The query in the driver's way of naming values."""
    chosen = f"SELECT {COLUMNS.format(flags=FLAGS)} FROM payments WHERE {WHERE[name]} {ORDER}"  # noqa: S608
    again = ORDER.replace(" id", " p.id").removesuffix(" LIMIT 50")
    found = f"SELECT p.*, u.display_name FROM ({chosen}) p JOIN users u ON u.id = p.user_id {again}"  # noqa: S608
    if SQLITE:
        return found.replace("%%", "%")
    if name == "deep":
        found = found.replace("(:day, :at, :receipt, :id)", "(%(day)s, %(at)s, %(receipt)s, %(id)s)")
    return found


STATEMENTS = {name: statement(name) for name in WHERE}


def cursor() -> Any:
    """A cursor on this thread's connection."""
    if not hasattr(held, "connection"):
        if SQLITE:
            held.connection = sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, isolation_level=None)
        else:
            held.connection = psycopg.connect(DATABASE, autocommit=True)
    return held.connection.cursor()


@app.get("/")
def page() -> str:
    """The rows of one page."""
    values = {name: request.args.get(name) for name in ("day", "at", "receipt", "id")}
    found = cursor().execute(STATEMENTS[request.args["name"]], values).fetchall()
    rows = [
        (*row[:2], datetime.fromisoformat(row[2]) if SQLITE else row[2], *row[3:9], Decimal(row[9]).scaleb(-2), *row[10:]) for row in found
    ]
    return ROWS.render(rows=rows)
