"""The audit log in plain words: what each action is called, what its subject names, and its detail as labelled facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from portal.domain.errors import PortalError
from portal.domain.money import from_centavos
from portal.domain.payments import TENDER_WORDS


@dataclass(frozen=True, slots=True)
class Action:
    """What an action is called, and what kind of thing its subject is (empty: nothing that has a page)."""

    words: str
    about: str = ""


ACTIONS: Mapping[str, Action] = {
    "login": Action("Logged in"),
    "login_refused": Action("Log-in refused"),
    "logout": Action("Logged out"),
    "user_added": Action("Added a user", "user"),
    "user_changed": Action("Changed a user", "user"),
    "password_set": Action("Set a new password", "user"),
    "collector_code_added": Action("Added a collector code", "code"),
    "collector_code_removed": Action("Removed a collector code"),
    "terminal_enrolled": Action("Enrolled a phone", "terminal"),
    "terminal_approved": Action("Approved a terminal", "terminal"),
    "terminal_revoked": Action("Revoked a terminal", "terminal"),
    "rescue_file_taken": Action("Took a rescue file", "terminal"),
    "sync_requested": Action("Asked for a download", "sync"),
    "sync_cancelled": Action("Cancelled a download", "sync"),
    "sync_retry_requested": Action("Asked for failed records again", "sync"),
    "sync_retried": Action("Read failed records again", "sync"),
    "sync_drop_accepted": Action("Had SOAs closed that PSCloud did not send", "sync"),
    "sync_drop_refused": Action("Left SOAs open that PSCloud did not send", "sync"),
    "reconciliation_requested": Action("Asked for a reconciliation", "reconciliation"),
    "reconciliation_cancelled": Action("Cancelled a reconciliation", "reconciliation"),
    "export_requested": Action("Asked for a file", "export"),
    "export_cancelled": Action("Cancelled a file", "export"),
    "registry_opened": Action("Opened a registry", "terminal"),
    "registry_closed": Action("Closed a registry", "terminal"),
    "z_reading": Action("Took a Z-Reading", "terminal"),
    "registry_forced": Action("Closed a registry for a phone", "terminal"),
    "z_reading_kept": Action("Kept the Z-Reading of a phone that came back", "terminal"),
    "payment_booked": Action("Payment entered the ledger", "payment"),
    "payment_rebuilt": Action("Recorded a payment from its receipt", "payment"),
    "rebuilt_payment_arrived": Action("Entry of a rebuilt payment arrived from its phone", "payment"),
    "photo_received": Action("A photo of a check or slip arrived", "payment"),
    "payment_approved": Action("Approved a payment", "payment"),
    "payment_held": Action("Held a payment", "payment"),
    "payment_returned": Action("Returned a payment to its collector", "payment"),
    "payment_reallocated": Action("Allocated a payment anew", "payment"),
    "payment_assigned": Action("Assigned a payment to an SOA", "payment"),
    "payment_retried": Action("Sent a failed payment again", "payment"),
    "payment_sent_again": Action("Sent a payment again that PSCloud no longer knew", "payment"),
    "payment_completed": Action("Payment posted to PSCloud", "payment"),
    "payment_failed": Action("PSCloud refused a payment", "payment"),
    "expense_noted": Action("Noted an expense", "expense"),
    "expense_photo_received": Action("A photo of an expense arrived", "expense"),
    "expense_approved": Action("Approved an expense", "expense"),
    "expense_refused": Action("Refused an expense", "expense"),
    "expense_written_down": Action("Phone wrote the decision on an expense down", "expense"),
    "cash_dropped": Action("Handed cash over before the remittance", "terminal"),
    "void_requested": Action("Asked for a void", "payment"),
    "void_approved": Action("Approved a void", "payment"),
    "void_refused": Action("Refused a void", "payment"),
    "void_written_down": Action("Phone wrote a void decision down", "payment"),
    "void_retried": Action("Told PSCloud of a void again", "payment"),
    "void_code_given": Action("Gave a code for a void", "terminal"),
    "void_code_revoked": Action("Took a code for a void back", "terminal"),
    "void_code_not_taken": Action("A void came with a code that was not taken", "payment"),
    "void_posting_completed": Action("Payment voided in PSCloud", "payment"),
    "void_posting_failed": Action("PSCloud refused a void", "payment"),
    "remittance_counted": Action("Counted a remittance", "user"),
    "remittance_received": Action("Received a remittance", "remittance"),
    "remittance_approved": Action("Approved a remittance", "remittance"),
    "deposit_made": Action("Recorded a deposit"),
    "paper_cleared": Action("A check cleared", "payment"),
    "paper_bounced": Action("A check bounced", "payment"),
    "paper_settled": Action("Settled a bounced check", "payment"),
    "paper_verified": Action("Found a payment on a statement", "payment"),
    "paper_not_found": Action("Did not find a payment on a statement", "payment"),
    "incident_closed": Action("Closed an incident", "incident"),
    "number_missing": Action("A number did not arrive", "terminal"),
    "missing_arrived": Action("A missing number arrived", "terminal"),
    "missing_explained": Action("Explained a missing number", "terminal"),
    "missing_reopened": Action("Took an explanation back", "terminal"),
    "settings_changed": Action("Changed settings", "settings"),
    "database_restored": Action("Database put back from a backup"),
}
"""Every action the portal writes; a test compares this with the code."""

LABELS = {
    "address": "Network address",
    "seq": "Journal entry",
    "soa": "SOA",
    "pscloud_id": "PSCloud number",
    "receipt_number": "Receipt number",
    "void_number": "Void number",
    "codes": "Collector codes",
    "z_counter": "Z counter",
    "list": "List",
    "posting": "Posting to PSCloud",
    "was": "Status before",
    "kind": "Kind",
    "payments_from": "Payments collected from",
    "still_failed": "Still failed",
    "first_code": "First code kept back",
    "last_code": "Last code kept back",
    "active": "May log in",
    "again": "Enrolled again",
    "tin": "TIN",
    "min": "MIN",
    "ptu": "PTU",
    "vat_registered": "VAT registered",
    "stale_soa_days": "Oldest list of a phone, in days",
    "sync_drop_percent": "Largest share a download may close, in percent",
    "before": "Before",
    "after": "After",
}
"""Names of facts whose words are more than the name with spaces."""
CENTAVOS = {
    "z_reading": {"gross", "late"},
    "remittance_counted": {"variance", "total"},
    "remittance_received": {"variance", "expected_cash", "counted_cash", "total"},
}
"""Facts that an action notes as integer centavos; everywhere else money is a text with two decimals."""
IN_WORDS = {"flags"}
"""Facts whose values are names of ours, told with spaces."""
MONEY = re.compile(r"-?\d{1,13}\.\d\d")
Value = str | int | bool | Decimal | date | datetime | None


@dataclass(frozen=True, slots=True)
class Fact:
    """One labelled part of a detail; money in pesos, days and instants as such."""

    label: str
    value: Value


def words_of(action: str) -> str:
    """What the action is called."""
    known = ACTIONS.get(action)
    return known.words if known else action.replace("_", " ").capitalize()


def about(action: str) -> str:
    """What kind of thing the subject of this action is; empty when it has no page."""
    known = ACTIONS.get(action)
    return known.about if known else ""


def label(name: str) -> str:
    """What a fact is called."""
    return LABELS.get(name) or name.replace("_", " ").capitalize()


def facts(action: str, detail: Mapping[str, Any]) -> list[Fact]:
    """The detail of a row as facts, in the order of their names; what is empty is left out. A detail that no version of the portal wrote
    is told as it stands: somebody may have changed it, and then it is looked at here."""
    before, after = detail.get("before"), detail.get("after")
    try:
        if isinstance(before, dict) and isinstance(after, dict):
            return list(_changes(action, before, after))
        return [fact for name, value in detail.items() for fact in _read(action, name, value)]
    except (TypeError, ValueError, PortalError):
        return [Fact("Detail", str(dict(detail)))]


def _changes(action: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Fact]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield Fact(label(name), f"{_text(action, name, old)} before, now {_text(action, name, new)}")


def _read(action: str, name: str, value: Any) -> Iterator[Fact]:
    if value in (None, "", [], {}):
        return
    if name == "lines" and isinstance(value, list):
        yield from (_line(line) for line in value if isinstance(line, dict))
    elif name == "counted" and isinstance(value, list):
        pieces = (one for one in value if isinstance(one, dict))
        yield Fact("Counted pieces", ", ".join(f"{one.get('count')} x {from_centavos(int(one.get('value', 0))):,.2f}" for one in pieces))
    elif isinstance(value, (list, dict)):
        yield Fact(label(name), _text(action, name, value))
    else:
        yield Fact(label(name), _value(action, name, value))


def _line(line: Mapping[str, Any]) -> Fact:
    tender = TENDER_WORDS.get(str(line.get("tender")), str(line.get("tender")))
    (expected, due), (received, got) = line.get("expected", (0, 0)), line.get("received", (0, 0))
    told = f"{received} of {from_centavos(int(got)):,.2f} received, {expected} of {from_centavos(int(due)):,.2f} expected"
    return Fact(f"{tender} {line['channel']}" if line.get("channel") else tender, told)


def _value(action: str, name: str, value: Any) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return from_centavos(value) if name in CENTAVOS.get(action, ()) else value
    if not isinstance(value, str):
        return str(value)
    if MONEY.fullmatch(value):
        return Decimal(value)
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return date.fromisoformat(value)
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\S+", value):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else value
    except ValueError:
        return value
    return TENDER_WORDS.get(value, value) if name == "tender" else value


def _text(action: str, name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(action, name, one) for one in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{label(key)} {_text(action, key, one)}" for key, one in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value in (None, "") else str(value).replace("_", " ") if name in IN_WORDS else str(value)
