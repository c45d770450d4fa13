"""What deploy/ and .env.example say must be true of the code beside them."""

from __future__ import annotations

import configparser
import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from config import QUEUES

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
INTERNAL = {"PORTAL_DEMO"}  # set by the supervisor for its children; nobody writes it


def test_the_example_lists_every_variable_the_configuration_reads_and_no_other() -> None:
    source = (ROOT / "config.py").read_text()
    read = set(re.findall(r"""(?:env\.get\(|\(env, |env\[)\s*"([A-Z][A-Z0-9_]+)\"""", source)) | set(
        re.findall(r'"([A-Z_]+)" (?:not )?in env', source)
    )
    listed = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(read) > 15
    assert set(listed) == read - INTERNAL
    assert len(listed) == len(set(listed))


def test_each_variable_of_the_example_is_explained() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert not any(line and not line.startswith("#") for line in lines), "every line is a comment: a copy changes nothing by itself"
    bare = [line for above, line in pairwise(lines) if re.match(r"#[A-Z_]+=", line) and not re.match(r"# [^-]", above)]
    assert bare == []


def test_compose_runs_one_worker_for_each_queue_and_the_migrations_before_them() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    services = compose["services"]
    workers = [service["command"][-1] for name, service in services.items() if name.startswith("worker-")]
    assert sorted(workers) == sorted(QUEUES)
    for name in ("web", "scheduler", *(f"worker-{queue}" for queue in QUEUES)):
        assert services[name]["depends_on"]["migrations"] == {"condition": "service_completed_successfully"}
    assert all("ports" not in service or name == "web" for name, service in services.items())
    assert all(port.startswith("127.0.0.1:") for port in services["web"]["ports"])


def test_the_image_copies_only_what_exists() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    sources = [name for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for name in line.split()]
    assert "requirements.txt" in sources
    assert [name for name in sources if not (ROOT / name).exists()] == []
    allowed = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert [name for name in sources if f"!{name}" not in allowed] == []
    assert re.search(r"^USER portal$", dockerfile, re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_starts_a_module_that_exists_as_its_own_user(unit: Path) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    service = parser["Service"]
    assert service["User"] == "portal"
    assert service["NoNewPrivileges"] == "yes" and service["ProtectSystem"] == "strict"
    match = re.search(r"python -m (\S+)", service["ExecStart"])
    assert match is not None
    module = match.group(1)
    assert module == "gunicorn" or (ROOT / (module.replace(".", "/") + ".py")).exists()


def test_every_queue_is_named_where_the_units_are_enabled() -> None:
    readme = (ROOT / "deploy" / "README.md").read_text()
    assert [queue for queue in QUEUES if f"portal-worker@{queue}" not in readme] == []


def test_the_units_cover_web_workers_and_scheduler() -> None:
    assert [unit.name for unit in UNITS] == ["portal-scheduler.service", "portal-web.service", "portal-worker@.service"]


@pytest.mark.parametrize("name", ["run", "test", ".ci/run"])
def test_the_commands_are_executable(name: str) -> None:
    assert (ROOT / name).stat().st_mode & 0o111 == 0o111


def test_locks_are_complete_and_name_no_package_host() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-node.txt"):
        text = (ROOT / name).read_text()
        packages = re.findall(r"^([a-z0-9][\w.\-\[\],]*)==[^\s]+", text, re.MULTILINE)
        assert packages
        assert text.count("==") >= len(packages)
        for block in re.split(r"\n(?=[a-z0-9])", text.strip()):
            assert "--hash=sha256:" in block, block
        assert "://" not in text and "--index" not in text
