"""Staging takes any text there is, counts each SOA once, and the swap writes what differs and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from portal.domain.plain import plain
from portal.domain.soa import Soa
from portal.extensions import db
from portal.store import bulk, fresh, models, read_pages, seen, soas, staging, sync_runs
from portal.store.read_pages import NewPage
from portal.store.staging_tables import staged_invoices, staged_soas
from tests.factories import NOW, make_invoice, make_soa, store_soas

TODAY = date(2026, 11, 20)
NASTY = ["tab\tin it", "line\nbreak", "return\r", "\\N", "\\", "\\.", "back\\slash\t", "'\"", "ñ 😀 \u2028", "=1+1", "{{7*7}}", "%s %%", ""]


def active_run() -> int:
    run_id = sync_runs.add("manual", "cora", NOW)
    assert sync_runs.claim(run_id, "lease", NOW)
    return run_id


def count(table: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def test_every_text_arrives_as_it_was_sent(any_app: Flask) -> None:
    made = [
        make_soa(
            f"S{n}",
            address=words,
            contact_number=words,
            customer_name=f"{words} x",
            collector_code=(words or None) if n % 2 else None,
            invoices=[make_invoice(1, description=words, invoice_number=f"{words}-1"), make_invoice(2)],
        )
        for n, words in enumerate(NASTY)
    ]
    store_soas(*made)
    assert soas.get_many([soa.id for soa in made]) == {soa.id: soa for soa in made}
    assert all((found := soas.get(soa.id)) and found.version == soa.version for soa in made)
    assert count(staged_soas) == count(staged_invoices) == 0


def test_of_an_soa_staged_twice_the_latest_stays_and_of_equals_the_last(any_app: Flask) -> None:
    run_id = active_run()
    first = make_soa("S1", address="first", updated_at=NOW)
    newer = replace(first, address="newer", updated_at=NOW + timedelta(seconds=1))
    same = [make_soa("S2", address=words, updated_at=NOW) for words in ("a", "b")]
    for place, one in enumerate((first, newer, same[0], first, same[1], make_soa("S3"))):
        staging.put(run_id, place, [plain(one)])
    staging.drop_repeated(run_id)
    assert count(staged_soas) == 3 and count(staged_invoices) == 6
    assert staging.write_changed(run_id, TODAY) == staging.Written(3, 0, 0)
    assert {soa.address for soa in soas.get_many(["S1", "S2"]).values()} == {"newer", "b"}


def test_only_what_differs_is_written(any_app: Flask) -> None:
    kept, changed, stamped = make_soa("S1"), make_soa("S2"), make_soa("S3")
    first = store_soas(kept, changed, stamped, make_soa("S4", status="closed"))
    places = "ctid" if bulk.is_postgresql() else "rowid"

    def rows(table: str, key: str) -> dict[str, Any]:
        query = text(f"SELECT {key} AS key, {places} AS place FROM {table}")  # noqa: S608 - names of our own
        return {row.key: str(row.place) for row in db.session.execute(query)}

    before, invoices = rows("soas", "id"), rows("invoices", "soa_id || '/' || id")
    run_id = active_run()
    paid = replace(changed, amount_due=Decimal("1220.00"), invoices=(make_invoice(1, balance=Decimal("100.00")), changed.invoices[1]))
    stranger = make_soa("S9", status="closed")
    staging.put(run_id, 0, [plain(one) for one in (kept, paid, replace(stamped, updated_at=NOW + timedelta(days=1)), stranger)])
    assert staging.write_changed(run_id, TODAY, skip_closed_strangers=True) == staging.Written(0, 1, 0)
    after = rows("soas", "id")
    assert {key for key in before if before[key] != after[key]} == (
        {"S2"} if bulk.is_postgresql() else set()
    ) and before.keys() == after.keys()
    assert soas.get_many(["S2"]) == {"S2": paid}
    untouched = {key for key, place in rows("invoices", "soa_id || '/' || id").items() if invoices.get(key) == place}
    assert untouched >= {"S1/I1", "S1/I2", "S2/I2", "S3/I1"}
    owners = {row.id: row.changed_run_id for row in db.session.execute(select(models.Soa.id, models.Soa.changed_run_id))}
    assert owners == {"S1": first, "S2": run_id, "S3": first, "S4": first}


def test_closing_keeps_the_day_and_opening_again_forgets_it(any_app: Flask) -> None:
    store_soas(make_soa("S1"))
    run_id = active_run()
    assert staging.close(run_id, ["S1", "none"], TODAY) == 1 and staging.close(run_id, ["S1"], TODAY + timedelta(days=1)) == 0
    closed = soas.get("S1")
    assert closed and closed.closed_on == TODAY and closed.soa.status == "closed" and closed.version == closed.soa.version
    staging.write(run_id, [replace(closed.soa, address="elsewhere")], TODAY + timedelta(days=2))
    assert (still := soas.get("S1")) and still.closed_on == TODAY and still.soa.address == "elsewhere"
    staging.write(run_id, [make_soa("S1")], TODAY + timedelta(days=3))
    assert (opened := soas.get("S1")) and opened.closed_on is None and opened.soa == make_soa("S1")


TABLES = "('soas', 'invoices', 'soa_changes')"


def indexes() -> set[str]:
    return set(db.session.scalars(text(f"SELECT indexdef FROM pg_indexes WHERE tablename IN {TABLES}")))  # noqa: S608


def links() -> set[str]:
    query = "SELECT concat(conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid::regclass::text IN"
    return set(db.session.scalars(text(f"{query} {TABLES}")))


@pytest.mark.parametrize("rows", [3, 0])
def test_empty_tables_are_filled_at_once_and_have_their_indexes_and_links_again(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    if not bulk.is_postgresql():
        pytest.skip("only PostgreSQL builds an index faster than it fills one")
    monkeypatch.setattr(fresh, "WORTH_IT", 3)
    before = indexes(), links()
    store_soas(*(make_soa(f"S{n}") for n in range(rows)))
    assert (indexes(), links()) == before and len(before[0]) > 8
    store_soas(*(make_soa(f"T{n}") for n in range(4)))
    assert (indexes(), links()) == before and count(models.Soa) == count(models.SoaChange) == rows + 4
    with pytest.raises(Exception, match="fk_invoices_soa_id"):
        db.session.execute(text("INSERT INTO invoices SELECT 'nobody', id, position, invoice_number, invoice_date, due_date, description, "
                                "amount, balance, penalty, vat_type, vat_amount FROM invoices LIMIT 1"))  # fmt: skip
    db.session.rollback()


def test_tables_filled_at_once_hold_what_rows_written_one_by_one_would(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    if not bulk.is_postgresql():
        pytest.skip("only PostgreSQL sets indexes aside")
    made = [make_soa(f"S{n}", collector_code="A1" if n % 2 else None, status="closed" if n == 4 else "active") for n in range(6)]
    queries = (
        "SELECT * FROM soas ORDER BY id",
        "SELECT * FROM invoices ORDER BY soa_id, id",
        "SELECT soa_id, run_id, kind, changes FROM soa_changes ORDER BY soa_id",
        *(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4" for table in ("soa_totals", "soa_day_totals", "soa_month_totals")),  # noqa: S608
    )
    run_id = active_run()
    db.session.commit()
    found = []
    for worth, filled in ((len(made) + 1, False), (len(made), True)):
        monkeypatch.setattr(fresh, "WORTH_IT", worth)
        staging.put(run_id, 0, [plain(one) for one in made])
        assert staging.write_changed(run_id, TODAY) == staging.Written(len(made), 0, 0, filled)
        found.append([db.session.execute(text(query)).all() for query in queries])
        db.session.rollback()
    assert found[0] == found[1] and all(found[0])


def test_where_somebody_reads_the_empty_table_it_is_filled_with_its_indexes(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    if not bulk.is_postgresql():
        pytest.skip("only PostgreSQL sets indexes aside")
    monkeypatch.setattr(fresh, "WORTH_IT", 1)
    aside: list[str] = []
    really: Callable[[], bool] = fresh._alone
    monkeypatch.setattr(fresh, "_alone", lambda: aside.append("yes" if (answer := really()) else "no") or answer)  # type: ignore[func-returns-value]
    with db.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM soas"))
        store_soas(make_soa("S1"))
        assert aside == ["no"]
    assert count(models.Soa) == 1


def test_what_was_seen_is_told_from_the_pages(any_app: Flask) -> None:
    made = [make_soa(f"S{n}") for n in range(1, 6)]
    base = store_soas(*made)

    def page(number: int, *held: Soa) -> NewPage:
        return NewPage(number, 0, 9, f"digest {number}", [(soa.id, soa.version, f"of {soa.id}") for soa in held])

    read_pages.note(base, [page(1, *made[:2]), page(2, made[2])], 0, [])
    db.session.execute(text("UPDATE sync_runs SET last_change_id = :last WHERE id = :run"), {"last": staging.last_change(), "run": base})
    memory = read_pages.recall()
    assert memory.run_id == base and sorted(memory.pages) == [1, 2] and memory.pages[1].count == 2 and memory.touched == frozenset()
    assert read_pages.records(base, [1, 2, 3])[1] == {f"of {soa.id}": (soa.id, soa.version) for soa in made[:2]}
    run_id = active_run()
    read_pages.note(run_id, [page(2, made[3], made[3], made[2])], base, [1])
    assert seen.gather(run_id) == 1, "one came twice"
    assert seen.totals() == (seen.Totals(4, sum((soa.amount_due for soa in made[:4]), Decimal(0))), 0)
    assert seen.count_absent(run_id) == (1, 5)
    assert seen.close_absent(run_id, TODAY) == 1 and seen.count_absent(run_id) == (0, 4)
    read_pages.keep_only(run_id)
    pages = db.session.execute(text("SELECT run_id, number, seen_by FROM read_pages ORDER BY number")).all()
    assert [tuple(row) for row in pages] == [(run_id, 1, None), (run_id, 2, None)]


def test_what_others_wrote_since_is_not_believed_any_more(any_app: Flask) -> None:
    made = [make_soa(f"S{n}") for n in range(1, 4)]
    base = store_soas(*made)
    pages = [NewPage(n, 0, 9, f"digest {n}", [(soa.id, soa.version, f"of {soa.id}")]) for n, soa in enumerate(made, 1)]
    read_pages.note(base, pages, 0, [])
    db.session.execute(text("UPDATE sync_runs SET last_change_id = :last WHERE id = :run"), {"last": staging.last_change(), "run": base})
    store_soas(replace(made[1], address="elsewhere"))
    memory = read_pages.recall()
    assert sorted(memory.pages) == [1, 3] and memory.touched == {"S2"}
    active_run()
    seen.gather(base)
    assert seen.totals()[1] == 1, "one is stored otherwise than it was seen"
