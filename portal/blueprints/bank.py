"""To the bank: the check register, e-wallet payments and transfers held against the provider's statement, and deposits with their slips."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer, own_way_back
from portal.documents import pdf_response, render_pdf
from portal.domain import money
from portal.domain import papers as rules
from portal.domain.errors import InvalidInput, NotFound, PortalError
from portal.domain.money import ZERO
from portal.domain.payments import TENDER_WORDS
from portal.exports import XLSX, Cell, csv_response, write_xlsx
from portal.services import papers as service
from portal.store import ledger
from portal.store import papers as store
from portal.store.papers import OTHERS, DepositDetail, PaperFilter

bp = Blueprint("bank", __name__)
PAGE = 50
ALL = {"all": "All"}
COLUMNS = (
    ("Due", 12), ("State", 18), ("Since", 19), ("Bank or wallet", 20), ("Reference", 20), ("Amount", 14), ("Receipt number", 16),
    ("Customer", 36), ("Account number", 18), ("Collector", 20), ("Business date", 12), ("Remittance", 12), ("Deposit", 12), ("By", 16),
    ("Note", 40), ("Voided", 8),
)  # fmt: skip


def read_filter(query: Query, tenders: tuple[str, ...], states: dict[str, str]) -> PaperFilter:
    """The filter in the address."""
    first, last = query.days("from", "Due from", "to", "Due to")
    start = "received" if tenders == ("check",) else "unverified"
    state = query.choice("state", "State", {**states, **ALL}, start)
    return PaperFilter(
        tenders,
        "" if state == "all" else state,
        first,
        last,
        query.choice("collector", "Collector", dict(ledger.collectors())),
        query.text("channel", "Bank or wallet", most=60),
        query.text("q", "Text"),
    )


def read_mark(text: str | None) -> tuple[date, str] | None:
    """A place in the list, `2026-11-20.payment`; None when it cannot be read."""
    day, _, payment_id = (text or "").partition(".")
    try:
        return (date.fromisoformat(day), payment_id) if payment_id and payment_id.isprintable() else None
    except ValueError:
        return None


def register(endpoint: str, title: str, tenders: tuple[str, ...], states: dict[str, str], wanted: PaperFilter, query: Query) -> Response:
    """A list of papers with a tab per state, and what may be done with those ticked."""
    after = read_mark(query.cursor("after"))
    rows = store.list_page(wanted, after, PAGE)
    sums = store.sums(wanted)
    return answer(
        "bank/papers.html",
        "bank/_papers.html",
        query=query,
        title=title,
        endpoint=endpoint,
        checks=tenders == ("check",),
        rows=rows,
        sums={state: sums.get(state, store.NONE) for state in states},
        states=states,
        state=wanted.state or "all",
        shown=sums.get(wanted.state, store.NONE) if wanted.state else total_of(sums.values()),
        onward=f"{rows[-1].due_on}.{rows[-1].payment_id}" if len(rows) == PAGE else None,
        after=after,
        today=clock.today(),
        week=clock.today() + timedelta(days=7),
        collectors=ledger.collectors(),
        channels=store.channels(tenders),
        consequences=rules.CONSEQUENCES,
    )


def total_of(sums: Iterable[store.Sum]) -> store.Sum:
    """Several together."""
    found = list(sums)
    return store.Sum(sum(one.count for one in found), sum((one.amount for one in found), ZERO), None)


@bp.get("/checks")
@roles("office", "admin")
def checks() -> Response:
    """The check register: in the office, deposited, cleared, bounced."""
    query = Query("bank.checks")
    wanted = read_filter(query, ("check",), rules.CHECK_STATES)
    return register("bank.checks", "Check Register", ("check",), rules.CHECK_STATES, wanted, query)


@bp.get("/transfers")
@roles("office", "admin")
def transfers() -> Response:
    """E-wallet payments and bank transfers, to be found on the provider's statement."""
    query = Query("bank.transfers")
    wanted = read_filter(query, OTHERS, rules.TRANSFER_STATES)
    return register("bank.transfers", "E-wallet and Transfers", OTHERS, rules.TRANSFER_STATES, wanted, query)


