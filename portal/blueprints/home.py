"""The front page: is today's download done, what is ready, who has it, what is collected, what waits for me. Every number leads to the list
behind it, filtered to exactly what was counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.collectors import edition_words
from portal.blueprints.pages import answer, wants_partial
from portal.blueprints.sync import agrees, measured
from portal.domain.money import show_pesos
from portal.filters import day as show_day
from portal.services import pushing
from portal.store import (
    collector_codes,
    dashboard,
    downloads,
    expenses,
    ledger,
    missing,
    papers,
    remittances,
    soas,
    sync_history,
    sync_runs,
)

bp = Blueprint("home", __name__)
NAMED = 6
"""Collectors named on a card; the rest are counted."""
TOP = 8
"""Collectors in the table of what is collected, unless all are asked for."""


@bp.get("/")
@roles("collector", "office", "admin")
def index() -> ResponseReturnValue:
    """The office's day; a collector's home is the phone app. htmx asks for each part by itself, each every so often."""
    if not current_user.can("office", "admin"):
        return redirect("/mpos/")
    today = clock.today()
    part = request.args.get("part", "")
    if wants_partial() and part in PARTS:
        return answer("home/index.html", f"home/_{part}.html", today=today, **PARTS[part](today))
    context = {name: value for found in PARTS.values() for name, value in found(today).items()}
    return answer("home/index.html", "home/_board.html", today=today, **context)


# --- the download --------------------------------------------------------------------------------------------------------


def sync(today: date) -> dict[str, Any]:
    """Today's download: under way, how the latest of today ended, and what everybody works with."""
    active, latest = sync_runs.active(), sync_history.last_asked_since(clock.midnight(today))
    return {
        "active": active,
        "progress": None if active is None else measured(active),
        "run": latest,
        "agrees": None if latest is None else agrees(latest),
        "completed": sync_runs.last_completed(),
    }


# --- what is ready and who has it ----------------------------------------------------------------------------------------


def ready(today: date) -> dict[str, Any]:
    """Open SOAs: all, due today, overdue; and those that nobody can download."""
    return {
        "soas": soas.totals(soas.SoaFilter(), today),
        "due_today": soas.totals(soas.SoaFilter(due_from=today, due_to=today), today),
        "overdue": soas.totals(soas.SoaFilter(overdue=True), today),
        "stuck": collector_codes.stuck(today),
    }


def phones(today: date) -> dict[str, Any]:
    """Which collectors have the list of today, or of the latest day with a download, and which have not."""
    edition = downloads.edition(clock.zone())
    people = downloads.collectors(edition)
    missing = [one for one in people if one.state == "missing"]
    return {
        "have_list": sum(one.state == "latest" for one in people),
        "missing_list": len(missing),
        "named": missing[:NAMED],
        **edition_words(edition, today),
    }


# --- what is collected ---------------------------------------------------------------------------------------------------


def collected(today: date) -> dict[str, Any]:
    """The payments of today's business date in parts; a whole page asks for them once."""
    if "collected" not in g:
        g.collected = dashboard.collected(today)
    return {"collected": g.collected}


def breakdown(today: date) -> dict[str, Any]:
    """The same by tender and by collector; all collectors when the address asks for them."""
    every = request.args.get("collectors") == "all"
    found = collected(today)["collected"]
    return {"collected": found, "shown": found.collectors if every else found.collectors[:TOP], "every_collector": every}


def latest(today: date) -> dict[str, Any]:
    """The payments that arrived last, of whichever day."""
    return {"latest": ledger.list_page(ledger.PaymentFilter(), limit=8).rows}


# --- what waits ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """Something that waits: how many, what, where, since when, and for whom. `risk` when money stands still because of it."""

    name: str
    count: int
    one: str
    many: str
    link: str
    who: tuple[str, ...]
    since: datetime | None = None
    note: str = ""
    risk: bool = False

    @property
    def words(self) -> str:
        """What waits, for this many."""
        return self.one if self.count == 1 else self.many


def waiting(today: date) -> dict[str, Any]:
    """What waits, parted by whether this person may do it."""
    tasks = [task for task in all_tasks(today) if task.count]
    mine = [task for task in tasks if current_user.can(*task.who)]
    return {"mine": mine, "others": [task for task in tasks if task not in mine]}


