"""Connector profiles: a TOML file that says how one installation's PSCloud names and formats things (DOMAIN 10)."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

BUILT_IN = Path(__file__).parent / "profiles" / "default.toml"
_PATH = re.compile(r"/[A-Za-z0-9._~/{}%-]*", re.ASCII)


class ProfileError(Exception):
    """A profile cannot be used; the message names the file, the setting and what to write."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section of a profile: every setting is known, a misspelt one is refused."""


class Auth(Part, frozen=True):
    """How the token travels: `Authorization: Bearer`, HTTP basic (token `user:password`) or a header of its own."""

    style: Literal["bearer", "basic", "header"] = "bearer"
    header: str = "Authorization"


class Pagination(Part, frozen=True):
    """Each page names the cursor of the next one."""

    next: str
    parameter: str
    style: Literal["cursor"] = "cursor"
    limit_parameter: str = ""
    limit: int = 500


class Changes(Part, frozen=True):
    """How the list is asked for what changed at or after an instant, SOAs that are closed now among them; `query` replaces soas.query."""

    parameter: str
    query: dict[str, str] = {}


class Soas(Part, frozen=True):
    """The list of SOAs and one SOA; `records`, `total` and `as_of` are where the answer holds them."""

    path: str
    one_path: str
    records: str
    total: str
    pagination: Pagination
    as_of: str = ""
    query: dict[str, str] = {}
    changes: Changes | None = None


class Summary(Part, frozen=True):
    """Control totals of the same set of SOAs."""

    path: str
    count: str
    amount_due: str
    query: dict[str, str] = {}


class CollectorFields(Part, frozen=True):
    """Where a collector record holds its parts."""

    code: str
    name: str
    area: str = ""
    active: str = ""


class Collectors(Part, frozen=True):
    """The list of collector codes."""

    path: str
    records: str
    fields: CollectorFields


class SoaFields(Part, frozen=True):
    """Where an SOA record holds its parts, the customer's among them; `invoices` is the list."""

    id: str
    soa_number: str
    customer_id: str
    account_number: str
    customer_name: str
    issued_on: str
    due_date: str
    amount_due: str
    penalty: str
    status: str
    updated_at: str
    invoices: str
    address: str = ""
    contact_number: str = ""
    tin: str = ""
    collector_code: str = ""


class InvoiceFields(Part, frozen=True):
    """Where an invoice record holds its parts."""

    id: str
    invoice_number: str
    invoice_date: str
    due_date: str
    amount: str
    balance: str
    description: str = ""
    penalty: str = ""
    vat_type: str = ""
    vat_amount: str = ""


class Formats(Part, frozen=True):
    """`iso`, or for dates a pattern such as %d/%m/%Y."""

    date: str = "iso"
    instant: Literal["iso"] = "iso"


class PaymentFields(Part, frozen=True):
    """What a payment's parts are called when we post it."""

    reference: str
    receipt_number: str
    soa_id: str
    amount: str
    method: str
    method_reference: str
    collected_at: str
    collector_code: str
    allocations: str
    allocation_invoice: str
    allocation_kind: str
    allocation_amount: str


class ResultFields(Part, frozen=True):
    """Where the result of one payment holds its parts."""

    reference: str
    status: str
    pscloud_id: str
    error_code: str
    error_message: str


class VoidFields(Part, frozen=True):
    """Where PSCloud expects the parts of a void."""

    reason: str = "reason"
    voided_at: str = "voided_at"
    approved_by: str = "approved_by"


class Payments(Part, frozen=True):
    """Posting payments, asking what became of them, voiding one; the word tables turn our words into PSCloud's or back. A PSCloud
    without a call for voids has no `void_path`."""

    path: str
    envelope: str
    results: str
    lookup_parameter: str
    lookup_results: str
    fields: PaymentFields
    result: ResultFields
    methods: dict[str, str]
    kinds: dict[str, str]
    statuses: dict[str, Literal["accepted", "duplicate", "rejected", "voided"]]
    limit: int = 200
    void_path: str = ""
    void: VoidFields = VoidFields()


class Profile(Part, frozen=True):
    """One installation's PSCloud, as read from TOML. `soa_status` and `vat_type` map PSCloud's words to ours."""

    name: str
    status_path: str
    auth: Auth
    soas: Soas
    summary: Summary
    collectors: Collectors
    soa: SoaFields
    invoice: InvoiceFields
    soa_status: dict[str, Literal["active", "closed"]]
    vat_type: dict[str, Literal["vatable", "exempt", "zero_rated"]]
    payments: Payments
    formats: Formats = Formats()


def load(path: str | Path | None = None) -> Profile:
    """The profile in that file, or the built-in one for an empty path. Raises ProfileError in plain words."""
    return _load(Path(path) if path else BUILT_IN)


@lru_cache(maxsize=8)
def _load(path: Path) -> Profile:
    try:
        profile = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Profile)
    except OSError as error:
        raise ProfileError(f"The connector profile {path} cannot be read: {error.strerror}. Check PSCLOUD_PROFILE.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"The connector profile {path} is not valid TOML: {error}.") from None
    except msgspec.ValidationError as error:
        raise ProfileError(f"The connector profile {path} has a wrong or missing setting: {error}.") from None
    _check(profile, path)
    return profile


def _check(profile: Profile, path: Path) -> None:
    paths = (profile.status_path, profile.soas.path, profile.soas.one_path, profile.summary.path, profile.collectors.path)
    for one in (*paths, profile.payments.path, profile.payments.void_path or "/"):
        if not _PATH.fullmatch(one) or "//" in one or "/../" in f"{one}/":
            raise ProfileError(f"The connector profile {path}: {one!r} is not a path. Write it like /api/v1/soas.")
    if "{id}" not in profile.soas.one_path:
        raise ProfileError(f"The connector profile {path}: soas.one_path must hold {{id}}.")
    if profile.payments.void_path and "{reference}" not in profile.payments.void_path:
        raise ProfileError(f"The connector profile {path}: payments.void_path must hold {{reference}}.")
    if not 1 <= profile.payments.limit <= 10_000 or not 1 <= profile.soas.pagination.limit <= 10_000:
        raise ProfileError(f"The connector profile {path}: limits are from 1 to 10000.")
    missing = {"cash", "check", "e_wallet", "bank_transfer"} - profile.payments.methods.keys()
    missing |= {"principal", "penalty", "advance"} - profile.payments.kinds.keys()
    if missing:
        raise ProfileError(f"The connector profile {path} has no word for: {', '.join(sorted(missing))}.")
