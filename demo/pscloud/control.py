"""The simulator's own page and its switchboard under /_control, which answers to this machine only."""

import ipaddress
import json
import uuid
from datetime import date
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, jsonify, render_template, request, url_for

from demo.pscloud import VERSION, money, store
from demo.pscloud.api import read_object
from demo.pscloud.errors import ApiError
from demo.pscloud.records import STATUSES, Soa, instant, record

if TYPE_CHECKING:
    from demo.pscloud.app import Simulator

blueprint = Blueprint("control", __name__)

CHANGES = (
    "penalty_add", "balance_add", "office_payment", "status", "collector_code", "customer_name", "due_date", "hidden", "fault", "touch",
)  # fmt: skip


def _simulator() -> "Simulator":
    here: Simulator = current_app.extensions["pscloud"]
    return here


@blueprint.before_request
def _this_machine_only() -> None:
    if request.path == url_for("control.front_page"):
        return
    if request.remote_addr is None or not ipaddress.ip_address(request.remote_addr).is_loopback:
        raise ApiError(403, "forbidden", "The switches answer only to the machine that the simulator runs on.")
    # A web page elsewhere could make this machine's browser post a form here, but not JSON.
    if request.method == "POST" and request.get_data() and not request.is_json:
        raise ApiError(400, "bad_request", "Send JSON with Content-Type: application/json.")


@blueprint.get("/")
def front_page() -> Response:
    """A page for people: that this is a demo, what it holds and how the switches stand."""
    response = Response(render_template("demo.html", state=_state()))
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/_control")
def state() -> Response:
    """Counts, switches, request counters and the ids of the records that are wrong on purpose."""
    return jsonify(_state())


@blueprint.post("/_control")
def change() -> Response:
    """Sets switches; expire_cursors: true forgets every cursor handed out so far."""
    values = read_object(request.get_data())
    expire = values.pop("expire_cursors", False)
    try:
        _simulator().switches.change(values)
    except ValueError as error:
        raise ApiError(400, "bad_request", f"{error}.") from error
    if expire is True:
        with _simulator().data.write() as db:
            store.rotate_cursor_key(db)
    return jsonify(_state())


@blueprint.post("/_control/reset")
def reset() -> Response:
    """All switches and counters back to rest; the data stay as they are."""
    _simulator().switches.reset()
    return jsonify(_state())


@blueprint.get("/_control/payments")
def payments() -> Response:
    """The payments held, in the order they were posted."""
    with _simulator().data.read() as db:
        held = store.payments(db)
    return jsonify(
        {
            "payments": [
                {
                    "reference": payment.reference,
                    "pscloud_id": payment.pscloud_id,
                    "soa_id": payment.soa_id,
                    "amount": money.text(payment.amount),
                    "status": payment.status,
                    "receipt_number": payment.receipt_number,
                    "collected_at": instant(payment.collected_at),
                    "allocations": [part | {"amount": money.text(part["amount"])} for part in payment.allocations],
                    "void_reason": payment.void_reason,
                }
                for payment in held
            ]
        }
    )


@blueprint.post("/_control/payments")
def add_payment() -> Response:
    """A payment that PSCloud's own people entered, under a reference nobody else knows: of `soa_id`, over `amount`."""
    simulator = _simulator()
    values = read_object(request.get_data())
    if set(values) != {"soa_id", "amount"}:
        raise ApiError(400, "bad_request", "Give soa_id and amount, and nothing else.")
    with simulator.data.write() as db:
        held = _load(db, str(values["soa_id"]))
        try:
            amount = _positive(values["amount"], "amount")
        except ValueError as error:
            raise ApiError(400, "bad_request", f"{error}.") from error
        reference, now = str(uuid.uuid4()), simulator.clock()
        store.add_payment(
            db, reference=reference, content="", soa_id=held.id, receipt_number="COUNTER", amount=amount, collected_at=now, allocations=[],
            now=now,
        )  # fmt: skip
    return jsonify({"reference": reference})


@blueprint.post("/_control/payments/<reference>")
def change_payment(reference: str) -> Response:
    """Spoils one payment behind everybody's back: `forget` it, say another `amount`, or mark it `voided`."""
    simulator = _simulator()
    values = read_object(request.get_data())
    if len(values) != 1 or not set(values) <= {"forget", "amount", "voided"}:
        raise ApiError(400, "bad_request", "Give one of forget, amount, voided.")
    with simulator.data.write() as db:
        held = store.payment(db, reference)
        if held is None:
            raise ApiError(404, "payment_not_found", f"There is no payment {reference}.")
        try:
            if "amount" in values:
                store.change_amount(db, reference, _positive(values["amount"], "amount"))
            elif "forget" in values:
                store.forget_payment(db, reference)
            else:
                store.mark_voided(db, reference, "Voided at the counter", instant(simulator.clock()), "PSCloud")
        except (ValueError, LookupError) as error:
            raise ApiError(400, "bad_request", f"{error}.") from error
    return jsonify({"reference": reference})


