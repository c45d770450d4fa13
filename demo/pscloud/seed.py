"""Invents the customers of a memorial park: the same seed and business day always give the same statements."""

import calendar
import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from demo.pscloud import material, money
from demo.pscloud.records import MANILA, Invoice, Soa

MONTHLY_PENALTY_PERCENT = 2
NOTICE_DAYS = 30

# One kind of wrong record each; the key is how GET /_control names it.
FAULTS: dict[str, list[dict[str, Any]]] = {
    "letter O in an amount": [{"path": ["invoices", 0, "amount"], "value": "12,5O0.00"}],
    "customer name missing": [{"path": ["customer", "name"], "remove": True}],
    "impossible due date": [{"path": ["due_date"], "value": "2026-02-31"}],
    "negative balance": [{"path": ["invoices", 0, "balance"], "value": "-250.00"}],
    "amount due is not a number": [{"path": ["amount_due"], "value": "NaN"}],
    "unknown status word": [{"path": ["status"], "value": "on_hold"}],
    "unknown vat_type word": [{"path": ["invoices", 0, "vat_type"], "value": "vat_inclusive"}],
    "amount with three decimals": [{"path": ["invoices", 0, "amount"], "value": "1500.005"}],
}


def statements(seed: int, customers: int, faulty_records: bool, today: date) -> Iterator[tuple[Soa, datetime]]:
    """Each SOA with the instant of its last change, one for each customer, then the records that are wrong on purpose."""
    previous: Soa | None = None
    for number in range(1, customers + 1):
        soa, changed = _statement(seed, number, today)
        if number % 25 == 0 and previous is not None:
            # The same person with a second account: own ids, same name and address.
            soa.name, soa.address, soa.contact_number, soa.tin = previous.name, previous.address, previous.contact_number, previous.tin
            soa.collector_code, soa.latitude, soa.longitude = previous.collector_code, previous.latitude, previous.longitude
        yield soa, changed
        previous = soa
    if faulty_records:
        for number, edits in enumerate(FAULTS.values(), start=customers + 1):
            soa, changed = _statement(seed, number, today, plain=True)
            soa.fault = edits
            yield soa, changed


def _statement(seed: int, number: int, today: date, plain: bool = False) -> tuple[Soa, datetime]:
    """One SOA; what a small demo must contain goes by position, everything else by chance. plain: active, with a known code."""
    rng = random.Random(f"{seed}:{number}")
    town = material.TOWNS[number % len(material.TOWNS)]
    due = today + timedelta(days=_due_in_days(rng, number))
    soa = Soa(
        id=f"SOA{number:06d}",
        soa_number=f"{due - timedelta(days=NOTICE_DAYS):%Y-%m}-{number:06d}",
        customer_id=f"CUS{number:06d}",
        account_number=f"HP-{rng.randint(today.year - 11, today.year)}-{number:05d}",
        name=_name(rng, number),
        address=_address(rng, town) if rng.random() < 0.97 else None,
        contact_number=f"{rng.choice(material.PREFIXES)} 000 {rng.randint(0, 9999):04d}" if rng.random() < 0.93 else None,
        tin=f"900-{rng.randint(0, 999):03d}-{rng.randint(0, 999):03d}-00000" if rng.random() < 0.18 else None,
        latitude=round(town.latitude + rng.uniform(-0.012, 0.012), 6),
        longitude=round(town.longitude + rng.uniform(-0.012, 0.012), 6),
        issued_on=due - timedelta(days=NOTICE_DAYS),
        due_date=due,
        collector_code=town.code,
        status="active",
    )
    if rng.random() < 0.12:
        soa.latitude = soa.longitude = None
    soa.invoices = _invoices(rng, number, due, today)
    if not plain:
        _set_apart(soa, number)
    return soa, max(_last_change(rng, today), datetime.combine(soa.issued_on, time(6, 0), MANILA))


def _set_apart(soa: Soa, number: int) -> None:
    """Settled, cancelled, unassigned and wrongly assigned statements, a few of each."""
    if number % 60 == 5:
        soa.collector_code = None
    elif number % 75 == 9:
        soa.collector_code = material.UNKNOWN_CODE
    elif number % 90 == 14:
        soa.collector_code = material.CLOSED_ROUTE
    if number % 25 == 11:
        soa.status = "settled"
    elif number % 50 == 23:
        soa.status = "cancelled"
    if soa.status != "active":
        for invoice in soa.invoices:
            invoice.balance = invoice.penalty = 0


