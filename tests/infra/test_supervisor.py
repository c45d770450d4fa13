"""The parent of all processes: one per data folder, a free port, ordered stop, no orphan, no secret in its output."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import Config
from workers import processes
from workers.processes import Child, session_members
from workers.redis_server import free_port
from workers.supervisor import StartError, Supervisor


def make_config(directory: Path, **environment: str) -> Config:
    return Config({"DATA_DIR": str(directory), "PORT": str(free_port()), "PSCLOUD_URL": "https://pscloud.example", **environment})


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor that starts nothing by itself; whatever a test starts with it is ended."""
    supervisor = Supervisor(make_config(tmp_path))
    yield supervisor
    for child in supervisor.children:
        processes.end(child, signal.SIGKILL)
        if child.process and child.process.stdout:
            child.process.stdout.close()
    supervisor.selector.close()


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.02)


def start_supervisor(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], "DATA_DIR": str(directory), "PSCLOUD_URL": "https://pscloud.example", **environment}
    return subprocess.run(
        [sys.executable, "-m", "workers.supervisor"],
        cwd=processes.ROOT,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_second_supervisor_on_one_data_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "supervisor.lock").write_text("4711")
    with (tmp_path / "supervisor.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = start_supervisor(tmp_path, PORT=str(free_port()))
    assert done.returncode == 1
    assert "another portal (process 4711) is already running" in done.stderr
    assert (tmp_path / "supervisor.lock").read_text() == "4711"


def test_a_taken_port_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as other_program:
        other_program.bind(("127.0.0.1", 0))
        other_program.listen()
        port = other_program.getsockname()[1]
        done = start_supervisor(tmp_path, PORT=str(port))
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert not (tmp_path / "redis").exists()


def test_a_host_that_is_not_ours_is_named(tmp_path: Path) -> None:
    done = start_supervisor(tmp_path, HOST="no such host", PORT=str(free_port()))
    assert done.returncode == 1
    assert "HOST 'no such host' is not an address of this machine" in done.stderr


def test_a_wrong_setting_is_explained_without_a_trace(tmp_path: Path) -> None:
    done = start_supervisor(tmp_path, WEB_WORKERS="many")
    assert done.returncode == 2
    assert done.stderr.startswith("A setting is wrong: WEB_WORKERS")
    assert "Traceback" not in done.stderr


def test_the_data_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    Supervisor(make_config(folder))._take_data_dir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_output_is_prefixed_and_shows_neither_secrets_nor_terminal_codes(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor._hide("s3cret-token")
    text = "\x1b[31mcalling with s3cret-token\x1b[0m for Pe\u00f1a\\r\\nsecond\x07 line"
    supervisor._run_step("step", ["/bin/sh", "-c", f"printf '{text}'"])
    assert capsys.readouterr().out.splitlines() == ["step           | calling with *** for Peña", "step           | second line"]


def test_a_failing_step_stops_the_start_and_shows_why(supervisor: Supervisor, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StartError, match="'database' failed"):
        supervisor._run_step("database", ["/bin/sh", "-c", "echo no such table; exit 3"], capture=True)
    assert "no such table" in capsys.readouterr().out


def test_a_child_that_dies_is_started_again_later_and_later(supervisor: Supervisor, capsys: pytest.CaptureFixture[str]) -> None:
    child = supervisor._start("worker x", ["/bin/sh", "-c", "exit 7"])
    supervisor.ready = True
    delays = []
    for _ in range(7):
        wait_for(lambda: not child.alive)
        supervisor._attend(0)
        assert child.restart_at is not None
        delays.append(round(child.restart_at - time.monotonic()))
        child.restart_at = time.monotonic()
        supervisor._attend(0)
        assert child.restart_at is None
    assert delays == [1, 2, 4, 8, 16, 30, 30]
    assert "worker x ended (exit code 7); starting it again in 1 s." in capsys.readouterr().out


def test_stopping_ends_children_in_order_and_what_they_started(supervisor: Supervisor, capsys: pytest.CaptureFixture[str]) -> None:
    # The worker's own child sits in a process group of its own, as RQ's does, and would survive a signal to the worker.
    program = "import os,signal,sys,time\nname=sys.argv[1]\nif name=='worker' and os.fork()==0:\n os.setpgrp(); time.sleep(600)\n"
    program += (
        "signal.signal(signal.SIGTERM, lambda *a: (print('stops', flush=True), os._exit(0)))\nprint('up', flush=True)\ntime.sleep(600)"
    )
    children = [
        supervisor._start(name, [sys.executable, "-c", program, name.split()[0]]) for name in ("redis", "web", "worker a", "scheduler")
    ]
    seen = ""

    def all_up() -> bool:
        nonlocal seen
        supervisor._read(0.1)
        seen += capsys.readouterr().out
        return seen.count("up") == 4

    wait_for(all_up)
    sessions = [child.process.pid for child in children if child.process]
    assert len(session_members(sessions[2])) == 2
    supervisor._stop_all()
    stops = [line.split("|")[0].strip() for line in capsys.readouterr().out.splitlines() if "stops" in line]
    assert stops == ["web", "scheduler", "worker a", "redis"]
    wait_for(lambda: not any(session_members(session) for session in sessions))


def test_children_do_not_outlive_a_killed_parent() -> None:
    program = (
        "from workers.processes import Child\nimport os,time\nchild=Child('x', ['/bin/sleep', '600'])\nchild.start(dict(os.environ))\n"
    )
    program += "print(child.process.pid, flush=True)\ntime.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], cwd=processes.ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert session_members(child) == [child]
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for(lambda: session_members(child) == [])


def test_an_endless_line_is_cut() -> None:
    child = Child("x", ["/bin/true"])
    assert child.lines(b"a" * 1000) == []
    (line,) = child.lines(b"b" * processes.LONGEST_LINE)
    assert len(line) == 1000 + processes.LONGEST_LINE
    assert child.lines(b"next\npart") == ["next"]
    assert child.lines(b"") == ["part"]
