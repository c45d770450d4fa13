"""Collector codes of our own: adding and removing them. PSCloud's come and go with the downloads."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.extensions import db
from portal.store import audit, collector_codes

CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/-]{0,38}[A-Za-z0-9])?", re.ASCII)


def add(code: str, name: str, area: str, who: str, now: datetime) -> None:
    """A code of our own. Raises InvalidInput for one that cannot be right, Conflict for one that exists. Commits."""
    code, name, area = code.strip(), name.strip(), area.strip()
    if not CODE.fullmatch(code):
        raise InvalidInput("A collector code has 1 to 40 letters, digits, spaces, dots, dashes or slashes, such as COL-05.")
    if len(name) > 120 or len(area) > 200 or "\x00" in name + area:
        raise InvalidInput("The name may have up to 120 characters and the area up to 200.")
    try:
        collector_codes.add(code, name, area, now)
    except IntegrityError:
        db.session.rollback()
        raise Conflict(f"The collector code {code} exists already.") from None
    audit.add(who, "collector_code_added", code, {"name": name, "area": area}, now)
    db.session.commit()


def in_use(holders: int, under: int) -> str:
    """What must be done before a code can be removed, in plain words; empty when nothing stands in the way."""
    words = []
    if holders:
        words.append(f"{holders} {'person holds' if holders == 1 else 'people hold'} it: take it from them under Users.")
    if under:
        words.append(f"{under:,} open {'SOA carries' if under == 1 else 'SOAs carry'} it: give them another code in PSCloud and download.")
    return " ".join(words)


def remove(code: str, who: str, now: datetime) -> None:
    """Take a code off the list. Raises NotFound, or Conflict while somebody holds it or SOAs are under it, or PSCloud lists it. Commits."""
    source = collector_codes.source_of(code)
    if source is None:
        raise NotFound(f"There is no collector code {code}.")
    holders, under = collector_codes.use(code)
    if holders or under:
        raise Conflict(f"The collector code {code} is in use, so it stays. {in_use(holders, under)}")
    if source == "pscloud":
        raise Conflict(f"The collector code {code} comes from PSCloud and would be back with the next download. Remove it there.")
    collector_codes.remove(code)
    audit.add(who, "collector_code_removed", code, {}, now)
    db.session.commit()