def _due_in_days(rng: random.Random, number: int) -> int:
    place = number % 20
    if place in (1, 10):
        return 0
    if place in (2, 3, 7, 12, 16):
        return -rng.randint(1, 30)
    if place in (4, 13):
        return -rng.randint(31, 120)
    return rng.randint(1, 28)


def _invoices(rng: random.Random, number: int, due: date, today: date) -> list[Invoice]:
    """One to six invoices: the current instalment, arrears of the months before, at times perpetual care."""
    product = rng.choices(material.PRODUCTS, weights=[product.weight for product in material.PRODUCTS])[0]
    term = rng.choice(product.terms)
    price = rng.randrange(product.lowest, product.highest + 1, 500) * 100
    instalment = money.share(price, 1, term)
    place = f"{rng.choice(product.places)}, Block {rng.randint(1, 24)} Lot {rng.randint(1, 180)}"
    arrears = min(rng.choices((0, 1, 2, 3, 4, 5), weights=(50, 20, 13, 8, 5, 4))[0], term - 1)
    current = rng.randint(arrears + 1, term)
    vat_type = "zero_rated" if number % 97 == 13 else "vatable"
    care = number % 6 == 2 and arrears < 5

    invoices: list[Invoice] = []
    for back in range(arrears, -1, -1):
        words = f"{product.name}, {place}" + (f", instalment {current - back} of {term}" if term > 1 else "")
        invoices.append(_invoice(number, len(invoices) + 1, _months_before(due, back), words, instalment, vat_type))
    if care:
        fee = rng.choice((150_000, 180_000, 240_000, 360_000, 600_000))
        invoices.append(_invoice(number, len(invoices) + 1, due, f"Perpetual care fund {due.year}, {place}", fee, "exempt"))
    oldest = invoices[0]
    if rng.random() < 0.15:
        oldest.balance -= min(rng.randrange(10_000, 100_001, 5_000), oldest.balance - 1)
    for invoice in invoices:
        days_late = (today - invoice.due_date).days
        if days_late > 0:
            months_begun = (days_late + 29) // 30
            invoice.penalty = money.share(invoice.balance, MONTHLY_PENALTY_PERCENT * months_begun, 100)
    return invoices


def _invoice(number: int, position: int, due: date, description: str, amount: int, vat_type: str) -> Invoice:
    issued = due - timedelta(days=NOTICE_DAYS)
    return Invoice(
        id=f"INV{number:06d}-{position}",
        invoice_number=f"SI-{issued:%y%m}-{number:06d}{position}",
        invoice_date=issued,
        due_date=due,
        description=description,
        amount=amount,
        balance=amount,
        penalty=0,
        vat_type=vat_type,
        vat_amount=money.vat_inside(amount) if vat_type == "vatable" else 0,
    )


def _months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or that month's last day."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _last_change(rng: random.Random, today: date) -> datetime:
    """Before the business day began; most by the nightly run, so that many share one instant."""
    nightly = datetime.combine(today - timedelta(days=1), time(23, 30), MANILA)
    if rng.random() < 0.7:
        return nightly - timedelta(days=rng.randint(0, 6))
    return nightly - timedelta(days=rng.randint(0, 29), seconds=rng.randint(6 * 3600, 15 * 3600))


def _name(rng: random.Random, number: int) -> str:
    if number <= len(material.FIRST_NAMES_ON_THE_LIST):
        return material.FIRST_NAMES_ON_THE_LIST[number - 1]
    surname = rng.choice(material.SURNAMES)
    kind = rng.random()
    if kind < 0.03:
        return f"Heirs of {rng.choice(material.MEN)} {rng.choice(material.INITIALS)}. {surname}"
    if kind < 0.08:
        return f"Sps. {rng.choice(material.MEN)} and {rng.choice(material.WOMEN)} {surname}"
    initial = f" {rng.choice(material.INITIALS)}." if rng.random() < 0.85 else ""
    if rng.random() < 0.52:
        return f"{rng.choice(material.WOMEN)}{initial} {surname}"
    suffix = rng.choices(("", " Jr.", " Sr.", " III"), weights=(86, 9, 3, 2))[0]
    return f"{rng.choice(material.MEN)}{initial} {surname}{suffix}"


def _address(rng: random.Random, town: material.Town) -> str:
    if rng.random() < 0.3:
        street = f"Blk {rng.randint(1, 40)} Lot {rng.randint(1, 60)} {rng.choice(material.SUBDIVISIONS)}"
    else:
        street = f"{rng.randint(1, 998)} {rng.choice(material.STREETS)}"
    return f"{street}, Brgy. {rng.choice(town.barangays)}, {town.name}, {town.province}"
