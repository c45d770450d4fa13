"""Audit trail: who did what, newest first, in plain words, and whether the chain of it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer, wants_partial
from portal.blueprints.sync_files import MOST_IN_EXCEL, Columns, file
from portal.domain import audit_words
from portal.domain.audit_words import Fact, Value
from portal.domain.errors import InvalidInput
from portal.exports import Cell
from portal.extensions import limiter
from portal.filters import amount, day, moment
from portal.services import audit_check
from portal.store import audit, audit_checks, audit_list, users
from portal.store.audit_list import AuditFilter, AuditRow, Names

bp = Blueprint("audit", __name__)
PAGE = 50
COLUMNS: Columns = (
    ("Entry", 10), ("Time", 19), ("Who", 20), ("What", 32), ("Action", 24), ("About", 38), ("Details", 80), ("Hash", 66),
    ("Hash of the entry before", 66),
)  # fmt: skip
OURSELVES = ("command line", "posting", "schedule")
"""Who does what no person does."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the page shows it: what its subject is called and where that has a page (empty: nowhere for this reader)."""

    row: AuditRow
    words: str
    subject: str
    address: str
    facts: list[tuple[str, str]]


def own_name() -> str:
    """Key of a limit per person."""
    return f"user {current_user.name}" if current_user.is_authenticated else "nobody"


def actions() -> dict[str, str]:
    """Every action by its words, in their order."""
    return dict(sorted(((name, one.words) for name, one in audit_words.ACTIONS.items()), key=lambda pair: pair[1].lower()))


def read_filter(query: Query) -> AuditFilter:
    """The filter in the address; a receipt or void number stands for its payment."""
    first, last = query.days("from", "From", "to", "To")
    text = query.text("q", "About")
    return AuditFilter(
        who=query.text("who", "Who", 120),
        action=query.choice("action", "What", actions()),
        q=text,
        subjects=audit_list.subjects_of(text) if text else (),
        since=clock.midnight(first) if first else None,
        until=clock.midnight(last + timedelta(days=1)) if last else None,
    )


@bp.get("/audit")
@roles("supervisor", "admin")
def index() -> Response:
    """The filtered log and what the last check of its chain found."""
    query = Query("audit.index")
    wanted, before_seq = read_filter(query), query.number("before")
    rows = audit_list.list_page(wanted, before_seq, PAGE)
    context: dict[str, Any] = {
        "query": query,
        "lines": lines(rows),
        "length": audit.length(),
        "check": audit_checks.get(),
        "before": before_seq,
        "older": rows[-1].seq if len(rows) == PAGE and rows[-1].seq > 1 else None,
    }
    if not wants_partial():
        context |= {"actions": actions(), "people": sorted({*OURSELVES, *(person.name for person in users.all_users())})}
    return answer("audit/index.html", "audit/_partial.html", **context)


@bp.post("/audit/check")
@roles("supervisor", "admin")
@limiter.limit("6 per minute", key_func=own_name)
def check() -> ResponseReturnValue:
    """Check the chain from its first entry on."""
    if audit_check.request(clock.now()):
        if audit_checks.get().broken_seq is None:
            flash("The audit log was checked. It is whole.", "good")
        else:
            flash("The audit log was checked. It is broken: see what stands above the list.", "bad")
    else:
        flash("The audit log is being checked. It is long: look at this page again in a minute.", "good")
    return redirect(url_for("audit.index"), 303)


@bp.get("/audit.<any(csv,xlsx):form>")
@roles("supervisor", "admin")
@limiter.limit("60 per minute", key_func=own_name)
def export(form: str) -> Response:
    """The filtered log as a file. Raises InvalidInput when part of the filter cannot be used: the file would hold more than was asked."""
    query = Query("audit.index")
    wanted = read_filter(query)
    if query.problems:
        raise InvalidInput(" ".join(query.problems.values()))
    count = audit_list.count(wanted, MOST_IN_EXCEL + 1) if form == "xlsx" else 0
    words = [words for _, words in query.chips] or ["All entries"]
    return file(form, "Audit trail", f"audit-{clock.today()}", COLUMNS, lambda: cells(wanted), count, words)


