"""The doorbell: tells a worker that there is something to do. What is to be done stands in the database; a lost ring costs time only."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from redis import RedisError

from portal.extensions import get_queue

log = logging.getLogger(__name__)
PREFIX = "workers.jobs."


@dataclass(frozen=True, slots=True)
class Job:
    """Where a job is done and after how many seconds it is given up."""

    queue: str
    timeout: int


JOBS = {
    "download_soas": Job("sync", 3600),
    "retry_failed": Job("sync", 1800),
    "export_list": Job("exports", 3600),
    "reconcile": Job("exports", 4 * 3600),
    "check_audit": Job("exports", 3600),
    "post_payments": Job("posting", 600),
    "sweep": Job("posting", 120),
}
"""Every job there is; a worker refuses whatever else stands in Redis (RELIABILITY 7.4)."""


def function_name(job_name: str) -> str:
    """The dotted name under which a worker finds the job."""
    return PREFIX + job_name


def ring(job_name: str, *args: int | str, job_id: str | None = None) -> bool:
    """Ask a worker to do the job (`post_payments` or `workers.jobs.post_payments`); call it after the commit. False when Redis does
    not answer: the sweep comes by later.

    Jobs are not repeated by RQ: each finds out from the database what is still to be done, so ringing twice does no harm."""
    job_name = job_name.removeprefix(PREFIX)
    job = JOBS[job_name]
    try:
        get_queue(job.queue).enqueue_call(
            function_name(job_name),
            args=args,
            timeout=job.timeout,
            job_id=job_id,
            result_ttl=60,
            failure_ttl=7 * 24 * 3600,
            description=f"{job_name} {' '.join(map(str, args))}".strip(),
        )
    except RedisError as error:
        log.warning("Redis did not take the job %s (%s); the sweep will see to it.", job_name, type(error).__name__)
        return False
    return True


def is_waiting(job_name: str, job_id: str) -> bool:
    """Whether that job lies in its queue, for a worker to take; False also when Redis does not answer.

    A job that was taken does not count: its worker may be dead, and RQ finds that out only minutes later."""
    try:
        return get_queue(JOBS[job_name].queue).get_job_position(job_id) is not None
    except RedisError:
        return False
