"""Phone to portal: lost answers, killed web servers, locked databases, cut connections. Every payment ends in the ledger once."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import requests

from portal.services.postings import LEASE
from tests.faults.phone import HttpPhone, pay_often
from tests.faults.proxy import Kind
from tests.faults.stack import Stack, wait_until


@contextmanager
def uploading(*phones: HttpPhone) -> Iterator[list[threading.Thread]]:
    """These phones upload at the same time, each until it is done; at the end all are, or this fails with what one of them met."""
    failures: list[BaseException] = []

    def work(phone: HttpPhone) -> None:
        try:
            phone.upload(90)
        except BaseException as error:  # told below: a thread's own failure would be seen by nobody
            failures.append(error)

    threads = [threading.Thread(target=work, args=(phone,)) for phone in phones]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.join(100)
    assert failures == [] and not any(thread.is_alive() for thread in threads)


def in_a_transaction(stack: Stack) -> bool:
    """Whether somebody is writing to the database at this moment."""
    if stack.postgres is not None:
        with stack.postgres.connect() as connection:
            query = "SELECT 1 FROM pg_stat_activity WHERE datname = 'portal' AND backend_xid IS NOT NULL"
            return connection.execute(query).fetchone() is not None
    writer = sqlite3.connect(stack.directory / "portal.sqlite3", timeout=0, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("ROLLBACK")
        return False
    except sqlite3.OperationalError:
        return True
    finally:
        writer.close()


def test_f30_an_answer_lost_after_the_work_was_done_is_made_good_by_sending_again(stack: Stack) -> None:
    phone = stack.phone()
    ids = stack.pay(phone, 5)
    fault = stack.to_web.fault("lose_answer", "/api/v1/journal", times=2)
    phone.upload()
    assert fault.applied == 2 and fault.work_done == [200, 200]
    assert phone.tries == {"broken": 2, "200": 1}
    assert {status for status, _ in phone.verdicts.values()} == {"repeat"}
    stack.wait_until_posted(ids)
    stack.compare_books()


@pytest.mark.parametrize("kind", ["reset", "cut_request", "cut_answer"])
def test_f30_a_connection_that_breaks_anywhere_is_made_good_by_sending_again(on_sqlite: Stack, kind: Kind) -> None:
    phone = on_sqlite.phone()
    on_sqlite.pay(phone, 3)
    fault = on_sqlite.to_web.fault(kind, "/api/v1/journal", times=2)
    phone.upload()
    assert fault.applied == 2 and phone.tries == {"broken": 2, "200": 1}
    on_sqlite.compare_books_after_posting()


def test_f36_a_hotel_s_page_with_status_200_is_no_upload(on_sqlite: Stack) -> None:
    phone = on_sqlite.phone()
    on_sqlite.pay(phone, 2)
    page = b"<html><body>Welcome to our free Wi-Fi. Log in to go on.</body></html>"
    fault = on_sqlite.to_web.fault("answer", "/api/v1/journal", status=200, headers={"Content-Type": "text/html"}, body=page, times=3)
    assert phone.try_upload() is None and len(phone.waiting()) == len(phone.entries)
    phone.upload()
    assert fault.applied == 3
    on_sqlite.compare_books_after_posting()


def test_f37_a_line_of_four_kilobytes_a_second_only_costs_time(on_sqlite: Stack) -> None:
    phone = on_sqlite.phone()
    on_sqlite.pay(phone, 8)
    size = len(json.dumps(phone.upload_body()))
    slow_request = on_sqlite.to_web.fault("throttle", "/api/v1/journal", bytes_per_second=4000)
    began = time.monotonic()
    phone.upload()
    assert slow_request.applied == 1 and time.monotonic() - began > size / 4000 * 0.8
    assert phone.tries == {"200": 1}
    on_sqlite.compare_books_after_posting()


def test_f07_web_killed_after_the_commit_and_before_the_answer(stack: Stack) -> None:
    phone = stack.phone()
    ids = stack.pay(phone, 4)
    fault = stack.to_web.fault("hold_answer", "/api/v1/journal")
    with uploading(phone):
        wait_until(lambda: fault.work_done, "the portal has done its work")
        web = stack.processes["web"].pid
        stack.processes["web"].kill()
        assert stack.statuses(ids)["missing"] == 0, "it was committed"
        fault.release(lost=True)
        stack.start("web")
    assert stack.processes["web"].pid != web
    assert phone.tries["200"] == 1 and phone.tries["broken"] >= 1
    assert {status for status, _ in phone.verdicts.values()} == {"repeat"}
    stack.compare_books_after_posting()


def test_f08_web_killed_in_the_middle_of_the_transaction_leaves_nothing_of_it(stack: Stack) -> None:
    phone = stack.phone()
    phone.upload()
    ids = pay_often(phone, list(stack.pool.take(phone, 10)), 240)
    phone.tries.clear()
    with uploading(phone):
        wait_until(lambda: stack.to_web.count("POST", "/api/v1/journal") >= 2, "the upload was passed on", pause=0.001)
        wait_until(lambda: in_a_transaction(stack), "the portal is writing", 10, 0.001)
        stack.processes["web"].kill()
        assert stack.statuses(ids) == {"missing": 240}, "one upload is one transaction"
        stack.start("web")
    assert phone.tries["broken"] >= 1 and phone.tries["200"] == 1
    assert {phone.verdict(entry) for entry in phone.entries if entry.kind == "payment"} == {"stored"}
    stack.compare_books_after_posting()


def test_f09_sqlite_locked_by_another_writer_is_answered_in_time_and_nothing_is_lost(on_sqlite: Stack) -> None:
    stack = on_sqlite
    phone, late = stack.phone(), stack.phone()
    stack.pay(phone, 3)
    stack.pay(late, 3)
    stack.office.get("/payments")
    locked = sqlite3.connect(stack.directory / "portal.sqlite3", isolation_level=None)
    try:
        locked.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with uploading(late):
            answer = phone.try_upload()
            waited = time.monotonic() - began
            assert answer is not None and answer.status_code == 503 and answer.headers["Retry-After"].isdigit()
            assert answer.json()["error"]["code"] == "busy" and "Traceback" not in answer.text
            assert 5 < waited < 20, "it waits a little for its turn, not for ever"
            began = time.monotonic()
            assert stack.office.get("/payments").status_code == 200 and time.monotonic() - began < 5, "who only reads is not kept"
            locked.execute("ROLLBACK")
            phone.upload()
    finally:
        locked.close()
    assert phone.tries == {"503": 1, "200": 1}
    stack.compare_books_after_posting()


def test_f12_postgresql_cut_crashed_and_restarted_during_uploads(on_postgres: Stack) -> None:
    stack, server = on_postgres, on_postgres.postgres
    assert server is not None
    phones = [stack.phone() for _ in range(4)]
    for phone in phones:
        phone.at_most = 3
        stack.pay(phone, 12)
    log, office = len(server.process.text()), stack.office
    cut = 0
    with uploading(*phones):
        for _ in range(6):
            cut += server.cut_connections()
            time.sleep(0.15)
        crashed = server.crash()
        time.sleep(0.5)
        old = server.process.pid
        wait_until(lambda: _answers(server.connect), "PostgreSQL has recovered", 20)
        server.stop()
        pages = [office.get(path) for path in ("/payments", "/soas", "/syncs", "/readyz")]
        server.start()
    assert cut > 0 and server.process.pid != old
    assert f"(PID {crashed}) was terminated by signal 9" in server.process.text(log)
    assert [page.status_code for page in pages] == [503] * 4, "said plainly, never a bare error"
    assert all("Traceback" not in page.text for page in pages)
    tries = sum((phone.tries for phone in phones), Counter[str]())
    assert tries["503"] + tries["broken"] > 0 and set(tries) <= {"200", "503", "broken"}, tries
    # A push that the crash cut between its claim and its books stays claimed until its lease is over.
    assert set(stack.statuses([one["payment"] for phone in phones for one in phone.payments()])) <= {"approved", "processing", "completed"}
    stack.pass_time(LEASE.total_seconds())
    stack.compare_books_after_posting()


def _answers(connect: object) -> bool:
    try:
        connect().close()  # type: ignore[operator]
    except psycopg.OperationalError:
        return False
    return True


def test_f31_the_same_upload_from_twenty_connections_at_once_is_booked_once(stack: Stack) -> None:
    phone = stack.phone()
    stack.pay(phone, 5)
    body, together = phone.upload_body(), threading.Barrier(20)
    headers = {**phone.session.headers, "Cookie": "; ".join(f"{one.name}={one.value}" for one in phone.session.cookies)}

    def send(_: int) -> requests.Response:
        together.wait(10)
        return requests.post(f"{stack.to_web.url}/api/v1/journal", json=body, headers=headers, timeout=60)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(20)))
    assert stack.to_web.count("POST", "/api/v1/journal") == 20
    assert {answer.status_code for answer in answers} == {200}
    said = Counter(tuple(verdict["status"] for verdict in answer.json()["verdicts"]) for answer in answers)
    whole = len(phone.entries)
    assert said == {("stored",) * whole: 1, ("repeat",) * whole: 19}
    assert {answer.json()["acknowledged_seq"] for answer in answers} == {whole}
    phone.upload()
    stack.compare_books_after_posting()


def test_f32_the_same_id_with_another_amount_changes_nothing_and_is_kept(stack: Stack) -> None:
    phone, other = stack.phone(), stack.phone("tomas")
    (first,) = stack.pay(phone, 1)
    phone.upload()
    paid = dict(phone.payments()[0])
    before = stack.payments()[first]
    phone.append("payment", {**phone.payload(next(stack.pool.take(phone, 1)), 777), "payment": first})  # type: ignore[arg-type]
    other.append("payment", {**other.payload(next(stack.pool.take(other, 1)), 888), "payment": first})  # type: ignore[arg-type]
    for thief in (phone, other):
        answer = thief.try_upload()
        assert answer is not None and answer.status_code == 200
        assert thief.verdict(thief.entries[-1]) == "quarantined", answer.text
        assert paid["customer_name"] not in answer.text and "50.00" not in answer.text, "nobody learns of another's payment"
    after = stack.payments()[first]
    assert (after.amount, after.soa_id, after.receipt_number) == (before.amount, before.soa_id, before.receipt_number)
    phone.not_money.add(phone.entries[-1].hash)
    other.not_money.add(other.entries[-1].hash)
    stack.compare_books_after_posting()


def test_f33_f34_a_poisonous_entry_at_the_head_stops_itself_and_not_its_neighbours(stack: Stack) -> None:
    phone = stack.phone()
    phone.upload()
    poison = [
        phone.append("payment", {"payment": "not a uuid", "amount": -1}),
        phone.append("payment", {"payment": str(uuid.uuid4()), "amount": 10**15, "customer_name": "\x00 \ud7ff ' ; DROP"}),
        phone.append("nonsense", {"deep": [[[[[[]]]]]]}),
        phone.append("count", {"registry": None, "denominations": {"1000": "many"}, "total": True}),
    ]
    ids = stack.pay(phone, 6)
    answer = phone.try_upload()
    assert answer is not None and answer.status_code == 200, answer
    assert [phone.verdict(entry) for entry in poison] == ["quarantined"] * 4
    assert all(phone.verdicts[entry.hash][1] for entry in poison), "each with a reason"
    assert Counter(phone.verdict(entry) for entry in phone.entries[-6:]) == {"stored": 6}
    stack.wait_until_posted(ids)
    phone.not_money.update(entry.hash for entry in poison)
    stack.compare_books()


@pytest.mark.parametrize("count", [1, 497, 5000])
def test_f35_uploads_of_any_length_arrive_whole_in_pieces_the_portal_takes(stack: Stack, count: int) -> None:
    if count == 5000 and stack.postgres is not None:
        pytest.skip("5,000 are tried on SQLite; 500 on both")
    phone = stack.phone()
    phone.at_most = 10_000
    if count == 5000:
        for _ in range(count):
            phone.append("no_collection", {"soa": "S1", "reason": "nobody home", "note": "Gate closed."})
    else:
        pay_often(phone, list(stack.pool.take(phone, 10)), count)
    phone.upload()
    whole = len(phone.entries)
    assert len(phone.verdicts) == whole and {status for status, _ in phone.verdicts.values()} == {"stored"}
    assert set(phone.tries) <= {"200", "413"} and phone.tries["200"] == -(-whole // 500), phone.tries
    assert phone.tries["413"] == (1 if count > 500 else 0), "it is told the limit once"
    stack.compare_books_after_posting()


def test_f35_twenty_megabytes_are_refused_in_words_the_phone_can_read(on_sqlite: Stack) -> None:
    phone = on_sqlite.phone()
    phone.upload()
    phone.append("no_collection", {"soa": "S", "reason": "nobody home", "note": "x" * 20_000_000})
    body = json.dumps(phone.upload_body()).encode()
    headers = {**phone.session.headers, "Content-Type": "application/json"}
    for url in (on_sqlite.to_web.url, f"http://127.0.0.1:{on_sqlite.port}"):
        answer = phone.session.post(f"{url}/api/v1/journal", data=body, headers=headers, timeout=60)
        assert answer.status_code == 413 and answer.json()["error"]["code"] == "too_large", answer.text[:200]
    phone.entries.pop()
    on_sqlite.pay(phone, 1)
    phone.upload()
    on_sqlite.compare_books_after_posting()