def cells(wanted: AuditFilter) -> Iterator[Sequence[Cell]]:
    """The cells of each row."""
    for row in audit_list.iterate(wanted):
        told = "; ".join(f"{fact.label}: {shown(fact.value)}" for fact in audit_words.facts(row.action, row.detail))
        yield (row.seq, row.at, row.who, audit_words.words_of(row.action), row.action, row.subject, told, row.hash, row.prev)


def lines(rows: Sequence[AuditRow]) -> list[Line]:
    """The rows with what their subjects are called, looked up together."""
    by_kind: dict[str, set[str]] = {}
    for row in rows:
        by_kind.setdefault(audit_words.about(row.action), set()).add(row.subject)
    names = audit_list.names(by_kind.get("payment", ()), by_kind.get("remittance", ()), by_kind.get("user", ()))
    return [line(row, names) for row in rows]


def line(row: AuditRow, names: Names) -> Line:
    """One row as the page shows it."""
    kind = audit_words.about(row.action)
    subject, address = SUBJECTS[kind](row.subject, names) if kind in SUBJECTS else (row.subject, "")
    facts = [told(fact) for fact in audit_words.facts(row.action, row.detail)]
    return Line(row, audit_words.words_of(row.action), subject, address, facts)


def told(fact: Fact) -> tuple[str, str]:
    """A fact as label and text."""
    return fact.label, shown(fact.value)


def shown(value: Value) -> str:
    """A value as pages write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return amount(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return day(value)
    return "" if value is None else str(value)


def _payment(subject: str, names: Names) -> tuple[str, str]:
    number = names.receipts.get(subject)
    return (number, url_for("payments.show", payment_id=subject)) if number else (subject, "")


def _remittance(subject: str, names: Names) -> tuple[str, str]:
    found = names.remittances.get(subject)
    return subject, url_for("remittances.show", remittance_id=found) if found else ""


def _user(subject: str, names: Names) -> tuple[str, str]:
    found = names.users.get(subject)
    if found is None:
        return subject, ""
    return f"{subject}, {found[1]}" if found[1] != subject else subject, url_for("users.show", user_id=found[0]) if admin() else ""


def numbered(word: str, endpoint: str, parameter: str, only_admin: bool = False) -> Callable[[str, Names], tuple[str, str]]:
    """How a subject like `sync 12` is called, and its page."""

    def name(subject: str, names: Names) -> tuple[str, str]:
        number = subject.rpartition(" ")[2]
        if not number.isdigit() or len(number) > 9:
            return subject, ""
        place: dict[str, Any] = {parameter: int(number)}
        return f"{word} {number}", url_for(endpoint, **place) if admin() or not only_admin else ""

    return name


def admin() -> bool:
    """Whether the reader may see users and other people's files."""
    return bool(current_user.can("admin"))


SUBJECTS: Mapping[str, Callable[[str, Names], tuple[str, str]]] = {
    "payment": _payment,
    "expense": lambda subject, names: ("Expense", url_for("expenses.show", expense_id=subject)),
    "remittance": _remittance,
    "user": _user,
    "terminal": lambda subject, names: (subject, url_for("terminals.index")),
    "code": lambda subject, names: (subject, url_for("collectors.show", code=subject)),
    "sync": numbered("Download", "sync.show", "run_id"),
    "reconciliation": numbered("Reconciliation", "reconciliation.show", "report_id"),
    "export": numbered("File", "exports.show", "export_id", only_admin=True),
    "settings": lambda subject, names: (subject, url_for("settings.index") if admin() else ""),
    "incident": lambda subject, names: (subject.capitalize(), url_for("incidents.index", state="closed")),
}
"""By the kind of subject: (the subject, names of the page's subjects) -> what it is called and its address."""
