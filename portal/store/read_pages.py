"""PSCloud's pages as the last completed full download read them, so that the next one need not read again what is the same. Never commits.

What is remembered is believed only as long as nothing else wrote SOAs since (staging.last_change), and what was skipped on its strength is
compared with the stored SOAs before a run completes (seen.totals)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec
from sqlalchemy import delete, func, insert, select, text, update

from portal.domain.known_pages import KnownPage
from portal.domain.money import ZERO
from portal.extensions import db
from portal.store import bulk
from portal.store.models import SoaChange, SyncRun
from portal.store.staging_tables import ReadPage

MOST_TOUCHED = 20_000
"""SOAs that others wrote since; of more, nothing is believed any more."""
Record = tuple[str, str, str]
"""An SOA's id, its version, and the digest of the record it was read from."""
_decoder = msgspec.json.Decoder(list[Record])
_EACH = {
    "postgresql": "SELECT p.number, r ->> 0 AS soa_id, r ->> 1 AS version FROM read_pages p, jsonb_array_elements(p.records::jsonb) AS r",
    "sqlite": "SELECT p.number, json_extract(r.value, '$[0]') AS soa_id, json_extract(r.value, '$[1]') AS version "
    "FROM read_pages p, json_each(p.records) AS r",
}


@dataclass(frozen=True, slots=True)
class NewPage:
    """A page as this run read it; without a `digest` it is never skipped. `records` are those that could be read."""

    number: int
    start: int
    length: int
    digest: str | None
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of the run `run_id`: its pages by number, and which SOAs were written since, whose records are to be read anew.

    `whole` says that nothing was written since and that all its pages can be recognised, each SOA that is open here on one of them: then a
    run that meets all of them again, and no other, has `count` SOAs with `amount_due` pesos before it, and nothing to do."""

    run_id: int
    pages: dict[int, KnownPage]
    touched: frozenset[str]
    whole: bool
    count: int
    amount_due: Decimal


NOTHING = Memory(0, {}, frozenset(), False, 0, ZERO)


def each_record() -> str:
    """SQL that gives number, soa_id and version of every record of the pages `p`."""
    return _EACH["postgresql" if bulk.is_postgresql() else "sqlite"]


def recall() -> Memory:
    """What can be believed now."""
    found = db.session.execute(
        select(SyncRun.id, SyncRun.last_change_id, SyncRun.all_seen, SyncRun.pages, SyncRun.succeeded, SyncRun.amount_due)
        .where(SyncRun.status == "completed", SyncRun.last_change_id.is_not(None), SyncRun.id.in_(select(ReadPage.run_id)))
        .order_by(SyncRun.id.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        return NOTHING
    newer = select(SoaChange.soa_id).where(SoaChange.id > found.last_change_id).distinct().limit(MOST_TOUCHED + 1)
    touched = frozenset(db.session.scalars(newer))
    if len(touched) > MOST_TOUCHED:
        return NOTHING
    rows = db.session.execute(
        select(ReadPage.number, ReadPage.start, ReadPage.length, ReadPage.digest, ReadPage.records_count).where(
            ReadPage.run_id == found.id, ReadPage.digest.is_not(None)
        )
    )
    pages = {row.number: KnownPage(row.start, row.length, row.digest, row.records_count) for row in rows}
    if touched:
        held = text(
            f"SELECT DISTINCT number FROM ({each_record()} WHERE p.run_id = :run) AS held WHERE soa_id IN "  # noqa: S608
            "(SELECT soa_id FROM soa_changes WHERE id > :last)"
        )
        for number in db.session.scalars(held, {"run": found.id, "last": found.last_change_id}):
            pages.pop(number, None)
    whole = bool(found.all_seen and not touched and len(pages) == found.pages)
    return Memory(found.id, pages, touched, whole, found.succeeded, found.amount_due)


def records(run_id: int, numbers: Sequence[int]) -> dict[int, dict[str, tuple[str, str]]]:
    """For pages of a run: digest of each record -> the SOA's id and version."""
    rows = db.session.execute(select(ReadPage.number, ReadPage.records).where(ReadPage.run_id == run_id, ReadPage.number.in_(numbers)))
    return {row.number: {digest: (one, version) for one, version, digest in _decoder.decode(row.records)} for row in rows}


def note(run_id: int, pages: Sequence[NewPage], base_id: int, met_again: Sequence[int]) -> None:
    """Keep what this run read, and that it met pages of the run `base_id` again."""
    if pages:
        db.session.execute(
            insert(ReadPage),
            [
                {
                    "run_id": run_id,
                    "number": page.number,
                    "start": page.start,
                    "length": page.length,
                    "digest": page.digest,
                    "records_count": len(page.records),
                    "records": msgspec.json.encode(page.records).decode(),
                }
                for page in pages
            ],
        )
    if met_again:
        db.session.execute(update(ReadPage).where(ReadPage.run_id == base_id, ReadPage.number.in_(met_again)).values(seen_by=run_id))


def forget_run(run_id: int) -> None:
    """Throw away the pages of a run that begins again, did not complete, or read changes only."""
    db.session.execute(delete(ReadPage).where(ReadPage.run_id == run_id))
    db.session.execute(update(ReadPage).where(ReadPage.seen_by == run_id).values(seen_by=None))


def forget_ended() -> None:
    """Throw away the pages of runs that ended without completing."""
    ended = select(SyncRun.id).where(SyncRun.active_slot.is_(None), SyncRun.status != "completed")
    db.session.execute(delete(ReadPage).where(ReadPage.run_id.in_(ended)))
    db.session.execute(update(ReadPage).where(ReadPage.seen_by.in_(ended)).values(seen_by=None))


def keep_only(run_id: int) -> None:
    """From now on this run's pages are remembered: those it read and those it met again; no others."""
    db.session.execute(delete(ReadPage).where(ReadPage.run_id != run_id, func.coalesce(ReadPage.seen_by, 0) != run_id))
    db.session.execute(update(ReadPage).where(ReadPage.seen_by == run_id).values(run_id=run_id, seen_by=None))
