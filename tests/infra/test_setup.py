"""The shell part of ./run: what it says on a machine that lacks something, and that a second start does nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = "flask==1.0 --hash=sha256:00\n"


def shell(script: str, directory: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    text = f'root="$PWD"; . "{ROOT}/scripts/setup.sh"; . "{ROOT}/scripts/setup_tests.sh"; {script}'
    settings = {"PATH": os.environ["PATH"], "HOME": str(directory), **environment}
    return subprocess.run(["bash", "-uc", text], cwd=directory, env=settings, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in a folder with a space, whose .venv notes what pip is asked to do instead of doing it."""
    folder = tmp_path / "my clone"
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\ncase "$1" in -m) echo "$@" >>"${0%/*}/../../pip.log"; exit "${PIP_EXIT:-0}" ;; *) echo 3.11 ;; esac\n')
    python.chmod(0o755)
    (folder / "requirements.txt").write_text(LOCK)
    return folder


def pip_runs(clone: Path) -> list[str]:
    log = clone / "pip.log"
    return log.read_text().splitlines() if log.exists() else []


ENSURE = "ensure_locked runtime requirements.txt"


def test_packages_are_installed_once_with_hashes(clone: Path) -> None:
    first, second = shell(ENSURE, clone), shell(ENSURE, clone)
    assert first.returncode == second.returncode == 0
    assert "Installing the runtime packages" in first.stdout
    assert second.stdout == second.stderr == ""
    (run,) = pip_runs(clone)
    assert "--require-hashes -r requirements.txt" in run


def test_a_changed_lock_is_installed(clone: Path) -> None:
    shell(ENSURE, clone)
    (clone / "requirements.txt").write_text(LOCK + "redis==2.0 --hash=sha256:11\n")
    shell(ENSURE, clone)
    assert len(pip_runs(clone)) == 2


def test_a_failed_installation_is_said_and_tried_again(clone: Path) -> None:
    failed = shell(ENSURE, clone, PIP_EXIT="1")
    assert failed.returncode == 1
    assert "could not be installed" in failed.stderr
    assert shell(ENSURE, clone).returncode == 0
    assert len(pip_runs(clone)) == 2


def test_two_first_starts_at_once_install_once(clone: Path) -> None:
    both = shell(f"({ENSURE}) & ({ENSURE}) & wait", clone)
    assert both.returncode == 0
    assert len(pip_runs(clone)) == 1


MISSING = 'has_library() { return 1; }; id() { echo 1000; }; find_python; ensure_runtime_packages; echo "went on"'


def test_without_root_the_one_missing_line_is_printed() -> None:
    done = shell(MISSING)
    assert done.returncode == 1
    assert "apt-get update && apt-get install -y libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0" in done.stderr
    assert "went on" not in done.stdout


def test_as_root_what_is_missing_is_installed(tmp_path: Path) -> None:
    apt = 'apt-get() { echo "$@" >>apt.log; [ "$2" != install ] || touch installed; }; '
    apt += "has_library() { [ -e installed ]; }; id() { echo 0; }; "
    done = shell(apt + "find_python; ensure_runtime_packages; echo went on", tmp_path)
    assert done.stdout.endswith("went on\n")
    assert (tmp_path / "apt.log").read_text().splitlines()[0] == "-qq update"
    assert "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0" in (tmp_path / "apt.log").read_text().splitlines()[1]


def test_nothing_is_asked_of_apt_when_nothing_is_missing() -> None:
    found = "apt-get() { echo asked; }; has_library() { return 0; }; has_package() { return 0; }; "
    assert shell(found + 'find_python; ensure_runtime_packages; echo "went on"').stdout == "went on\n"


def test_an_old_python_is_refused_in_plain_words(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    bash = shutil.which("bash")
    assert bash is not None
    script = f'root=/; . "{ROOT}/scripts/setup.sh"; find_python'
    done = subprocess.run([bash, "-c", script], env={"PATH": str(tools)}, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr


def test_a_missing_browser_costs_only_its_tests() -> None:
    hidden = 'command() { [ "$2" != chromium ] && [ "$2" != chromium-browser ] && [ "$2" != google-chrome ]; }; id() { echo 1000; }; '
    done = shell(hidden + "ensure_test_packages; echo went on")
    assert done.returncode == 0
    assert "Some tests will be skipped" in done.stdout and "chromium" in done.stdout
    assert done.stdout.endswith("went on\n")


def test_run_takes_no_arguments_from_wherever_it_is_called(tmp_path: Path) -> None:
    done = subprocess.run([ROOT / "run", "--port", "1"], cwd=tmp_path, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2
    assert ".env.example" in done.stderr
