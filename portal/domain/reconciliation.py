"""Our books beside PSCloud's, one record at a time: equal, differing (in what), only here, only there. It judges and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

from portal.domain.money import exact
from portal.domain.soa import Soa

Record = Literal["soa", "payment"]
Kind = Literal["equal", "waiting", "different", "only_here", "only_pscloud", "unreadable"]
RECORDS: tuple[Record, ...] = ("soa", "payment")
DIFFERENCES: tuple[Kind, ...] = ("different", "only_here", "only_pscloud", "unreadable")
"""The kinds that keep two books from being equal; what waits to be posted is on its way and does not."""
INVOICES = "invoices"
MOST_FIELDS = 60
"""Differing fields of one record that are kept; more help nobody."""

SOA_FIELDS = {
    "soa_number": "SOA number",
    "customer_id": "Customer",
    "account_number": "Account number",
    "customer_name": "Customer name",
    "address": "Address",
    "contact_number": "Contact number",
    "tin": "TIN",
    "issued_on": "Issued on",
    "due_date": "Due date",
    "amount_due": "Amount due",
    "penalty": "Penalty",
    "collector_code": "Collector code",
    "status": "Status",
    INVOICES: "Invoices",
}
PAYMENT_FIELDS = {"state": "State", "amount": "Amount", "soa_id": "SOA", "receipt_number": "Receipt number"}
FIELDS = {**SOA_FIELDS, **PAYMENT_FIELDS}
"""The names of what can differ, in words."""


@dataclass(frozen=True, slots=True)
class Differing:
    """One field that is not the same: its name (of an invoice's part `invoice SI-1 balance`), our value and PSCloud's, as text."""

    name: str
    here: str
    pscloud: str

    @property
    def group(self) -> str:
        """The key of FIELDS under which it is counted and filtered."""
        return INVOICES if self.name.startswith("invoice ") else self.name

    def swapped(self) -> Differing:
        """The same, seen from the other side."""
        return Differing(self.name, self.pscloud, self.here)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one comparison; `case` is a key of CASES, empty when equal."""

    kind: Kind
    case: str = ""
    fields: tuple[Differing, ...] = ()


EQUAL = Verdict("equal")


# --- SOAs


def compare_soas(here: Soa | None, pscloud: Soa | None) -> Verdict | None:
    """What our SOA and PSCloud's are to each other; None when neither is open, so that there is nothing to compare."""
    ours, theirs = here is not None and here.status == "active", pscloud is not None and pscloud.status == "active"
    if not ours and not theirs:
        return None
    if pscloud is None:
        return Verdict("only_here", "soa_gone")
    if here is None:
        return Verdict("only_pscloud", "soa_new")
    fields = differing(texts_of(here), texts_of(pscloud))
    if not fields:
        return EQUAL
    return Verdict("different", "soa_changed" if ours and theirs else "soa_reopened" if theirs else "soa_settled", fields)


def texts_of(soa: Soa) -> dict[str, str]:
    """Every field that counts, as text, an invoice's parts one by one; `updated_at` does not count."""
    found = {name: _text(value) for name, value in asdict(replace(soa, invoices=())).items() if name not in {"id", "updated_at", INVOICES}}
    for invoice in soa.invoices:
        for name, value in asdict(invoice).items():
            if name != "id":
                found[f"invoice {invoice.id}\0{name}"] = _text(value)
    return found


def differing(here: Mapping[str, str], pscloud: Mapping[str, str]) -> tuple[Differing, ...]:
    """The fields whose texts are not the same, in order; an invoice that only one side has is one line."""
    found: list[Differing] = []
    lacking: set[str] = set()
    for name in sorted(here.keys() | pscloud.keys(), key=_order):
        ours, theirs = here.get(name), pscloud.get(name)
        if ours == theirs:
            continue
        owner, _, part = name.partition("\0")
        if not part:
            found.append(Differing(name, ours or "", theirs or ""))
        elif ours is not None and theirs is not None:
            found.append(Differing(f"{_named(owner, here, pscloud)} {part.replace('_', ' ')}", ours, theirs))
        elif owner not in lacking:
            lacking.add(owner)
            found.append(Differing(_named(owner, here, pscloud), _in_short(owner, here), _in_short(owner, pscloud)))
    return tuple(found)


def _order(name: str) -> tuple[int, str]:
    return list(SOA_FIELDS).index(name) if name in SOA_FIELDS else len(SOA_FIELDS), name


def _named(owner: str, here: Mapping[str, str], pscloud: Mapping[str, str]) -> str:
    """`invoice SI-0001`: by its number where it has one and the same, else by PSCloud's id."""
    numbers = {side[key] for side in (here, pscloud) if (key := f"{owner}\0invoice_number") in side}
    return f"invoice {numbers.pop()}" if len(numbers) == 1 else owner


def _in_short(owner: str, side: Mapping[str, str]) -> str:
    if f"{owner}\0balance" not in side:
        return ""
    return ", ".join(f"{word} {side[f'{owner}{chr(0)}{name}']}" for word, name in (("balance", "balance"), ("due", "due_date")))


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{exact(value):f}"
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)