@bp.get("/checks.<any(csv, xlsx):form>", endpoint="checks_file")
@roles("office", "admin")
def checks_file(form: str) -> Response:
    """The register with this filter as a file."""
    return as_file("checks", "Check Register", form, read_filter(Query("bank.checks"), ("check",), rules.CHECK_STATES))


@bp.get("/transfers.<any(csv, xlsx):form>", endpoint="transfers_file")
@roles("office", "admin")
def transfers_file(form: str) -> Response:
    """The list with this filter as a file."""
    wanted = read_filter(Query("bank.transfers"), OTHERS, rules.TRANSFER_STATES)
    return as_file("transfers", "E-wallet and Transfers", form, wanted)


def as_file(name: str, title: str, form: str, wanted: PaperFilter) -> Response:
    """The list as CSV or Excel."""
    file = f"{name}-{clock.today()}.{form}"
    if form == "csv":
        return csv_response(file, [label for label, _ in COLUMNS], cells(wanted))
    book = io.BytesIO()
    write_xlsx(book, title, COLUMNS, cells(wanted), lambda: [("Made", clock.now())])
    response = Response(book.getvalue(), mimetype=XLSX)
    response.headers.set("Content-Disposition", "attachment", filename=file)
    return response


def cells(wanted: PaperFilter) -> Iterator[tuple[Cell, ...]]:
    """The rows of a file, in the order of COLUMNS."""
    words = {**rules.CHECK_STATES, **rules.TRANSFER_STATES}
    for row in store.iterate(wanted):
        tender = row.channel or TENDER_WORDS[row.tender]
        yield (
            row.due_on, words[row.state], row.state_at, tender, row.reference, row.amount, row.receipt_number, row.customer_name,
            row.account_number, row.collector_display, row.business_date, row.remittance, row.deposit, row.state_by, row.note,
            "Voided" if row.voided else None,
        )  # fmt: skip


@bp.post("/checks")
@roles("office")
def move_checks() -> ResponseReturnValue:
    """The bank cleared the checks that are ticked, or they bounced."""
    count = service.move(request.form.getlist("payment"), chosen("cleared", "bounced"), current_user.name, note(), clock.now())
    flash(f"{count} {'check is' if count == 1 else 'checks are'} now {rules.CHECK_STATES[chosen('cleared', 'bounced')].lower()}.", "good")
    return redirect(own_way_back(url_for("bank.checks")), 303)


@bp.post("/checks/<uuid:payment_id>/settle")
@roles("supervisor")
def settle(payment_id: Any) -> ResponseReturnValue:
    """A supervisor who did not record the bounce says how it was settled."""
    service.settle(str(payment_id), current_user.name, note(), clock.now())
    flash("The bounced check is settled. What you wrote stays with it and in the audit trail.", "good")
    return redirect(own_way_back(url_for("bank.checks")), 303)


@bp.post("/transfers")
@roles("office")
def move_transfers() -> ResponseReturnValue:
    """Those that are ticked were found on the provider's statement, or were not."""
    state = chosen("verified", "not_found")
    count = service.move(request.form.getlist("payment"), state, current_user.name, note(), clock.now())
    flash(f"{count} {'is' if count == 1 else 'are'} now {rules.TRANSFER_STATES[state].lower()}.", "good")
    return redirect(own_way_back(url_for("bank.transfers")), 303)


def chosen(*allowed: str) -> str:
    """The button that was pressed; empty for any other word, which the service refuses."""
    word = request.form.get("state", "")
    return word if word in allowed else ""


def note() -> str:
    """What was written beside the buttons."""
    return request.form.get("note", "")[:2000]


# --- deposits ------------------------------------------------------------------------------------------------------------


