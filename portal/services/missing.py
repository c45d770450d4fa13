"""Missing numbers: found beside each upload, closed by what arrives, explained by a supervisor (DOMAIN 3)."""

from __future__ import annotations

from datetime import datetime

from portal.domain import numbers
from portal.domain.errors import Conflict, Forbidden, NotFound
from portal.extensions import db
from portal.store import audit
from portal.store import missing as store
from portal.store.missing import MissingRow
from portal.store.terminals import TerminalRow


def notice(terminal: TerminalRow, who: str, now: datetime) -> None:
    """Hold the numbers of a terminal against what has arrived, in the current transaction, after an upload of it was booked.

    The chain is dense: whatever the phone wrote before its last entry has arrived, so a number below its highest that is not in the books
    is missing. What stands behind a hole in the chain is held, not booked, and counts as still on the phone."""
    reached = store.reached(terminal.id)
    named_z, _ = store.z_numbers(terminal.id, reached.marked_seq)
    highest = {"receipt": reached.receipt, "void": reached.void, "z": named_z}
    _close_arrived(terminal, who, now)
    marks = dict(reached.marked)
    for series in numbers.SERIES:
        new = (marks[series] + 1, highest[series])
        if new[0] > new[1]:
            continue
        runs = numbers.gaps(*new, store.arrived(series, terminal.id, terminal.code, new))
        store.add(terminal.id, series, runs, now)
        marks[series] = highest[series]
        for run in runs:
            audit.add(who, "number_missing", terminal.code, {"numbers": numbers.run_as_printed(series, terminal.code, run)}, now)
    if reached.seq > reached.marked_seq or marks != reached.marked:
        store.set_marks(terminal.id, reached.seq, marks)


def _close_arrived(terminal: TerminalRow, who: str, now: datetime) -> None:
    """Close what arrived of the runs that are open or explained."""
    for gap in store.not_arrived(terminal.id):
        missing, there = numbers.after_arrival(gap.run, store.arrived(gap.series, terminal.id, terminal.code, gap.run))
        if there:
            store.part(terminal.id, gap, missing, there, now)
            words = [numbers.run_as_printed(gap.series, terminal.code, run) for run in there]
            audit.add(who, "missing_arrived", terminal.code, {"numbers": ", ".join(words), "was": gap.state}, now)


def explain(missing_id: int, who: str, reason: str, now: datetime) -> None:
    """Say why these numbers will not arrive. Commits. Raises InvalidInput, NotFound, Conflict, and Forbidden for the terminal's own
    collector."""
    words = numbers.explanation(reason)
    row = _locked(missing_id, who)
    if row.state != "open":
        db.session.rollback()
        raise Conflict(f"{row.numbers} is {'explained' if row.state == 'explained' else 'here'} already. Load the page again to see it.")
    store.explain(missing_id, who, words, now)
    audit.add(who, "missing_explained", row.terminal, {"numbers": row.numbers, "reason": words}, now)
    db.session.commit()


def reopen(missing_id: int, who: str, reason: str, now: datetime) -> None:
    """Take an explanation back, with a reason: the numbers are missing again. Raises as explain() does. Commits."""
    words = numbers.explanation(reason)
    row = _locked(missing_id, who)
    if row.state != "explained":
        db.session.rollback()
        raise Conflict(f"{row.numbers} has no explanation to take back. Load the page again to see where it stands.")
    store.reopen(missing_id)
    was = {"explained_by": row.decided_by, "explanation": row.reason}
    audit.add(who, "missing_reopened", row.terminal, {"numbers": row.numbers, "reason": words, **was}, now)
    db.session.commit()


def _locked(missing_id: int, who: str) -> MissingRow:
    row = store.get(missing_id, lock=True)
    if row is None:
        raise NotFound("There is no missing number of this kind. It may have arrived in parts: look it up in the list.")
    if row.collector == who:
        db.session.rollback()
        raise Forbidden("These are numbers of your own phone. Another supervisor has to say what happened to them.")
    return row
