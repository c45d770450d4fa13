"""Connector profiles: a TOML file that says how one installation's PSCloud names and formats things (DOMAIN 10, docs/connector.md)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

BUILT_IN = Path(__file__).parent / "profiles" / "default.toml"


class ProfileError(Exception):
    """A profile cannot be used; the message names the file, the line, the setting and what to write."""


class Part(msgspec.Struct, frozen=True, eq=False, kw_only=True, forbid_unknown_fields=True):
    """A section of a profile: every setting is known, a misspelt one is refused."""


class Login(Part, frozen=True, kw_only=True):
    """How a session is begun: a POST of `body`, in which {user} and {password} are the two halves of the token at its first colon. The
    session is the cookies that come back, or what the answer holds at `token`, sent as `auth` says. Without a `logout_path` it is left
    to run out."""

    path: str
    body: dict[str, str]
    encoding: Literal["json", "form"] = "json"
    token: str = ""
    logout_path: str = ""


class Auth(Part, frozen=True, kw_only=True):
    """How the token travels: `Authorization: Bearer`, HTTP basic (token `user:password`), a header of its own with a `prefix` such as
    "token ", or a session with a log-in."""

    style: Literal["bearer", "basic", "header", "session"] = "bearer"
    header: str = "Authorization"
    prefix: str = ""
    login: Login | None = None


class Pagination(Part, frozen=True, kw_only=True):
    """How the next page is asked for. `next` is where the answer holds the cursor or the link, `parameter` what carries the cursor, the
    number of the page (counted from `first`) or the number of records before it."""

    style: Literal["cursor", "page", "offset", "link_header", "next_link", "none"]
    next: str = ""
    parameter: str = ""
    limit_parameter: str = ""
    limit: int = 500
    first: int = 1


ONE_PAGE = Pagination(style="none")


class Listing(Part, frozen=True, kw_only=True):
    """A list of records: where to ask, with what, and where the answer holds the records and their number (all pages together)."""

    path: str
    records: str
    query: dict[str, str] = {}
    total: str = ""
    pagination: Pagination = ONE_PAGE


class Keys(Part, frozen=True, kw_only=True):
    """How several keys stand in one query: the parameter once for each key (repeat), or one parameter with `template`, in which {keys} is a
    list in JSON (json) or of quoted texts (quoted: 'a','b'), or which is written once for each {key}, joined by `or` (each)."""

    parameter: str
    style: Literal["repeat", "json", "quoted", "each"] = "repeat"
    template: str = ""
    limit: int = 50


class Count(Part, frozen=True, kw_only=True):
    """How many SOAs there are, where the list itself does not say; asked before and after the list is read."""

    path: str
    value: str
    query: dict[str, str] = {}


class Changes(Part, frozen=True, kw_only=True):
    """How the list is asked for what changed at or after {since}, SOAs that are closed now among them: `query` in place of the parameters
    of soas.query that have the same name; one that is empty here is left out."""

    query: dict[str, str]


class Soas(Listing, frozen=True, kw_only=True):
    """The list of SOAs and one SOA (`one_record` is where its answer holds the record, empty for the whole). `as_of` is
    where an answer says when the list was taken; where none does, `as_of_header` may name the header with PSCloud's time (Date). A PSCloud
    that cannot say what changed has no `changes`: then each download is a full one."""

    one_path: str
    one_query: dict[str, str] = {}
    one_record: str = ""
    as_of: str = ""
    as_of_header: str = ""
    changes: Changes | None = None
    count: Count | None = None


class Join(Listing, frozen=True, kw_only=True):
    """Records of another list that belong to each SOA: those whose `key` equals the SOA's `soa_key`. They are asked for by batches of
    keys; with `sorted` both lists arrive in the order of that key (compared as text or number) and are read side by side instead."""

    key: str
    soa_key: str
    keys: Keys
    many: bool = True
    sorted: Literal["no", "text", "number"] = "no"


class Summary(Part, frozen=True, kw_only=True):
    """Control totals of the same set of SOAs: asked (totals), made by reading the list a second time (list), or none, and then nothing
    is ever closed because it is absent."""

    style: Literal["totals", "list", "none"] = "totals"
    path: str = ""
    count: str = ""
    amount_due: str = ""
    query: dict[str, str] = {}


class CollectorFields(Part, frozen=True, kw_only=True):
    """Where a collector record holds its parts; `inactive` is for a PSCloud that marks those out of use."""

    code: str
    name: str
    area: str = ""
    active: str = ""
    inactive: str = ""


class Collectors(Listing, frozen=True, kw_only=True):
    """The list of collector codes."""

    fields: CollectorFields


class SoaFields(Part, frozen=True, kw_only=True):
    """Where an SOA record holds its parts, the customer's among them; `invoices` is the list. An empty `status` means that all listed SOAs
    are active, an empty `penalty` that PSCloud knows none."""

    id: str
    soa_number: str
    customer_id: str
    account_number: str
    customer_name: str
    issued_on: str
    due_date: str
    amount_due: str
    updated_at: str
    invoices: str
    penalty: str = ""
    status: str = ""
    address: str = ""
    contact_number: str = ""
    tin: str = ""
    collector_code: str = ""


class InvoiceFields(Part, frozen=True, kw_only=True):
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


class Formats(Part, frozen=True, kw_only=True):
    """How values are written. Dates: `iso`, `midnight` (a date with a time of 00:00), or a pattern such as %d/%m/%Y. Instants: `iso` with
    an offset, `local` (2026-11-20 08:15:30 in `zone`), `unix` (seconds), or a pattern, in `zone` when it has no %z. Amounts: `pesos`,
    `centavos` (whole numbers), `grouped` (pesos that may have commas, as in 1,234.50)."""

    date: str = "iso"
    instant: str = "iso"
    zone: str = "Asia/Manila"
    amount: Literal["pesos", "centavos", "grouped"] = "pesos"
    numbers_as_text: bool = False


class PaymentFields(Part, frozen=True, kw_only=True):
    """What a payment's parts are called when we post it; one left empty is not sent."""

    reference: str
    soa_id: str
    amount: str
    collected_at: str
    allocations: str
    allocation_invoice: str
    allocation_amount: str
    receipt_number: str = ""
    method: str = ""
    method_reference: str = ""
    collector_code: str = ""
    allocation_kind: str = ""


