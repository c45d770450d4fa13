"""The remittance desk: what waits, the cashier's count before the expected figure is told, and what was handed over (DOMAIN 6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer, wants_partial
from portal.domain import money
from portal.domain import remittances as rules
from portal.domain.errors import InvalidInput, NotFound
from portal.domain.payments import TENDER_WORDS
from portal.domain.readings import DENOMINATIONS, count_total
from portal.domain.remittances import OTHER_TENDERS, Comparison, Handed
from portal.services import remittances as service
from portal.store import readings, users
from portal.store import remittances as store
from portal.store.remittances import DueReading, Paper, RemittanceDetail, RemittanceFilter
from portal.store.users import UserRow

bp = Blueprint("remittances", __name__)
STATES = {"received": "Received", "waiting": "Waiting for approval", "approved": "Approved"}
PAGE = 50
COUNT_FIRST = (
    "Count first: enter the pieces, checks and slips that were handed over. What is expected is told only after that. "
    "If nothing at all was handed over, enter 0."
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one collector has to remit. `expected` and `counted` in pesos, for those who do not count it themselves."""

    collector: str
    display: str
    readings: int
    oldest: date
    days: int
    expected: Decimal
    counted: Decimal | None


def waiting_by_collector(due: Iterable[DueReading], today: date) -> list[Waiting]:
    """The Z-readings not remitted yet, per collector, the oldest first."""
    groups: dict[str, list[DueReading]] = {}
    for reading in due:
        groups.setdefault(reading.collector_name, []).append(reading)
    found = []
    for name, own in groups.items():
        figures = [reading.portal for reading in own]
        counted = rules.collector_count(figures)
        oldest = min(reading.business_date for reading in own)
        found.append(
            Waiting(
                name,
                own[0].collector_display,
                len(own),
                oldest,
                max((today - oldest).days, 0),
                money.from_centavos(rules.expected_cash(figures)),
                None if counted is None else money.from_centavos(counted),
            )
        )
    return sorted(found, key=lambda one: (one.oldest, one.display))


def read_filter(query: Query) -> RemittanceFilter:
    """The filter in the address: business days on which it was received, collector, state."""
    first, last = query.days("from", "From", "to", "To")

    def midnight(day: date) -> datetime:
        return datetime.combine(day, time(), clock.zone())

    return RemittanceFilter(
        since=midnight(first) if first else None,
        until=midnight(last + timedelta(days=1)) if last else None,
        collector=query.choice("collector", "Collector", dict(store.collectors())),
        state=query.choice("state", "State", STATES),
    )


@bp.get("/remittances")
@roles("office", "admin")
def index() -> Response:
    """What waits at the desk, and what was received."""
    query = Query("remittances.index")
    wanted, before_id = read_filter(query), query.number("before_id")
    rows = store.list_page(wanted, before_id, PAGE)
    return answer(
        "remittances/index.html",
        "remittances/_partial.html",
        query=query,
        rows=rows,
        totals=store.totals(wanted),
        states=STATES,
        collectors=store.collectors(),
        before_id=before_id,
        older=rows[-1].id if len(rows) == PAGE else None,
        waiting=[] if wants_partial() else waiting_by_collector(store.waiting_readings(), clock.today()),
        uncovered=[] if wants_partial() else readings.uncovered(),
        sees_expected=current_user.can("supervisor", "admin"),
    )


# --- counting ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Form:
    """What stands in the form: the texts as they were typed, what they mean, and what cannot be read."""

    request_id: str
    chosen: list[int]
    values: dict[str, str] = field(default_factory=dict)
    denominations: list[dict[str, Any]] = field(default_factory=list)
    others: list[Handed] = field(default_factory=list)
    reason: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def cash(self) -> Decimal:
        """What the denominations add up to, in pesos."""
        return money.from_centavos(count_total(self.denominations))

    @property
    def blank(self) -> bool:
        """Whether nothing at all was typed as a count: a comparison would only tell what is expected."""
        fields = [name for name in self.values if name.startswith(("bill-", "coin-", "count-", "amount-"))]
        return not any(self.values[name].strip() for name in fields)

    @property
    def counted(self) -> str:
        """All that was counted as one text: two forms that count the same have the same."""
        others = sorted(f"{tender_key(one.tender, one.channel)}={one.count}x{one.amount}" for one in self.others)
        return ";".join(
            [
                ",".join(map(str, sorted(self.chosen))),
                *(f"{one['kind']}{one['value']}={one['count']}" for one in self.denominations if one["count"]),
                *others,
            ]
        )


