"""What a download remembers of the one before saves work and changes nothing: with it and without it everything ends the same."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from config import TestConfig
from portal import create_app, doorbell
from portal.extensions import db
from portal.pscloud import fast
from portal.services import sync, sync_stream
from portal.store import read_pages, soas, staging, sync_runs
from portal.store.soas import SoaFilter
from portal.store.sync_runs import RunRow
from tests.pscloud.server import Answer, Asked, Books, Script, record, scripted

START = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted() as script:
        yield script


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "ring", lambda *_, **__: True)


def download(server: Script, day: int = 0, kind: str = "full", ahead: int = 2) -> RunRow:
    now = START + timedelta(days=day)
    run_id = sync.request_run("manual", "cora", now, kind)
    with server.client() as client:
        client.pages_ahead = ahead
        sync.run(run_id, client, lambda: now)
    row = sync_runs.get(run_id)
    assert row is not None and row.status == "completed", row and row.error
    return row


def told(row: RunRow) -> dict[str, Any]:
    """What a run tells, but for how much work it was."""
    names = "status kind pages total succeeded failed added changed unchanged closed amount_due pscloud_count pscloud_amount_due"
    return {name: getattr(row, name) for name in [*names.split(), "as_of", "watermark", "waiting_to_close"]}


def everything() -> list[list[tuple[Any, ...]]]:
    """What is stored."""
    queries = (
        "SELECT id, customer_name, address, amount_due, status, closed_on, version, search_text, changed_run_id FROM soas ORDER BY id",
        "SELECT soa_id, id, position, balance, penalty FROM invoices ORDER BY soa_id, id",
        "SELECT soa_id, run_id, kind, changes FROM soa_changes ORDER BY run_id, soa_id",
        "SELECT status, collector_code, due_date, with_penalty, count, amount_due FROM soa_totals WHERE count <> 0 ORDER BY 1, 2, 3, 4",
        "SELECT soa_id, confirmed_run_id FROM unconfirmed_soas ORDER BY soa_id",
        "SELECT run_id, pscloud_id, field, reason FROM sync_failures ORDER BY run_id, pscloud_id, reason",
        "SELECT soa_id, run_id FROM absent_soas ORDER BY soa_id",
    )
    found = [[tuple(row) for row in db.session.execute(text(query))] for query in queries]
    db.session.rollback()
    return found


# --- what is skipped


def test_nothing_changed_is_recognised_by_its_bytes_alone(any_app: Flask, server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    server.reply = books = Books([record(n) for n in range(1, 8)], page_size=3)
    first = download(server)
    assert (first.pages, first.pages_unchanged, first.added) == (3, 0, 7) and first.bytes_read > 4000
    monkeypatch.setattr(fast.Reader, "soas", lambda *_: pytest.fail("nothing is to be mapped"))
    monkeypatch.setattr(fast.Reader, "digest", lambda *_: pytest.fail("no record is to be looked at"))
    books.as_of = "2026-11-21T05:00:00+08:00"
    second = download(server, 1)
    assert (second.pages, second.pages_unchanged, second.total, second.unchanged, second.changed, second.note) == (3, 3, 7, 7, 0, "")
    assert second.amount_due == second.pscloud_amount_due == first.amount_due and second.as_of != first.as_of
    third = download(server, 2)
    assert third.pages_unchanged == 3, "pages that were met again are remembered"


def test_on_a_changed_page_only_what_changed_is_mapped(any_app: Flask, server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    server.reply = books = Books([record(n) for n in range(1, 10)], page_size=3)
    download(server)
    mapped: list[str] = []
    really = fast.Reader.soas

    def soas(self: fast.Reader, raws: list[bytes]) -> list[Any]:
        made = really(self, raws)
        mapped.extend(one.id for one in made if one)
        return [*made]

    monkeypatch.setattr(fast.Reader, "soas", soas)
    books.records[4] = record(5, amount_due="500.00", penalty="0.00")
    second = download(server, 1)
    assert mapped == ["S0005"] and (second.pages_unchanged, second.changed, second.unchanged) == (2, 1, 8)
    books.records.insert(0, record(20))
    mapped.clear()
    third = download(server, 2)
    assert mapped == ["S0020"] and (third.added, third.unchanged, third.note) == (1, 9, ""), "all others moved on by one place"


def test_a_record_that_cannot_be_read_is_looked_at_each_time(any_app: Flask, server: Script) -> None:
    server.reply = books = Books([record(1), record(2, amount_due="x"), record(3), record(4)], page_size=2)
    download(server)
    second = download(server, 1)
    assert (second.failed, second.pages_unchanged) == (1, 1) and len(sync_runs.failures(second.id)) == 1
    books.records[1] = record(2)
    third = download(server, 2)
    assert (third.failed, third.added, third.total) == (0, 1, 4)


def test_what_was_closed_here_opens_again_though_its_record_is_the_same(any_app: Flask, server: Script) -> None:
    server.reply = books = Books([record(n) for n in range(1, 11)], page_size=5)
    download(server)
    gone = books.records.pop()
    assert download(server, 1).closed == 1
    books.records.append(gone)
    third = download(server, 2)
    assert (third.changed, third.unchanged) == (1, 9) and (found := soas.get("S0010")) and found.soa.status == "active"


def test_another_profile_reads_everything_anew(any_app: Flask, server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    server.reply = Books([record(n) for n in range(1, 5)])
    download(server)
    monkeypatch.setattr(fast, "_RULES", b"another release")
    second = download(server, 1)
    assert (second.pages_unchanged, second.unchanged) == (0, 4)
    assert download(server, 2).pages_unchanged == second.pages


def test_a_page_of_known_bytes_in_another_place_is_read_whole(any_app: Flask, server: Script) -> None:
    """The bytes are those of the page before, but stand under another name: not where the profile says that records are."""
    server.reply = books = Books([record(n) for n in range(1, 3)], page_size=5)
    download(server)

    def reply(asked: Asked) -> Answer:
        answer = books(asked)
        if asked.path.endswith("/soas"):
            body = dict(answer.body)
            listed = body.pop("data")
            return Answer(
                {"data": listed, **body} if asked.query.get("again") else {"dato": listed, "data": [record(7)], **body, "total": 1}
            )
        return answer

    server.reply = reply
    row = download(server, 1)
    assert (row.total, row.added, row.pages_unchanged) == (1, 1, 0)


# --- when what is remembered does not hold


def test_a_quick_download_and_a_retry_between_are_not_forgotten(any_app: Flask, server: Script) -> None:
    server.reply = books = Books([record(n) for n in range(1, 9)], page_size=2, as_of=START.isoformat())
    download(server)
    books.records[2] = record(3, amount_due="700.00", updated_at=(START + timedelta(minutes=1)).isoformat())
    books.as_of = (START + timedelta(hours=1)).isoformat()
    assert download(server, 1, "quick").changed == 1
    books.records[2] = record(3)
    third = download(server, 2)
    assert (third.changed, third.unchanged, third.pages_unchanged) == (1, 7, 3), (
        "its record is that of the first download, what is stored is not"
    )
    assert third.note == ""


def test_what_somebody_writes_during_the_download_has_everything_read_again(any_app: Flask, server: Script) -> None:
    server.reply = books = Books([record(n) for n in range(1, 9)], page_size=2)
    first = download(server)

    def write(asked: Asked) -> None:
        if asked.path.endswith("summary") and not written:
            with any_app.app_context():
                found = soas.get("S0001")
                assert found
                staging.write(first.id, [replace(found.soa, address="elsewhere")], START.date())
                db.session.commit()
            written.append(1)

    written: list[int] = []
    books.before = write
    second = download(server, 1)
    assert "read again" in second.note and (second.changed, second.unchanged, second.pages_unchanged) == (1, 7, 0)
    assert (found := soas.get("S0001")) and found.soa.address == ""


def test_what_does_not_fit_is_found_before_the_run_completes(any_app: Flask, server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if an error had changed an SOA behind our backs, without a word in its history."""
    server.reply = books = Books([record(n) for n in range(1, 9)], page_size=2)
    download(server)
    db.session.execute(text("UPDATE soas SET version = 'bent', address = 'bent' WHERE id = 'S0003'"))
    db.session.commit()
    books.records[7] = record(8, amount_due="500.00")
    second = download(server, 1)
    assert "did not fit" in second.note and (second.changed, second.unchanged) == (2, 6)
    assert (found := soas.get("S0003")) and found.version == found.soa.version and found.soa.address == ""


