"""Collector Code: areas and assignments, who holds them, what is owed under them, SOAs nobody can download, and who downloaded."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.domain.errors import NotFound
from portal.services import collector_codes as service
from portal.store import collector_codes, downloads
from portal.store.collector_codes import CodeRow, Sums
from portal.store.downloads import CollectorDownloads, Edition

bp = Blueprint("collectors", __name__)
SHOWN = {"shared": "Shared", "unheld": "Nobody holds it", "unused": "Without SOAs"}
STATES = {"latest": "Downloaded", "missing": "Not yet", "no_code": "Without a code"}
PAGE = 100


@bp.get("/collector-codes")
@roles("office", "admin")
def index() -> Response:
    """The codes of the list with holders, accounts and pesos; `q` looks in code, name, area and holders."""
    query = Query("collectors.index")
    codes, wrong = collector_codes.board(clock.today())
    shown, text = query.choice("show", "Only", SHOWN), query.text("q", "Text")
    every = [row for row in codes if holds(row, text)]
    found = [row for row in every if not shown or is_shown(row, shown)]
    after = query.cursor("after") or ""
    rest = [row for row in found if row.code > after]
    return answer(
        "collectors/index.html",
        "collectors/_results.html",
        query=query,
        rows=rest[:PAGE],
        found=len(found),
        sums=sum((row.sums for row in found), Sums()),
        counts={"": len(every), **{word: sum(is_shown(row, word) for row in every) for word in SHOWN}},
        shown=SHOWN,
        any_codes=bool(codes),
        after=after,
        onward=rest[PAGE - 1].code if len(rest) > PAGE else None,
        unassigned=len(wrong),
    )


def holds(row: CodeRow, text: str) -> bool:
    """Whether each word of the text stands somewhere in the row."""
    people = " ".join(f"{holder.display_name} {holder.user_name}" for holder in row.holders)
    where = f"{row.code} {row.name} {row.area} {people}".casefold()
    return all(word in where for word in text.casefold().split())


def is_shown(row: CodeRow, word: str) -> bool:
    """Whether a row belongs under a tab."""
    return {"shared": row.shared, "unheld": row.unheld, "unused": not row.sums.accounts}[word]


@bp.get("/collector-codes/one")
@roles("office", "admin")
def show() -> Response:
    """One code (`code` in the address, for it may hold any letters): figures, who held it when, their phones, and whether it can go."""
    code, today = request.args.get("code", "")[:100], clock.today()
    row = collector_codes.find(code, today) if code and code.isprintable() else None
    if row is None:
        raise NotFound("There is no collector code of this name, neither on the list nor on any SOA.")
    edition = downloads.edition(clock.zone())
    return answer(
        "collectors/show.html",
        "collectors/_code.html",
        row=row,
        today=today,
        history=collector_codes.holders_ever(code),
        collectors=downloads.collectors(edition, frozenset({code})),
        in_use=service.in_use(len(row.holders), row.sums.accounts),
        **edition_words(edition, today),
    )


@bp.get("/collector-codes/unassigned")
@roles("office", "admin")
def unassigned() -> Response:
    """Open SOAs that nobody can download, and SOAs whose code is on no list: each with what is to be done."""
    codes, rows = collector_codes.board(clock.today())
    stuck = [row for row in rows if not row.downloadable]
    return answer(
        "collectors/unassigned.html",
        "collectors/_unassigned.html",
        rows=rows,
        stuck=sum((row.sums for row in stuck), Sums()),
        any_codes=bool(codes),
        unassigned=len(rows),
    )


@bp.get("/collector-codes/downloads")
@roles("office", "admin")
def phones() -> Response:
    """Which collector's phone last downloaded which SOA list, when, and how many SOAs."""
    query = Query("collectors.phones")
    state, text, today = query.choice("state", "State", STATES), query.text("q", "Text"), clock.today()
    edition = downloads.edition(clock.zone())
    every = [one for one in downloads.collectors(edition) if belongs(one, text)]
    return answer(
        "collectors/phones.html",
        "collectors/_phones.html",
        query=query,
        rows=[one for one in every if state in {"", one.state}],
        states=STATES,
        counts={word: sum(one.state == word for one in every) for word in STATES},
        unassigned=None,
        **edition_words(edition, today),
    )


def belongs(one: CollectorDownloads, text: str) -> bool:
    """Whether each word of the text stands in the collector's name, codes or phones."""
    phones = " ".join(f"{phone.terminal} {phone.phone}" for phone in one.phones)
    where = f"{one.display_name} {one.user_name} {' '.join(one.codes)} {phones}".casefold()
    return all(word in where for word in text.casefold().split())


def edition_words(edition: Edition | None, today: date) -> dict[str, Any]:
    """What a page says of the list that collectors should have: it, its business date, and whether that is today."""
    day = None if edition is None else clock.to_business(edition.completed_at).date()
    return {"edition": edition, "edition_day": day, "edition_is_today": day == today}


@bp.post("/collector-codes")
@roles("admin")
def add() -> ResponseReturnValue:
    """Add a code of our own."""
    code = request.form.get("code", "")
    service.add(code, request.form.get("name", ""), request.form.get("area", ""), current_user.name, clock.now())
    flash(f"Collector code {code.strip()} was added.", "good")
    return redirect(url_for("collectors.index"), 303)


@bp.post("/collector-codes/remove")
@roles("admin")
def remove() -> ResponseReturnValue:
    """Remove a code that nobody holds and no SOA carries."""
    code = request.form.get("code", "")
    service.remove(code, current_user.name, clock.now())
    flash(f"Collector code {code} was removed.", "good")
    return redirect(url_for("collectors.index"), 303)
