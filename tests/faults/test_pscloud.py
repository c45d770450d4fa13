"""PSCloud: failing, slow, wrong, forgetful. Old data stay visible, nothing is closed wrongly, each payment is posted once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from sqlalchemy import insert, update

from portal.store.models import Payment, PaymentAllocation
from tests.faults.proxy import FOR_EVER, Fault, Request
from tests.faults.stack import Stack, wait_until

SOAS = "/api/v1/soas"
PAYMENTS = "/api/v1/payments"
JSON = {"Content-Type": "application/json"}


def in_two_seconds() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


def said(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


TROUBLES: dict[str, Callable[[], dict[str, Any]]] = {
    "500": lambda: {"kind": "answer", "status": 500, "times": 2},
    "502": lambda: {"kind": "answer", "status": 502, "body": b"<html>Bad gateway</html>", "times": 2},
    "503 for seconds": lambda: {"kind": "answer", "status": 503, "headers": {"Retry-After": "2"}},
    "429 for seconds": lambda: {"kind": "answer", "status": 429, "headers": {"Retry-After": "2"}},
    "429 until a date": lambda: {"kind": "answer", "status": 429, "headers": {"Retry-After": in_two_seconds()}},
    "reset": lambda: {"kind": "reset", "times": 2},
    "lost answer": lambda: {"kind": "lose_answer", "times": 2},
    "half an answer": lambda: {"kind": "cut_answer", "times": 2},
    "a web page": lambda: {"kind": "answer", "status": 200, "headers": {"Content-Type": "text/html"}, "body": b"<html>Hello</html>"},
    "nothing": lambda: {"kind": "answer", "status": 200, "times": 2},
}


def trouble(stack: Stack, name: str, path: str, **how: Any) -> Fault:
    """One of TROUBLES from now on."""
    given = {**TROUBLES[name](), **how}
    return stack.to_pscloud.fault(given.pop("kind"), path, **given)


def try_again(stack: Stack, ids: list[str]) -> None:
    """Let pauses pass until all is posted."""

    def posted() -> bool:
        stack.pass_time(1000)
        stack.sweep()
        time.sleep(0.5)
        return stack.statuses(ids) == {"completed": len(ids)}

    wait_until(posted, "everything is posted", 40)


@pytest.mark.parametrize("name", TROUBLES)
def test_f18_a_download_goes_through_passing_trouble(on_sqlite: Stack, name: str) -> None:
    stack = on_sqlite
    before = stack.active_soas()
    fault = trouble(stack, name, SOAS, skip=1)
    began = time.monotonic()
    run_id = stack.sync_now()
    run = stack.wait_for_run(run_id)
    assert fault.applied == fault.times and run.status == "completed", run.error
    if "Retry-After" in fault.headers:
        assert time.monotonic() - began >= 1, "it waits as long as it was asked to"
    assert stack.active_soas() == before and (run.added, run.closed, run.succeeded) == (0, 0, len(before))
    assert stack.to_pscloud.count("GET", SOAS) == run.pages + 1 + fault.applied, "no request more than needed"


@pytest.mark.parametrize("name", ["500", "429 for seconds", "reset", "half an answer"])
def test_f18_a_download_in_lasting_trouble_ends_with_a_reason_and_changes_nothing(on_sqlite: Stack, name: str) -> None:
    stack = on_sqlite
    before = stack.active_soas()
    fault = trouble(stack, name, SOAS, skip=1, times=FOR_EVER)
    if name.startswith("429"):
        fault.headers = {"Retry-After": "600"}
    run_id = stack.sync_now()
    wait_until(lambda: fault.applied, "the trouble begins")
    began = time.monotonic()
    assert stack.office.get("/soas").status_code == 200 and stack.office.get(f"/syncs/{run_id}").status_code == 200
    assert time.monotonic() - began < 5, "nobody has to wait for PSCloud"
    run = stack.wait_for_run(run_id, 60)
    assert run.status == "failed" and "PSCloud" in run.error and "unchanged" in run.error, run.error
    assert fault.applied <= 5 and stack.active_soas() == before
    page = stack.office.get(f"/syncs/{run_id}").text
    assert "Failed" in page and "unchanged" in page
    stack.to_pscloud.clear()
    assert stack.wait_for_run(stack.sync_now()).status == "completed"


@pytest.mark.long
def test_f18_an_answer_that_drips_is_cut_after_its_deadline(on_sqlite: Stack) -> None:
    stack = on_sqlite
    fault = stack.to_pscloud.fault("drip", SOAS, bytes_per_second=200)
    began = time.monotonic()
    run = stack.wait_for_run(stack.sync_now(), 100)
    assert fault.applied == 1 and run.status == "completed", run.error
    assert 55 < time.monotonic() - began < 95, "one minute for one request, then the next try"


@pytest.mark.parametrize("name", TROUBLES)
def test_f18_f30_a_push_in_trouble_ends_with_each_payment_posted_once(on_sqlite: Stack, name: str) -> None:
    stack = on_sqlite
    fault = trouble(stack, name, PAYMENTS, method="POST", times=1)
    phone = stack.phone()
    ids = stack.pay(phone, 3)
    phone.upload()
    wait_until(lambda: fault.applied and stack.statuses(ids) == {"approved": 3}, "the push was given up for now")
    reasons = {row.status_reason for one, row in stack.payments().items() if one in ids}
    assert all("will be tried again" in reason for reason in reasons), reasons
    try_again(stack, ids)
    once = name in {"lost answer", "half an answer"}
    assert stack.sent_to_pscloud() == Counter(dict.fromkeys(ids, 1 if once else 2)), "what PSCloud may have is asked about first"
    stack.compare_books()


@pytest.mark.parametrize(
    "switch", [{"page_shift": 3}, {"page_shift": -3}, {"total_add": 5}, {"total_add": -5}, {"summary_amount_add": "9.99"}]
)
def test_f19_pages_that_shift_and_totals_that_change_close_nothing(stack: Stack, switch: dict[str, Any]) -> None:
    before = stack.active_soas()
    stack.pscloud.control(**switch)
    run = stack.wait_for_run(stack.sync_now())
    assert stack.active_soas() == before and run.closed == 0, run.note
    assert run.status == "completed" and run.note, "and it says what did not fit"
    stack.pscloud.reset()
    run = stack.wait_for_run(stack.sync_now())
    assert (run.status, run.note, run.succeeded) == ("completed", "", len(before)), run.note
    assert stack.active_soas() == before


def test_f19_a_list_that_changes_between_two_pages_is_settled_by_the_next_download(stack: Stack) -> None:
    before = stack.active_soas()
    gone = sorted(before)[0]
    held = stack.to_pscloud.fault("hold_request", SOAS, skip=1)
    run_id = stack.sync_now()
    wait_until(lambda: held.applied, "the first page is read")
    stack.pscloud.change_soa(gone, hidden=True)
    held.release()
    stack.wait_for_run(run_id)
    assert stack.active_soas() >= before - {gone}, "nobody else is touched"
    assert stack.wait_for_run(stack.sync_now()).status == "completed"
    assert stack.active_soas() == before - {gone}, "what is really gone is closed after a complete reading"
    stack.pscloud.change_soa(gone, hidden=False)
    assert stack.wait_for_run(stack.sync_now()).status == "completed"
    assert stack.active_soas() == before


def test_f25_a_token_refused_in_mid_download_stops_at_once_and_says_so(stack: Stack) -> None:
    before = stack.active_soas()
    fault = stack.to_pscloud.fault("answer", SOAS, skip=1, times=FOR_EVER, status=401, body=said("unauthorized", "token expired"))
    run = stack.wait_for_run(stack.sync_now())
    assert run.status == "failed" and "token" in run.error and "PSCLOUD_TOKEN" in run.error
    assert fault.applied == 1, "asking again with a refused token would lock it out"
    assert stack.active_soas() == before


def test_f25_a_token_refused_while_posting_keeps_every_payment(stack: Stack) -> None:
    stack.pscloud.control(unauthorized=True)
    phone = stack.phone()
    ids = stack.pay(phone, 3)
    phone.upload()
    wait_until(lambda: any("token" in row.status_reason for one, row in stack.payments().items() if one in ids), "it is said why")
    assert stack.statuses(ids) == {"approved": 3} and stack.to_pscloud.count("POST", PAYMENTS) == 1
    stack.pscloud.control(unauthorized=False)
    try_again(stack, ids)
    stack.compare_books()


def without_ids(status: int, body: bytes) -> tuple[int, bytes]:
    results = json.loads(body)["results"]
    return status, json.dumps({"results": [{"status": one["status"]} for one in results]}).encode()


def only_some(status: int, body: bytes) -> tuple[int, bytes]:
    return status, json.dumps({"results": json.loads(body)["results"][:2]}).encode()


def somebody_else_s(status: int, body: bytes) -> tuple[int, bytes]:
    results = json.loads(body)["results"]
    return status, json.dumps({"results": [{**one, "reference": "00000000-0000-4000-8000-000000000000"} for one in results]}).encode()


ANSWERS: dict[str, Callable[[int, bytes], tuple[int, bytes]]] = {
    "without ids": without_ids,
    "for some only": only_some,
    "for others": somebody_else_s,
    "empty list": lambda status, body: (200, b'{"results": []}'),
    "202 accepted": lambda status, body: (202, b"{}"),
    "204": lambda status, body: (204, b""),
    "409 duplicate": lambda status, body: (409, said("duplicate", "one of these payments exists already")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_f29_an_answer_that_does_not_say_enough_is_followed_by_a_question(on_sqlite: Stack, name: str) -> None:
    stack = on_sqlite
    fault = stack.to_pscloud.fault("rewrite", PAYMENTS, method="POST", times=FOR_EVER, rewrite=ANSWERS[name])
    phone = stack.phone()
    ids = stack.pay(phone, 5)
    phone.upload()
    wait_until(lambda: fault.applied and stack.statuses(ids)["processing"] == 0, "the answer was read")
    # A 409 is cleared up at once: it may speak of payments that are there already.
    assert stack.statuses(ids)["completed"] == {"for some only": 2, "409 duplicate": 5}.get(name, 0)
    try_again(stack, ids)
    assert stack.sent_to_pscloud() == Counter(ids), "asked, and never sent a second time"
    stack.compare_books()


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_f29_one_line_for_which_pscloud_refuses_the_whole_batch_stops_itself_only(stack: Stack, status: int) -> None:
    phone = stack.phone()
    ids = stack.pay(phone, 6)
    bad = ids[2]

    def holds_it(request: Request) -> bool:
        return bad.encode() in request.body

    fault = stack.to_pscloud.fault(
        "answer",
        PAYMENTS,
        method="POST",
        times=FOR_EVER,
        only=holds_it,
        status=status,
        headers=JSON,
        body=said("invalid", "line 3 is wrong"),
    )
    phone.upload()
    others = [one for one in ids if one != bad]
    wait_until(lambda: stack.statuses(others) == {"completed": 5}, "its neighbours are posted")
    wait_until(lambda: stack.statuses([bad]) == {"failed": 1}, "it is in the list of the failed")
    assert "line 3 is wrong" in stack.payments()[bad].status_reason
    stack.compare_books()
    assert fault.applied >= 2
    stack.to_pscloud.clear()
    assert stack.office.post(f"/payments/{bad}/retry").status_code == 303
    stack.wait_until_posted(ids)
    stack.compare_books()


def test_f33_pscloud_takes_some_and_refuses_others_with_a_reason(stack: Stack) -> None:
    stack.pscloud.control(reject_next=3)
    phone = stack.phone()
    ids = stack.pay(phone, 10)
    phone.upload()
    wait_until(lambda: stack.statuses(ids) == {"completed": 7, "failed": 3}, "each has its own end")
    refused = [one for one, row in stack.payments().items() if row.status == "failed"]
    assert all(stack.payments()[one].status_reason.startswith("PSCloud refused it: ") for one in refused)
    stack.compare_books()
    for one in refused:
        assert stack.office.post(f"/payments/{one}/retry").status_code == 303
    stack.wait_until_posted(ids)
    stack.compare_books()


def test_f34_a_payment_whose_parts_do_not_add_up_stays_in_the_house_and_stops_nobody(stack: Stack) -> None:
    stack.processes["worker posting"].kill()
    phone = stack.phone()
    ids = stack.pay(phone, 4)
    phone.upload()
    bad = stack.payments()[ids[0]]
    part = {"payment_id": bad.id, "soa_id": bad.soa_id, "kind": "advance", "position": 50}
    stack.change(insert(PaymentAllocation).values(**part, generation=bad.allocation_generation, amount=Decimal("1.00")))
    stack.start("worker posting")
    stack.sweep()
    stack.wait_until_posted(ids[1:])
    assert stack.statuses(ids[:1]) == {"failed": 1} and "do not add up" in stack.payments()[bad.id].status_reason
    stack.compare_books()
    newer = bad.allocation_generation + 1
    stack.change(insert(PaymentAllocation).values(**part, generation=newer, amount=bad.amount))
    stack.change(update(Payment).where(Payment.id == bad.id).values(allocation_generation=newer))
    assert stack.office.post(f"/payments/{bad.id}/retry").status_code == 303
    stack.wait_until_posted(ids)
    stack.compare_books()
