"""Tries a connector profile against a PSCloud: what it found in a sample, field by field, and what stands in the way. Changes nothing
there, and shows no secret and no person's data in full."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from portal.pscloud import mapping
from portal.pscloud.answers import MISSING, keys, value_at
from portal.pscloud.client import Page, PscloudClient
from portal.pscloud.errors import AuthFailed, PscloudError
from portal.pscloud.mapping import Field, MappingError

SAMPLE = 500
"""The most SOAs that are looked at."""
PAGES = 3
MOST_TO_ADD_UP = 5000
"""Above so many SOAs, totals that are made by reading the list a second time are not tried."""
PERSONAL = frozenset({"customer_name", "address", "contact_number", "tin", "account_number", "customer_id", "description"})


@dataclass
class Report:
    """Lines for the person at the keyboard; `problems` are what must be mended before the profile can be used."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def say(self, text: str = "") -> None:
        """One line more."""
        self.lines.append(text)

    def problem(self, text: str) -> None:
        """Something that must be mended, in its place among the lines too."""
        self.lines.append(f"  Problem: {text}")
        self.problems.append(text)


def check(client: PscloudClient) -> Report:
    """Ask everything that can be asked without changing anything. A PSCloud that does not answer is a problem in the report, no error."""
    report = Report()
    report.say(f"Connector profile: {client.profile.name}")
    try:
        _status(client, report)
        pages = _list(client, report)
        records = [record for page in pages for record in page.records][:SAMPLE]
        _fields(client, report, records)
        _one(client, report, records)
        _totals(client, report, pages)
        _changes(client, report, pages)
        _codes(client, report)
        _payments(client, report)
    except AuthFailed as error:
        report.problem(error.message)
        report.say("The rest was not tried, so that no account is locked.")
    return report


def _status(client: PscloudClient, report: Report) -> None:
    try:
        said = client.status()
    except AuthFailed:
        raise
    except PscloudError as error:
        report.problem(f"status_path: {error.message}")
        return
    if said:
        words = [f"{name} {value}" for name, value in said.items() if isinstance(value, str | int) and len(str(value)) <= 80]
        report.say(f"PSCloud answers: {', '.join(words[:6]) or 'yes'}.")


def _list(client: PscloudClient, report: Report) -> list[Page]:
    """The first pages of the list."""
    pages: list[Page] = []
    report.say()
    report.say("The list of SOAs")
    try:
        for page in client.soa_pages():
            pages.append(page)
            if len(pages) == PAGES or sum(len(one.records) for one in pages) >= SAMPLE:
                break
    except AuthFailed:
        raise
    except PscloudError as error:
        report.problem(error.message)
    if not pages:
        return pages
    total, read = pages[0].total, sum(len(page.records) for page in pages)
    speaks = "does not say how many there are" if total is None else f"speaks of {total:,}"
    report.say(f"  {_many(read, 'record')} on {_many(len(pages), 'page')}; PSCloud {speaks}.")
    if not pages[0].records:
        report.problem("The first page is empty, so nothing could be tried. Is the query of [soas] right?")
    style = client.profile.soas.pagination.style
    if total is not None and read < total and len(pages) < PAGES and read < SAMPLE:
        report.problem(f"After {read:,} of {total:,} records no further page was named. [soas.pagination] (style {style}) does not fit.")
    elif len(pages) > 1:
        report.say(f"  Paging ({style}) leads on from page to page.")
    elif style != "none":
        report.say(f"  Everything was on one page, so paging ({style}) could not be tried. Try a smaller limit.")
    identities = Counter(_identity(client, record) for page in pages for record in page.records)
    if twice := sum(count > 1 for one, count in identities.items() if one):
        report.problem(f"{_many(twice, 'SOA')} came more than once. The query of [soas] must ask for an order that does not change.")
    if pages[0].as_of is None:
        report.say("  It does not say when the list was taken (soas.as_of or soas.as_of_header), so Quick sync is not offered.")
    return pages


def _identity(client: PscloudClient, record: bytes) -> str | None:
    try:
        value = value_at(mapping.to_record(record), client.profile.soa.id)
    except MappingError:
        return None
    return str(value) if isinstance(value, str | int) else None


