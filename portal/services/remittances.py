"""The remittance desk: what a collector hands over is counted again, written once, and a shortage waits for a supervisor (DOMAIN 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from portal.domain import remittances as rules
from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.domain.readings import count_total, read_denominations
from portal.domain.remittances import Comparison, Handed
from portal.extensions import db
from portal.store import audit, users
from portal.store import remittances as store


def compare(
    collector_id: int,
    reading_ids: Iterable[int],
    denominations: Iterable[Mapping[str, Any]],
    others: Iterable[Handed],
    who: str,
    now: datetime,
) -> Comparison:
    """What the cashier counted beside what is expected, which is told only now; the count is noted in the audit trail. Commits.

    Money in centavos. Raises NotFound, Conflict, Forbidden or InvalidInput as `receive` does."""
    collector, chosen, counted, comparison = _compare(collector_id, reading_ids, denominations, others, who)
    detail = {"readings": chosen, "counted": counted, "variance": comparison.variance, "lines": _shown(comparison)}
    audit.add(who, "remittance_counted", collector, detail, now)
    db.session.commit()
    return comparison


def receive(
    collector_id: int,
    reading_ids: Iterable[int],
    denominations: Iterable[Mapping[str, Any]],
    others: Iterable[Handed],
    reason: str,
    who: str,
    now: datetime,
    request_id: str = "",
) -> int:
    """Record what a collector handed over for Z-readings of theirs; the remittance's id. Commits.

    `denominations` holds {value, kind, count} in centavos, `others` what was received per tender and channel. `request_id` names the form:
    the same one again answers the remittance it made. Raises InvalidInput for a count that cannot be, ReasonNeeded for a difference
    without one, Conflict when a reading is remitted already, Forbidden for one's own, NotFound for a reading of somebody else."""
    request = request_id or str(uuid4())
    audit.lock()  # two desks at once: the second sees what the first has received, and takes the next number
    made = store.by_request(request)
    if made is not None:
        db.session.rollback()
        return made
    collector, chosen, counted, comparison = _compare(collector_id, reading_ids, denominations, others, who)
    text = rules.check_reason(comparison, reason)
    remittance_id, number = store.add(request, collector_id, who, chosen, counted, comparison, text, now)
    detail = {
        "collector": collector,
        "readings": chosen,
        "expected_cash": comparison.expected_cash,
        "counted_cash": comparison.counted_cash,
        "variance": comparison.variance,
        "lines": _shown(comparison),
        "state": comparison.state,
    }
    audit.add(who, "remittance_received", number, detail, now)
    db.session.commit()
    return remittance_id


def _compare(
    collector_id: int, reading_ids: Iterable[int], denominations: Iterable[Mapping[str, Any]], others: Iterable[Handed], who: str
) -> tuple[str, list[int], list[dict[str, Any]], Comparison]:
    """The collector's name, the readings in their order, the denominations as they are kept, and the comparison."""
    collector = users.get(collector_id)
    if collector is None:
        raise NotFound("There is no such collector.")
    rules.check_receiver(who, collector.name)
    wanted = set(reading_ids)
    if not wanted:
        raise InvalidInput("Choose at least one Z-reading.")
    due = [reading for reading in store.waiting_readings(collector_id) if reading.id in wanted]
    if len(due) < len(wanted):
        number = store.remitted_with(wanted)
        if number:
            raise Conflict(
                f"Somebody received this money a moment ago: it is in remittance {number}. Nothing was recorded twice. "
                "Look at that remittance, and count again only what is left."
            )
        raise NotFound(f"One of these Z-readings is not one that {collector.display_name} has to remit. Open the desk again.")
    counted = read_denominations(denominations)
    chosen = [reading.id for reading in due]
    comparison = rules.compare([reading.portal for reading in due], store.expected_others(chosen), count_total(counted), others)
    return collector.name, chosen, counted, comparison


def _shown(comparison: Comparison) -> Sequence[Mapping[str, object]]:
    return [
        {
            "tender": line.tender,
            "channel": line.channel,
            "expected": [line.expected_count, line.expected_amount],
            "received": [line.received_count, line.received_amount],
        }
        for line in comparison.lines
    ]


def approve(remittance_id: int, who: str, reason: str, now: datetime) -> None:
    """Approve a remittance that is short or does not agree. Raises InvalidInput, NotFound, Conflict when nothing waits, Forbidden for who
    recorded it or handed it over. Commits."""
    text = reason.strip()
    if not 3 <= len(text) <= 500 or "\x00" in text:
        raise InvalidInput("Say how the difference is settled, in 3 to 500 characters.")
    found = store.get(remittance_id)
    if found is None:
        raise NotFound("There is no remittance with this number.")
    rules.check_approver(who, found.row.received_by, found.row.collector_name)
    if not store.approve(remittance_id, who, text, now):
        raise Conflict(f"{found.row.number} does not wait for an approval any more. Reload the page to see who decided.")
    detail = {"variance": str(found.row.variance), "reason": text, "collector": found.row.collector_name}
    audit.add(who, "remittance_approved", found.row.number, detail, now)
    db.session.commit()