# --- payments


@dataclass(frozen=True, slots=True)
class Booked:
    """A payment in our ledger: its status, its void ("", requested, approved) and how far PSCloud was told of that (DOMAIN 8)."""

    status: str
    void: str
    void_posting: str
    amount: Decimal
    soa_id: str
    receipt_number: str

    @property
    def state(self) -> str:
        """In words."""
        return f"{self.status.capitalize()}, voided" if self.void == "approved" else self.status.capitalize()


@dataclass(frozen=True, slots=True)
class Held:
    """A payment PSCloud holds, as far as it tells: None is what it does not say."""

    voided: bool
    amount: Decimal | None = None
    soa_id: str | None = None
    receipt_number: str | None = None

    @property
    def state(self) -> str:
        """In words."""
        return "Voided" if self.voided else "Accepted"


ON_ITS_WAY = ("pending", "approved", "processing")


def compare_payments(here: Booked | None, pscloud: Held | None) -> Verdict | None:
    """What our payment and PSCloud's under the same reference are to each other; None when neither is there."""
    if here is None:
        return None if pscloud is None else Verdict("only_pscloud", "payment_stranger")
    if pscloud is None:
        return _unknown_there(here)
    texts = ({"amount": _text(here.amount)}, {"amount": _text(pscloud.amount)})
    for name in ("soa_id", "receipt_number"):
        for side, one in zip(texts, (here, pscloud), strict=True):
            side[name] = _text(getattr(one, name))
    told = [name for name in texts[1] if getattr(pscloud, name) is not None]
    fields = tuple(Differing(name, texts[0][name], texts[1][name]) for name in told if texts[0][name] != texts[1][name])
    case = _state_case(here, pscloud)
    if case and case not in WAITING:
        fields = (Differing("state", here.state, pscloud.state), *fields)
    if fields:
        return Verdict("different", case if case and case not in WAITING else "payment_changed", fields)
    return Verdict("waiting", case) if case else EQUAL


WAITING = frozenset({"payment_waiting", "payment_moving", "void_waiting"})


def _unknown_there(here: Booked) -> Verdict:
    if here.status == "completed":
        return Verdict("only_here", "payment_missing")
    if here.void == "approved":
        return EQUAL  # voided before it was ever posted: PSCloud never hears of it
    if here.status in ON_ITS_WAY:
        return Verdict("waiting", "payment_waiting")
    return Verdict("only_here", "payment_refused")


def _state_case(here: Booked, pscloud: Held) -> str:
    """How the two states disagree; empty when they agree."""
    if here.void == "approved":
        if pscloud.voided:
            return ""
        on_its_way = here.void_posting in {"due", "claimed"} or here.status == "processing"
        return "void_waiting" if on_its_way else "void_missing"
    if pscloud.voided:
        return "payment_voided_there"
    if here.status == "completed":
        return ""
    # What is being posted, or will be asked about before it is posted, resolves itself within minutes.
    return "payment_waiting" if here.status in {"approved", "processing"} else "payment_there_already"


# --- what it means, and what to do

RECORD_WORDS = {"soa": "SOA", "payment": "Payment"}
KIND_WORDS = {
    "equal": "Equal",
    "waiting": "On its way",
    "different": "Different",
    "only_here": "Only here",
    "only_pscloud": "Only in PSCloud",
    "unreadable": "Cannot be read",
}

KIND_MEANINGS = {
    "equal": "The same on both sides.",
    "different": "Both have it, and not with the same figures or state.",
    "only_here": "PSCloud does not have it: an SOA was paid or removed there, a payment was refused or is gone.",
    "only_pscloud": "PSCloud has it and we do not: an SOA is new there, a payment came from elsewhere.",
    "unreadable": "PSCloud sent something that cannot be read.",
    "waiting": "Not posted to PSCloud yet, or on its way: no difference.",
}


