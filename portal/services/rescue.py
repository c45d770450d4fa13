"""Rescue files: what a phone could not upload itself, handed to the office. Each entry is taken once, by whatever way it comes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from portal.domain.errors import InvalidInput, NotFound
from portal.services import journal
from portal.services.journal import Policy, Uploader
from portal.store import terminals, users

WHAT = "unsent journal entries"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one terminal's entries: how many were new, here already, held for a missing one, and for a person to look at."""

    terminal: str
    collector: str
    new: int
    known: int
    held: int
    problems: int
    approved: bool


def take(raw: bytes, who: str, policy: Policy, now: datetime) -> list[Taken]:
    """Take every entry of a rescue file as if its phone had uploaded it; the file's own signatures say whose they are. Commits terminal by
    terminal. Raises InvalidInput for another file, NotFound for an unknown terminal, and what journal.receive() raises."""
    try:
        file = json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidInput("This is not a rescue file: it cannot be read. Choose the file the phone saved under Settings.") from None
    uploads = file.get("uploads") if isinstance(file, dict) else None
    if not isinstance(file, dict) or file.get("what") != WHAT or not isinstance(uploads, list):
        raise InvalidInput("This is not a rescue file. Choose the file that the phone saved under Settings, Save rescue file.")
    if not all(isinstance(upload, dict) for upload in uploads):
        raise InvalidInput("This rescue file is damaged. Save it on the phone again.")
    return [_take_one(upload, who, policy, now) for upload in uploads]


def _take_one(upload: dict[str, object], who: str, policy: Policy, now: datetime) -> Taken:
    code = upload.get("terminal")
    terminal = terminals.by_code(code) if isinstance(code, str) and "\x00" not in code else None
    user = users.get(terminal.user_id) if terminal else None
    if terminal is None or user is None:
        raise NotFound("This rescue file is of a terminal that is not known here. Was it saved from another portal's app?")
    disabled = not (user.active and "collector" in user.roles)
    uploader = Uploader(user.id, user.name, disabled, handed_in_by=who)
    answer = journal.receive(terminal.code, upload.get("entries"), upload.get("signature"), uploader, policy, now)
    found = Counter(verdict["status"] for verdict in answer.verdicts)
    problems = found["quarantined"] + found["conflict"]
    return Taken(terminal.code, user.display_name, found["stored"], found["repeat"], found["held"], problems, answer.approved)
