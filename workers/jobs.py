"""The jobs: a few lines each, one service call. What is to be done stands in the database; a job may run twice at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from flask import Flask, current_app, has_app_context

from portal import clock, doorbell, lists, report_files
from portal.pscloud.client import PscloudClient, PscloudError
from portal.services import audit_check, exports, postings, pushing, reconciliation, restore, sync, void_postings
from portal.store.exports import ExportRow

log = logging.getLogger(__name__)
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


_prepared: list[Flask] = []


def prepare() -> None:
    """Make the app once, before the first job: each job's own process has it then, and need not spend a fifth of a second on it. Nothing is
    connected to yet; what the job connects to, it connects to by itself."""
    from config import Config
    from portal import create_app

    _prepared[:] = [create_app(Config())]


def _in_app(job: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Open an app context when the job runs: the process of each job has connections of its own."""

    @wraps(job)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        if has_app_context():
            return job(*args, **kwargs)
        if not _prepared:
            prepare()
        with _prepared[0].app_context():
            return job(*args, **kwargs)

    return run


@_in_app
def download_soas(run_id: int) -> None:
    """Do a waiting sync run."""
    try:
        client = PscloudClient.from_config(current_app.config)
    except PscloudError as error:
        sync.fail(run_id, error.message, clock.now())
        return
    with client:
        sync.run(run_id, client, clock.now)


@_in_app
def retry_failed(run_id: int, who: str) -> None:
    """Ask PSCloud again for the records that a run could not read."""
    with PscloudClient.from_config(current_app.config) as client:
        sync.retry_failed(run_id, who, client, clock.now())


@_in_app
def post_payments() -> None:
    """Post approved payments to PSCloud, and tell it of voids of those it holds; not while it is known to take nothing."""
    if not pushing.lets_through(clock.now()):
        return
    with PscloudClient.from_config(current_app.config) as client:
        client.attempts = 2  # what does not answer twice is postponed with its own back-off, so that no lease is held for long
        pushing.push(client, clock.now)
        restore.recognise(client, clock.now)


@_in_app
def reconcile(report_id: int) -> None:
    """Compare our books with PSCloud's for a waiting report."""
    try:
        client = PscloudClient.from_config(current_app.config)
    except PscloudError as error:
        reconciliation.fail(report_id, error.message, clock.now())
        return
    with client:
        reconciliation.run(report_id, client, clock.now)


@_in_app
def export_list(export_id: int) -> None:
    """Write the file of a waiting export, a list's or a report's."""
    exports.run(export_id, _write, clock.now)


def _write(export: ExportRow, place: Path, tell: exports.Tell, announce: exports.Tell) -> Path:
    return (report_files if export.kind == report_files.KIND else lists).write(export, place, tell, announce)


@_in_app
def check_audit() -> None:
    """Walk on along the audit log's chain to its end."""
    audit_check.run(clock.now())


def _posting_due(now: datetime) -> bool:
    return postings.anything_due(now) or void_postings.anything_due(now)


@_in_app
def sweep() -> None:
    """Find what a lost job or a dead worker left behind: stalled runs, payments and voids that are due, old files. Takes a
    step along the audit log's chain."""
    now = clock.now()
    sync.fail_stalled(now)
    exports.sweep(now)
    reconciliation.sweep(now)
    audit_check.sweep(now)
    if (_posting_due(now) or restore.anything_to_ask(now)) and not doorbell.is_waiting("post_payments", "post-sweep"):
        doorbell.ring("post_payments", job_id="post-sweep")
