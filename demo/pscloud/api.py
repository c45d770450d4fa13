"""The routes of docs/pscloud-api.yaml."""

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, jsonify, request

from demo.pscloud import VERSION, cursors, money, posting, store
from demo.pscloud.errors import ApiError
from demo.pscloud.records import STATUSES, as_json, instant

if TYPE_CHECKING:
    from demo.pscloud.app import Simulator

blueprint = Blueprint("api", __name__)

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000
MAX_PAYMENTS = 200


def _simulator() -> "Simulator":
    here: Simulator = current_app.extensions["pscloud"]
    return here


@blueprint.get("/status")
def status() -> Response:
    """Liveness, version and the clock; needs no token."""
    return jsonify({"name": "DEMO PSCloud", "version": VERSION, "time": instant(_simulator().clock())})


@blueprint.get("/soas")
def soas() -> Response:
    """One page of statements; every page that follows from one first page shows the same snapshot."""
    simulator = _simulator()
    now = simulator.clock()
    wanted, limit = _status_argument(), _limit_argument()
    since = _since_argument()
    cursor = request.args.get("cursor")
    switches = simulator.switches.settings()
    repeated: list[store.Published] = []
    if cursor is None:
        with simulator.data.write() as db:
            snapshot, key = store.take_snapshot(db, wanted, since, now), store.cursor_key(db)
            found = store.page(db, snapshot, store.BEFORE_ALL, limit + 1)
    else:
        with simulator.data.read() as db:
            key = store.cursor_key(db)
            snapshot, after = cursors.read(key, cursor, now)
            if wanted not in (None, snapshot.status) or since not in (None, snapshot.updated_since):
                raise ApiError(400, "bad_request", "This cursor belongs to other filters. Send the cursor with the same filters or alone.")
            if switches.page_shift < 0:
                repeated = store.page_before(db, snapshot, after, min(-switches.page_shift, limit - 1))
            found = store.page(db, snapshot, after, limit - len(repeated) + 1, skip=max(0, switches.page_shift))
    more = len(found) > limit - len(repeated)
    found = found[: limit - len(repeated)]
    following = cursors.issue(key, snapshot, (found[-1].updated_at, found[-1].soa_id), now) if more else None
    # The records are JSON text already; parsing them only to write them again would be half the work of a page.
    body = (
        f'{{"data":[{",".join(line.document for line in repeated + found)}],"next_cursor":{as_json(following)},'
        f'"total":{snapshot.total + switches.total_add},"as_of":{as_json(instant(snapshot.as_of))}}}'
    )
    return Response(body, mimetype="application/json")


@blueprint.get("/soas/summary")
def summary() -> Response:
    """Control totals as of now; records that are wrong on purpose count, with zero pesos."""
    simulator = _simulator()
    with simulator.data.write() as db:
        snapshot = store.take_snapshot(db, _status_argument(), None, simulator.clock())
        rows = store.totals_by_collector(db, snapshot)
    extra = money.parse(simulator.switches.settings().summary_amount_add)
    return jsonify(
        {
            "count": snapshot.total + simulator.switches.settings().total_add,
            "amount_due": money.text(sum(row["amount_due"] for row in rows) + extra),
            "penalty": money.text(sum(row["penalty"] for row in rows)),
            "invoice_count": sum(row["invoice_count"] for row in rows),
            "as_of": instant(snapshot.as_of),
            "collectors": [{"code": row["code"], "count": row["count"], "amount_due": money.text(row["amount_due"])} for row in rows],
        }
    )


@blueprint.get("/soas/<soa_id>")
def soa(soa_id: str) -> Response:
    """One statement as it stands now."""
    with _simulator().data.read() as db:
        found = store.published(db, soa_id)
    if found is None:
        raise ApiError(404, "soa_not_found", f"PSCloud has no statement of account {soa_id}.")
    return Response(found.document, mimetype="application/json")


@blueprint.get("/collectors")
def collectors() -> Response:
    """All collector codes."""
    with _simulator().data.read() as db:
        return jsonify({"data": store.collectors(db)})


