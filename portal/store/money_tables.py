"""The tables of the money desk: kept totals of payments."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy.orm import Mapped, mapped_column

from portal.store.models import Model, plain
from portal.store.types import Pesos


class PaymentTotal(Model):
    """Count and pesos of the payments that are alike in what the list filters on. `void` is "", requested or approved; `flags` are all of a
    payment's in their order, each between commas, or "". Kept with every write of payments, flags and voids (store/payment_totals.py)."""

    __tablename__ = "payment_totals"
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    tender: Mapped[str] = mapped_column(plain(14), primary_key=True)
    status: Mapped[str] = mapped_column(plain(12), primary_key=True)
    void: Mapped[str] = mapped_column(plain(10), primary_key=True)
    flags: Mapped[str] = mapped_column(plain(300), primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    vat_amount: Mapped[Decimal] = mapped_column(Pesos)


class PaymentDayTotal(Model):
    """PaymentTotal over all collectors. Triggers keep it with every write of PaymentTotal (migration 0016)."""

    __tablename__ = "payment_day_totals"
    business_date: Mapped[date] = mapped_column(primary_key=True)
    tender: Mapped[str] = mapped_column(plain(14), primary_key=True)
    status: Mapped[str] = mapped_column(plain(12), primary_key=True)
    void: Mapped[str] = mapped_column(plain(10), primary_key=True)
    flags: Mapped[str] = mapped_column(plain(300), primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    vat_amount: Mapped[Decimal] = mapped_column(Pesos)


class PaymentMonthTotal(Model):
    """PaymentDayTotal of each month, by its first day; kept by triggers too."""

    __tablename__ = "payment_month_totals"
    month: Mapped[date] = mapped_column(primary_key=True)
    tender: Mapped[str] = mapped_column(plain(14), primary_key=True)
    status: Mapped[str] = mapped_column(plain(12), primary_key=True)
    void: Mapped[str] = mapped_column(plain(10), primary_key=True)
    flags: Mapped[str] = mapped_column(plain(300), primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    vat_amount: Mapped[Decimal] = mapped_column(Pesos)
