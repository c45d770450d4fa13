"""Settings: the environment's values, and over them what an administrator chose. Each change is audited with the old and the new value."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from portal.domain import settings as rules
from portal.domain.errors import Conflict, NotFound
from portal.domain.settings import EXPENSE_KINDS, NO_COLLECTION_REASONS, VOID_REASONS, Section, Settings, Value
from portal.extensions import db
from portal.store import audit, settings
from portal.store.settings import SettingRow

FRESH = 1.0
"""Seconds for which the frame of a page may show what was read before; whatever decides about money reads anew."""
KEPT = "portal_settings"


def current() -> Settings:
    """The settings as they are now; one small query."""
    return _over(settings.all_rows())


def recent() -> Settings:
    """The settings as they were at most a second ago, for letterheads and titles: a query a second and process, and none where the
    database does not answer, so that a page can still say so."""
    known: tuple[float, Settings] | None = current_app.extensions.get(KEPT)
    if known is not None and time.monotonic() - known[0] < FRESH:
        return known[1]
    try:
        found = _over(settings.committed())
    except SQLAlchemyError:
        return known[1] if known is not None else _over({})
    current_app.extensions[KEPT] = (time.monotonic(), found)
    return found


def defaults() -> dict[str, Value]:
    """What the environment says."""
    config = current_app.config
    organisation: Mapping[str, Any] = config["ORGANISATION"]
    reasons = {"void_reasons": VOID_REASONS, "no_collection_reasons": NO_COLLECTION_REASONS, "expense_kinds": EXPENSE_KINDS}
    lists = {"receipt_header": [], "receipt_footer": [], **{name: [*words] for name, words in reasons.items()}}
    return {
        **lists,
        **organisation,
        "payment_approval": config["PAYMENT_APPROVAL"],
        "terminal_approval": config["TERMINAL_APPROVAL"],
        "stale_soa_days": config["STALE_SOA_DAYS"],
        "sync_drop_percent": config["SYNC_DROP_PERCENT"],
    }


def _over(rows: Mapping[str, SettingRow]) -> Settings:
    """The environment's values with the chosen ones over them. One that a later version wrote and this one cannot use is left out."""
    chosen = {name: row.value for name, row in rows.items() if rules.fits(name, row.value)}
    return Settings({**defaults(), **chosen})


def version_of(section: Section, rows: Mapping[str, SettingRow]) -> int:
    """The number of the last change of a section; 0 before the first."""
    return max((rows[one.name].version for one in section.settings if one.name in rows), default=0)


def change(section_name: str, values: Mapping[str, Value], version: int, who: str, now: datetime) -> list[str]:
    """Change the settings of a section, seen at this version; the names of those that changed. It holds at once, everywhere. Commits.

    `values` were read by portal.domain.settings.read. Raises NotFound, or Conflict when somebody changed the section meanwhile."""
    section = rules.section(section_name)
    if section is None:
        raise NotFound("There is no such group of settings.")
    audit.lock()  # one change after the other, so that none is lost and the numbers are dense
    rows = settings.all_rows()
    if version_of(section, rows) != version:
        db.session.rollback()
        raise Conflict("Somebody changed these settings while you had them open. Nothing of yours was saved. Load the page again.")
    old = _over(rows).values
    new = {one.name: rules.checked(one, values[one.name]) for one in section.settings}
    changed = [name for name, value in new.items() if value != old[name]]
    if changed:
        number = max((row.version for row in rows.values()), default=0) + 1
        for name in changed:
            settings.put(name, new[name], number, who, now)
        detail = {"before": {name: old[name] for name in changed}, "after": {name: new[name] for name in changed}}
        audit.add(who, "settings_changed", section.title, detail, now)
    db.session.commit()
    current_app.extensions.pop(KEPT, None)
    return changed
