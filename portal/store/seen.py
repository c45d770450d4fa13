"""What a run has seen in PSCloud, all pages together: its totals, and which stored SOAs were not in it. Never commits.

The table `seen` lives as long as one transaction. It is filled from the pages a run read and those it met again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, column, delete, exists, func, insert, literal, select, table, text, update

from portal.domain.money import ZERO, from_centavos
from portal.extensions import db
from portal.store import models, read_pages, staging
from portal.store.models import SyncFailure, SyncRun, UnconfirmedSoa
from portal.store.staging_tables import AbsentSoa

_SEEN = table("seen", column("soa_id"), column("version"), column("times"))


@dataclass(frozen=True, slots=True)
class Totals:
    """How many different SOAs a run has read, and what is due on them in pesos."""

    count: int
    amount_due: Decimal


@dataclass(frozen=True, slots=True)
class Failures:
    """The records a run could not read: all, those without an id that can be read, different ids, and how many of those were read
    elsewhere in the list."""

    count: int
    without_id: int
    ids: int
    read_elsewhere: int


def gather(run_id: int) -> int:
    """Fill `seen`. Returns how many records came more than once."""
    staging.prepare()
    records = f"{read_pages.each_record()} WHERE p.run_id = :run OR p.seen_by = :run"
    db.session.execute(text("DROP TABLE IF EXISTS seen"))
    db.session.execute(text(f"CREATE TEMPORARY TABLE seen (soa_id {staging.key_type()}, version VARCHAR(16), times INTEGER)"))
    db.session.execute(
        text(f"INSERT INTO seen SELECT soa_id, max(version), count(*) FROM ({records}) AS r GROUP BY soa_id"),  # noqa: S608
        {"run": run_id},
    )
    staging.settle("seen")
    return int(db.session.scalar(select(func.sum(_SEEN.c.times) - func.count())) or 0)


def drop() -> None:
    """Done with it."""
    db.session.execute(text("DROP TABLE seen"))


def totals() -> tuple[Totals, int]:
    """Count and pesos of the SOAs seen, as they are stored, and how many are not stored in the version that was seen. Call it when the run
    has written what changed: then there are none of these."""
    soa = models.Soa
    same = func.count().filter(soa.version == _SEEN.c.version)
    count, amount, like = db.session.execute(
        select(func.count(), func.sum(soa.amount_due), same).select_from(_SEEN).outerjoin(soa, soa.id == _SEEN.c.soa_id)
    ).one()
    return Totals(count, amount or ZERO), count - like


def staged_totals(run_id: int) -> Totals:
    """Count and pesos of what a run that reads changes has staged, whether or not it will be written."""
    count, amount = db.session.execute(text("SELECT count(*), sum(amount_due) FROM staged_soas WHERE run_id = :run"), {"run": run_id}).one()
    return Totals(count, from_centavos(int(amount or 0)))


def failures(run_id: int) -> Failures:
    """How many records the run could not read."""
    mine = SyncFailure.run_id == run_id
    count, with_id, ids = db.session.execute(
        select(func.count(), func.count(SyncFailure.pscloud_id), func.count(SyncFailure.pscloud_id.distinct())).where(mine)
    ).one()
    elsewhere = db.session.scalar(
        select(func.count(SyncFailure.pscloud_id.distinct())).where(mine, exists().where(_SEEN.c.soa_id == SyncFailure.pscloud_id))
    )
    return Failures(count, count - with_id, ids, elsewhere or 0)


def nothing_waits() -> bool:
    """Whether no open SOA waits to be confirmed or closed."""
    waiting = select(exists().select_from(UnconfirmedSoa), exists().select_from(AbsentSoa))
    return not any(db.session.execute(waiting).one())


def open_totals() -> Totals:
    """How many SOAs are open here, and what is due on them in pesos."""
    count, amount = db.session.execute(select(func.count(), func.sum(models.Soa.amount_due)).where(models.Soa.status == "active")).one()
    return Totals(count, amount or ZERO)


# --- what was not seen


def _absent(run_id: int) -> list[ColumnElement[bool]]:
    """Active SOAs that are in no page of this run and not among the records it could not read."""
    seen = exists().where(_SEEN.c.soa_id == models.Soa.id)
    failed = exists().where(SyncFailure.run_id == run_id, SyncFailure.pscloud_id == models.Soa.id)
    return [models.Soa.status == "active", ~seen, ~failed]


def _absent_ids(run_id: int) -> Select[Any]:
    return select(models.Soa.id).where(*_absent(run_id)).order_by(models.Soa.id)


def count_absent(run_id: int) -> tuple[int, int]:
    """(active SOAs absent from this run's snapshot, active SOAs in all)."""
    absent = db.session.scalar(select(func.count()).select_from(models.Soa).where(*_absent(run_id)))
    active = db.session.scalar(select(func.count()).select_from(models.Soa).where(models.Soa.status == "active"))
    return absent or 0, active or 0


def close_absent(run_id: int, today: date) -> int:
    """Close every SOA that is absent from this run's snapshot. Returns how many."""
    staging.clear(run_id)
    closed = 0
    while ids := db.session.scalars(_absent_ids(run_id).limit(staging.PORTION)).all():
        closed += staging.close(run_id, ids, today)
    return closed


def held(run_id: int, after: str, limit: int) -> list[str]:
    """SOAs that wait to be closed, those after an id."""
    query = select(AbsentSoa.soa_id).where(AbsentSoa.run_id == run_id, AbsentSoa.soa_id > after).order_by(AbsentSoa.soa_id).limit(limit)
    return list(db.session.scalars(query))


def let_go(run_id: int) -> None:
    """Nothing of this run waits to be closed any more."""
    db.session.execute(delete(AbsentSoa).where(AbsentSoa.run_id == run_id))


def settle_held(everything: bool) -> None:
    """Of the SOAs that wait to be closed forget those PSCloud sent again; all of them, when this run read everything."""
    gone = delete(AbsentSoa)
    db.session.execute(gone if everything else gone.where(exists().where(_SEEN.c.soa_id == AbsentSoa.soa_id)))
    left = select(func.count()).select_from(AbsentSoa).where(AbsentSoa.run_id == SyncRun.id).scalar_subquery()
    db.session.execute(update(SyncRun).where(SyncRun.waiting_to_close > 0).values(waiting_to_close=left))


def hold_absent(run_id: int) -> None:
    """The SOAs that are absent from this run's snapshot wait for somebody to say whether they are closed."""
    absent = select(models.Soa.id, literal(run_id)).where(*_absent(run_id))
    db.session.execute(insert(AbsentSoa).from_select(["soa_id", "run_id"], absent))


def note_unconfirmed(run_id: int, posted_since: datetime | None = None) -> None:
    """Remember which open SOAs this run did not confirm, and since which run that is so; forget those it did. Call it when SOAs that may
    be closed are closed, and before the run is completed.

    With `posted_since`, for a run that reads only changes: of the SOAs it did not hold only those with a payment posted since then, which
    should have been among the changes; for all others nothing depends on the age of their figures."""
    seen = exists().where(_SEEN.c.soa_id == UnconfirmedSoa.soa_id)
    closed = exists().where(models.Soa.id == UnconfirmedSoa.soa_id, models.Soa.status == "closed")
    db.session.execute(delete(UnconfirmedSoa).where(seen | closed))
    confirmed = select(func.max(SyncRun.id)).where(SyncRun.status == "completed", SyncRun.id < run_id).scalar_subquery()
    missing = select(models.Soa.id, confirmed).where(
        models.Soa.status == "active",
        ~exists().where(_SEEN.c.soa_id == models.Soa.id),
        ~exists().where(UnconfirmedSoa.soa_id == models.Soa.id),
        confirmed.is_not(None),
    )
    if posted_since is not None:
        missing = missing.where(exists().where(models.Payment.soa_id == models.Soa.id, models.Payment.posted_at >= posted_since))
    db.session.execute(insert(UnconfirmedSoa).from_select(["soa_id", "confirmed_run_id"], missing))


def confirm(soa_ids: list[str]) -> None:
    """These SOAs were read from PSCloud by themselves just now."""
    for start in range(0, len(soa_ids), staging.BATCH):
        db.session.execute(delete(UnconfirmedSoa).where(UnconfirmedSoa.soa_id.in_(soa_ids[start : start + staging.BATCH])))


def forget_closed() -> None:
    """SOAs that are closed need no confirmation."""
    closed = exists().where(models.Soa.id == UnconfirmedSoa.soa_id, models.Soa.status == "closed")
    db.session.execute(delete(UnconfirmedSoa).where(closed))