@bp.get("/deposits")
@roles("office", "admin")
def deposits() -> Response:
    """What was brought to the bank, and what waits for it."""
    query = Query("bank.deposits")
    before_id = query.number("before_id")
    rows = store.deposits(before_id, PAGE)
    cash, due = store.cash_left(), store.due_until(clock.today())
    return answer(
        "bank/deposits.html",
        "bank/_deposits.html",
        query=query,
        rows=rows,
        before_id=before_id,
        older=rows[-1].id if len(rows) == PAGE else None,
        cash=sum((row.left for row in cash), ZERO),
        remittances=len(cash),
        due=due,
    )


@bp.get("/deposits/new")
@roles("office")
def new_deposit() -> Response:
    """The empty form: everything that may go to the bank today is chosen."""
    return deposit_page(str(uuid4()), None, "")


def deposit_page(request_id: str, typed: dict[str, Any] | None, problem: str, status: int = 200) -> Response:
    """The form with what was typed."""
    cash, papers = store.cash_left(), store.to_deposit(clock.today())
    page = render_template(
        "bank/new_deposit.html",
        cash=cash,
        papers=papers,
        typed=typed,
        problem=problem,
        request_id=request_id,
        today=clock.today(),
        accounts=store.accounts(),
        ready=sum((row.left for row in cash), ZERO) + sum((row.amount for row in papers), ZERO),
    )
    return Response(page, status, mimetype="text/html")


@bp.post("/deposits")
@roles("office")
def make_deposit() -> ResponseReturnValue:
    """Record a deposit. What does not add up to the slip records nothing, and nothing typed is lost."""
    sent = request.form
    typed: dict[str, Any] = {
        **{name: sent.get(name, "")[:200] for name in ("bank_account", "slip_number", "deposited_on", "total")},
        "cash": {name.removeprefix("cash-"): value[:20] for name, value in sent.items() if re.fullmatch(r"cash-[0-9]{1,9}", name)},
        "checks": sent.getlist("check"),
    }
    try:
        made = service.deposit(
            typed["bank_account"],
            typed["slip_number"],
            day_of(typed["deposited_on"]),
            {int(one): pesos_of(text) for one, text in typed["cash"].items() if text.strip()},
            typed["checks"],
            pesos_of(typed["total"]) if typed["total"].strip() else None,
            current_user.name,
            clock.now(),
            clock.today(),
            sent.get("request_id", ""),
        )
    except PortalError as error:
        return deposit_page(sent.get("request_id", ""), typed, error.message, error.status)
    flash(f"{found(made).row.number} is recorded. Print its slip and keep it with the bank's.", "good")
    return redirect(url_for("bank.show_deposit", deposit_id=made), 303)


def day_of(text: str) -> date | None:
    """A date as a field sends it, None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def pesos_of(text: str) -> Decimal:
    """Pesos as typed, nothing for an empty field. Raises InvalidInput."""
    amount = money.parse(text) if text.strip() else ZERO
    if amount < 0:
        raise InvalidInput("An amount cannot be below zero.")
    return amount


def found(deposit_id: int) -> DepositDetail:
    """The deposit. Raises NotFound."""
    detail = store.deposit(deposit_id)
    if detail is None:
        raise NotFound("There is no deposit with this number.")
    return detail


@bp.get("/deposits/<int:deposit_id>")
@roles("office", "admin")
def show_deposit(deposit_id: int) -> Response:
    """One deposit: the cash of which remittances, and each check."""
    detail = found(deposit_id)
    return answer("bank/deposit.html", "bank/_deposit.html", detail=detail, row=detail.row)


@bp.get("/reports/deposit/<int:deposit_id>.pdf")
@roles("office", "admin")
def deposit_slip(deposit_id: int) -> Response:
    """The slip that goes to the bank with the money; the same figures for ever."""
    detail = found(deposit_id)
    return pdf_response(f"deposit-{detail.row.number}.pdf", render_pdf("pdf/deposit.html", {"detail": detail, "row": detail.row}))
