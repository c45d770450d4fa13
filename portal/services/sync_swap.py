"""The end of a download: one transaction in which everything of the run becomes visible, and the doubts that keep SOAs open."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from portal.domain.money import show_pesos
from portal.extensions import db
from portal.pscloud.client import Summary
from portal.pscloud.mapping import CollectorRecord
from portal.services import settings
from portal.services.sync_work import ReadAgain, RunEnded, Work, business_date, many
from portal.store import collector_codes, fresh, ledger, read_pages, seen, staging, sync_runs
from portal.store.seen import Failures, Totals


def swap(work: Work, codes: list[CollectorRecord] | None, summary: Summary | None) -> None:
    """One transaction: everything of this run becomes visible together with the run's end, or nothing does. Commits.

    Raises RunEnded, and ReadAgain when what was skipped may not be as it is stored."""
    with work.phase("swap"):
        values = _write(work, codes, summary)
    if not sync_runs.complete(work.run_id, work.lease, work.now(), **values, **work.figures()):
        raise RunEnded
    if work.staged:
        staging.clear(work.run_id)
    db.session.commit()
    if work.filled:
        fresh.settle()
        db.session.commit()


def _write(work: Work, codes: list[CollectorRecord] | None, summary: Summary | None) -> dict[str, Any]:
    """Everything but the run's own end, whose numbers it returns."""
    now = work.now()
    today = business_date(now)
    # First the run's own row, so that nobody can end this run from here on; it is let go by the commit.
    if not sync_runs.keep(work.run_id, work.lease, now):
        raise RunEnded
    if codes is not None:
        listed = [collector_codes.Listed(one.code, one.name, one.area, one.active) for one in codes]
        collector_codes.refresh(listed, now)
    if same := _all_the_same(work):
        return _leave(work, same, summary)
    work.repeated = seen.gather(work.run_id)
    if work.skipped:
        _rely_on_memory(work)
    if work.repeated:
        staging.drop_repeated(work.run_id)
    failures = seen.failures(work.run_id)
    quick = work.since is not None
    staged = seen.staged_totals(work.run_id) if quick else None
    written = staging.write_changed(work.run_id, today, skip_closed_strangers=quick)
    work.filled = written.filled
    if staged is None:
        staged, unlike = seen.totals()
        if work.skipped and unlike:
            raise ReadAgain("What was remembered of the last download did not fit what is stored, so every record was read again.")
        doubt = _doubt_about_totals(work, staged, failures, summary)
        closed = written.closed + _close_absent(work, failures, doubt, today, told=summary is not None)
        seen.note_unconfirmed(work.run_id)
    else:
        doubt = _doubt_about_changes(work, staged, failures, summary)
        closed = written.closed
        if doubt and summary is not None:
            work.notes.append(f"{doubt[0].upper()}{doubt[1:]}")
        seen.note_unconfirmed(work.run_id, ledger.figures_since())
    seen.settle_held(everything=not quick)
    if work.waiting_to_close:
        seen.hold_absent(work.run_id)
    whole = not (quick or work.left_open or work.repeated or failures.count)
    if work.repeated:
        work.notes.append(f"{many(work.repeated, 'record')} came more than once; the latest version of each was taken.")
    if quick:
        read_pages.forget_run(work.run_id)
    else:
        _note_difference(work, staged, failures, summary)
        read_pages.keep_only(work.run_id)
    seen.drop()
    return {
        **_told(work, staged, failures, summary, doubt),
        "added": written.added,
        "changed": written.changed,
        "unchanged": staged.count - written.added - written.changed,
        "closed": closed,
        "waiting_to_close": work.waiting_to_close,
        "last_change_id": None if quick else staging.last_change(),
        "all_seen": whole,
    }


def _all_the_same(work: Work) -> Totals | None:
    """What is stored, when PSCloud sent the very pages of the last full download and nothing was written since: then there is nothing to
    write, nothing to close, and nobody waits for anything."""
    memory = work.memory
    if work.since is not None or not memory.whole or not work.pages == work.pages_unchanged == len(memory.pages):
        return None
    same = Totals(memory.count, memory.amount_due)
    return same if work.here == same and staging.last_change() == work.last_change and seen.nothing_waits() else None


def _leave(work: Work, same: Totals, summary: Summary | None) -> dict[str, Any]:
    """The numbers of a run that found everything as it is."""
    none = Failures(0, 0, 0, 0)
    doubt = _doubt_about_totals(work, same, none, summary)
    if doubt and summary is not None:
        work.notes.append(f"{doubt[0].upper()}{doubt[1:]}")
    _note_difference(work, same, none, summary)
    read_pages.keep_only(work.run_id)
    left = {"added": 0, "changed": 0, "unchanged": same.count, "closed": 0, "last_change_id": work.last_change, "all_seen": True}
    return {**_told(work, same, none, summary, doubt), **left}


def _note_difference(work: Work, staged: Totals, failures: Failures, summary: Summary | None) -> None:
    if summary is None or summary.amount_due == staged.amount_due:
        return
    difference = show_pesos(summary.amount_due - staged.amount_due)
    who = f", which may belong to the {many(failures.count, 'record')} that could not be read" if failures.count else ""
    read, said = show_pesos(staged.amount_due), show_pesos(summary.amount_due)
    work.notes.append(f"PSCloud's summary says {said} is due, and {read} was read: a difference of {difference}{who}.")