def test_where_nothing_changed_what_is_open_here_must_add_up(any_app: Flask, server: Script) -> None:
    server.reply = Books([record(n) for n in range(1, 9)], page_size=2)
    download(server)
    db.session.execute(text("UPDATE soas SET version = 'bent', amount_due = 1 WHERE id = 'S0003'"))
    db.session.commit()
    second = download(server, 1)
    assert "did not fit" in second.note and (second.changed, second.unchanged) == (1, 7)


def test_where_nothing_changed_but_somebody_waits_everything_is_compared(any_app: Flask, server: Script) -> None:
    server.reply = books = Books([record(n) for n in range(1, 11)], page_size=5)
    download(server)
    del books.records[5:]
    assert download(server, 1).waiting_to_close == 5
    third = download(server, 2)
    assert (third.pages_unchanged, third.waiting_to_close, third.closed) == (1, 5, 0), "they are still absent"
    assert sync.close_waiting(third.id, "ramon", START + timedelta(days=2)) == 5
    for day in (3, 4):
        row = download(server, day)
        assert (row.total, row.unchanged, row.note) == (5, 5, "") and row.watermark is not None


def test_records_that_come_twice_are_all_looked_at(any_app: Flask, server: Script) -> None:
    newer = record(1, amount_due="600.00", updated_at="2026-11-20T08:00:00+08:00")
    server.reply = books = Books([record(1), record(2), record(3), record(4)], page_size=2)
    download(server)
    books.records = [record(1), record(2), record(3), record(4), newer]
    books.total, books.count, books.amount_due = 4, 4, "3630.00"
    row = download(server, 1)
    assert "more than once" in row.note and (row.total, row.changed, row.unchanged) == (4, 1, 3)
    assert str(row.amount_due) == "3630.00"


