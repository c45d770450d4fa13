"""Filling tables that are still empty, on PostgreSQL: what must be kept up with every row is set aside and made once all rows are in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.extensions import db
from portal.store import bulk

log = logging.getLogger(__name__)
WORTH_IT = 5000
"""Rows from which setting indexes aside pays."""
_TABLES = "('soas'::regclass, 'invoices'::regclass, 'soa_changes'::regclass)"
_INDEXES = f"""
    SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid IN {_TABLES} AND NOT i.indisunique ORDER BY c.relname"""  # noqa: S608 - names of our own
_LINKS = f"""
    SELECT conrelid::regclass AS table, conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE conrelid IN {_TABLES} AND (contype = 'f' OR contype = 'p' AND conrelid = 'invoices'::regclass)
    ORDER BY contype DESC, conname"""  # noqa: S608 - names of our own


@contextmanager
def filled_at_once(rows: int) -> Iterator[bool]:
    """Inside, so many rows are written into soas. Where that table is still empty, the indexes and links of it, of invoices and of
    soa_changes are set aside meanwhile, which takes a third of the time, unless somebody reads in them just then. Gives whether that is
    so. All of it belongs to the caller's transaction."""
    if rows < WORTH_IT or not bulk.is_postgresql() or not _alone():
        yield False
        return
    indexes, links = (db.session.execute(text(query)).all() for query in (_INDEXES, _LINKS))
    for link in reversed(links):
        db.session.execute(text(f'ALTER TABLE {link.table} DROP CONSTRAINT "{link.name}"'))
    for index in indexes:
        db.session.execute(text(f'DROP INDEX "{index.name}"'))
    yield True
    db.session.execute(text("SET LOCAL maintenance_work_mem = '128MB'"))
    for index in indexes:
        db.session.connection().exec_driver_sql(index.definition.replace("%", "%%"))
    for link in links:
        db.session.connection().exec_driver_sql(f'ALTER TABLE {link.table} ADD CONSTRAINT "{link.name}" {link.definition}')


def settle() -> None:
    """Tell PostgreSQL what is in the tables that were filled at once. Call it when everybody sees them: nobody need wait for it."""
    for table in ("soas", "invoices", "soa_changes"):
        db.session.execute(text(f"ANALYZE {table}"))


def _alone() -> bool:
    """Whether soas is empty and can be had for ourselves within two seconds; sync_runs, to which others are linked, stays readable."""
    if db.session.execute(text("SELECT EXISTS (SELECT 1 FROM soas)")).scalar_one():
        return False
    try:
        with db.session.begin_nested():
            db.session.execute(text("SET LOCAL lock_timeout = '2s'"))
            db.session.execute(text("LOCK TABLE soas, invoices, soa_changes IN ACCESS EXCLUSIVE MODE"))
            db.session.execute(text("LOCK TABLE sync_runs IN SHARE ROW EXCLUSIVE MODE"))
            db.session.execute(text("SET LOCAL lock_timeout = 0"))
    except DBAPIError as error:
        log.info("The empty tables are filled with their indexes in place (%s).", type(error.orig).__name__)
        return False
    return True
