"""Jinja filters: how money, dates and words are written on every page. They call the domain and the clock, nothing else."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from flask import Flask

from portal import clock
from portal.domain import money
from portal.domain.payments import FLAGS, TENDER_WORDS
from portal.services import settings
from portal.store.door import ExtraRow

STATUS_WORDS = {
    "pending": "Pending",
    "approved": "Approved",
    "processing": "Processing",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "active": "Active",
    "closed": "Closed",
    "waiting": "Waiting for approval",
    "revoked": "Revoked",
}
FLAG_WORDS = {
    "reallocated": "Allocated anew",
    "over_collected": "Over-collected",
    "possible_double": "Possible double",
    "duplicate_reference": "Reference used twice",
    "stale_soa": "Old SOA list",
    "clock_jump": "Clock moved",
    "late": "Late",
    "chain_fork": "Journal fork",
    "unassigned_account": "Not assigned",
    "revoked_terminal": "Revoked terminal",
    "disabled_collector": "Disabled collector",
    "number_quarantined": "Receipt number held",
    "rebuilt": "Rebuilt from receipt",
    "or_entry": "OR entry",
    "or_number_taken": "OR number used twice",
    "large_advance": "Large advance",
}

INCIDENT_WORDS = {
    "quarantined": "Journal entry set aside",
    "number_quarantined": "Receipt number held",
    "chain_fork": "Journal fork",
    "missing_receipts": "Receipts missing",
    "missing_voids": "Voids missing",
    "reading_differs": "Reading differs",
    "closed_by_office": "Phone came back",
    "clock_jump": "Clock moved",
    "revoked_terminal": "Revoked terminal",
    "disabled_collector": "Disabled collector",
    "enrolled_again": "Enrolled again",
    "posting_failed": "PSCloud refused a payment",
    "void_failed": "PSCloud refused a void",
    "audit_log_broken": "Audit trail broken",
    "voided_in_pscloud": "Voided in PSCloud",
    "database_restored": "Database put back",
}
MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def pesos(value: Decimal | None) -> str:
    """`₱1,234.50`; an empty text for None."""
    return "" if value is None else money.show_pesos(value)


def amount(value: Decimal | None) -> str:
    """`1,234.50`; an empty text for None."""
    return "" if value is None else money.show(value)


def centavos(value: int | None) -> str:
    """`1,234.50` from integer centavos, as readings hold them."""
    return "" if value is None else money.show(money.from_centavos(value))


@lru_cache(4096)
def day(value: date | None) -> str:
    """`20 Nov 2026`."""
    return "" if value is None else f"{value.day} {value:%b %Y}"


def short_day(value: date) -> str:
    """`20 Nov`, where the year is plain."""
    return f"{value.day} {value:%b}"


def moment(value: datetime | None) -> str:
    """`20 Nov 2026, 08:15` on the wall clocks of the business."""
    if value is None:
        return ""
    local = clock.to_business(value)
    return f"{local.day} {MONTHS[local.month]} {local.year}, {local.hour:02}:{local.minute:02}"


def ago(value: datetime | None) -> str:
    """`3 minutes ago`; an empty text for None."""
    if value is None:
        return ""
    seconds = max(int((clock.now() - value).total_seconds()), 0)
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def duration(seconds: float | None) -> str:
    """`2 min 5 s`, `2 min`, `1 h 4 min`; `under 1 s` for less, an empty text for None."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 1:
        return "under 1 s"
    if whole < 60:
        return f"{whole} s"
    size, large, small = (60, "min", "s") if whole < 3600 else (3600, "h", "min")
    rest = whole % size // (size // 60)
    return f"{whole // size} {large}" + (f" {rest} {small}" if rest else "")


def size(count: int | None) -> str:
    """`1.4 MB`, as a person says it; an empty text for None."""
    if count is None:
        return ""
    for limit, word in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if count >= limit:
            return f"{count / limit:.1f} {word}"
    return f"{count} bytes"


def incident_word(kind: str) -> str:
    """What kind of incident it is, in words."""
    return INCIDENT_WORDS.get(kind, kind.replace("_", " ").capitalize())


def recorded(value: str) -> str:
    """A value as a record of changes holds it, an invoice's parts too: days and amounts as pages write them, everything else as it is."""
    if value.startswith("balance "):
        return " ".join(recorded(part[:-1]) + "," if part.endswith(",") else recorded(part) for part in value.split(" "))
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return day(date.fromisoformat(value))
    except ValueError:
        return value
    return money.show(Decimal(value)) if re.fullmatch(r"\d{1,12}\.\d\d", value) else value


def map_address(place: ExtraRow) -> str:
    """Where a map of the world shows the place that a payment names."""
    return f"https://www.openstreetmap.org/?mlat={place.latitude}&mlon={place.longitude}#map=18/{place.latitude}/{place.longitude}"


def register(app: Flask) -> None:
    """Make the filters and word lists known to every template."""
    for function in (pesos, amount, centavos, day, short_day, moment, ago, duration, size, incident_word, recorded, map_address):
        app.add_template_filter(function)
    app.add_template_filter(lambda word: STATUS_WORDS.get(word, str(word).replace("_", " ").capitalize()), "status_word")
    app.add_template_filter(lambda word: TENDER_WORDS.get(word, str(word)), "tender_word")
    app.add_template_filter(lambda flag: FLAG_WORDS.get(flag, str(flag)), "flag_word")
    app.add_template_filter(lambda flag: FLAGS.get(flag, ""), "flag_meaning")

    @app.context_processor
    def words() -> dict[str, Any]:
        return {"DEMO": app.config["DEMO"], "ORGANISATION": settings.recent().organisation, "HTMX_SOURCE": app.config["HTMX_SOURCE"]}
