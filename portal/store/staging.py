"""What a run has read and nobody sees yet, and the one transaction's worth of SQL that makes it visible. Never commits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, insert, select, update

from portal.domain.money import ZERO, centavos, from_centavos
from portal.domain.soa import Invoice, Soa, changes
from portal.extensions import db
from portal.store import models, search, soa_totals, soas
from portal.store.models import SoaChange, StagedSoa, SyncFailure, SyncRun, UnconfirmedSoa

BATCH = 500


@dataclass(frozen=True, slots=True)
class Totals:
    """How many SOAs a run has staged, and what is due on them in pesos."""

    count: int
    amount_due: Decimal


@dataclass(frozen=True, slots=True)
class Put:
    """What one page added to the staged set: SOAs not staged before, pesos, and records that were there already."""

    fresh: int
    amount_due: Decimal
    again: int


@dataclass(frozen=True, slots=True)
class Written:
    """What the swap did: numbers of SOAs."""

    added: int
    changed: int
    unchanged: int
    closed: int
    """How many of the changed ones PSCloud itself calls closed now."""


def put(run_id: int, page: Sequence[Soa]) -> Put:
    """Stage these SOAs; of one that is there already the later `updated_at` stays."""
    newest: dict[str, Soa] = {}
    for soa in page:
        if soa.id not in newest or soa.updated_at >= newest[soa.id].updated_at:
            newest[soa.id] = soa
    fresh = len(newest)
    replaced = ZERO
    for some in _batches(sorted(newest)):
        rows = db.session.execute(
            select(StagedSoa.soa_id, StagedSoa.document).where(StagedSoa.run_id == run_id, StagedSoa.soa_id.in_(some))
        )
        for soa_id, document in rows.all():
            fresh -= 1
            staged = from_document(document)
            if newest[soa_id].updated_at < staged.updated_at:
                del newest[soa_id]
            else:
                replaced += staged.amount_due
                db.session.execute(delete(StagedSoa).where(StagedSoa.run_id == run_id, StagedSoa.soa_id == soa_id))
    if newest:
        db.session.execute(
            insert(StagedSoa),
            [
                {"run_id": run_id, "soa_id": soa.id, "version": soa.version, "amount_due": soa.amount_due, "document": to_document(soa)}
                for soa in newest.values()
            ],
        )
    amount = sum((soa.amount_due for soa in newest.values()), ZERO) - replaced
    return Put(fresh, amount, len(page) - fresh)


def totals(run_id: int) -> Totals:
    """Count and pesos of what the run has staged."""
    count, amount = db.session.execute(
        select(func.count(), func.sum(StagedSoa.amount_due)).select_from(StagedSoa).where(StagedSoa.run_id == run_id)
    ).one()
    return Totals(count, ZERO if amount is None else amount)


def count_staged(run_id: int, soa_ids: Iterable[str]) -> int:
    """How many of these ids the run has staged."""
    return sum(
        db.session.scalar(select(func.count()).select_from(StagedSoa).where(StagedSoa.run_id == run_id, StagedSoa.soa_id.in_(some))) or 0
        for some in _batches(sorted(set(soa_ids)))
    )


def clear(run_id: int) -> None:
    """Throw away what the run has staged."""
    db.session.execute(delete(StagedSoa).where(StagedSoa.run_id == run_id))


def clear_ended() -> int:
    """Throw away what runs that have ended left behind. Returns the number of rows."""
    ended = select(SyncRun.id).where(SyncRun.active_slot.is_(None))
    return int(db.session.execute(delete(StagedSoa).where(StagedSoa.run_id.in_(ended))).rowcount)  # type: ignore[attr-defined]


# --- the swap


def write_changed(run_id: int, today: date, skip_closed_strangers: bool = False) -> Written:
    """Write every staged SOA that is new or differs, with its changes for the timeline; equal rows are not touched, nor, when asked so,
    SOAs that were closed before they ever came here."""
    added = changed = closed = 0
    last = ""
    while True:
        rows = db.session.execute(
            select(StagedSoa.soa_id, StagedSoa.document)
            .outerjoin(models.Soa, models.Soa.id == StagedSoa.soa_id)
            .where(StagedSoa.run_id == run_id, StagedSoa.soa_id > last)
            .where(models.Soa.id.is_(None) | (models.Soa.version != StagedSoa.version))
            .order_by(StagedSoa.soa_id)
            .limit(BATCH)
        ).all()
        if not rows:
            break
        last = rows[-1].soa_id
        fresh = [from_document(row.document) for row in rows]
        known = soas.get_many([soa.id for soa in fresh])
        if skip_closed_strangers:
            fresh = [soa for soa in fresh if soa.id in known or soa.status != "closed"]
        write(run_id, [(known.get(soa.id), soa) for soa in fresh], today)
        added += sum(soa.id not in known for soa in fresh)
        changed += sum(soa.id in known for soa in fresh)
        closed += sum(soa.id in known and soa.status == "closed" != known[soa.id].status for soa in fresh)
    return Written(added, changed, totals(run_id).count - added - changed, closed)


def write(run_id: int, pairs: Sequence[tuple[Soa | None, Soa]], today: date) -> None:
    """Write SOAs as they are now, given what is stored (None: nothing), and note for the timeline what changed."""
    new = [_row(run_id, soa, today) for old, soa in pairs if old is None]
    known = [(old, soa) for old, soa in pairs if old is not None]
    if new:
        db.session.execute(insert(models.Soa), new)
    soa_totals.note(pairs)
    search.learn(soa.customer_name for old, soa in pairs if old is None or old.customer_name != soa.customer_name)
    # What was closed before keeps the day it was closed on.
    _update([_row(run_id, soa, today) for old, soa in known if not old.status == soa.status == "closed"])
    _update([_row(run_id, soa, today) for old, soa in known if old.status == soa.status == "closed"], keep="closed_on")
    rewritten = [soa.id for old, soa in known if old.invoices != soa.invoices]
    if rewritten:
        db.session.execute(delete(models.Invoice).where(models.Invoice.soa_id.in_(rewritten)))
    invoices = [
        {"soa_id": soa.id, "position": position, **asdict(invoice)}
        for old, soa in pairs
        if old is None or old.invoices != soa.invoices
        for position, invoice in enumerate(soa.invoices)
    ]
    if invoices:
        db.session.execute(insert(models.Invoice), invoices)
    if pairs:
        db.session.execute(insert(SoaChange), [_change(run_id, old, soa) for old, soa in pairs])


def _update(rows: list[dict[str, Any]], keep: str = "") -> None:
    if not rows:
        return
    table = models.Soa.metadata.tables[models.Soa.__tablename__]
    names = [name for name in rows[0] if name not in {"id", keep}]
    statement = update(table).where(table.c.id == bindparam("the_id")).values({name: bindparam(f"new_{name}") for name in names})
    db.session.execute(statement, [{"the_id": row["id"], **{f"new_{name}": row[name] for name in names}} for row in rows])


def _absent(run_id: int) -> list[ColumnElement[bool]]:
    """Active SOAs that are in no page of this run and not among the records it could not read."""
    staged = exists().where(StagedSoa.run_id == run_id, StagedSoa.soa_id == models.Soa.id)
    failed = exists().where(SyncFailure.run_id == run_id, SyncFailure.pscloud_id == models.Soa.id)
    return [models.Soa.status == "active", ~staged, ~failed]


def count_absent(run_id: int) -> tuple[int, int]:
    """(active SOAs absent from this run's snapshot, active SOAs in all)."""
    absent = db.session.scalar(select(func.count()).select_from(models.Soa).where(*_absent(run_id)))
    active = db.session.scalar(select(func.count()).select_from(models.Soa).where(models.Soa.status == "active"))
    return absent or 0, active or 0


def close_absent(run_id: int, today: date) -> int:
    """Close every SOA that is absent from this run's snapshot. Returns how many."""
    closed = 0
    while True:
        ids = db.session.scalars(select(models.Soa.id).where(*_absent(run_id)).order_by(models.Soa.id).limit(BATCH)).all()
        if not ids:
            return closed
        found = soas.get_many(ids)
        write(run_id, [(soa, replace(soa, status="closed")) for soa in found.values()], today)
        closed += len(ids)


def open_totals() -> Totals:
    """How many SOAs are open here, and what is due on them in pesos."""
    count, amount = db.session.execute(select(func.count(), func.sum(models.Soa.amount_due)).where(models.Soa.status == "active")).one()
    return Totals(count, ZERO if amount is None else amount)


def note_unconfirmed(run_id: int, posted_since: datetime | None = None) -> None:
    """Remember which open SOAs this run did not confirm, and since which run that is so; forget those it did. Call it when SOAs that may
    be closed are closed, and before the run is completed.

    With `posted_since`, for a run that reads only changes: of the SOAs it did not hold only those with a payment posted since then, which
    should have been among the changes; for all others nothing depends on the age of their figures."""
    staged = exists().where(StagedSoa.run_id == run_id, StagedSoa.soa_id == UnconfirmedSoa.soa_id)
    closed = exists().where(models.Soa.id == UnconfirmedSoa.soa_id, models.Soa.status == "closed")
    db.session.execute(delete(UnconfirmedSoa).where(staged | closed))
    confirmed = select(func.max(SyncRun.id)).where(SyncRun.status == "completed", SyncRun.id < run_id).scalar_subquery()
    missing = select(models.Soa.id, confirmed).where(
        models.Soa.status == "active",
        ~exists().where(StagedSoa.run_id == run_id, StagedSoa.soa_id == models.Soa.id),
        ~exists().where(UnconfirmedSoa.soa_id == models.Soa.id),
        confirmed.is_not(None),
    )
    if posted_since is not None:
        missing = missing.where(exists().where(models.Payment.soa_id == models.Soa.id, models.Payment.posted_at >= posted_since))
    db.session.execute(insert(UnconfirmedSoa).from_select(["soa_id", "confirmed_run_id"], missing))


def confirm(soa_ids: Sequence[str]) -> None:
    """These SOAs were read from PSCloud by themselves just now."""
    for batch in _batches(soa_ids):
        db.session.execute(delete(UnconfirmedSoa).where(UnconfirmedSoa.soa_id.in_(batch)))


def _row(run_id: int, soa: Soa, today: date) -> dict[str, Any]:
    values = {name: getattr(soa, name) for name in soas.COLUMNS}
    values["search_text"] = soas.search_text(soa)
    values["version"] = soa.version
    values["changed_run_id"] = run_id
    values["closed_on"] = today if soa.status == "closed" else None
    return values


def _change(run_id: int, old: Soa | None, soa: Soa) -> dict[str, Any]:
    found: dict[str, tuple[str, str]] = {}
    if old is None:
        kind = "added"
    else:
        found = changes(old, soa)
        kind = "changed" if old.status == soa.status else "closed" if soa.status == "closed" else "reopened"
    return {"soa_id": soa.id, "run_id": run_id, "kind": kind, "changes": json.dumps(found, ensure_ascii=False)}


# --- an SOA as JSON


def to_document(soa: Soa) -> str:
    """The SOA as JSON; money as integer centavos, dates and moments as ISO text."""
    return json.dumps(asdict(soa), default=_plain, ensure_ascii=False, separators=(",", ":"))


def from_document(text: str) -> Soa:
    """The SOA that to_document() wrote."""
    fields = json.loads(text)
    invoices = tuple(
        Invoice(
            **{
                **invoice,
                **{name: date.fromisoformat(invoice[name]) for name in ("invoice_date", "due_date")},
                **{name: from_centavos(invoice[name]) for name in ("amount", "balance", "penalty", "vat_amount")},
            }
        )
        for invoice in fields["invoices"]
    )
    fields |= {name: date.fromisoformat(fields[name]) for name in ("issued_on", "due_date")}
    fields |= {name: from_centavos(fields[name]) for name in ("amount_due", "penalty")}
    fields |= {"updated_at": datetime.fromisoformat(fields["updated_at"]), "invoices": invoices}
    return Soa(**fields)


def _plain(value: object) -> int | str:
    if isinstance(value, Decimal):
        return centavos(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in an SOA")


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