# --- with and without


@pytest.fixture
def pair(tmp_path: Path, sqlite_template: Path) -> Iterator[list[Flask]]:
    """Two portals that ask the same PSCloud: the second one remembers nothing."""
    apps = []
    for name in ("remembers", "forgets"):
        (tmp_path / name).mkdir()
        shutil.copy(sqlite_template, tmp_path / name / "portal.sqlite3")
        apps.append(create_app(TestConfig(tmp_path / name, DATABASE_URL=f"sqlite:///{tmp_path / name / 'portal.sqlite3'}")))
    yield apps
    for app in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


WORDS = (
    "amount",
    "stamp",
    "address",
    "remove",
    "add first",
    "add last",
    "twice",
    "break",
    "mend",
    "settle",
    "move",
    "retry",
    "again",
    "back",
)
STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 11)), max_size=4),
        st.sampled_from(["full", "full", "full", "quick"]),
        st.integers(2, 4),
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_with_and_without_memory_everything_ends_the_same(pair: list[Flask], server: Script, steps: list[Any]) -> None:
    ends = []
    for app, remembers in zip(pair, (True, False), strict=True):
        with app.app_context():
            for table in ("soa_changes", "unconfirmed_soas", "absent_soas", "read_pages", "sync_failures", "invoices", "soas", "sync_runs"):
                db.session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - names of our own
            for table in ("soa_totals", "staged_soas", "staged_invoices", "search_words"):
                db.session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - names of our own
            db.session.commit()
            with pytest.MonkeyPatch.context() as patch:
                if not remembers:
                    patch.setattr(read_pages, "recall", lambda: read_pages.NOTHING)
                ends.append(list(story(server, copy.deepcopy(steps))))
    assert ends[0] == ends[1]


