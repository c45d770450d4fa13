"""Small promises about processes: none outlives the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1

# Loaded at import: between fork and exec nothing may be loaded any more.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(signal_number: int = signal.SIGKILL, parent: int | None = None) -> None:
    """Ask the kernel to end this process when the one that started it ends, even by kill -9. Call it in the child.

    `parent` is the id the parent is known to have: when it is gone already, this process ends at once. Linux only; elsewhere nothing happens.
    """
    if _libc is None:
        return
    if _libc.prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


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
