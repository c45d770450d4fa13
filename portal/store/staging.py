"""What a run has read and nobody sees yet, and the statements that make it visible all at once. Never commits.

Staging is filled in bulk. The swap compares and writes in sets, so that what it costs follows from what changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

from sqlalchemy import Date, Row, TextClause, bindparam, delete, func, select, text

from portal.domain.plain import PlainSoa, plain
from portal.domain.soa import Invoice, Soa, changes
from portal.extensions import db
from portal.store import bulk, search, soas
from portal.store.fresh import filled_at_once
from portal.store.models import SoaChange, SyncRun
from portal.store.staging_rows import INVOICE_COLUMNS, SOA_COLUMNS, RowMaker, Rows
from portal.store.staging_tables import staged_invoices, staged_soas

BATCH = 500
PORTION = 5000
FEW = 20_000
"""Of fewer SOAs PostgreSQL is told how many they are: then it looks up what belongs to them instead of reading whole tables."""
MOST_WORDS = 50_000
"""Words of names that a run remembers to have written."""
_PLAIN = tuple(name for name in PlainSoa._fields if name not in {"invoices", "collector_code"})


@dataclass(frozen=True, slots=True)
class Written:
    """What the swap did: numbers of SOAs."""

    added: int
    changed: int
    closed: int
    """How many of the changed ones PSCloud itself calls closed now."""
    filled: bool = False
    """The tables were empty: once everybody sees them, fresh.settle() is due."""


# --- filling


def maker(run_id: int) -> RowMaker:
    """Makes rows of SOAs for put_rows(), for the database in use."""
    return RowMaker(run_id, bulk.is_postgresql())


def put(run_id: int, place: int, found: Sequence[PlainSoa], words: set[str] | None = None) -> None:
    """Stage these SOAs, the first one as number `place` of the run."""
    making = maker(run_id)
    making.place = place
    put_rows([making.make(found)] if found else [], words)


def put_rows(rows: Sequence[Rows], words: set[str] | None = None) -> None:
    """Stage these rows. `words` of names were written by this run before; more are added."""
    if not rows:
        return
    fresh = set().union(*(one.words for one in rows)) - (words or set())
    search.learn_words(fresh)
    if words is not None:
        words.clear() if len(words) > MOST_WORDS else words.update(fresh)
    if bulk.is_postgresql():
        bulk.copy("staged_soas", SOA_COLUMNS, chain.from_iterable(one.soas for one in rows))
        bulk.copy("staged_invoices", INVOICE_COLUMNS, chain.from_iterable(one.invoices for one in rows))
    else:
        bulk.insert_many("staged_soas", SOA_COLUMNS, [each for one in rows for each in one.soas])
        bulk.insert_many("staged_invoices", INVOICE_COLUMNS, [each for one in rows for each in one.invoices])


def clear(run_id: int) -> None:
    """Throw away what the run has staged."""
    for table in (staged_soas, staged_invoices):
        db.session.execute(delete(table).where(table.c.run_id == run_id))


def clear_ended() -> int:
    """Throw away what runs that have ended left behind. Returns the number of SOAs."""
    ended = select(SyncRun.id).where(SyncRun.active_slot.is_(None))
    db.session.execute(delete(staged_invoices).where(staged_invoices.c.run_id.in_(ended)))
    return int(db.session.execute(delete(staged_soas).where(staged_soas.c.run_id.in_(ended))).rowcount)  # type: ignore[attr-defined]


_CHANGE_COLUMNS = ("run_id", "soa_id", "kind", "changes")
_LOSERS = """
    SELECT place FROM (
        SELECT place, row_number() OVER (PARTITION BY id ORDER BY updated_at DESC, place DESC) AS rank FROM staged_soas WHERE run_id = :run
    ) AS ranked WHERE rank > 1"""


def drop_repeated(run_id: int) -> None:
    """Of an SOA that was staged more than once the one with the latest `updated_at` stays, of equal ones the last."""
    for table in ("staged_invoices", "staged_soas"):
        db.session.execute(text(f"DELETE FROM {table} WHERE run_id = :run AND place IN ({_LOSERS})"), {"run": run_id})  # noqa: S608


# --- the swap

_FIND_MOVES = """
    INSERT INTO moves (soa_id, kind)
    SELECT t.id, CASE WHEN s.id IS NULL THEN 'added' WHEN s.status = t.status THEN 'changed' WHEN t.status = 'closed' THEN 'closed'
                 ELSE 'reopened' END
    FROM staged_soas t LEFT JOIN soas s ON s.id = t.id
    WHERE t.run_id = :run AND (s.id IS NULL OR s.version <> t.version) AND NOT (:strangers AND s.id IS NULL AND t.status = 'closed')"""
_ADD_UP = """
    ON CONFLICT (status, collector_code, due_date, with_penalty) DO UPDATE SET count = soa_totals.count + excluded.count,
        amount_due = soa_totals.amount_due + excluded.amount_due, penalty = soa_totals.penalty + excluded.penalty"""
_MOVE_TOTALS = f"""
    INSERT INTO soa_totals (status, collector_code, due_date, with_penalty, count, amount_due, penalty)
    SELECT status, code, due_date, with_penalty, sum(step), sum(amount_due), sum(penalty) FROM (
        SELECT t.status, coalesce(t.collector_code, '') AS code, t.due_date, t.penalty > 0 AS with_penalty, 1 AS step, t.amount_due,
               t.penalty
        FROM staged_soas t JOIN moves m ON m.soa_id = t.id WHERE t.run_id = :run
        UNION ALL
        SELECT s.status, coalesce(s.collector_code, ''), s.due_date, s.penalty > 0, -1, -s.amount_due, -s.penalty
        FROM soas s JOIN moves m ON m.soa_id = s.id WHERE m.kind <> 'added'
    ) AS moved WHERE true GROUP BY status, code, due_date, with_penalty HAVING sum(step) <> 0 OR sum(amount_due) <> 0 OR sum(penalty) <> 0
    ORDER BY status, code, due_date, with_penalty{_ADD_UP}"""  # noqa: S608
_NOTE_ADDED = """
    INSERT INTO soa_changes (soa_id, run_id, kind, changes)
    SELECT soa_id, :run, kind, '{}' FROM moves WHERE kind = 'added' ORDER BY soa_id"""
_DATA = (*_PLAIN, "search_text", "collector_code")
_ADD_SOAS = f"""
    INSERT INTO soas ({", ".join(_DATA)}, changed_run_id, closed_on)
    SELECT {", ".join(f"t.{name}" for name in _DATA)}, :run, CASE WHEN t.status = 'closed' THEN :today END
    FROM staged_soas t JOIN moves m ON m.soa_id = t.id WHERE t.run_id = :run AND m.kind = 'added' ORDER BY t.id"""  # noqa: S608
_CHANGE_SOAS = f"""
    UPDATE soas SET {", ".join(f"{name} = t.{name}" for name in _DATA if name != "id")}, changed_run_id = t.run_id,
        closed_on = CASE m.kind WHEN 'closed' THEN :today WHEN 'reopened' THEN NULL ELSE soas.closed_on END
    FROM staged_soas t, moves m WHERE t.run_id = :run AND m.soa_id = t.id AND m.kind <> 'added' AND soas.id = t.id"""  # noqa: S608
_INVOICE_DATA = INVOICE_COLUMNS[3:]
_SAME = " AND ".join(f"n.{name} = invoices.{name}" for name in _INVOICE_DATA)
_REMOVE_INVOICES = f"""
    DELETE FROM invoices WHERE soa_id IN (SELECT soa_id FROM moves WHERE kind <> 'added')
    AND NOT EXISTS (SELECT 1 FROM staged_invoices n WHERE n.run_id = :run AND n.soa_id = invoices.soa_id AND {_SAME})"""  # noqa: S608
_ADD_INVOICES = f"""
    INSERT INTO invoices (soa_id, {", ".join(_INVOICE_DATA)})
    SELECT n.soa_id, {", ".join(f"n.{name}" for name in _INVOICE_DATA)} FROM staged_invoices n JOIN moves m ON m.soa_id = n.soa_id
    LEFT JOIN invoices i ON i.soa_id = n.soa_id AND i.id = n.id WHERE n.run_id = :run AND i.id IS NULL ORDER BY n.soa_id, n.id"""  # noqa: S608
# Where nothing is stored yet, everything is new, and indexes are made afterwards: nothing to compare, nothing to sort.
_FILL_TOTALS = f"""
    INSERT INTO soa_totals (status, collector_code, due_date, with_penalty, count, amount_due, penalty)
    SELECT status, coalesce(collector_code, ''), due_date, penalty > 0, count(*), sum(amount_due), sum(penalty) FROM staged_soas
    WHERE run_id = :run GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4{_ADD_UP}"""  # noqa: S608
_FILL_CHANGES = """
    INSERT INTO soa_changes (soa_id, run_id, kind, changes) SELECT id, run_id, 'added', '{}' FROM staged_soas WHERE run_id = :run"""
_FILL_SOAS = f"""
    INSERT INTO soas ({", ".join(_DATA)}, changed_run_id, closed_on)
    SELECT {", ".join(_DATA)}, run_id, CASE WHEN status = 'closed' THEN :today END FROM staged_soas WHERE run_id = :run"""  # noqa: S608
_FILL_INVOICES = f"""
    INSERT INTO invoices (soa_id, {", ".join(_INVOICE_DATA)})
    SELECT soa_id, {", ".join(_INVOICE_DATA)} FROM staged_invoices WHERE run_id = :run"""  # noqa: S608


def write_changed(run_id: int, today: date, skip_closed_strangers: bool = False) -> Written:
    """Write every staged SOA that is new or differs, with its changes for the timeline; equal rows are not touched, nor, when asked so,
    SOAs that were closed before they ever came here. No SOA may be staged twice."""
    prepare()
    staged = db.session.scalar(select(func.count()).where(staged_soas.c.run_id == run_id)) or 0
    with filled_at_once(0 if skip_closed_strangers else staged) as empty:
        if empty:
            for statement in (_FILL_TOTALS, _FILL_CHANGES, _FILL_SOAS, _FILL_INVOICES):
                db.session.execute(_dated(statement, today), {"run": run_id})
            return Written(staged, 0, 0, filled=True)
        return _write_moves(run_id, today, skip_closed_strangers)


def _write_moves(run_id: int, today: date, skip_closed_strangers: bool) -> Written:
    session = db.session
    session.execute(text("DROP TABLE IF EXISTS moves"))
    session.execute(text(f"CREATE TEMPORARY TABLE moves (soa_id {key_type()}, kind VARCHAR(10))"))
    session.execute(text(_FIND_MOVES), {"run": run_id, "strangers": skip_closed_strangers})
    settle("moves")
    kinds = {row.kind: int(row.number) for row in session.execute(text("SELECT kind, count(*) AS number FROM moves GROUP BY kind"))}
    if kinds:
        if sum(kinds.values()) < FEW:
            settle("staged_soas")
            settle("staged_invoices")
            if bulk.is_postgresql():
                session.execute(text("SET LOCAL random_page_cost = 1.1"))  # look the few up, rather than read all that is stored
        session.execute(text(_MOVE_TOTALS), {"run": run_id})
        session.execute(text(_NOTE_ADDED), {"run": run_id})
        if len(kinds) > ("added" in kinds):
            _note_changes(run_id)
            session.execute(_dated(_CHANGE_SOAS, today), {"run": run_id})
            session.execute(text(_REMOVE_INVOICES), {"run": run_id})
        if "added" in kinds:
            session.execute(_dated(_ADD_SOAS, today), {"run": run_id})
        session.execute(text(_ADD_INVOICES), {"run": run_id})
    session.execute(text("DROP TABLE moves"))
    added = kinds.pop("added", 0)
    return Written(added, sum(kinds.values()), kinds.get("closed", 0))


def _dated(statement: str, today: date) -> TextClause:
    made = text(statement)
    return made.bindparams(bindparam("today", today, Date)) if ":today" in statement else made


def prepare() -> None:
    """Let PostgreSQL take the memory and the plans that a few great statements want, until the transaction ends."""
    if bulk.is_postgresql():
        db.session.execute(text("SET LOCAL work_mem = '64MB'"))
        db.session.execute(text("SET LOCAL jit = off"))


def settle(table: str) -> None:
    """Tell PostgreSQL how much was just written into a table that it knows nothing of yet."""
    if bulk.is_postgresql():
        db.session.execute(text(f"ANALYZE {table}"))


def key_type() -> str:
    """The type of an SOA's id in a table that lives as long as the transaction. SQLite looks rows up one by one and wants an index;
    PostgreSQL joins whole tables, and an index would cost more than all the rest."""
    return 'VARCHAR(100) COLLATE "C"' if bulk.is_postgresql() else "VARCHAR(100) PRIMARY KEY"


def _note_changes(run_id: int) -> None:
    """Keep for the timeline what changes on each SOA that is stored already; call it before it does."""
    last = ""
    query = text("SELECT soa_id, kind FROM moves WHERE kind <> 'added' AND soa_id > :last ORDER BY soa_id LIMIT :most")
    while moved := db.session.execute(query, {"last": last, "most": BATCH}).all():
        last = moved[-1].soa_id
        ids = [row.soa_id for row in moved]
        old, new = soas.get_many(ids), _staged(run_id, ids)
        told = [(one, kind, json.dumps(changes(old[one], new[one]), ensure_ascii=False)) for one, kind in moved]
        if bulk.is_postgresql():
            bulk.copy("soa_changes", _CHANGE_COLUMNS, [bulk.line((str(run_id), *each[:2]), each[2]) for each in told])
        else:
            bulk.insert_many("soa_changes", _CHANGE_COLUMNS, [(run_id, *each) for each in told])


def _staged(run_id: int, ids: Sequence[str]) -> dict[str, Soa]:
    """Staged SOAs with their invoices."""
    invoices: dict[str, list[Invoice]] = {one: [] for one in ids}
    parts = staged_invoices.c
    query = select(parts.soa_id, *(parts[name] for name in soas.INVOICE_COLUMNS)).where(parts.run_id == run_id, parts.soa_id.in_(ids))
    for row in db.session.execute(query.order_by(parts.soa_id, parts.position)):
        invoices[row.soa_id].append(Invoice(*row[1:]))
    columns = staged_soas.c
    found: Sequence[Row[Any]] = db.session.execute(
        select(*(columns[name] for name in soas.COLUMNS)).where(columns.run_id == run_id, columns.id.in_(ids))
    ).all()
    return {row.id: Soa(**row._mapping, invoices=tuple(invoices[row.id])) for row in found}


def write(run_id: int, found: Sequence[Soa], today: date) -> Written:
    """Write these SOAs as they are now, and note for the timeline what changed; the run must have nothing else staged."""
    put(run_id, 0, [plain(soa) for soa in found])
    written = write_changed(run_id, today)
    clear(run_id)
    return written


def close(run_id: int, ids: Sequence[str], today: date) -> int:
    """Close these SOAs. Returns how many were open."""
    closed = 0
    for start in range(0, len(ids), PORTION):
        some = soas.get_many(ids[start : start + PORTION])
        found = [closing(soa) for soa in some.values() if soa.status != "closed"]
        write(run_id, found, today)
        closed += len(found)
    return closed


def closing(soa: Soa) -> Soa:
    """The SOA, closed."""
    return Soa(**{name: getattr(soa, name) for name in soas.COLUMNS if name != "status"}, status="closed", invoices=soa.invoices)


def last_change() -> int:
    """The newest row of soa_changes; 0 when there is none."""
    return db.session.scalar(select(func.max(SoaChange.id))) or 0