def story(server: Script, steps: list[Any]) -> Iterator[Any]:
    """Download after download, with changes in PSCloud between; what each run told and what was stored then."""
    books = Books([record(n, updated_at=START.isoformat()) for n in range(1, 13)], as_of=START.isoformat())
    server.reply = books
    gone: list[Any] = []
    last = 0
    for day, (changes, kind, size) in enumerate(steps):
        moment = START + timedelta(days=day)
        for what, place in changes:
            if what == "retry" and last:
                with server.client() as client:
                    sync.retry_failed(last, "cora", client, moment)
            else:
                change(books, gone, what, place, moment)
        books.page_size = size if day % 2 else 3
        books.as_of = (moment + timedelta(minutes=30)).isoformat()
        row = download(server, day, kind, ahead=day % 2 * 2)
        last = row.id
        yield (
            told(row),
            everything(),
            sorted((one.id, one.status) for one in soas.list_page(SoaFilter(status="all"), START.date(), limit=100).rows),
        )


def change(books: Books, gone: list[Any], what: str, place: int, moment: datetime) -> None:
    """One change in PSCloud."""
    stamp = moment.isoformat()
    here = place % len(books.records) if books.records else 0
    if what == "add first":
        books.records.insert(0, record(100 + len(gone) + len(books.records), updated_at=stamp))
    elif what == "add last" or not books.records:
        books.records.append(record(200 + len(gone) + len(books.records), updated_at=stamp))
    elif what == "remove":
        gone.append(books.records.pop(here))
    elif what == "back" and gone:
        books.records.append(gone.pop())
    elif what == "move":
        books.records.append(books.records.pop(here))
    elif what == "twice":
        books.records.append({**books.records[here], "address": "again"})
    else:
        fields: dict[str, dict[str, Any]] = {
            "amount": {"amount_due": f"{500 + place}.00", "updated_at": stamp},
            "stamp": {"updated_at": stamp},
            "address": {"customer": {**books.records[here]["customer"], "address": f"{place} Rizal St."}},
            "break": {"due_date": "2026-02-31", "updated_at": stamp},
            "mend": {"due_date": "2026-10-15", "updated_at": stamp},
            "settle": {"status": "settled", "updated_at": stamp},
        }
        books.records[here] = {**books.records[here], **fields.get(what, {})}


# --- the stream


def test_a_run_that_is_given_up_leaves_no_thread_behind(app: Flask, server: Script) -> None:
    import threading

    before = set(threading.enumerate())
    server.reply = Books([record(n) for n in range(1, 40)], page_size=1)
    with server.client() as client:
        stream = sync_stream.readings(client, None, read_pages.NOTHING, fast.Reader(client.profile), staging.maker(1), lambda: None)
        with closing(stream):
            assert next(filter(None, stream)).records[0][0] == "S0001"
    left = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith(("fetching", "mapping"))]
    assert left == []


def test_the_pages_wait_for_who_reads_them(app: Flask, server: Script) -> None:
    import time

    server.reply = Books([record(n) for n in range(1, 40)], page_size=1)
    with (
        server.client() as client,
        closing(
            sync_stream.readings(client, None, read_pages.NOTHING, fast.Reader(client.profile), staging.maker(1), lambda: None)
        ) as stream,
    ):
        next(filter(None, stream))
        time.sleep(0.3)
        assert len(server.asked) <= 8, "not the whole list is fetched into memory"


def test_whatever_goes_wrong_in_a_thread_is_heard_of(app: Flask, server: Script) -> None:
    server.answers(Answer(status=401))
    for ahead in (0, 2):
        with server.client() as client:
            client.pages_ahead = ahead
            stream = sync_stream.readings(client, None, read_pages.NOTHING, fast.Reader(client.profile), staging.maker(1), lambda: None)
            with closing(stream), pytest.raises(Exception, match="token"):
                list(stream)