def all_tasks(today: date) -> Sequence[Task]:
    """Everything that can wait, in the order of what hurts most; some of it none."""
    due, week, bounced = papers.due_until(today), papers.due_until(today + timedelta(days=7)), papers.waiting(("check",), "bounced")
    unverified = papers.waiting(papers.OTHERS, "unverified")
    payments, desk, incidents = dashboard.waiting_payments(), remittances.desk(), dashboard.open_incidents()
    voids, refused_voids, terminals = dashboard.waiting_voids(), dashboard.refused_voids(), dashboard.waiting_terminals()
    spent, spent_pesos, spent_since = expenses.waiting()
    drop, paused, stuck = sync_history.undecided(), pushing.paused(), ledger.PaymentFilter(status="approved", void="none")
    plain: dict[str, Any] = {"status": "pending", "void": "none", "flag": "none"}
    flagged = plain | {"flag": "any"}
    aside = incidents.get("quarantined")
    gaps = missing.waiting()
    return [
        Task(
            "refused", payments.refused.count, "payment PSCloud refused", "payments PSCloud refused",
            url_for("payments.index", status="failed", void="none"), ("office",), payments.refused.oldest,
            "See the reason, then retry.", risk=True,
        ),
        Task(
            "refused-voids", refused_voids.count, "void PSCloud refused", "voids PSCloud refused",
            url_for("voids.index", state="failed"), ("office",), refused_voids.oldest, "The payment still stands there.", risk=True,
        ),
        *(
            []
            if drop is None
            else [
                Task(
                    "drop", drop.soas, "missing SOA to close or keep", "missing SOAs to close or keep",
                    f"{url_for('sync.show', run_id=drop.run_id)}#waiting-to-close", ("supervisor",), drop.since,
                    "PSCloud did not send them. Until then collectors keep them.",
                )
            ]
        ),
        Task(
            "flagged", payments.flagged.count, "flagged payment to decide", "flagged payments to decide",
            url_for("payments.index", **flagged), ("supervisor",), payments.flagged.oldest, "Held until a supervisor has looked.",
        ),
        Task(
            "voids", voids.count, "void to decide", "voids to decide", url_for("voids.index"), ("supervisor",), voids.oldest,
            "Until then the payment counts as collected.",
        ),
        Task(
            "expenses", spent, "expense to decide", "expenses to decide", url_for("expenses.index"), ("supervisor",), spent_since,
            f"{show_pesos(spent_pesos)}. Until then the cash stays expected of the collector.",
        ),
        Task(
            "pending", payments.plain.count, "payment to approve", "payments to approve", url_for("payments.index", **plain),
            ("office",), payments.plain.oldest, "Nothing is wrong with them; they are posted once approved.",
        ),
        *(
            []
            if paused is None
            else [
                Task(
                    "paused", ledger.totals(stuck).count, "payment that PSCloud does not take", "payments that PSCloud does not take",
                    url_for("payments.index", status="approved", void="none"), ("office", "admin"), paused.since,
                    f"{paused.reason} Asked again at {paused.until.astimezone(clock.zone()):%H:%M}.", risk=True,
                )
            ]
        ),
        Task(
            "processing", payments.processing.count, "payment on its way to PSCloud", "payments on their way to PSCloud",
            url_for("payments.index", status="processing", void="none"), ("office", "admin"), payments.processing.oldest,
            "In a few minutes each ends posted, refused, or approved again. Longer than that: see whether a worker runs.",
        ),
        Task(
            "remit", desk.collectors, "collector to remit", "collectors to remit", f"{url_for('remittances.index')}#to-remit", ("office",),
            note=f"{desk.readings:,} Z-reading{'' if desk.readings == 1 else 's'}, oldest of {show_day(desk.oldest)}.",
        ),
        Task(
            "remittances", desk.unapproved, "remittance to approve", "remittances to approve",
            url_for("remittances.index", state="waiting"), ("supervisor",), note="Short, or a tender does not agree.",
        ),
        Task(
            "bounced", bounced.count, "bounced check to settle", "bounced checks to settle", url_for("bank.checks", state="bounced"),
            ("supervisor",), note=f"{show_pesos(bounced.amount)} that the bank did not pay.", risk=True,
        ),
        Task(
            "checks", due.count, "check to deposit", "checks to deposit", url_for("bank.checks", to=today.isoformat()), ("office",),
            note=f"{show_pesos(due.amount)}; {week.count:,} until {show_day(today + timedelta(days=7))}.",
        ),
        Task(
            "transfers", unverified.count, "e-wallet payment or transfer to verify", "e-wallet payments and transfers to verify",
            url_for("bank.transfers"), ("office",),
            note=f"{show_pesos(unverified.amount)}, the oldest of {show_day(unverified.oldest)}.",
        ),
        Task(
            "missing", gaps.count, "gap in the numbers of a phone", "gaps in the numbers of phones", url_for("missing.index"),
            ("supervisor",), gaps.oldest, "Find what is missing, or explain it.", risk=True,
        ),
        Task(
            "aside", aside.count if aside else 0, "journal entry set aside", "journal entries set aside",
            url_for("incidents.index", kind="quarantined"), ("supervisor", "admin"), aside.oldest if aside else None,
            "A phone sent what cannot be booked.",
        ),
        Task(
            "incidents", sum(queue.count for queue in incidents.values()), "incident to look at", "incidents to look at",
            url_for("incidents.index"), ("supervisor", "admin"),
            min((queue.oldest for queue in incidents.values() if queue.oldest), default=None),
            "The entries set aside are among them." if aside else "",
        ),
        *(
            Task(
                f"unread-{run.run_id}", run.failed, "record that could not be read", "records that could not be read",
                f"{url_for('sync.show', run_id=run.run_id)}#failures", ("office", "admin"),
                note=f"Download {run.run_id}. Correct them in PSCloud.",
            )
            for run in sync_history.standing_failures()
        ),
        Task(
            "terminals", terminals.count, "phone to approve", "phones to approve", url_for("terminals.index", state="waiting"),
            ("admin",), terminals.oldest, "It cannot collect until then.",
        ),
    ]  # fmt: skip


PARTS: dict[str, Callable[[date], dict[str, Any]]] = {
    "sync": sync,
    "ready": ready,
    "phones": phones,
    "collected": collected,
    "waiting": waiting,
    "breakdown": breakdown,
    "latest": latest,
}
"""Each part of the page: the template of that name is given what the function finds."""
