"""A worker for one queue: `python -m workers.run sync`. Runs our own jobs only, whatever stands in Redis (RELIABILITY 7.4)."""

from __future__ import annotations

import gc
import logging
import sys
from typing import Any

from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from config import QUEUES, Config, ConfigError
from portal import doorbell, logs
from workers import processes
from workers.processes import die_with_parent

log = logging.getLogger(__name__)
ALLOWED = frozenset(map(doorbell.function_name, doorbell.JOBS))
GARBAGE_LOOKED_FOR = 50_000
"""After so many new objects that stay; by Python's own 700, thousands of records that all live are walked through again and again."""
MAINTENANCE = 60
"""Seconds between two looks for jobs whose worker is gone; RQ's own 600 would leave them lying."""


class RefusedJob(Exception):
    """Somebody put a job into Redis that is none of ours; it was not run."""


class OwnJob(Job):
    """A job that resolves only to the functions in ALLOWED: RQ would call any importable function that is named in Redis."""

    @property
    def func(self) -> Any:
        """The function to call. Raises RefusedJob for everything that is not ours."""
        if self.func_name not in ALLOWED or self.instance is not None:
            log.error("Refused a job that names %.100r; whoever wrote it can write to Redis.", self.func_name)
            raise RefusedJob("This job is none of the portal's own; it was not run.")
        return super().func

    @property
    def success_callback(self) -> None:
        """None: our jobs have no callbacks, and one in Redis is somebody else's."""
        return None

    @property
    def failure_callback(self) -> None:
        """None, for the same reason."""
        return None

    @property
    def stopped_callback(self) -> None:
        """None, for the same reason."""
        return None


class OwnQueue(Queue):
    """A queue whose jobs are OwnJob."""

    job_class = OwnJob


class OwnWorker(Worker):
    """A worker whose running job ends with it: a job that went on alone would outlive ./run and overlap its own second run."""

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Entry point of the job's own process."""
        die_with_parent(parent=self.pid)
        super().main_work_horse(job, queue)


def make_worker(queue: str, connection: Redis) -> Worker:
    """A worker that serves this one queue: with several, RQ's hand-over can lose a job (RELIABILITY 3)."""
    queues = [OwnQueue(queue, connection=connection, serializer=JSONSerializer, job_class=OwnJob)]
    return OwnWorker(
        queues,
        connection=connection,
        serializer=JSONSerializer,
        job_class=OwnJob,
        queue_class=OwnQueue,
        maintenance_interval=MAINTENANCE,
        log_job_description=False,
    )


def main(arguments: list[str]) -> int:
    """Entry point. Exit code 2 for wrong arguments or settings."""
    if len(arguments) != 1 or arguments[0] not in QUEUES:
        print(f"usage: python -m workers.run QUEUE, where QUEUE is one of: {', '.join(QUEUES)}", file=sys.stderr)
        return 2
    try:
        config = Config()
    except ConfigError as error:
        print(f"A setting is wrong: {error}", file=sys.stderr)
        return 2
    if not config.REDIS_URL:
        print("REDIS_URL is not set. Start everything with ./run, or set it to a running Redis.", file=sys.stderr)
        return 2
    logs.configure(config.LOG_FORMAT)
    from workers import jobs  # here, after the settings were found to be right

    jobs.prepare()
    processes.keep_memory()
    gc.collect()
    gc.set_threshold(GARBAGE_LOOKED_FOR)
    gc.freeze()  # garbage is never looked for in the app again: jobs are quicker by a sixth, and share its memory
    make_worker(arguments[0], Redis.from_url(config.REDIS_URL)).work(logging_level="WARNING")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
