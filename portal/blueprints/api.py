"""The phone API (docs/phone-api.md): JSON in and out, errors included."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app, jsonify, request, session
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from portal import clock, doorbell
from portal.access import ROLES, public, roles
from portal.blueprints.auth import limited
from portal.domain import jpeg
from portal.domain.errors import Forbidden, InvalidInput, NotFound
from portal.extensions import csrf, limiter
from portal.packing import packed
from portal.security import start_session
from portal.services import expenses, journal, phone_lock, photos, restore, settings, snapshot, terminals, users, voids
from portal.store import reading_view
from portal.store import terminals as terminal_store
from portal.store.terminals import TerminalRow

bp = Blueprint("api", __name__, url_prefix="/api/v1")
COLUMNS = "application/vnd.mpos.soa-columns+json"


class NotACollector(Forbidden):
    """Only collectors work on the phone."""

    code = "not_a_collector"


class WaitingTerminal(Forbidden):
    """The terminal was not approved yet, or was revoked."""

    code = "terminal_not_active"


def own_name() -> str:
    """Key of a limit per person: all phones of an office may share one address."""
    return f"user {current_user.name}" if current_user.is_authenticated else f"address {request.remote_addr}"


def body() -> dict[str, Any]:
    """The JSON object of this request. Raises BadRequest in plain words."""
    try:
        data = request.get_json()
    except UnsupportedMediaType:
        raise
    except (BadRequest, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(data, dict):
        raise BadRequest("The body must be a JSON object.")
    if any(isinstance(value, str) and not storable(value) for value in data.values()):
        raise BadRequest("A text in the body holds characters that cannot be kept.")
    return data


def storable(text: str) -> bool:
    """Whether both databases can keep it: JSON lets through NUL and halves of characters. Within an entry the journal judges them."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def greeting() -> dict[str, Any]:
    """What ping answers: it proves that this is the portal and says who is signed in."""
    from portal.blueprints.mpos import shell

    known = current_user.is_authenticated
    return {
        "portal": "ok",
        "time": clock.now().isoformat(),
        "user": current_user.name if known else None,
        "display_name": current_user.display_name if known else None,
        "csrf_token": generate_csrf(),
        "demo": current_app.config["DEMO"],
        "version": shell().version,
    }


@bp.get("/ping")
@public
def ping() -> ResponseReturnValue:
    """The portal's sign of life."""
    return jsonify(greeting())


@bp.post("/session")
@public
@csrf.exempt
@limited
def log_in() -> ResponseReturnValue:
    """Log a collector in. No CSRF token yet: the browser's own origin headers are checked, and nothing but this sign-in changes."""
    data = body()
    name, password = data.get("username"), data.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        raise InvalidInput("Enter a username and a password.")
    phone = phone_lock.phone_number(data.get("phone"))
    person, token = users.sign_in(name, password, request.remote_addr or "", request.user_agent.string, clock.now())
    if "collector" not in person.roles:
        users.sign_out(token, person.name, clock.now())
        raise NotACollector("This login is not a collector's. Office users work on the office pages.")
    start_session(person, token)
    answer = greeting()
    if phone is not None:  # only here, after the password: a session that is still alive on a lost phone must not open its records
        answer["recovery"] = phone_lock.secrets(person.name, phone, signing_keys())
        answer["terminals"] = phone_lock.terminals_of(person.id)
    return jsonify(answer)


def signing_keys() -> list[str]:
    """The portal's secret, and those it replaced that are still taken."""
    return [current_app.config["SECRET_KEY"], *(current_app.config.get("SECRET_KEY_FALLBACKS") or ())]


@bp.delete("/session")
@roles(*ROLES)
def log_out() -> ResponseReturnValue:
    """End this sign-in. What is on the phone stays there."""
    users.sign_out(current_user.token, current_user.name, clock.now())
    session.clear()
    return "", 204


@bp.post("/terminals")
@roles("collector")
@limiter.limit("20 per hour", key_func=own_name)
def enroll() -> ResponseReturnValue:
    """Enrol this phone's browser by its public key."""
    data, chosen = body(), settings.current()
    terminal = terminals.enroll(
        data.get("name"),
        data.get("public_key"),
        current_user.id,
        current_user.name,
        chosen.terminal_approval,
        clock.now(),
        data.get("terminal"),
    )
    answer = {"terminal": terminal.code, "name": terminal.name, "state": terminal.state, "business": chosen.organisation}
    return jsonify(answer), 201


def own_terminal(code: str) -> TerminalRow:
    """The user's own terminal. Raises NotFound for anybody else's."""
    terminal = terminal_store.by_code(code)
    if terminal is None or terminal.user_id != current_user.id:
        raise NotFound("This terminal is not enrolled for you.")
    return terminal


