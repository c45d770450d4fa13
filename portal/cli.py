"""The flask commands of the office's administrator."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy.exc import OperationalError, ProgrammingError

from portal import clock, doorbell
from portal.access import ROLES
from portal.domain.errors import PortalError
from portal.domain.reconciliation import KIND_WORDS
from portal.domain.soa import Soa
from portal.extensions import db
from portal.pscloud import check, mapping
from portal.pscloud.client import PscloudClient, PscloudError
from portal.pscloud.profile import Profile
from portal.services import pushing, reconciliation, restore, sync, upkeep, users
from portal.store import audit, health, incidents, journal, sync_runs
from portal.store import reconciliations as reports

WHO = "command line"


class Failure(click.ClickException):
    """A command that did not do what was asked: the reason on standard error, exit code 1."""


class Commands(AppGroup):
    """A group whose commands say in plain words that the database is not there or has no tables yet."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (OperationalError, ProgrammingError) as error:
            reason = str(error.orig).splitlines()[0]
            raise Failure(f"The database does not answer or has no tables yet ({reason}). Start ./run once, or: flask db upgrade") from None


user_commands = Commands("users", help="People and their roles.")
sync_commands = Commands("sync", help="Downloads from PSCloud.")
payment_commands = Commands("payments", help="Payments on their way to PSCloud.")
audit_commands = Commands("audit", help="The audit log.")
pscloud_commands = Commands("pscloud", help="The connection to PSCloud.")
demo_commands = Commands("demo", help="The demo.")


def register(app: Flask) -> None:
    """Add the commands to the app."""
    for group in (user_commands, sync_commands, payment_commands, audit_commands, pscloud_commands, demo_commands):
        app.cli.add_command(group)
    app.cli.add_command(migrations)
    app.cli.add_command(doctor)
    app.cli.add_command(reconcile)
    app.cli.add_command(backup)
    app.cli.add_command(restored)
    app.cli.add_command(restore_from)


@click.command(
    "db",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False},
)
@click.pass_context
def migrations(context: click.Context) -> None:
    """Perform database migrations."""
    from flask_migrate.cli import db as commands  # here, because it is large, and every process reads this module

    commands.main(context.args, prog_name="db", standalone_mode=False, parent=context.parent)


