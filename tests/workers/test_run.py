"""The worker runs our own jobs and nothing else that stands in Redis."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from portal import doorbell
from workers import jobs, run
from workers.processes import ROOT

pytestmark = pytest.mark.service


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = Redis.from_url(redis_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run here instead of in a fork, so that a test sees what they did."""
    monkeypatch.setattr(run.Worker, "execute_job", lambda self, job, queue: self.perform_job(job, queue))


def forge(redis: Redis, name: str, *args: Any, **options: Any) -> Job:
    """What somebody who can write to Redis would put there."""
    queue = Queue("sync", connection=redis, serializer=JSONSerializer)
    return queue.enqueue_call(name, args=args, **options)


def status(redis: Redis, job: Job) -> str:
    return str(Job.fetch(job.id, connection=redis, serializer=JSONSerializer).get_status().value)


@pytest.mark.parametrize("name", ["os.system", "subprocess.check_output", "builtins.exec", "workers.jobs.clock.now", "workers.run.main"])
def test_a_forged_job_is_refused(redis: Redis, in_this_process: None, tmp_path: Path, name: str) -> None:
    trace = tmp_path / "was-here"
    job = forge(redis, name, f"touch {trace}")
    run.make_worker("sync", redis).work(burst=True, logging_level="CRITICAL")
    assert not trace.exists() and status(redis, job) == "failed"


def test_without_the_guard_the_forged_job_would_have_run(redis: Redis, tmp_path: Path) -> None:
    """Proof that the test above looks at a real danger."""
    trace = tmp_path / "was-here"
    job = forge(redis, "os.system", f"touch {trace}")
    Job.fetch(job.id, connection=redis, serializer=JSONSerializer).perform()
    assert trace.exists()


@pytest.mark.parametrize("kind", ["success", "failure", "stopped"])
def test_forged_callbacks_are_not_called(redis: Redis, kind: str) -> None:
    job = forge(redis, "workers.jobs.sweep")
    redis.hset(job.key, f"{kind}_callback_name", "os.system")
    fetched = run.OwnJob.fetch(job.id, connection=redis, serializer=JSONSerializer)
    assert getattr(fetched, f"{kind}_callback") is None


def test_a_forged_instance_is_refused(redis: Redis) -> None:
    job = forge(redis, "workers.jobs.sweep")
    fetched = run.OwnJob.fetch(job.id, connection=redis, serializer=JSONSerializer)
    assert fetched.func is jobs.sweep
    fetched._instance = "text"
    with pytest.raises(run.RefusedJob):
        _ = fetched.func


def test_a_job_rung_for_is_run_by_its_queue_s_worker(
    app: Flask, redis: Redis, redis_url: str, in_this_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["REDIS_URL"] = redis_url
    done: list[int] = []

    def work(run_id: int) -> None:
        done.append(run_id)
        assert not doorbell.is_waiting("download_soas", f"download-{run_id}"), "it was taken"

    monkeypatch.setattr(jobs, "download_soas", work)
    assert not doorbell.is_waiting("download_soas", "download-7")
    assert doorbell.ring("download_soas", 7, job_id="download-7")
    assert doorbell.ring("workers.jobs.post_payments")
    assert doorbell.is_waiting("download_soas", "download-7")
    run.make_worker("sync", redis).work(burst=True, logging_level="CRITICAL")
    assert done == [7] and not doorbell.is_waiting("download_soas", "download-7")
    waiting = Queue("posting", connection=redis, serializer=JSONSerializer)
    assert [job.func_name for job in waiting.jobs] == ["workers.jobs.post_payments"]
    assert waiting.jobs[0].timeout == 600


def test_without_redis_ringing_says_no_and_breaks_nothing(app: Flask) -> None:
    app.config["REDIS_URL"] = "redis://127.0.0.1:1"
    assert doorbell.ring("download_soas", 1) is False
    assert doorbell.is_waiting("download_soas", "x") is False
    with pytest.raises(KeyError):
        doorbell.ring("os.system", "true")


def test_every_job_that_may_be_rung_for_exists() -> None:
    assert {name.rpartition(".")[2] for name in run.ALLOWED} == set(doorbell.JOBS)
    assert all(callable(getattr(jobs, name)) for name in doorbell.JOBS)


def test_the_worker_process_ends_promptly_and_refuses_wrong_arguments(redis_url: str, tmp_path: Path) -> None:
    environment = {**os.environ, "REDIS_URL": redis_url, "DATA_DIR": str(tmp_path), "SECRET_KEY": "k" * 40}
    wrong = subprocess.run([sys.executable, "-m", "workers.run", "nonsense"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert wrong.returncode == 2 and "sync, posting" in wrong.stderr
    worker = subprocess.Popen([sys.executable, "-m", "workers.run", "posting"], cwd=ROOT, env=environment)
    try:
        client = Redis.from_url(redis_url)
        for _ in range(200):
            if [one.get_state() for one in Worker.all(connection=client)] == ["idle"]:
                break
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(0.1)
        worker.terminate()
        assert worker.wait(10) == 0
        client.close()
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
