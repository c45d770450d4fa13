"""Filling tables that are still empty, on PostgreSQL: the indexes and the link from invoices to SOAs are made once all rows are in."""

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
"""Rows from which setting the indexes aside pays."""
_INDEXES = """
    SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid IN ('soas'::regclass, 'invoices'::regclass) AND NOT i.indisunique ORDER BY c.relname"""
_LINKS = """
    SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE contype = 'f' AND conrelid = 'invoices'::regclass AND confrelid = 'soas'::regclass"""


@contextmanager
def filled_at_once(rows: int) -> Iterator[None]:
    """Inside, so many rows are written into soas. Where that table is still empty its indexes are set aside meanwhile, which takes a
    quarter of the time, unless somebody reads in it just then. All of it belongs to the caller's transaction."""
    if rows < WORTH_IT or not bulk.is_postgresql() or not _alone():
        yield
        return
    indexes, links = (db.session.execute(text(query)).all() for query in (_INDEXES, _LINKS))
    for link in links:
        db.session.execute(text(f'ALTER TABLE invoices DROP CONSTRAINT "{link.name}"'))
    for index in indexes:
        db.session.execute(text(f'DROP INDEX "{index.name}"'))
    yield
    db.session.execute(text("SET LOCAL maintenance_work_mem = '128MB'"))
    for index in indexes:
        db.session.connection().exec_driver_sql(index.definition.replace("%", "%%"))
    for link in links:
        db.session.connection().exec_driver_sql(f'ALTER TABLE invoices ADD CONSTRAINT "{link.name}" {link.definition}')
    for table in ("soas", "invoices"):
        db.session.execute(text(f"ANALYZE {table}"))


def _alone() -> bool:
    """Whether soas is empty and can be had for ourselves within two seconds."""
    if db.session.execute(text("SELECT EXISTS (SELECT 1 FROM soas)")).scalar_one():
        return False
    try:
        with db.session.begin_nested():
            db.session.execute(text("SET LOCAL lock_timeout = '2s'"))
            db.session.execute(text("LOCK TABLE soas, invoices IN ACCESS EXCLUSIVE MODE"))
            db.session.execute(text("SET LOCAL lock_timeout = 0"))
    except DBAPIError as error:
        log.info("The empty tables are filled with their indexes in place (%s).", type(error.orig).__name__)
        return False
    return True