@bp.get("/terminals/<code>")
@roles("collector")
def terminal_state(code: str) -> ResponseReturnValue:
    """What the portal holds of this terminal."""
    terminal = own_terminal(code)
    registry = terminal_store.open_registry(terminal.id)
    return jsonify(
        {
            "terminal": terminal.code,
            "name": terminal.name,
            "state": terminal.state,
            "acknowledged_seq": terminal.head_seq,
            "head_hash": terminal.head_hash,
            "last_receipt_number": terminal.last_receipt,
            "last_void_number": terminal.last_void,
            "z_counter": terminal.z_counter,
            "accumulated": int(terminal.accumulated.scaleb(2)),
            "registry": registry.id if registry else None,
            "voids": voids.decisions_for(terminal.id),
            "expenses": expenses.decisions_for(terminal.id),
            "orders": {"revoked": terminal.state == "revoked", "upload_now": terminal.state == "revoked" or restore.awaits(terminal)},
            "restored_at": restore.restored_at(),
            "business": settings.current().organisation,
        }
    )


@bp.get("/soas")
@roles("collector")
def soas() -> ResponseReturnValue:
    """The snapshot of this collector's SOAs; 304 when the phone has it already."""
    mine = terminal_store.of_user(current_user.id)
    if mine and all(terminal.state != "active" for terminal in mine):
        raise WaitingTerminal("This phone may not download SOAs: it waits for an admin's approval, or was revoked.")
    reading_view.begin()
    organisation = settings.current().organisation
    in_columns = request.accept_mimetypes.best_match(["application/json", COLUMNS], "application/json") == COLUMNS
    tag = snapshot.tag(current_user.id, current_user.collector_codes, organisation) + ("-columns" if in_columns else "")
    if tag in request.if_none_match:
        response = Response(status=304)
    elif in_columns:
        response = by_column(snapshot.columns(current_user.id, current_user.collector_codes, organisation))
    else:
        response = jsonify(snapshot.snapshot(current_user.id, current_user.collector_codes, organisation))
    response.set_etag(tag)
    response.vary.add("Accept")
    return response


def by_column(answer: dict[str, Any]) -> Response:
    """The list in columns, compressed here: half the bytes of what the general setting makes of it, as the phone's line is slow."""
    way = request.accept_encodings.best_match(["br", "gzip"]) if request.accept_encodings else None
    response = Response(packed(answer, way), content_type=COLUMNS)
    if way:
        response.content_encoding = way
    response.vary.add("Accept-Encoding")
    return response


@bp.post("/journal")
@roles("collector")
@limiter.limit("120 per minute", key_func=own_name)
def upload_journal() -> ResponseReturnValue:
    """Take entries of a terminal's journal; a verdict for each."""
    data = body()
    policy = approval_policy()
    uploader = journal.Uploader(current_user.id, current_user.name)
    answer = journal.receive(data.get("terminal"), data.get("entries"), data.get("signature"), uploader, policy, clock.now())
    return uploaded(answer)


@bp.post("/journal/disabled")
@public
@csrf.exempt
@limiter.limit("30 per minute")
def upload_of_disabled() -> ResponseReturnValue:
    """Take entries of a collector who may not log in any more; the terminal's signature alone says who sends, no cookie is looked at."""
    data = body()
    policy = approval_policy()
    return uploaded(journal.receive_from_disabled(data.get("terminal"), data.get("entries"), data.get("signature"), policy, clock.now()))


@bp.put("/payments/<uuid:payment_id>/photos/<name>")
@roles("collector")
@limiter.limit("60 per minute", key_func=own_name)
def put_photo(payment_id: UUID, name: str) -> ResponseReturnValue:
    """Keep a photo of an uploaded payment; the same again changes nothing. Its bytes say what it is, not its type or name."""
    if (request.content_length or 0) > jpeg.LARGEST:
        raise RequestEntityTooLarge
    new = photos.keep(str(payment_id), name, request.get_data(cache=False), current_user.name, clock.now())
    return jsonify({"photo": name, "status": "stored" if new else "repeat"}), 201 if new else 200


@bp.put("/expenses/<uuid:expense_id>/photos/<name>")
@roles("collector")
@limiter.limit("60 per minute", key_func=own_name)
def put_expense_photo(expense_id: UUID, name: str) -> ResponseReturnValue:
    """Keep a photo of the paper of an uploaded expense; the same again changes nothing."""
    if (request.content_length or 0) > jpeg.LARGEST:
        raise RequestEntityTooLarge
    new = expenses.keep_photo(str(expense_id), name, request.get_data(cache=False), current_user.name, clock.now())
    return jsonify({"photo": name, "status": "stored" if new else "repeat"}), 201 if new else 200


def approval_policy() -> journal.Policy:
    """How payments are approved and how old a list may be, as the settings say at this moment."""
    chosen = settings.current()
    return journal.Policy(chosen.payment_approval, chosen.stale_soa_days)


def uploaded(answer: journal.Answer) -> ResponseReturnValue:
    """What the phone is told, after the workers were."""
    if answer.approved:
        doorbell.ring("workers.jobs.post_payments")
    decisions = {"voids": answer.voids, "expenses": answer.expenses}
    return jsonify({"acknowledged_seq": answer.acknowledged_seq, "verdicts": answer.verdicts, **decisions})