@blueprint.get("/_control/soas/<soa_id>")
def soa(soa_id: str) -> Response:
    """Balances of one statement as PSCloud itself keeps them, hidden or wrong on purpose included."""
    with _simulator().data.read() as db:
        return jsonify(_balances(_load(db, soa_id)))


@blueprint.post("/_control/soas/<soa_id>")
def change_soa(soa_id: str) -> Response:
    """Changes one statement as PSCloud's own office would, and publishes it."""
    simulator = _simulator()
    values = read_object(request.get_data())
    if not values or not set(values) <= set(CHANGES):
        raise ApiError(400, "bad_request", f"Give at least one of {', '.join(CHANGES)}, and nothing else.")
    with simulator.data.write() as db:
        held = _load(db, soa_id)
        try:
            for name, value in values.items():
                _change(held, name, value)
            if held.fault:
                record(held, simulator.clock())
        except ValueError as error:
            raise ApiError(400, "bad_request", f"{error}.") from error
        store.save_and_publish(db, held, simulator.clock())
        return jsonify(_balances(held))


def _load(db: Any, soa_id: str) -> Soa:
    held = store.load(db, soa_id)
    if held is None:
        raise ApiError(404, "soa_not_found", f"There is no statement {soa_id}.")
    return held


def _change(soa: Soa, name: str, value: Any) -> None:
    """Applies one change; raises ValueError in plain words."""
    if name in ("penalty_add", "balance_add"):
        amount = _positive(value, name)
        invoice = soa.oldest_first()[0]
        if name == "penalty_add":
            invoice.penalty += amount
        else:
            invoice.balance += amount
    elif name == "office_payment":
        _pay_oldest_first(soa, _positive(value, name))
    elif name == "status":
        _set_status(soa, value)
    elif name == "due_date":
        soa.due_date = date.fromisoformat(str(value))
    elif name == "hidden":
        if not isinstance(value, bool):
            raise ValueError("hidden must be true or false")
        soa.hidden = value
    elif name == "fault":
        if value is not None and not isinstance(value, list):
            raise ValueError("fault must be a list of edits, or null to repair the record")
        # Numbers were read exactly; in a record that is to be wrong they only have to look the same.
        soa.fault = json.loads(json.dumps(value, default=float)) or None
    elif name == "collector_code":
        if value is not None and not isinstance(value, str):
            raise ValueError("collector_code must be text or null")
        soa.collector_code = value
    elif name == "customer_name":
        if not isinstance(value, str) or not value:
            raise ValueError("customer_name must be text")
        soa.name = value
    if soa.status == "settled" and soa.amount_due > 0:
        soa.status = "active"


def _positive(value: Any, name: str) -> int:
    amount = money.parse(value)
    if amount <= 0:
        raise ValueError(f"{name} must be above zero")
    return amount


def _set_status(soa: Soa, value: Any) -> None:
    if value not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}")
    if value == "active" and soa.amount_due == 0:
        raise ValueError("nothing is due on this statement, so it cannot be active; add a balance first")
    if value != "active":
        for invoice in soa.invoices:
            invoice.balance = invoice.penalty = 0
    soa.status = value


def _pay_oldest_first(soa: Soa, amount: int) -> None:
    """Money taken at the office counter: penalty, then balance, invoice by invoice; the rest is credit."""
    for invoice in soa.oldest_first():
        on_penalty = min(amount, invoice.penalty)
        on_balance = min(amount - on_penalty, invoice.balance)
        invoice.penalty -= on_penalty
        invoice.balance -= on_balance
        amount -= on_penalty + on_balance
    soa.credit += amount
    if soa.amount_due == 0 and soa.status == "active":
        soa.status = "settled"


def _balances(soa: Soa) -> dict[str, Any]:
    return {
        "id": soa.id,
        "soa_number": soa.soa_number,
        "customer_name": soa.name,
        "collector_code": soa.collector_code,
        "due_date": soa.due_date.isoformat(),
        "status": soa.status,
        "amount_due": money.text(soa.amount_due),
        "penalty": money.text(soa.penalty),
        "credit": money.text(soa.credit),
        "hidden": soa.hidden,
        "fault": soa.fault,
        "invoices": [
            {
                "id": invoice.id,
                "invoice_number": invoice.invoice_number,
                "due_date": invoice.due_date.isoformat(),
                "amount": money.text(invoice.amount),
                "balance": money.text(invoice.balance),
                "penalty": money.text(invoice.penalty),
            }
            for invoice in soa.invoices
        ],
    }


def _state() -> dict[str, Any]:
    simulator = _simulator()
    with simulator.data.read() as db:
        facts, held, faulty = store.meta(db), store.counts(db), store.faulty_ids(db)
    return {
        "name": "DEMO PSCloud",
        "version": VERSION,
        "time": instant(simulator.clock()),
        "seed": int(facts["seed"]),
        "seeded_on": facts["seeded_on"],
        "counts": held,
        "faulty_ids": faulty,
        "switches": simulator.switches.state(),
        "requests": simulator.switches.requests(),
    }