class ResultFields(Part, frozen=True, kw_only=True):
    """Where the result of one payment holds its parts."""

    reference: str
    status: str
    pscloud_id: str = ""
    error_code: str = ""
    error_message: str = ""


class Lookup(Listing, frozen=True, kw_only=True):
    """How PSCloud is asked for payments by their references."""

    keys: Keys


class HeldFields(Part, frozen=True, kw_only=True):
    """Where PSCloud's record of a payment (in the list and by its reference) holds what reconciliation compares; what is left empty, or is
    not in the record, is not compared."""

    amount: str = ""
    soa_id: str = ""
    receipt_number: str = ""


class VoidFields(Part, frozen=True, kw_only=True):
    """How PSCloud is told of a void: the call's method, where it expects the parts (one left empty is not sent), what else stands in the
    request, and where the answer holds the payment's result. With `ask_first` PSCloud is asked what it holds before each void, because it
    refuses the same void a second time."""

    method: Literal["POST", "PUT", "PATCH"] = "POST"
    reason: str = ""
    voided_at: str = ""
    approved_by: str = ""
    fixed: dict[str, str | int | bool] = {}
    record: str = ""
    ask_first: bool = False


class Payments(Part, frozen=True, kw_only=True):
    """Posting payments, asking what became of them, voiding one; the word tables turn our words into PSCloud's or back. `single` means one
    payment a request: its result is the record at `results`, and a status of `refused` speaks of that payment alone. A PSCloud without a
    call for voids has no `void_path`. One that can list its payments has a `listing`, in whose query {since} is the instant from which on
    they were collected; a part of the query that holds it is left out when all are wanted."""

    path: str
    lookup: Lookup
    fields: PaymentFields
    result: ResultFields
    methods: dict[str, str]
    kinds: dict[str, str]
    statuses: dict[str, Literal["accepted", "duplicate", "rejected", "voided"]]
    style: Literal["batch", "single"] = "batch"
    envelope: str = ""
    results: str = ""
    refused: tuple[int, ...] = ()
    limit: int = 200
    money: Literal["text", "number", "centavos"] = "text"
    as_numbers: tuple[Literal["soa_id", "allocation_invoice"], ...] = ()
    fixed: dict[str, str | int | bool] = {}
    void_path: str = ""
    void: VoidFields = VoidFields()
    held: HeldFields = HeldFields()
    listing: Listing | None = None


class Errors(Part, frozen=True, kw_only=True):
    """Where an answer that is an error may hold its code and its message for people; the first that is there is shown."""

    message: tuple[str, ...] = ("error.message",)
    code: tuple[str, ...] = ("error.code",)


class Profile(Part, frozen=True, kw_only=True):
    """One installation's PSCloud, as read from TOML. `soa_status` and `vat_type` map PSCloud's words to ours; `headers` go with every
    request; each of `joins` is put into the SOA's record under its name."""

    name: str
    auth: Auth
    soas: Soas
    summary: Summary
    soa: SoaFields
    invoice: InvoiceFields
    payments: Payments
    status_path: str = ""
    collectors: Collectors | None = None
    soa_status: dict[str, Literal["active", "closed"]] = {}
    vat_type: dict[str, Literal["vatable", "exempt", "zero_rated"]] = {}
    joins: dict[str, Join] = {}
    formats: Formats = Formats()
    errors: Errors = Errors()
    headers: dict[str, str] = {}


def load(path: str | Path | None = None) -> Profile:
    """The profile in that file, or the built-in one for an empty path. Raises ProfileError in plain words."""
    return _load(Path(path) if path else BUILT_IN)


@lru_cache(maxsize=8)
def _load(path: Path) -> Profile:
    from portal.pscloud.profile_check import read  # it knows the classes above, and needs them whole

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProfileError(f"The connector profile {path} cannot be read: {error.strerror}. Check PSCLOUD_PROFILE.") from None
    except UnicodeDecodeError:
        raise ProfileError(f"The connector profile {path} is not valid TOML: it is no text in UTF-8.") from None
    return read(text, path)
