"""Small promises about processes: none outlives the one that started it."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 * 1024 * 1024
LONGEST_LINE = 64 * 1024
# A child's line must not move the cursor or colour the terminal, whatever a customer is called.
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Loaded at import: between fork and exec nothing may be loaded any more.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(signal_number: int = signal.SIGKILL, parent: int | None = None) -> None:
    """Ask the kernel to end this process when the one that started it ends, even by kill -9. Call it in the child.

    `parent` is the id the parent is known to have: when it is gone already, this process ends at once. Only Linux can do this.
    """
    if _libc is None:
        return
    if _libc.prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


def keep_memory() -> None:
    """Let this process and its children keep freed memory for what they do next. Pages of half a megabyte come and go: given back to the
    system each time, they cost a third of the time of a download in which nothing changed. Only the GNU C library can do this."""
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, LARGEST_KEPT)


def session_members(session: int) -> list[int]:
    """The ids of all living processes in a session: a child started with a session of its own and all it started. Linux only."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # Fields after the name in parentheses: state, parent, group, session. The name itself may hold anything.
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[3]) == session and fields[0] != b"Z":
            members.append(int(entry.name))
    return members


def kill_session(session: int) -> None:
    """End every process of a session at once, those in groups of their own included."""
    for member in session_members(session):
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue


class Child:
    """One process below the supervisor, in a session of its own, with its output in a pipe."""

    def __init__(self, name: str, command: list[str], death_signal: int = signal.SIGKILL) -> None:
        """`death_signal` is what the kernel sends it when the supervisor is killed."""
        self.name = name
        self.command = command
        self.death_signal = death_signal
        self.process: subprocess.Popen[bytes] | None = None
        self.backoff = 1.0
        self.started_at = 0.0
        self.restart_at: float | None = None
        self.captured: list[str] | None = None
        self._unfinished_line = b""

    def start(self, environment: dict[str, str]) -> IO[bytes]:
        """Start it and return the pipe to read its output from."""
        # A session of its own: Ctrl-C reaches the supervisor alone, which then stops the children in order.
        # No thread ever runs in the supervisor, so code between fork and exec is safe.
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=functools.partial(die_with_parent, self.death_signal, os.getpid()),
        )
        self.started_at = time.monotonic()
        self.restart_at = None
        self._unfinished_line = b""
        assert self.process.stdout is not None  # noqa: S101 - asked for above; for the type checker
        os.set_blocking(self.process.stdout.fileno(), False)
        return self.process.stdout

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def lines(self, data: bytes) -> list[str]:
        """The lines that `data` completes; an endless line is cut."""
        *whole, rest = (self._unfinished_line + data).split(b"\n")
        if len(rest) > LONGEST_LINE or not data:
            whole.append(rest)
            rest = b""
        self._unfinished_line = rest
        return [TERMINAL_CODES.sub("", line.decode(errors="replace")) for line in whole if line.strip()]


def end(child: Child, number: int) -> None:
    """Send a signal to a child, then make sure that nothing of its session is left."""
    if child.process is None:
        return
    if child.alive:
        child.process.send_signal(number)
        try:
            child.process.wait(3)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
    kill_session(child.process.pid)


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
