"""The version of an SOA: phones and the database hold it, so the same figures give the same text for ever."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portal.domain.soa import Invoice, Soa
from tests.factories import make_invoice, make_soa

SOA = make_soa("S1", invoices=[make_invoice(1), make_invoice(2)])


def other(value: Any) -> Any:
    """A value of the same kind that is not this one."""
    if isinstance(value, Decimal):
        return value + 1
    if isinstance(value, date):
        return value + timedelta(days=1)
    return "exempt" if value == "vatable" else "closed" if value == "active" else f"{value}x"


def test_the_version_of_the_same_figures_never_changes() -> None:
    assert SOA.version == "657deb00d484e2c3"


@pytest.mark.parametrize("name", [field.name for field in fields(Soa) if field.name not in {"updated_at", "invoices"}])
def test_every_field_moves_the_version(name: str) -> None:
    assert replace(SOA, **{name: other(getattr(SOA, name))}).version != SOA.version


@pytest.mark.parametrize("name", [field.name for field in fields(Invoice)])
def test_every_field_of_an_invoice_moves_the_version(name: str) -> None:
    first, second = SOA.invoices
    assert replace(SOA, invoices=(first, replace(second, **{name: other(getattr(second, name))}))).version != SOA.version


def test_when_pscloud_touched_it_does_not_count() -> None:
    assert replace(SOA, updated_at=SOA.updated_at + timedelta(days=1)).version == SOA.version