def _told(work: Work, staged: Totals, failures: Failures, summary: Summary | None, doubt: str) -> dict[str, Any]:
    """What a completed run keeps of what PSCloud sent and said."""
    return {
        "total": staged.count + failures.count,
        "succeeded": staged.count,
        "failed": failures.count,
        "amount_due": staged.amount_due,
        "pscloud_count": work.announced if summary is None else summary.count,
        "pscloud_amount_due": None if summary is None else summary.amount_due,
        "as_of": work.as_of or work.started,  # never later than what was read
        "watermark": None if doubt or failures.count or work.left_open else _watermark(work),
        "note": " ".join(work.notes),
    }


def _rely_on_memory(work: Work) -> None:
    """Raises ReadAgain when records were skipped that must be looked at after all."""
    if staging.last_change() != work.last_change:
        raise ReadAgain("SOAs were changed here while PSCloud was read, so every record was read again.")
    if work.repeated:  # of a record that comes twice the later one counts, and which that is only its content says
        raise ReadAgain("PSCloud sent records more than once, so every record was read again.")


def _close_absent(work: Work, failures: Failures, doubt: str, today: date, told: bool) -> int:
    """Close what is absent from a complete snapshot, unless something speaks against it; then say so. Returns how many were closed."""
    absent, active = seen.count_absent(work.run_id)
    objection = doubt or _unreadable(failures)
    waits = "" if objection else _too_many(absent, active)
    if absent and not objection and not waits:
        return seen.close_absent(work.run_id, today)
    if absent:
        work.left_open = True
        stay = "stays" if absent == 1 else "stay"
        work.notes.append(f"{many(absent, 'SOA')} that PSCloud did not send {stay} open: {objection or waits}")
        if waits:
            work.waiting_to_close = absent
    elif doubt and told:
        work.notes.append(f"{doubt[0].upper()}{doubt[1:]}")
    return 0


def _watermark(work: Work) -> datetime | None:
    """PSCloud's time when it began to answer; ours when that is earlier: a clock of PSCloud's that ran ahead and was set right must not
    hide what changes until it comes there again. None when PSCloud does not tell its time."""
    return None if work.first_as_of is None else min(work.first_as_of, work.started)


def _doubt_about_changes(work: Work, staged: Totals, failures: Failures, summary: Summary | None) -> str:
    """Why this quick download may have missed a change, in plain words; then the watermark stays where it was."""
    if summary is None:
        return "PSCloud's control totals could not be asked."
    if work.announced not in {None, _distinct(staged, failures)} or work.moved:
        return "PSCloud's list of changes moved while it was read, so one may have been missed. The next download settles it."
    here = seen.open_totals()
    if (here.count, here.amount_due) != (summary.count, summary.amount_due):
        return (
            f"after this quick download {here.count:,} SOAs with {show_pesos(here.amount_due)} due are open here, and PSCloud says "
            f"{summary.count:,} with {show_pesos(summary.amount_due)}. Sync now settles it if PSCloud was just changing."
        )
    return ""


def _distinct(staged: Totals, failures: Failures) -> int:
    """How many different records were read, whether or not they could be understood."""
    return staged.count + failures.without_id + failures.ids - failures.read_elsewhere


def _doubt_about_totals(work: Work, staged: Totals, failures: Failures, summary: Summary | None) -> str:
    """Why the snapshot may not be complete, in plain words; empty when PSCloud's own totals confirm it.

    Counts alone do not: an SOA that leaves a page already read makes room for one that is then never read, and both counts agree."""
    if summary is None:
        return "the count could not be checked against PSCloud's control totals."
    distinct = _distinct(staged, failures)
    if work.announced not in {None, distinct} or distinct != summary.count:
        listed = "" if work.announced is None else f"PSCloud's list announced {work.announced:,} and "
        return (
            f"the counts do not agree. {distinct:,} different SOAs were read, {listed}its summary "
            f"says {summary.count:,}. The next download settles it if PSCloud was just changing."
        )
    if work.moved:
        return "PSCloud's list changed while it was read, so one of them may have been missed. The next download settles it."
    if not failures.count and summary.amount_due != staged.amount_due:
        return "the amounts due do not agree. The next download settles it if PSCloud was just changing."
    return ""


def _unreadable(failures: Failures) -> str:
    """Why SOAs that are absent from a complete snapshot must not be closed all the same; empty when they may be."""
    if failures.without_id:
        return f"{many(failures.without_id, 'record')} arrived whose PSCloud id cannot be read, and it may be one of them."
    return ""


def _too_many(absent: int, active: int) -> str:
    """Why a person must say first whether so many SOAs may be closed; empty when nobody needs to."""
    limit = settings.current().sync_drop_percent
    if absent * 100 > active * limit:
        return (
            f"closing them would close more than {limit} % of the {active:,} open SOAs at once. "
            "Check in PSCloud whether this is right; a supervisor then says here whether they are closed."
        )
    return ""