def tender_key(tender: str, channel: str | None) -> str:
    """The name of a tender's fields."""
    return f"{tender}:{channel or ''}"


def words_of(tender: str, channel: str | None) -> str:
    """A tender and its channel as people say them."""
    return f"{TENDER_WORDS[tender]}, {channel}" if channel else TENDER_WORDS[tender]


def whole_number(text: str) -> int | None:
    """A count as it is typed, empty for none; None when it cannot be one."""
    cleaned = text.strip().replace(",", "")
    return int(cleaned or 0) if re.fullmatch(r"[0-9]{0,6}", cleaned, re.ASCII) else None


def read_form() -> Form:
    """The form that was sent; what cannot be read is named in plain words, and the rest still counts."""
    sent = request.form
    chosen = [int(value) for value in sent.getlist("reading") if re.fullmatch(r"[1-9][0-9]{0,8}", value, re.ASCII)]
    form = Form(request_id_of(sent.get("request_id", "")), chosen, values={name: value[:40] for name, value in sent.items()})
    form.reason = sent.get("reason", "")[:2000]
    for value, kind in DENOMINATIONS:
        count = whole_number(sent.get(f"{kind}-{value}", ""))
        if count is None:
            form.problems.append(f"{piece_words(value, kind)}: enter a whole number of pieces.")
        form.denominations.append({"value": value, "kind": kind, "count": count or 0})
    for name in sent:
        if name.startswith("count-"):
            read_other(form, name.removeprefix("count-"), sent.get(name, ""), sent.get(f"amount-{name.removeprefix('count-')}", ""))
    return form


def read_other(form: Form, key: str, count_text: str, amount_text: str) -> None:
    """Read one line besides cash into the form."""
    tender, _, channel = key.partition(":")
    if tender not in OTHER_TENDERS or len(channel) > 60 or not channel.isprintable():
        return
    label, count = words_of(tender, channel), whole_number(count_text)
    try:
        amount = money.centavos(money.parse(amount_text)) if amount_text.strip() else 0
    except InvalidInput as error:
        form.problems.append(f"{label}: {error.message}")
        return
    if count is None:
        form.problems.append(f"{label}: enter a whole number.")
    elif (count == 0) != (amount == 0):
        form.problems.append(f"{label}: enter both the number and the amount, or leave both empty when nothing was handed over.")
    elif count:
        form.others.append(Handed(tender, channel or None, count, amount))


def request_id_of(text: str) -> str:
    """The name of the form as it was sent, or a new one."""
    return text if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text, re.ASCII) else str(uuid4())


def piece_words(value: int, kind: str) -> str:
    """`1,000 bill`, `0.25 coin`."""
    amount = money.show(money.from_centavos(value)).removesuffix(".00")
    return f"{amount} {kind}"


def collector_named(name: str) -> UserRow:
    """The collector. Raises NotFound."""
    found = users.by_name(name)
    if found is None:
        raise NotFound("There is no such collector.")
    return found


def counting_page(collector: UserRow, form: Form, comparison: Comparison | None, status: int = 200) -> Response:
    """The form with what was typed, and, once it was counted, how it compares."""
    due = store.waiting_readings(collector.id)
    chosen = [reading for reading in due if reading.id in form.chosen]
    found = store.papers([reading.id for reading in due])
    page = render_template(
        "remittances/new.html",
        collector=collector,
        due=due,
        chosen={reading.id for reading in chosen},
        form=form,
        pieces=[(value, kind, piece_words(value, kind)) for value, kind in DENOMINATIONS],
        tenders=by_tender(found),
        comparison=comparison,
        variance=money.from_centavos(comparison.variance) if comparison else None,
        compared=[
            (words_of(line.tender, line.channel), line, money.from_centavos(line.variance))
            for line in (comparison.lines if comparison else ())
        ],
    )
    return Response(page, status, mimetype="text/html")


def by_tender(papers: Sequence[Paper]) -> list[tuple[str, str, list[Paper]]]:
    """(name of the fields, words, what belongs to it) per tender and channel."""
    groups: dict[tuple[str, str | None], list[Paper]] = {}
    for paper in papers:
        groups.setdefault((paper.tender, paper.channel), []).append(paper)
    return [(tender_key(*key), words_of(*key), group) for key, group in groups.items()]


