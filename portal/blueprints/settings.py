"""Settings: letterhead, words of receipts, rules and reasons that an administrator changes without anybody's server."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import answer
from portal.domain import settings as rules
from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.domain.settings import SECTIONS, Section
from portal.services import settings as service
from portal.store import settings as store

bp = Blueprint("settings", __name__)


@bp.get("/settings")
@roles("admin")
def index() -> Response:
    """Every group of settings with who changed it last, and what stands in the environment alone."""
    return page({}, {}, "")


@bp.post("/settings/<section>")
@roles("admin")
def change(section: str) -> ResponseReturnValue:
    """Change one group; what cannot be is told beside its field, and what was typed stays."""
    wanted = rules.section(section)
    if wanted is None:
        raise NotFound("There is no such group of settings.")
    values: dict[str, rules.Value] = {}
    problems: dict[str, str] = {}
    for one in wanted.settings:
        try:
            values[one.name] = rules.read(one, request.form.getlist(one.name))
        except InvalidInput as error:
            problems[one.name] = error.message
    typed = {one.name: request.form.get(one.name, "") for one in wanted.settings}
    if problems:
        return page(typed, problems, "Nothing was saved. See what stands beside the fields."), 422
    version = request.form.get("version", "")
    try:
        changed = service.change(
            section, values, int(version) if version.isdigit() and len(version) < 10 else -1, current_user.name, clock.now()
        )
    except Conflict as error:
        return page({}, {}, error.message), 409
    flash(
        f"{wanted.title}: saved. It holds from now on." if changed else f"{wanted.title}: nothing was different, so nothing changed.",
        "good",
    )
    return redirect(url_for("settings.index", _anchor=section), 303)


def page(typed: dict[str, str], problems: dict[str, str], trouble: str) -> Response:
    """The page, with what somebody typed and why it was not saved."""
    rows = store.all_rows()
    chosen = service.current()
    shown: dict[str, Any] = {name: "\n".join(value) if isinstance(value, list) else value for name, value in chosen.values.items()}
    config = current_app.config
    return answer(
        "settings/index.html",
        "settings/_forms.html",
        sections=SECTIONS,
        values={**shown, **{name: text == "1" if isinstance(shown[name], bool) else text for name, text in typed.items()}},
        problems=problems,
        trouble=trouble,
        versions={one.name: service.version_of(one, rows) for one in SECTIONS},
        last={one.name: last_change(one, rows) for one in SECTIONS},
        installed={
            "Daily download (cron)": config["SYNC_SCHEDULE"],
            "Time zone": config["BUSINESS_TIMEZONE"],
            "PSCloud": config["PSCLOUD_URL"] or "not set",
            "Logged out without use after": f"{config['IDLE_MINUTES']:,} minutes",
            "Logged out in any case after": f"{config['SIGN_IN_HOURS']:,} hours",
        },
    )


def last_change(section: Section, rows: dict[str, store.SettingRow]) -> store.SettingRow | None:
    """What was changed last in a section; None when all of it is as the environment says."""
    return max((rows[one.name] for one in section.settings if one.name in rows), key=lambda row: row.version, default=None)