@user_commands.command("add")
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(ROLES))
@click.option("--collector-code", "codes", multiple=True)
@click.option("--display-name", default="")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def add_user(name: str, roles: tuple[str, ...], codes: tuple[str, ...], display_name: str, password_stdin: bool) -> None:
    """Add a user."""
    password = (
        sys.stdin.readline().rstrip("\r\n") if password_stdin else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    try:
        users.add(name, display_name, password, roles, codes, WHO, clock.now())
    except PortalError as error:
        raise Failure(error.message) from None
    click.echo(f"Added {name.strip().lower()}.")


@user_commands.command("disable")
@click.argument("name")
def disable_user(name: str) -> None:
    """Disable a user; their logins end at once."""
    try:
        users.disable(name, WHO, clock.now())
    except PortalError as error:
        raise Failure(error.message) from None
    click.echo(f"Disabled {name}.")


@user_commands.command("first-admin", hidden=True)
def first_admin() -> None:
    """Make the admin of ADMIN_USERNAME and ADMIN_PASSWORD, when there is no admin yet."""
    settings = current_app.config
    try:
        if users.first_admin(settings["ADMIN_USERNAME"], settings["ADMIN_PASSWORD"], clock.now()):
            click.echo(f"Added the first admin, {settings['ADMIN_USERNAME']}.")
    except PortalError as error:
        raise Failure(f"ADMIN_USERNAME or ADMIN_PASSWORD cannot be used: {error.message}") from None


def run_summary(run_id: int) -> dict[str, Any]:
    """A run as `flask sync run --json` prints it; pesos as text."""
    row = sync_runs.get(run_id)
    if row is None:
        raise Failure(f"There is no sync run {run_id}.")
    names = ("id", "status", "total", "succeeded", "failed", "added", "changed", "unchanged", "closed")
    return {**{name: getattr(row, name) for name in names}, "amount_due": str(row.amount_due), "error": row.error or None}


@sync_commands.command("run")
@click.option("--wait", is_flag=True, help="Run it here and wait for the end.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on the last line.")
@click.option("--quick", is_flag=True, help="Only what changed since the last download; without it, every open SOA.")
def sync_run(wait: bool, as_json: bool, quick: bool) -> None:
    """Download SOAs from PSCloud; exit code 0 when Completed."""
    try:
        with PscloudClient.from_config(current_app.config) as client:
            run_id = sync.request_run("manual", WHO, clock.now(), "quick" if quick else "full")
            # A worker may have taken it already: then we only wait for its end.
            if wait and sync.run(run_id, client, clock.now) is None:
                while sync_runs.get(run_id).status in {"pending", "processing"}:  # type: ignore[union-attr]
                    db.session.rollback()
                    time.sleep(0.5)
    except (PortalError, PscloudError) as error:
        raise Failure(error.message) from None
    summary = run_summary(run_id)
    if as_json:
        click.echo(json.dumps(summary))
    else:
        click.echo(f"Sync run {run_id}: {summary['status']}. {summary['error'] or ''}".strip())
    if wait and summary["status"] != "completed":
        raise click.exceptions.Exit(1)


@sync_commands.command("status")
@click.option("--json", "as_json", is_flag=True)
def sync_status(as_json: bool) -> None:
    """The latest sync run."""
    rows = sync_runs.recent(limit=1)
    if not rows:
        raise Failure("There was no sync run yet. Start one with: flask sync run --wait")
    summary = run_summary(rows[0].id)
    click.echo(json.dumps(summary) if as_json else f"Sync run {summary['id']}: {summary['status']}.")


@payment_commands.command("push")
@click.option("--wait", is_flag=True, help="Post here and wait for the end.")
def push(wait: bool) -> None:
    """Post approved payments to PSCloud, and tell it of voids of those it holds."""
    if not wait:
        if not doorbell.ring("workers.jobs.post_payments"):
            raise Failure("Redis is away. The payments wait; run with --wait to post them from here.")
        click.echo("The posting worker was told.")
        return
    try:
        with PscloudClient.from_config(current_app.config) as client:
            outcome, voided = pushing.push(client, clock.now)
            restore.recognise(client, clock.now)
    except PscloudError as error:
        raise Failure(error.message) from None
    click.echo(f"{outcome.completed} completed, {outcome.failed} failed, {outcome.postponed} postponed. {outcome.reason}".strip())
    if voided.completed or voided.failed or voided.postponed:
        click.echo(f"Voids: {voided.completed} completed, {voided.failed} failed, {voided.postponed} postponed. {voided.reason}".strip())
    if outcome.failed or outcome.postponed or voided.failed or voided.postponed:
        raise click.exceptions.Exit(1)


@audit_commands.command("verify")
def verify_audit() -> None:
    """Check the audit log's chain of hashes."""
    count, broken = audit.verify()
    if broken:
        raise Failure(f"The audit log is broken: row {broken.seq} {broken.problem}.")
    click.echo(f"The audit log is whole: {count} rows.")


@pscloud_commands.command("check")
@click.option("--profile", type=click.Path(exists=True, dir_okay=False), help="A profile to try instead of the configured one.")
def check_pscloud(profile: str | None) -> None:
    """Try a connector profile: what was found in a sample, field by field, and what stands in the way. Exit code 1 when something does.

    Changes nothing in PSCloud. Shows no token, and customers' data shortened."""
    settings = {**current_app.config, **({"PSCLOUD_PROFILE": profile} if profile else {})}
    try:
        with PscloudClient.from_config(settings) as client:
            report = check.check(client)
    except PscloudError as error:
        raise Failure(error.message) from None
    for line in check.shown(report):
        click.echo(line)
    if report.problems:
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on the last line.")
@click.option("--payments-from", type=click.DateTime(["%Y-%m-%d"]), help="Compare payments collected from this day on; without it, all.")
def reconcile(as_json: bool, payments_from: datetime | None) -> None:
    """Compare our SOAs and payments with PSCloud's now, record by record; exit code 0 when they are equal. Changes nothing."""
    try:
        with PscloudClient.from_config(current_app.config) as client:
            report_id = reconciliation.request(WHO, payments_from.date() if payments_from else None, clock.now(), ring=False)
            reconciliation.run(report_id, client, clock.now)
    except (PortalError, PscloudError) as error:
        raise Failure(error.message) from None
    report = reports.get(report_id)
    if report is None:
        raise Failure(f"There is no reconciliation {report_id}.")
    if as_json:
        click.echo(json.dumps(report_summary(report)))
    else:
        for record, words in (("soa", "SOAs"), ("payment", "Payments")):
            counts = ", ".join(
                f"{count} {KIND_WORDS[kind][0].lower()}{KIND_WORDS[kind][1:]}" for kind, count in report.counts(record).items()
            )
            click.echo(f"{words}: {counts}.")
        verdict = "equal" if report.equal else f"{report.differences} differ" if report.status == "completed" else report.status
        click.echo(f"Reconciliation {report.id}: {verdict}. {report.error or report.note}".strip())
    if not report.equal:
        raise click.exceptions.Exit(1)


def report_summary(report: reports.ReportRow) -> dict[str, Any]:
    """A report as `flask reconcile --json` prints it; pesos as text."""
    totals = {"here": report.here_amount, "pscloud": report.pscloud_amount}
    return {
        "id": report.id,
        "status": report.status,
        "equal": report.equal,
        "differences": report.differences,
        "soas": {**report.counts("soa"), "amount_due": {side: None if one is None else str(one) for side, one in totals.items()}},
        "payments": {**report.counts("payment"), "listed": report.payments_listed},
        "note": report.note or None,
        "error": report.error or None,
    }


@click.command()
def doctor() -> None:
    """Say what is wrong with this installation, if anything."""
    problems = []
    database = health.database_state()
    if database == "away":
        problems.append("The database does not answer.")
    elif database == "outdated":
        problems.append("The database has not the tables of this program. Run: flask db upgrade")
    else:
        count, broken = audit.verify()
        click.echo(f"Database: answers. Audit log: {'broken at row ' + str(broken.seq) if broken else f'whole, {count} rows'}.")
        if broken:
            problems.append(f"The audit log is broken: row {broken.seq} {broken.problem}.")
        mended = upkeep.mend_totals()
        click.echo(f"Totals of SOAs: {f'{mended} were wrong and were added up anew' if mended else 'right'}.")
        if (paused := pushing.paused()) is not None:
            problems.append(f"PSCloud takes no payments: {paused.reason} They wait, and one push tries from time to time.")
        click.echo(f"Open incidents: {incidents.count_open()}. Quarantined journal entries: {journal.count_quarantined()}.")
    if not health.redis_answers():
        problems.append("Redis does not answer. Payments are safe; syncs and postings wait until it is back.")
    if not current_app.config["PSCLOUD_URL"]:
        problems.append("PSCLOUD_URL is not set.")
    for problem in problems:
        click.echo(f"Problem: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)
    click.echo("Everything answers.")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write a consistent copy of the database to FILE while the portal runs. What is called FILE is whole: until then it ends in .part."""
    url: str = current_app.config["DATABASE_URL"]
    part = file.with_name(f"{file.name}.part")
    if file.exists():
        raise Failure(f"{file} exists. Name a new file, so that no backup is overwritten.")
    part.unlink(missing_ok=True)
    part.touch(0o600)
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as source, closing(sqlite3.connect(part)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file that holds everything
            wrong = target.execute("PRAGMA integrity_check").fetchone()[0]
            if wrong != "ok":
                raise Failure(f"The copy is damaged ({wrong}), and perhaps the database is: run flask doctor. {part} is not usable.")
    else:
        command = ["pg_dump", "--format=custom", f"--file={part}", url.replace("postgresql+psycopg://", "postgresql://")]
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError:
            raise Failure("pg_dump is not on this machine. Install the PostgreSQL client tools.") from None
        except subprocess.CalledProcessError as error:
            raise Failure(f"pg_dump ended with code {error.returncode}; the backup is not usable.") from None
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.rename(file)
    click.echo(f"Wrote {file}.")


SKIP = click.option(
    "--skip", type=click.IntRange(1, 10_000), default=restore.SKIPPED, show_default=True, help="How many terminal codes to keep back."
)


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@SKIP
@click.pass_context
def restore_from(context: click.Context, file: Path, skip: int) -> None:
    """Put the backup FILE in the place of the SQLite database, and do what `flask restored` does. Stop the portal first."""
    url: str = current_app.config["DATABASE_URL"]
    if not url.startswith("sqlite:///"):
        raise Failure("On PostgreSQL use pg_restore, then: flask db upgrade, flask restored. docs/backup.md has the lines.")
    database = Path(url.removeprefix("sqlite:///"))
    aside = database.with_name(f"{database.name}.before-{clock.now():%Y%m%d-%H%M%S}")
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as source:
        try:
            whole = source.execute("PRAGMA integrity_check").fetchone()[0] == "ok" and source.execute("SELECT * FROM alembic_version")
        except sqlite3.DatabaseError:
            whole = False
        if not whole:
            raise Failure(f"{file} is no whole backup of a portal. Nothing was changed.")
        try:
            if database.exists():
                with closing(sqlite3.connect(database)) as present, closing(sqlite3.connect(aside)) as kept:
                    present.backup(kept)
            with closing(sqlite3.connect(database)) as target:
                source.backup(target)
        except sqlite3.Error as error:
            raise Failure(
                f"The database cannot be replaced ({error}). Stop every process of the portal; if it is damaged, move {database}, "
                f"{database.name}-wal and {database.name}-shm elsewhere. Then run this again."
            ) from None
    database.chmod(0o600)
    click.echo(f"Put {file} in the place of {database}." + (f" What was there is kept as {aside}." if aside.exists() else ""))
    import flask_migrate  # here, as in migrations()

    flask_migrate.upgrade()
    context.invoke(restored, skip=skip)


@click.command()
@SKIP
def restored(skip: int) -> None:
    """Say that the database was just put back from a backup; run it once, before the portal is started (docs/backup.md)."""
    if health.database_state() != "ok":
        raise Failure("The database does not answer or has not the tables of this program. Run first: flask db upgrade")
    done = restore.note(WHO, clock.now(), skip)
    click.echo(
        f"Noted. New phones get codes after {done.last_code}; {done.first_code} to {done.last_code} are kept for phones that have them. "
        f"{done.terminals} terminals send everything again when they are opened; PSCloud is asked about {done.payments} payments."
    )
    click.echo("What people decided since the backup must be decided again: approvals, holds, voids, revoked terminals, users and codes.")


@demo_commands.command("logins")
def demo_logins() -> None:
    """Print the demo's logins."""
    from demo.logins import LOGINS

    for login in LOGINS:
        click.echo(f"  {login.name:<8} {login.password:<22} {', '.join(login.roles)}")


@demo_commands.command("seed")
def seed_demo() -> None:
    """Make the demo's users, give its collectors their codes and start the first download. Again: changes nothing."""
    from demo.logins import LOGINS

    if not current_app.config["DEMO"]:
        raise Failure("This is not a demo: PSCLOUD_URL is set.")
    from portal.store import users as user_store

    people = {user.name for user in user_store.all_users()}
    if people and not people & {login.name for login in LOGINS}:
        raise Failure("This database belongs to a real installation. Set PSCLOUD_URL, or unset DATABASE_URL to see the demo.")
    codes = _demo_codes()

    collectors = [login for login in LOGINS if "collector" in login.roles]
    for login in LOGINS:
        if user_store.by_name(login.name):
            continue
        own = codes[collectors.index(login) :: len(collectors)] if login in collectors else []
        users.add(login.name, login.display_name, login.password, login.roles, own, "demo", clock.now())
    if not sync_runs.recent(limit=1):
        sync.request_run("manual", "demo", clock.now())
    click.echo("The demo is ready.")


@demo_commands.command("differences")
def demo_differences() -> None:
    """Let the demo's PSCloud differ from the portal in every way that reconciliation tells: then press Compare now.

    Changes nothing here; Sync now makes the SOAs equal again."""
    if not current_app.config["DEMO"]:
        raise Failure("This is not a demo: PSCLOUD_URL is set.")
    from demo.differences import plant

    try:
        with PscloudClient.from_config(current_app.config) as client:
            raw = [record for page in islice(client.soa_pages(), 1) for record in page.records]
        soas = [soa.id for record in raw if (soa := _readable(record, client.profile))]
        for line in plant(current_app.config["PSCLOUD_URL"], soas):
            click.echo(line)
    except (PscloudError, OSError) as error:
        raise Failure(f"The demo's PSCloud does not answer: {error}") from None
    click.echo("Now press Compare now under Reconciliation, or: flask reconcile")


def _readable(record: bytes, profile: Profile) -> Soa | None:
    try:
        return mapping.to_soa(record, profile)
    except mapping.MappingError:
        return None


def _demo_codes() -> list[str]:
    for attempt in range(20):
        try:
            with PscloudClient.from_config(current_app.config) as client:
                return sorted(record.code for record in client.collectors()[0] if record.active)
        except PscloudError as error:
            if attempt == 19:
                raise Failure(f"The demo's PSCloud does not answer: {error.message}") from None
            time.sleep(0.5)
    return []
