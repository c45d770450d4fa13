"""Workers, scheduler and Redis: killed, frozen, emptied, full, doubled. What was to be done stands in the database and gets done."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from portal.services.postings import LEASE
from portal.services.sync import PATIENCE, SILENCE
from portal.services.waiting import RING_AGAIN
from tests.faults.stack import Stack, wait_until

SWEEP = 15 + 3
"""Seconds between two sweeps, and between two looks at the clock."""


def in_mid_page(stack: Stack) -> int:
    """A download whose first page is staged and whose second one does not come; its number."""
    stack.to_pscloud.fault("hold_request", "/api/v1/soas", skip=1)
    run_id = stack.sync_now()
    wait_until(lambda: stack.run(run_id).pages == 1 and stack.to_pscloud.faults[0].applied, "the first page is staged")
    return run_id


def in_mid_push(stack: Stack, count: int = 4, kind: str = "hold_answer") -> list[str]:
    """Payments that a worker is posting at this moment: PSCloud has them (hold_answer) or is about to get them (hold_request)."""
    fault = stack.to_pscloud.fault(kind, "/api/v1/payments", method="POST")  # type: ignore[arg-type]
    phone = stack.phone()
    ids = stack.pay(phone, count)
    phone.upload()
    wait_until(lambda: fault.applied, "the worker posts")
    assert stack.statuses(ids) == {"processing": count}
    assert (len(set(ids) & set(stack.posted())) == count) is (kind == "hold_answer")
    return ids


def lookups(stack: Stack) -> int:
    """How often PSCloud was asked what it holds."""
    return stack.to_pscloud.count("GET", "/api/v1/payments")


def test_f01_worker_and_work_horse_killed_in_mid_page(stack: Stack) -> None:
    before = stack.active_soas()
    run_id = in_mid_page(stack)
    worker = stack.processes["worker sync"]
    assert len(worker.members()) == 2, "worker and work-horse"
    worker.kill()
    stack.to_pscloud.clear()
    assert stack.run(run_id).status == "processing"
    stack.start("worker sync")
    stack.sweep()
    time.sleep(1)
    assert stack.run(run_id).status == "processing", "a silence of a few seconds is no death"
    stack.pass_time(SILENCE.total_seconds())
    stack.sweep()
    run = stack.wait_for_run(run_id, 10)
    assert run.status == "failed" and "worker stopped" in run.error and "Sync now" in run.error
    assert stack.active_soas() == before
    assert stack.wait_for_run(stack.sync_now()).status == "completed"
    assert stack.active_soas() == before


@pytest.mark.long
@pytest.mark.timeout(200)
def test_f01_f03_f18_dead_workers_are_noticed_within_two_minutes_of_real_time(on_sqlite: Stack) -> None:
    stack = on_sqlite
    run_id = in_mid_page(stack)
    ids = in_mid_push(stack)
    stack.processes["worker sync"].kill()
    stack.processes["worker posting"].kill()
    died = time.monotonic()
    stack.to_pscloud.clear()
    stack.start("worker sync", "worker posting")
    run = stack.wait_for_run(run_id, 120)
    assert run.status == "failed"
    stack.wait_until_posted(ids, 121 - (time.monotonic() - died))
    assert stack.sent_to_pscloud() == Counter(ids) and lookups(stack) >= 1
    stack.compare_books()


def test_the_limits_add_up_to_less_than_two_minutes() -> None:
    assert SILENCE.total_seconds() + SWEEP < 120
    assert LEASE.total_seconds() + SWEEP < 120


def test_f02_only_the_worker_s_parent_killed_its_work_horse_ends_too(stack: Stack) -> None:
    ids = in_mid_push(stack)
    worker = stack.processes["worker posting"]
    assert len(worker.members()) == 2
    worker.kill_only_the_parent()
    wait_until(lambda: not worker.members(), "the orphan is gone", 5)
    stack.to_pscloud.faults[0].release(lost=True)
    stack.start("worker posting")
    stack.sweep()
    time.sleep(1)
    assert stack.statuses(ids) == {"processing": 4}, "the dead one's lease still holds them"
    stack.pass_time(LEASE.total_seconds())
    stack.sweep()
    stack.wait_until_posted(ids)
    assert stack.sent_to_pscloud() == Counter(ids), "asked, not sent again"
    stack.compare_books()


@pytest.mark.parametrize("kind", ["hold_answer", "hold_request"])
def test_f02_two_workers_with_the_same_payments_at_once_post_each_once(stack: Stack, kind: str) -> None:
    ids = in_mid_push(stack, kind=kind)
    slow = stack.to_pscloud.faults[0]
    stack.another("worker posting")
    stack.pass_time(LEASE.total_seconds())
    stack.sweep()
    stack.wait_until_posted(ids)
    books = {one: (row.posted_at, row.pscloud_id) for one, row in stack.payments().items()}
    slow.release()
    stack.wait_for_worker("worker posting")
    time.sleep(0.3)
    assert {one: (row.posted_at, row.pscloud_id) for one, row in stack.payments().items()} == books, "who comes late changes nothing"
    expected = 1 if kind == "hold_answer" else 2
    assert stack.sent_to_pscloud() == Counter(dict.fromkeys(ids, expected)) and lookups(stack) >= 1
    stack.compare_books()


def test_f03_worker_killed_after_pscloud_took_the_payments_and_before_our_books(stack: Stack) -> None:
    ids = in_mid_push(stack)
    stack.processes["worker posting"].kill()
    stack.to_pscloud.faults[0].release(lost=True)
    assert stack.statuses(ids) == {"processing": 4} and stack.to_pscloud.faults[0].work_done == [200]
    stack.start("worker posting")
    stack.pass_time(LEASE.total_seconds())
    stack.sweep()
    stack.wait_until_posted(ids)
    assert stack.sent_to_pscloud() == Counter(ids) and lookups(stack) >= 1
    stack.compare_books()


def test_f03_a_worker_killed_in_the_sweep_s_own_job_does_not_silence_the_sweep(stack: Stack) -> None:
    stack.processes["worker posting"].kill()
    fault = stack.to_pscloud.fault("hold_answer", "/api/v1/payments", method="POST")
    phone = stack.phone()
    ids = stack.pay(phone, 4)
    phone.upload()
    stack.redis.delete("rq:queue:posting")  # the ring of the upload is lost
    stack.sweep()
    stack.processes["worker posting"].start()
    wait_until(lambda: fault.applied, "the worker posts what the sweep found")
    stack.processes["worker posting"].kill()
    fault.release(lost=True)
    assert stack.statuses(ids) == {"processing": 4}
    stack.start("worker posting")
    stack.pass_time(LEASE.total_seconds())
    stack.sweep()
    stack.wait_until_posted(ids)
    assert stack.sent_to_pscloud() == Counter(ids) and lookups(stack) >= 1
    stack.compare_books()


def test_f04_web_killed_after_our_commit_and_before_the_job_was_queued(stack: Stack) -> None:
    phone = stack.phone()
    ids = stack.pay(phone, 4)
    with stack.frozen("redis"), ThreadPoolExecutor(1) as pool:
        sent = pool.submit(phone.try_upload)
        wait_until(lambda: stack.statuses(ids) == {"approved": 4}, "the upload is committed", 60, 0.01)
        assert not sent.done(), "it still stands at the doorbell"
        stack.processes["web"].kill()
        assert sent.result(10) is None
    wait_until(lambda: stack.redis.ping(), "Redis answers again")
    assert stack.redis.llen("rq:queue:posting") == 0 and stack.statuses(ids) == {"approved": 4}
    stack.start("web")
    stack.sweep()
    stack.wait_until_posted(ids)
    phone.upload()
    assert {status for status, _ in phone.verdicts.values()} == {"repeat"}
    stack.compare_books()


def working(stack: Stack) -> None:
    """As ./run does: start again what ended."""
    ended = [name for name in ("worker sync", "worker posting", "scheduler") if not stack.processes[name].alive]
    if ended:
        stack.start(*ended)


def posted_as_under_run(stack: Stack, ids: list[str], seconds: float = 90) -> None:
    """Until these are posted, with what ends meanwhile started again: a worker that Redis refused may end only at its next sign of life."""
    deadline = time.monotonic() + seconds
    while stack.statuses(ids) != Counter(completed=len(ids)):
        assert time.monotonic() < deadline, stack.statuses(ids)
        working(stack)
        time.sleep(0.2)


def use_everything(stack: Stack, seconds: float) -> list[str]:
    """What people do while Redis is in trouble: upload and look at pages; each within so many seconds. The payments taken."""
    phone = stack.phone()
    ids = stack.pay(phone, 6)
    phone.at_most = 3
    while phone.waiting():
        began = time.monotonic()
        answer = phone.try_upload()
        assert answer is not None and answer.status_code == 200, answer
        assert time.monotonic() - began < seconds
    for path in ("/", "/payments", "/soas", "/syncs", "/readyz", "/healthz"):
        began = time.monotonic()
        page = stack.office.get(path)
        assert page.status_code == 200 and time.monotonic() - began < seconds, (path, page.status_code)
    assert stack.office.get("/readyz").json()["redis"] != "ok", "it is told"
    return ids


def test_f05_redis_killed_and_restarted_empty(stack: Stack) -> None:
    stack.office.get("/")
    stack.processes["redis"].kill()
    ids = use_everything(stack, 10)
    run_id = stack.sync_now()
    assert stack.statuses(ids) == {"approved": 6} and stack.run(run_id).status == "pending"
    stack.start_redis(empty=True)
    working(stack)
    stack.pass_time(RING_AGAIN.total_seconds())
    stack.sweep()
    stack.wait_until_posted(ids)
    assert stack.wait_for_run(run_id).status == "completed"
    assert stack.office.get("/readyz").json()["redis"] == "ok"
    stack.compare_books()


def test_f05_redis_flushed_with_jobs_queued_and_one_running(stack: Stack) -> None:
    run_id = in_mid_page(stack)
    stack.processes["worker posting"].kill()
    phone = stack.phone()
    ids = stack.pay(phone, 4)
    phone.upload()
    assert stack.redis.llen("rq:queue:posting") > 0
    stack.redis.flushall()
    stack.to_pscloud.clear()
    assert stack.wait_for_run(run_id).status == "completed", "the running job went on"
    stack.start("worker posting")
    stack.sweep()
    stack.wait_until_posted(ids)
    stack.compare_books()


def test_f05_redis_frozen_costs_seconds_and_nothing_else(on_sqlite: Stack) -> None:
    on_sqlite.office.get("/")
    with on_sqlite.frozen("redis"):
        ids = use_everything(on_sqlite, 10)
    working(on_sqlite)
    on_sqlite.sweep()
    posted_as_under_run(on_sqlite, ids)
    on_sqlite.compare_books()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_f06_redis_takes_no_writes(on_sqlite: Stack, how: str) -> None:
    stack = on_sqlite
    stack.office.get("/")
    if how == "full":
        stack.redis.config_set("maxmemory", "1mb")
    else:
        stack.redis.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(RedisError, match=r"maxmemory|read only"):
            stack.redis.set("probe", "x" * 10_000)
        ids = use_everything(stack, 10)
        assert stack.statuses(ids)["approved"] + stack.statuses(ids)["completed"] == 6
    finally:
        stack.redis.config_set("maxmemory", 0)
        stack.redis.replicaof("NO", "ONE")
    working(stack)
    stack.sweep()
    posted_as_under_run(stack, ids)
    stack.compare_books()


def test_f16_two_schedulers_two_workers_and_many_clicks_make_one_download(stack: Stack) -> None:
    stack.another("scheduler")
    stack.another("worker sync")
    wait_until(lambda: stack.office.get("/syncs").status_code == 200, "the office is there")
    before = len(stack.runs())
    stack.miss_a_day()
    wait_until(lambda: len(stack.runs()) > before, "a scheduler starts the daily download", 15)
    assert stack.wait_for_run(stack.runs()[-1].id).status == "completed"
    time.sleep(4)
    assert [run.trigger for run in stack.runs()[before:]] == ["scheduled"], "and the other one does not"

    held = stack.to_pscloud.fault("hold_request", "/api/v1/soas", times=100)
    stack.to_pscloud.requests.clear()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stack.office.post("/syncs"), range(8)))
    assert Counter(answer.status_code for answer in answers) == {303: 1, 409: 7}
    assert all("already waiting or running" in answer.text for answer in answers if answer.status_code == 409)
    run_id = stack.runs()[-1].id
    # The bell rung once more, as a sweep and a hasty person might: two workers find the same run.
    queue = Queue("sync", connection=stack.redis, serializer=JSONSerializer)
    for _ in range(2):
        queue.enqueue_call("workers.jobs.download_soas", args=(run_id,), timeout=60)
    stack.miss_a_day()
    wait_until(lambda: held.applied, "PSCloud is asked")
    time.sleep(4)
    held.release()
    assert stack.wait_for_run(run_id).status == "completed"
    assert [run.trigger for run in stack.runs()[before:]] == ["scheduled", "manual"]
    assert stack.to_pscloud.count("GET", "/api/v1/soas") == stack.run(run_id).pages + 1, "its pages and its totals, once"


def test_f17_a_download_that_exceeds_its_time_ends_with_a_reason(stack: Stack) -> None:
    before = stack.active_soas()
    stack.processes["worker sync"].kill()
    held = stack.to_pscloud.fault("hold_request", "/api/v1/soas", skip=1)
    run_id = stack.sync_now()
    stack.redis.delete("rq:queue:sync")
    queue = Queue("sync", connection=stack.redis, serializer=JSONSerializer)
    queue.enqueue_call("workers.jobs.download_soas", args=(run_id,), timeout=6)
    stack.start("worker sync")
    run = stack.wait_for_run(run_id, 40)
    assert held.applied == 1 and run.status == "failed" and "took too long" in run.error, run.error
    assert stack.active_soas() == before
    stack.to_pscloud.clear()
    assert stack.wait_for_run(stack.sync_now()).status == "completed"


def test_f17_a_push_that_exceeds_its_time_is_made_good(stack: Stack) -> None:
    stack.processes["worker posting"].kill()
    held = stack.to_pscloud.fault("hold_answer", "/api/v1/payments", method="POST")
    phone = stack.phone()
    ids = stack.pay(phone, 3)
    phone.upload()
    stack.redis.delete("rq:queue:posting")
    queue = Queue("posting", connection=stack.redis, serializer=JSONSerializer)
    job = queue.enqueue_call("workers.jobs.post_payments", timeout=6)
    stack.start("worker posting")
    wait_until(lambda: job.get_status(refresh=True).value == "failed", "the job was ended", 40)
    assert held.applied == 1
    stack.to_pscloud.clear()
    stack.pass_time(LEASE.total_seconds())
    stack.sweep()
    stack.wait_until_posted(ids)
    assert stack.sent_to_pscloud() == Counter(ids)
    stack.compare_books()


def test_no_worker_at_all_is_said_after_fifteen_minutes(on_sqlite: Stack) -> None:
    on_sqlite.processes["worker sync"].kill()
    run_id = on_sqlite.sync_now()
    on_sqlite.pass_time(PATIENCE.for_worker.total_seconds())
    on_sqlite.sweep()
    run = on_sqlite.wait_for_run(run_id, 10)
    assert run.status == "failed" and "No worker took the download" in run.error
