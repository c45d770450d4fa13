"""The floor of the SOA list: one keyset query on a bare connection, rendered by a bare Jinja template with the rows of our own page.

A Flask view without login, layout, filters or totals; each thread keeps one connection. FLOOR_DATABASE is a file of SQLite or an address of
PostgreSQL. Served by gunicorn as `bench.soa_list_floor:app`."""

from __future__ import annotations

import os
import sqlite3
import threading
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
from flask import Flask, request
from jinja2 import Environment

app = Flask(__name__)
DATABASE = os.environ.get("FLOOR_DATABASE", "")
SQLITE = not DATABASE.startswith("postgresql:")
held = threading.local()
COLUMNS = (
    "id, soa_number, account_number, customer_name, due_date, amount_due, penalty, collector_code, "
    "(SELECT count(*) FROM invoices WHERE invoices.soa_id = soas.id) AS invoice_count, status, changed_run_id"
)
ROWS = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""<table><tbody>
{% for row in rows %}
<tr data-soa="{{ row[0] }}"{% if row[4] < today %} class="late"{% endif %}>
  <td class="clip clip-wide" title="{{ row[3] }}"><a href="/soas/{{ row[0]|urlencode }}">{{ row[3] }}</a></td>
  <td data-label="Account number" class="nowrap">{{ row[2] }}</td>
  <td data-label="SOA number" class="nowrap">{{ row[1] }}{% if row[9] == "closed" %} <span class="pill">Closed</span>{% endif %}</td>
  <td data-label="Due date" class="nowrap">{{ row[4].day }} {{ row[4].strftime("%b %Y") }}</td>
  <td data-label="Days overdue" class="number overdue">{{ (today - row[4]).days if row[4] < today else "" }}</td>
  <td data-label="Amount due" class="number">{{ "{:,.2f}".format(row[5]) }}</td>
  <td data-label="Penalty" class="number{% if not row[6] %} empty-cell{% endif %}">
    {%- if row[6] %}{{ "{:,.2f}".format(row[6]) }}{% endif %}</td>
  <td data-label="Collector code">{% if row[7] %}{{ row[7] }}{% else %}<span class="pill wait">No code</span>{% endif %}</td>
  <td data-label="Invoices" class="number minor">{{ row[8] }}</td>
  <td data-label="Changed by" class="number minor"><a class="muted" href="/syncs/{{ row[10] }}">download {{ row[10] }}</a></td>
</tr>
{% endfor %}
</tbody></table>""")
ORDER = "ORDER BY due_date, id LIMIT 50"
SEARCH = {
    True: "id IN (SELECT soa_id FROM soa_search_rows WHERE id IN (SELECT rowid FROM soa_search WHERE soa_search MATCH '\"' || :q || '\"'))",
    False: "search_text LIKE '%%' || :q || '%%'",
}
CHOSEN = f"SELECT {COLUMNS} FROM soas WHERE status = 'active'"  # noqa: S608 - the parts are written here, values are bound
QUERIES = {
    "first": f"{CHOSEN} {ORDER}",
    "deep": f"{CHOSEN} AND due_date >= :due AND (due_date > :due OR id > :id) {ORDER}",
    "code": f"{CHOSEN} AND collector_code = :code AND due_date <= :due {ORDER}",
    "account": f"{CHOSEN} AND account_number >= :q AND account_number < :end ORDER BY account_number LIMIT 50",
    "search": f"{CHOSEN} AND {SEARCH[SQLITE]} {ORDER}",
}


def cursor() -> Any:
    """A cursor on this thread's connection."""
    if not hasattr(held, "connection"):
        if SQLITE:
            held.connection = sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, isolation_level=None)
        else:
            held.connection = psycopg.connect(DATABASE, autocommit=True)
    return held.connection.cursor()


def statement(name: str) -> str:
    """The query in the driver's way of naming values."""
    if SQLITE:
        return QUERIES[name].replace("%%", "%")
    found = QUERIES[name]
    for value in ("due", "id", "code", "q", "end"):
        found = found.replace(f":{value}", f"%({value})s")
    return found


STATEMENTS = {name: statement(name) for name in QUERIES}


@app.get("/")
def page() -> str:
    """The rows of one page."""
    values = {name: request.args.get(name) for name in ("due", "id", "code", "q")}
    found = cursor().execute(STATEMENTS[request.args["name"]], {**values, "end": f"{values['q']}\U0010ffff"}).fetchall()
    rows = [
        (*row[:4], date.fromisoformat(row[4]) if SQLITE else row[4], Decimal(row[5]).scaleb(-2), Decimal(row[6]).scaleb(-2), *row[7:])
        for row in found
    ]
    return ROWS.render(rows=rows, today=date(2026, 11, 20))