def words_of(field: Differing) -> str:
    """The name of a differing field, in words."""
    return FIELDS.get(field.name) or field.name[:1].upper() + field.name[1:]


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which two books disagree: what it means and what to do, for a cashier."""

    means: str
    do: str


CASES = {
    "soa_new": Case(
        "PSCloud has this open SOA and the portal does not.",
        "Press Sync now. If it is missing afterwards too, look at that download's records that could not be read.",
    ),
    "soa_gone": Case(
        "It is open here and not in PSCloud's list of open SOAs: it was paid, cancelled or removed there since the last download.",
        "Press Sync now: a full download closes it here. Until then collectors may still ask this customer for money.",
    ),
    "soa_gone_settled": Case(
        "It is open here, and PSCloud says that it is settled or cancelled.",
        "Press Sync now: a full download closes it here. Until then collectors may still ask this customer for money.",
    ),
    "soa_gone_unknown": Case(
        "It is open here, and PSCloud does not know it any more.",
        "Ask PSCloud's administrator why it was removed. Then press Sync now: a full download closes it here.",
    ),
    "soa_changed": Case(
        "Both have it, and PSCloud's figures are newer: payments were booked there, or it was corrected.",
        "Press Sync now and choose the full download: it reads every SOA, whatever PSCloud says of its last change.",
    ),
    "soa_reopened": Case(
        "It is closed here and open in PSCloud: it is owed again.",
        "Press Sync now: it becomes active here, and collectors get it with their next download.",
    ),
    "soa_settled": Case(
        "It is open here and settled or cancelled in PSCloud.",
        "Press Sync now: it is closed here. Until then collectors may still ask this customer for money.",
    ),
    "soa_unreadable": Case(
        "PSCloud sent a record that cannot be read, so nothing can be said about this SOA.",
        "Have the field that is named corrected in PSCloud, then press Sync now.",
    ),
    "payment_missing": Case(
        "It is Completed here: PSCloud accepted it once. Now PSCloud does not know it.",
        "Ask PSCloud's administrator to look for the reference: it was deleted there, or a backup was put back. When it is to be there, a "
        "supervisor sends it again from here: PSCloud is asked once more, and books it under the same reference, so not twice.",
    ),
    "payment_refused": Case(
        "PSCloud refused it, so the money is in our ledger and not in PSCloud.",
        "Open the payment, read PSCloud's reason, have that corrected, then press Retry.",
    ),
    "payment_there_already": Case(
        "PSCloud holds it, and here it counts as not posted.",
        "Approve it, or press Retry: PSCloud knows the reference, books it no second time, and it becomes Completed.",
    ),
    "payment_voided_there": Case(
        "Somebody voided it in PSCloud; here it stands.",
        "Ask PSCloud's administrator who voided it and why. If rightly, void it here too; if not, it must be entered there again.",
    ),
    "void_missing": Case(
        "It is voided here and stands in PSCloud, so PSCloud counts money that was given back.",
        "Open the page Voids: when PSCloud refused the void, its reason stands there. Have it voided in PSCloud by hand.",
    ),
    "payment_changed": Case(
        "Both have it, and not with the same figures.",
        "Hold the receipt against both, and have PSCloud's administrator correct what is wrong there. The portal changes neither.",
    ),
    "payment_stranger": Case(
        "PSCloud holds a payment under a reference that our ledger does not know.",
        "See whether a phone has entries that were not uploaded, or a backup was put back here. If not, somebody entered it in "
        "PSCloud: ask its administrator.",
    ),
    "payment_unreadable": Case(
        "PSCloud's record of this payment cannot be read, so nothing can be said about it.",
        "Show the reason to whoever keeps the connector profile.",
    ),
    "payment_waiting": Case(
        "It is not posted to PSCloud yet.", "Nothing, unless it waits for an approval: then it stands under Payments, Pending."
    ),
    "payment_moving": Case("It was on its way to PSCloud while the two were compared.", "Nothing: the next comparison finds it settled."),
    "void_waiting": Case("It is voided here, and PSCloud will be told within minutes.", "Nothing: the next comparison finds it settled."),
}
"""Every case in words."""
