"""Payments as PSCloud holds them, for reconciliation: all of them where the profile can list them, or those asked for by reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from portal.domain.errors import InvalidAmount
from portal.pscloud import answers, mapping
from portal.pscloud.errors import Retryable
from portal.pscloud.joins import in_query
from portal.pscloud.mapping import MappingError
from portal.pscloud.paging import Ask, key_of, read_pages
from portal.pscloud.profile import Profile

LONGEST_RAW = 20_000


@dataclass(frozen=True, slots=True)
class HeldPayment:
    """One payment of PSCloud's: None is what it does not say. `reason` is not empty when its record cannot be read; `raw` is the record."""

    reference: str
    voided: bool
    amount: Decimal | None
    soa_id: str | None
    receipt_number: str | None
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class ListedPage:
    """One page of the list. `moved` means that it changed between two pages; `strange` counts records without a reference: payments that
    were not taken by a collector, and are nobody's business here."""

    payments: list[HeldPayment]
    total: int | None
    moved: bool
    strange: int


def listed(ask: Ask, profile: Profile, since: datetime | None) -> Iterator[ListedPage]:
    """Every payment of the list, collected at or after `since` as far as PSCloud can be asked for that.

    Raises ValueError when the profile has no list."""
    listing = profile.payments.listing
    if listing is None:
        raise ValueError("this connector profile cannot list payments")
    moment = "" if since is None else mapping.write_instant(since, profile.formats)
    query = [(name, text.replace("{since}", moment)) for name, text in listing.query.items() if since is not None or "{since}" not in text]
    for page in read_pages(ask, listing, "payments", profile.payments.result.reference, query):
        found = [one for raw in page.records if (one := read(raw, profile)) is not None]
        nameless = sum(key_of(raw, profile.payments.result.reference) is None for raw in page.records)
        yield ListedPage(found, page.total, page.moved, nameless)


def by_reference(ask: Ask, profile: Profile, references: Sequence[str]) -> dict[str, HeldPayment]:
    """What PSCloud holds under these references; one it does not know is not in it. Raises Retryable when its answer moved."""
    lookup = profile.payments.lookup
    found: dict[str, HeldPayment] = {}
    for start in range(0, len(references), lookup.keys.limit):
        wanted = list(references[start : start + lookup.keys.limit])
        for page in read_pages(ask, lookup, "payments", "", [*lookup.query.items(), *in_query(lookup.keys, wanted)]):
            if page.moved:
                raise Retryable("PSCloud's list of payments changed while it was read. Try again later.")
            for raw in page.records:
                one = read(raw, profile)
                if one is not None and one.reference in wanted:
                    found.setdefault(one.reference, one)
    return found


def read(raw: bytes, profile: Profile) -> HeldPayment | None:
    """One record; None for one that names no reference, or that PSCloud itself calls rejected: it does not hold that payment."""
    reference = key_of(raw, profile.payments.result.reference)
    if reference is None:
        return None
    text = raw.decode("utf-8", "replace").replace("\x00", "\ufffd")[:LONGEST_RAW]
    try:
        result = mapping.to_result(raw, profile)
        if result.status == "rejected":
            return None
        paths, record = profile.payments.held, answers.read_json(raw)
        amount = _told(record, paths.amount)
        return HeldPayment(
            result.reference,
            result.status == "voided",
            None if amount is None else mapping.read_amount(amount, profile.formats),
            _word(record, paths.soa_id),
            _word(record, paths.receipt_number),
            "",
            text,
        )
    except MappingError as error:
        reason = str(error)
    except InvalidAmount as error:
        reason = f"{profile.payments.held.amount}: {error.message}"
    return HeldPayment(reference, False, None, None, None, reason, text)


def _told(record: object, path: str) -> object | None:
    value = answers.value_at(record, path) if path else None
    return None if value is answers.MISSING else value


def _word(record: object, path: str) -> str | None:
    value = _told(record, path)
    return None if value is None or value == "" else str(value)