@blueprint.post("/payments")
def post_payments() -> Response:
    """One result for each payment, in the order sent; the whole request is one transaction."""
    simulator = _simulator()
    items = _json_body().get("payments")
    if not isinstance(items, list) or not items:
        raise ApiError(400, "bad_request", 'The body must be {"payments": [...]} with at least one payment.')
    if len(items) > MAX_PAYMENTS:
        raise ApiError(413, "too_many_payments", f"{len(items)} payments were sent; {MAX_PAYMENTS} at a time is the limit.")
    for index, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(item.get("reference"), str) or not 0 < len(item["reference"]) <= 100:
            raise ApiError(400, "bad_request", f"payments[{index}] is not an object with a reference, so no result could name it.")
    with simulator.data.write() as db:
        results = posting.post_batch(db, items, simulator.clock(), simulator.switches.refuse_payment)
    return jsonify({"results": results})


@blueprint.get("/payments")
def look_up_payments() -> Response:
    """What is held under the given references, in the order asked; unknown ones are left out."""
    references = list(dict.fromkeys(request.args.getlist("reference")))
    if not references or len(references) > MAX_PAYMENTS:
        raise ApiError(400, "bad_request", f"Give 1 to {MAX_PAYMENTS} references.")
    with _simulator().data.read() as db:
        held = [(reference, store.payment(db, reference.lower())) for reference in references]
    return jsonify({"data": [posting.result(reference, found.status, found.pscloud_id) for reference, found in held if found is not None]})


@blueprint.get("/payments/list")
def list_payments() -> Response:
    """One page of all payments held, in the order they were posted. Beyond the contract: a PSCloud need not have this."""
    limit = _limit_argument()
    since = _instant_argument("collected_since")
    cursor = request.args.get("cursor", "0")
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 15):
        raise ApiError(400, "bad_request", "This cursor is none of ours.")
    with _simulator().data.read() as db:
        found = store.payments_page(db, int(cursor), since, limit + 1)
    more = len(found) > limit
    held = [posting.result(one.reference, one.status, one.pscloud_id) | posting.details(one) for one in found[:limit]]
    return jsonify({"data": held, "next_cursor": str(int(found[limit - 1].pscloud_id[3:])) if more else None})


@blueprint.post("/payments/<reference>/void")
def void_payment(reference: str) -> Response:
    """Voids a payment; the same void again is answered the same and changes nothing."""
    simulator = _simulator()
    body = _json_body()
    closed = simulator.switches.settings().close_period_before
    with simulator.data.write() as db:
        answer = posting.void(db, reference, body, simulator.clock(), date.fromisoformat(closed) if closed else None)
    return jsonify(answer)


def _json_body() -> dict[str, Any]:
    if not request.is_json:
        raise ApiError(415, "unsupported_media_type", "Send JSON with Content-Type: application/json.")
    return read_object(request.get_data())


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object with numbers read exactly; raises ApiError 400 for anything else, doubled keys and NaN included."""
    try:
        value = json.loads(body.decode("utf-8"), parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_no_doubles)
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "bad_request", f"The body is not JSON that PSCloud can read: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "bad_request", "The body must be a JSON object.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _status_argument() -> str | None:
    value = request.args.get("status")
    if value is not None and value not in STATUSES:
        raise ApiError(400, "bad_request", f"status must be one of {', '.join(STATUSES)}.")
    return value


def _limit_argument() -> int:
    value = request.args.get("limit", str(DEFAULT_LIMIT))
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and 1 <= int(value) <= MAX_LIMIT):
        raise ApiError(400, "bad_request", f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return int(value)


def _since_argument() -> int | None:
    return _instant_argument("updated_since")


def _instant_argument(name: str) -> int | None:
    value = request.args.get(name)
    if value is None:
        return None
    try:
        return store.micros(posting.instant(value, name))
    except ValueError as error:
        raise ApiError(400, "bad_request", f"{error} (a plus sign is written %2B in an address).") from error