def _fields(client: PscloudClient, report: Report, records: list[bytes]) -> None:
    """What was found, field by field."""
    profile = client.profile
    opened: list[Mapping[str, Any]] = []
    broken: Counter[str] = Counter()
    for raw in records:
        try:
            opened.append(mapping.to_record(raw))
        except MappingError as error:
            broken[error.reason] += 1
    _table(report, f"Fields of {_many(len(opened), 'SOA')}", mapping.soa_fields(profile), opened)
    invoices: list[Mapping[str, Any]] = []
    without: Counter[str] = Counter()
    for record in opened:
        try:
            invoices += [entry for entry in mapping.invoice_records(record, profile) if isinstance(entry, Mapping)]
        except MappingError as error:
            without[error.reason] += 1
    if without and sum(without.values()) == len(opened):
        report.problem(f"soa.invoices ({profile.soa.invoices}): {without.most_common(1)[0][0]}")
    _table(report, f"Fields of {_many(len(invoices), 'invoice')}", mapping.invoice_fields(profile), invoices)
    unused = _unused(opened, [profile.soa.invoices, *(one.path for one in mapping.soa_fields(profile))])
    unused -= {join.soa_key for join in profile.joins.values()}
    if unused:
        report.say(f"  Not used of an SOA: {', '.join(sorted(unused))}")
    if unused := _unused(invoices, [one.path for one in mapping.invoice_fields(profile)]) - {join.key for join in profile.joins.values()}:
        report.say(f"  Not used of an invoice: {', '.join(sorted(unused))}")
    good = 0
    for raw in records:
        try:
            mapping.to_soa(raw, profile)
            good += 1
        except MappingError as error:
            if error.field:
                broken[f"{_without_numbers(error.field)}: {error.reason}"] += 1
    report.say(f"  {good:,} of {_many(len(records), 'SOA')} can be read whole.")
    for reason, count in broken.most_common(8):
        report.say(f"    {count:,} x {reason}")
    if records and not good:
        report.problem("Not one SOA can be read.")


def _without_numbers(name: str) -> str:
    return re.sub(r"\[[0-9]+\]", "", name)


def _table(report: Report, title: str, fields: Iterable[Field], records: list[Mapping[str, Any]]) -> None:
    report.say()
    report.say(title)
    if not records:
        report.say("  None came, so nothing could be tried.")
        return
    width = max(len(one.name) for one in fields)
    for one in fields:
        if not one.path:
            report.say(f"  {one.name:<{width}}  not in the profile")
            continue
        filled, kinds, reasons, example = 0, Counter[str](), Counter[str](), ""
        for record in records:
            value = value_at(record, one.path)
            if value is MISSING or value is None or value == "":
                kinds["missing" if value is MISSING else "empty"] += 1
            else:
                filled += 1
                kinds[mapping.kind_of(value)] += 1
                example = example or _example(one.name, value)
            try:
                one.read(record)
            except MappingError as error:
                reasons[error.reason] += 1
        types = ", ".join(kind for kind, _ in kinds.most_common() if kind not in {"missing", "empty"}) or "nothing"
        such = f", such as {example}" if example else ""
        report.say(f"  {one.name:<{width}}  {one.path}: {filled:,} of {len(records):,} filled, {types}{such}")
        for reason, count in reasons.most_common(3):
            report.say(f"  {'':<{width}}    {count:,} cannot be read: {reason}")
        if one.needed and sum(reasons.values()) == len(records):
            report.problem(f"{one.name} ({one.path}) could not be read in any record: {reasons.most_common(1)[0][0]}")
        elif not one.needed and kinds["missing"] == len(records):
            report.say(f"  {'':<{width}}    No record has it; leave it out of the profile or correct its path.")


def _example(name: str, value: object) -> str:
    text = " ".join(str(value).split())
    if name in PERSONAL:
        return " ".join(f"…{word[-2:]}" if word[-1:].isdigit() else f"{word[:1]}…" for word in text.split()[:4])
    return text if len(text) <= 40 else f"{text[:39]}…"


def _unused(records: list[Mapping[str, Any]], paths: list[str]) -> set[str]:
    """Names in the records that no path uses, one layer deep."""
    used = {keys(path)[0] for path in paths if path}
    return {name for record in records for name in record if name not in used and not name.startswith("@")}


