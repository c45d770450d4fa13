"""Long lists written by a worker, on both databases: whole or not at all, cancelled, killed, unheard of; nobody waits for the reading."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from flask import Flask, current_app

from portal import documents, doorbell, lists
from portal.domain.errors import Conflict, NotFound
from portal.extensions import db, read_only
from portal.services import exports, saved_filters, waiting
from portal.store import audit, soas
from portal.store import exports as store
from portal.store.exports import ExportRow
from portal.store.soas import SoaFilter
from tests.factories import NOW, make_soa, make_user, store_soas

TODAY = date(2026, 11, 20)


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    heard: list[int] = []
    monkeypatch.setattr(doorbell, "ring", lambda name, number, job_id: heard.append(number) or True)  # type: ignore[func-returns-value]
    monkeypatch.setattr(doorbell, "is_waiting", lambda *args: False)
    return heard


@pytest.fixture
def office(any_app: Flask, rings: list[int], monkeypatch: pytest.MonkeyPatch) -> int:
    """A cashier, and thirty SOAs."""
    monkeypatch.setattr(lists, "TELL_EVERY", 5)
    monkeypatch.setattr(exports, "HEARTBEAT", timedelta(0))
    store_soas(*(make_soa(f"S{number:02d}") for number in range(30)))
    return make_user("cora", "office")


def ask(user_id: int, form: str = "csv") -> int:
    return exports.request(user_id, "cora", "soas", form, "", lists.pack(SoaFilter()), ["Active SOAs"], TODAY, NOW)


def row(export_id: int) -> ExportRow:
    found = store.get(export_id)
    db.session.rollback()
    assert found
    return found


def files() -> list[str]:
    folder: Path = current_app.config["DATA_DIR"] / "exports"
    return sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("form", ["csv", "xlsx", "pdf"])
def test_a_file_is_written_and_its_progress_seen_from_outside(office: int, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "TABLE", 10)
    monkeypatch.setattr(documents, "TYPES", (documents.Type(8, 160, 14, 14),))
    monkeypatch.setattr(documents, "PAGES_AT_ONCE", 1)
    number = ask(office, form)
    seen: list[tuple[int, int | None]] = []

    def write(export: ExportRow, place: Path, tell: Callable[[int], None], announce: Callable[[int], None]) -> Path:
        def told(done: int) -> None:
            tell(done)
            with current_app.app_context():
                now = store.get(number)
                assert now
                seen.append((now.rows_done, now.rows_total))

        return lists.write(export, place, told, announce)

    assert exports.run(number, write, lambda: NOW) == "completed"
    done = row(number)
    assert (done.rows_done, done.rows_total, done.error, done.finished_at) == (30, 30, "", NOW)
    assert done.size == exports.file_of(done).stat().st_size and files() == [f"{number}.{form}"]
    assert seen[:2] == ([(11, 30), (22, 30)] if form == "pdf" else [(5, 30), (10, 30)])
    assert exports.run(number, write, lambda: NOW) is None, "it is done once"
    assert audit.verify()[1] is None


def test_while_a_list_is_read_others_write(office: int) -> None:
    """On SQLite there is one writer; a list that takes minutes must not be it."""
    number = ask(office)

    def write(export: ExportRow, place: Path, tell: Callable[[int], None], announce: Callable[[int], None]) -> Path:
        rows = soas.iterate(SoaFilter(), TODAY)
        first = next(rows).id
        mine = read_only.set(False)
        with current_app.app_context():  # as another process does
            store_soas(make_soa("S99", due_date=date(2020, 1, 1)))
        read_only.reset(mine)
        assert [first, *(one.id for one in rows)] == [f"S{n:02d}" for n in range(30)], "the list as it was when the reading began"
        (place / "list.csv").write_text("x")
        return place / "list.csv"

    assert exports.run(number, write, lambda: NOW) == "completed"


def test_what_is_cancelled_leaves_no_file(office: int) -> None:
    number = ask(office)

    def write(export: ExportRow, place: Path, tell: Callable[[int], None], announce: Callable[[int], None]) -> Path:
        with current_app.app_context():
            exports.cancel(export, "cora", NOW)
        return lists.write(export, place, tell, announce)

    assert exports.run(number, write, lambda: NOW) is None
    assert row(number).status == "cancelled" and files() == []
    with pytest.raises(NotFound):
        exports.file_of(row(number))
    with pytest.raises(Conflict):
        exports.cancel(row(number), "cora", NOW)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "No space left"),
        (ValueError("secret"), "ValueError"),
        (NotFound("In words."), "In words."),
    ],
)
def test_what_cannot_be_written_fails_with_a_reason(office: int, error: Exception, words: str) -> None:
    number = ask(office)

    def write(export: ExportRow, place: Path, tell: Callable[[int], None], announce: Callable[[int], None]) -> Path:
        (place / "half").write_text("x")
        raise error

    assert exports.run(number, write, lambda: NOW) == "failed"
    failed = row(number)
    assert failed.status == "failed" and words in failed.error and "secret" not in failed.error and files() == []


def test_a_list_that_grew_too_long_for_paper_says_so(office: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lists.MOST, "pdf", 29)
    number = ask(office, "pdf")
    assert exports.run(number, lists.write, lambda: NOW) == "failed" and "A PDF holds at most 29 SOAs" in row(number).error


def test_a_killed_worker_leaves_an_export_that_failed_and_no_file(office: int) -> None:
    number = ask(office)

    def write(export: ExportRow, place: Path, tell: Callable[[int], None], announce: Callable[[int], None]) -> Path:
        (place / "half").write_text("x")
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda *args, **named: None)  # a killed worker tidies nothing
        with pytest.raises(SystemExit):
            exports.run(number, write, lambda: NOW)
    (left,) = files()
    exports.sweep(NOW + exports.SILENCE - timedelta(seconds=1))
    assert row(number).status == "processing" and files() == [left]
    exports.sweep(NOW + exports.SILENCE + timedelta(seconds=1))
    assert row(number).status == "failed" and "worker stopped" in row(number).error and files() == []


def test_a_worker_that_was_given_up_cannot_finish(office: int) -> None:
    number = ask(office)

    def write(export: ExportRow, place: Path, tell: Callable[[int], None], announce: Callable[[int], None]) -> Path:
        with current_app.app_context():
            exports.sweep(NOW + exports.SILENCE + timedelta(seconds=1))
        (place / "list.csv").write_text("x")
        return place / "list.csv"

    assert exports.run(number, write, lambda: NOW) is None
    assert row(number).status == "failed"
    exports.sweep(NOW + timedelta(minutes=10))
    assert files() == []


def test_a_lost_ring_is_rung_again_and_given_up_when_nobody_comes(office: int, rings: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    number = ask(office)
    exports.sweep(NOW + timedelta(seconds=10))
    assert rings == [number]
    exports.sweep(NOW + waiting.RING_AGAIN)
    assert rings == [number, number]
    exports.sweep(NOW + exports.PATIENCE.for_worker)
    assert row(number).status == "failed" and "No worker" in row(number).error
    number = ask(office)
    monkeypatch.setattr(doorbell, "ring", lambda *args, **named: False)
    exports.sweep(NOW + waiting.NO_JOB)
    assert "Redis" in row(number).error


def test_the_same_is_not_begun_twice_and_others_see_nothing(office: int, rings: list[int]) -> None:
    number = ask(office)
    assert ask(office) == number and rings == [number] and ask(office, "xlsx") != number
    other = make_user("carla", "office")
    with pytest.raises(NotFound):
        exports.found(number, other, admin=False)
    assert exports.found(number, other, admin=True).who == exports.found(number, office, admin=False).who
    assert [one.id for one in store.of_user(other)] == []


def test_a_saved_filter_is_kept_once_under_each_name(office: int) -> None:
    number = saved_filters.save(office, "soas", " Late  ones ", "overdue=1", NOW)
    with pytest.raises(Conflict):
        saved_filters.save(office, "soas", "Late ones", "penalty=1", NOW)
    other = saved_filters.save(office, "soas", "With penalty", "penalty=1", NOW)
    with pytest.raises(Conflict):
        saved_filters.rename(other, office, "Late ones")
    assert saved_filters.rename(other, office, "Penalty").name == "With penalty"
    assert saved_filters.delete(number, office).name == "Late ones"
    with pytest.raises(NotFound):
        saved_filters.delete(number, office)


def test_a_filter_travels_as_it_is() -> None:
    wanted = SoaFilter(q='O"Neil', due_from=date(2026, 1, 2), overdue=True, status="all", sort="-name")
    assert lists.unpack(lists.SOAS, lists.pack(wanted)) == wanted
