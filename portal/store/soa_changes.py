"""What downloads changed on each SOA, field by field, for the timeline of an account. Reads; the swap of a download writes (staging)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.extensions import db
from portal.store.models import SoaChange, SyncRun

FIELD_WORDS = {
    "soa_number": "SOA number",
    "customer_id": "Customer",
    "account_number": "Account number",
    "customer_name": "Customer name",
    "address": "Address",
    "contact_number": "Contact number",
    "tin": "TIN",
    "issued_on": "Issued on",
    "due_date": "Due date",
    "amount_due": "Amount due",
    "penalty": "Penalty",
    "collector_code": "Collector code",
    "status": "Status",
}
KIND_WORDS = {
    "added": "Downloaded for the first time",
    "changed": "Changed in PSCloud",
    "closed": "Closed: no longer owed in PSCloud",
    "reopened": "Owed again in PSCloud",
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after, as text; `words` is its name for people. An invoice's field is named `invoice <number>: <field>`, an
    invoice that came or went `invoice <number>`, with an empty text on the side where it is not."""

    name: str
    words: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """What one download did to one SOA. `kind` is added, changed, closed or reopened; `at` in UTC, when it became visible; `started_by` who
    or what asked for the download."""

    id: int
    soa_id: str
    run_id: int
    kind: str
    words: str
    at: datetime
    trigger: str
    started_by: str
    fields: list[FieldChange]


def of_soa(soa_id: str, limit: int = 100) -> list[ChangeRow]:
    """What downloads changed on this SOA, the latest first."""
    if "\x00" in soa_id:
        return []
    query = (
        select(SoaChange, SyncRun.finished_at, SyncRun.requested_at, SyncRun.trigger, SyncRun.started_by)
        .join(SyncRun, SyncRun.id == SoaChange.run_id)
        .where(SoaChange.soa_id == soa_id)
        .order_by(SoaChange.id.desc())
        .limit(limit)
    )
    return [
        ChangeRow(
            row.id,
            row.soa_id,
            row.run_id,
            row.kind,
            KIND_WORDS[row.kind],
            finished_at or requested_at,
            trigger,
            started_by,
            [FieldChange(name, field_words(name), was, now) for name, (was, now) in json.loads(row.changes).items()],
        )
        for row, finished_at, requested_at, trigger, started_by in db.session.execute(query)
    ]


def field_words(name: str) -> str:
    """A field's name for people."""
    return FIELD_WORDS.get(name) or name[:1].upper() + name[1:]