def _one(client: PscloudClient, report: Report, records: list[bytes]) -> None:
    identity = next((found for record in records if (found := _identity(client, record))), None)
    if identity is None:
        return
    with _asking(report, "soas.one_path"):
        raw = client.soa(identity)
        if raw is None:
            report.problem(f"soas.one_path: PSCloud does not know {identity}, which is in its own list.")
            return
        found = _identity(client, raw)
        if found != identity:
            report.problem(f"soas.one_path: PSCloud was asked for {identity} and answered with {found or 'something without an id'}.")
        else:
            report.say("  One SOA can be asked for by its id.")


def _totals(client: PscloudClient, report: Report, pages: list[Page]) -> None:
    report.say()
    report.say("Control totals")
    style = client.profile.summary.style
    if style == "none":
        report.say("  The profile names none. SOAs that PSCloud does not send any more are never closed by themselves.")
        return
    total = pages[0].total if pages else None
    if style == "list" and (total is None or total > MOST_TO_ADD_UP):
        report.say("  They are made by reading the list a second time, which is not tried here for so many.")
        return
    with _asking(report, "summary"):
        summary = client.summary()
        report.say(f"  {summary.count:,} SOAs, {summary.amount_due:,.2f} pesos due.")
        if total is not None and total != summary.count:
            report.problem(
                f"The list speaks of {total:,} SOAs and the control totals of {summary.count:,}. Both must ask for the same set: compare "
                "soas.query and summary.query. If PSCloud was just changing, try again."
            )


def _changes(client: PscloudClient, report: Report, pages: list[Page]) -> None:
    report.say()
    report.say("Changes only (Quick sync)")
    if client.profile.soas.changes is None:
        report.say("  The profile has no soas.changes: every download is a full one.")
        return
    as_of = pages[0].as_of if pages else None
    if as_of is None:
        report.say("  Not tried, because PSCloud's time is not known.")
        return
    with _asking(report, "soas.changes"):
        page = next(client.soa_pages(as_of - timedelta(days=1)), None)
        count = 0 if page is None else len(page.records) if page.total is None else page.total
        report.say(f"  PSCloud was asked for the changes of the last day: {_many(count, 'record')}.")
        future = next(client.soa_pages(as_of + timedelta(days=2)), None)
        if future is not None and future.records:
            report.problem("PSCloud sent SOAs that changed in the future, so it does not understand soas.changes and sends everything.")


def _codes(client: PscloudClient, report: Report) -> None:
    report.say()
    report.say("Collector codes")
    if client.profile.collectors is None:
        report.say("  The profile names no list of them.")
        return
    with _asking(report, "collectors"):
        codes, unread = client.collectors()
        some = ", ".join(code.code for code in codes[:3]) or "none"
        report.say(f"  {len(codes):,} read, such as {some}; {len(unread):,} could not be read.")
        for reason in unread[:3]:
            report.say(f"    {reason}")
        if unread and not codes:
            report.problem("Not one collector code can be read.")


def _payments(client: PscloudClient, report: Report) -> None:
    report.say()
    report.say("Payments")
    with _asking(report, "payments.lookup"):
        strangers = client.find_payments([str(uuid.uuid4()), str(uuid.uuid4())])
        if strangers:
            report.problem("PSCloud was asked for two payments that do not exist and answered with some. payments.lookup does not fit.")
        else:
            report.say("  PSCloud can be asked for payments by their reference.")
    voids = "by a call" if client.profile.payments.void_path else "by hand in PSCloud, because the profile has no payments.void_path"
    limit = client.profile.payments.limit
    report.say(f"  They are posted {limit:,} at a time, and voided {voids}. Neither was tried: that would change PSCloud.")


@contextmanager
def _asking(report: Report, part: str) -> Iterator[None]:
    """Makes what PSCloud refuses inside the block a problem of this part of the profile; a refused log-in ends the whole check."""
    try:
        yield
    except PscloudError as error:
        if isinstance(error, AuthFailed) and error.status == 401:
            raise
        report.problem(f"{part}: {error.message}")


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def shown(report: Report) -> Iterator[str]:
    """The report, and its verdict as the last line."""
    yield from report.lines
    yield ""
    if report.problems:
        yield f"{_many(len(report.problems), 'problem')}: this profile cannot be used yet."
    else:
        yield "This profile can be used."