@bp.get("/remittances/new")
@roles("office")
def new() -> ResponseReturnValue:
    """The empty form for one collector, all of their Z-readings chosen."""
    collector = collector_named(request.args.get("collector", ""))
    due = store.waiting_readings(collector.id)
    if not due:
        flash(f"{collector.display_name} has nothing to remit.", "wait")
        return redirect(url_for("remittances.index"), 303)
    return counting_page(collector, Form(str(uuid4()), [reading.id for reading in due]), None)


@bp.post("/remittances/count")
@roles("office")
def count() -> ResponseReturnValue:
    """Add up what was typed so far (`do=add`, and what htmx asks while one types), or compare it with what is expected."""
    form = read_form()
    if wants_partial():
        return Response(render_template("remittances/_total.html", form=form), mimetype="text/html")
    collector = collector_named(request.form.get("collector", ""))
    comparison = None
    if request.form.get("do") == "compare" and form.blank:
        form.problems.append(COUNT_FIRST)
    if request.form.get("do") == "compare" and not form.problems:
        try:
            comparison = service.compare(collector.id, form.chosen, form.denominations, form.others, current_user.name, clock.now())
        except InvalidInput as error:
            form.problems.append(error.message)
    return counting_page(collector, form, comparison, 422 if form.problems else 200)


@bp.post("/remittances")
@roles("office")
def receive() -> ResponseReturnValue:
    """Record the remittance. A difference without a reason is a comparison instead: nothing is recorded, nothing lost of what was typed."""
    form, now = read_form(), clock.now()
    collector = collector_named(request.form.get("collector", ""))
    if form.blank:
        form.problems.append(COUNT_FIRST)
    if form.problems:
        return counting_page(collector, form, None, 422)
    given = (form.chosen, form.denominations, form.others)
    if request.form.get("compared", form.counted) != form.counted:
        form.problems.append("The count was changed after it was compared. Look at the new difference below, then receive it.")
        return counting_page(collector, form, service.compare(collector.id, *given, current_user.name, now))
    try:
        made = service.receive(collector.id, *given, form.reason, current_user.name, now, request_id=form.request_id)
    except rules.ReasonNeeded as error:
        form.problems.append(error.message)
        return counting_page(collector, form, service.compare(collector.id, *given, current_user.name, now))
    except InvalidInput as error:
        form.problems.append(error.message)
        return counting_page(collector, form, None, 422)
    detail = found(made)
    if detail.row.state == "waiting":
        flash(f"{detail.row.number} is recorded and waits for a supervisor, who did not record it.", "wait")
    else:
        flash(f"{detail.row.number} is received. Print the slip and let both sign it.", "good")
    return redirect(url_for("remittances.show", remittance_id=made), 303)


# --- one remittance ------------------------------------------------------------------------------------------------------


@bp.get("/remittances/<int:remittance_id>")
@roles("office", "admin")
def show(remittance_id: int) -> Response:
    """One remittance: both counts, the difference, what was handed over, who decided."""
    detail = found(remittance_id)
    return answer("remittances/show.html", "remittances/_detail.html", **contents(detail), **who_may_approve(detail))


def who_may_approve(detail: RemittanceDetail) -> Mapping[str, object]:
    """Whether this person may approve, and if not, why not."""
    involved = current_user.name in {detail.row.received_by, detail.row.collector_name}
    waits = detail.row.state == "waiting"
    return {"may_approve": waits and current_user.can("supervisor") and not involved, "involved": waits and involved}


@bp.post("/remittances/<int:remittance_id>/approve")
@roles("supervisor")
def approve(remittance_id: int) -> ResponseReturnValue:
    """A supervisor settles a shortage or a tender that does not agree."""
    service.approve(remittance_id, current_user.name, request.form.get("reason", ""), clock.now())
    flash("The remittance is approved. The difference and both reasons stay with it.", "good")
    return redirect(url_for("remittances.show", remittance_id=remittance_id), 303)


def found(remittance_id: int) -> RemittanceDetail:
    """The remittance. Raises NotFound."""
    detail = store.get(remittance_id)
    if detail is None:
        raise NotFound("There is no remittance with this number.")
    return detail


def contents(detail: RemittanceDetail) -> dict[str, Any]:
    """What page and slip show of a remittance."""
    pieces = [
        (piece_words(piece["value"], piece["kind"]), piece["count"], money.from_centavos(piece["value"] * piece["count"]))
        for piece in detail.denominations
        if piece["count"]
    ]
    return {
        "detail": detail,
        "row": detail.row,
        "pieces": pieces,
        "lines": [(words_of(line.tender, line.channel), line) for line in detail.lines],
        "tenders": by_tender(detail.papers),
    }
