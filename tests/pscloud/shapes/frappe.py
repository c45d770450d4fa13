"""A PSCloud in the shape of Frappe's REST API: documents by type, offset pages, filters as JSON, numbers as floats, local times."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.pscloud.shapes.base import Bill, Heard, Receipt, Refused, Say, Shape, Statement

MANILA = ZoneInfo("Asia/Manila")
RESOURCE = "/api/resource/"
SOA, INVOICE, CUSTOMER, COLLECTOR, COLLECTION = "Statement of Account", "SOA Invoice", "Customer", "Collector Code", "Collection"
MODES = {"Cash": "cash", "Cheque": "check", "E-Wallet": "e_wallet", "Bank Transfer": "bank_transfer"}
_SUM = re.compile(r"(sum|count)\((\w+)\) as (\w+)", re.IGNORECASE)


class Frappe(Shape):
    """SOAs, their invoices and their customers are three document types; a collection is submitted one at a time."""

    credential = "a1b2c3d4e5:f6a7b8c9d0"
    profile = "portal/pscloud/profiles/frappe.toml"

    def is_soa_list(self, heard: Heard) -> bool:
        return heard.path == RESOURCE + SOA and "sum(" not in heard.one("fields")

    def is_post(self, heard: Heard) -> bool:
        return heard.method == "POST" and heard.path == RESOURCE + COLLECTION

    def is_void(self, heard: Heard) -> bool:
        return heard.method == "PUT" and heard.path.startswith(RESOURCE + COLLECTION)

    def answer(self, heard: Heard) -> Say:
        if heard.headers.get("authorization") != f"token {self.credential}":
            return _error(401, "AuthenticationError", "")
        if heard.path == "/api/method/ping":
            return Say({"message": "pong"})
        if heard.path == "/api/method/frappe.client.get_count":
            found = len(self._filtered(heard.one("doctype"), heard.one("filters")))
            return Say({"message": found if self.total is None else self.total})
        if not heard.path.startswith(RESOURCE):
            return _error(404, "DoesNotExistError", "Page not found")
        kind, _, name = heard.path.removeprefix(RESOURCE).partition("/")
        try:
            if heard.method == "GET" and not name:
                return self._list(kind, heard)
            if heard.method == "GET":
                found_one = next((row for row in self._table(kind) if row["name"] == name), None)
                return Say({"data": found_one}) if found_one else _error(404, "DoesNotExistError", f"{kind} {name} not found")
            if heard.method == "POST":
                return self._insert(heard.json())
            return self._update(name, heard.json())
        except Refused as refusal:
            return _error(417, refusal.code, refusal.message)

    def _table(self, kind: str) -> list[dict[str, Any]]:
        tables: dict[str, Callable[[], list[dict[str, Any]]]] = {
            SOA: lambda: [_soa(one) for one in self.books.statements],
            INVOICE: lambda: [_invoice(one, bill) for one in self.books.statements for bill in one.bills],
            CUSTOMER: lambda: [_customer(one) for one in self.books.statements],
            COLLECTOR: lambda: [
                {"name": a, "collector_name": b, "territory": c, "disabled": int(not d)} for a, b, c, d in self.books.collectors
            ],
            COLLECTION: lambda: [_collection(one) for one in self.books.receipts.values()],
        }
        if kind not in tables:
            raise Refused("DoesNotExistError", f"DocType {kind} not found")
        return tables[kind]()

    def _filtered(self, kind: str, filters: str) -> list[dict[str, Any]]:
        rows = self._table(kind)
        for *_, name, operator, value in json.loads(filters or "[]"):
            if operator == "in" and not isinstance(value, list):
                value = str(value).split(",")
            tests: dict[str, Callable[[Any, Any], bool]] = {
                "=": lambda held, asked: held == asked,
                "!=": lambda held, asked: held != asked,
                "in": lambda held, asked: held in asked,
                ">=": lambda held, asked: held >= asked,
            }
            if rows and name not in rows[0]:
                raise Refused("DataError", f"Field not permitted in query: {name}")
            rows = [row for row in rows if tests[operator](row[name], value)]
        return rows

    def _list(self, kind: str, heard: Heard) -> Say:
        rows = self._filtered(kind, heard.one("filters"))
        fields = json.loads(heard.one("fields", '["name"]'))
        sums = [_SUM.fullmatch(one) for one in fields]
        if sums and all(sums):
            return Say({"data": [{one[3]: _aggregate(one[1], one[2], rows) for one in sums if one}]})
        if rows and (unknown := [one for one in fields if one != "*" and one not in rows[0]]):
            return _error(417, "DataError", f"Field not permitted in query: {unknown[0]}")
        order, _, way = heard.one("order_by", "modified desc").partition(" ")
        rows.sort(key=lambda row: str(row.get(order, "")), reverse=way == "desc")
        asked = int(heard.one("limit_page_length", "20"))
        size = min(asked or len(rows), self.cap)
        start = int(heard.one("limit_start", "0"))
        if self.is_soa_list(heard) and self.next_goes in {"same", "endless"}:
            start = 0  # whatever is asked for, the first page comes
        shown = rows[start : start + size]
        if self.is_soa_list(heard):
            spoiled = {one.id for one in self.books.statements if one.spoiled == "shape"}
            return Say({"data": [row["name"] if row["name"] in spoiled else {key: row[key] for key in fields} for row in shown]})
        return Say({"data": [row if fields == ["*"] else {key: row[key] for key in fields} for row in shown]})

    def _insert(self, item: dict[str, Any]) -> Say:
        if item["reference"] in self.books.receipts:
            return _error(409, "DuplicateEntryError", f"Collection {item['reference']} already exists")
        receipt = Receipt(
            reference=item["reference"],
            number=item["receipt_no"],
            soa=item["statement"],
            amount=_pesos(item["paid_amount"]),
            method=MODES[item["mode_of_payment"]],
            method_reference=item["reference_no"],
            collected_at=_moment(item["collected_at"]),
            collector=item["collector"],
            parts=[(part["invoice"], part["part"].lower(), _pesos(part["amount"])) for part in item["allocations"]],
            own_id=f"COLL-{len(self.books.receipts) + 1:05d}",
        )
        if item["docstatus"] != 1:
            raise Refused("ValidationError", "Collections are submitted at once.")
        return Say({"data": _collection(self.books.take(receipt))})

    def _update(self, name: str, changes: dict[str, Any]) -> Say:
        found = next((one for one in self.books.receipts.values() if one.own_id == name), None)
        if found is None:
            return _error(404, "DoesNotExistError", f"Collection {name} not found")
        if found.void_reason is not None or changes["docstatus"] != 2:
            raise Refused("UpdateAfterSubmitError", "Cannot edit a cancelled document")
        if found.number in self.books.refuse:
            raise Refused("ClosedPeriodError", "The <b>period</b> is closed")
        _moment(changes["cancelled_at"])
        found.void_reason = changes["cancel_reason"]
        return Say({"data": _collection(found)})


def _pesos(value: float) -> Decimal:
    if not isinstance(value, float | int):
        raise Refused("ValidationError", "An amount is a number.")
    return Decimal(str(value)).quantize(Decimal("0.01"))


def _aggregate(how: str, name: str, rows: list[dict[str, Any]]) -> Any:
    return len(rows) if how.lower() == "count" else float(sum(row[name] for row in rows if isinstance(row[name], float)))


def _error(status: int, kind: str, message: str) -> Say:
    told = json.dumps([json.dumps({"message": message, "indicator": "red"})])
    trace = json.dumps([f"Traceback (most recent call last):\n  File apps/x.py, line 7\nfrappe.exceptions.{kind}: {message}"])
    return Say({"exception": f"frappe.exceptions.{kind}: {message}", "exc_type": kind, "exc": trace, "_server_messages": told}, status)


def _moment(text: str) -> datetime:
    if "+" in text or "Z" in text or text[10] != " ":
        raise Refused("ValidationError", f"{text} is not a local time.")
    return datetime.fromisoformat(text).replace(tzinfo=MANILA)


def _local(moment: datetime) -> str:
    return moment.astimezone(MANILA).strftime("%Y-%m-%d %H:%M:%S.%f")


def _soa(one: Statement) -> dict[str, Any]:
    return {
        "name": one.id,
        "statement_no": one.number,
        "customer": one.customer,
        "account_no": one.account,
        "posting_date": one.issued.isoformat(),
        "due_date": "0000-00-00" if one.spoiled == "date" else one.due.isoformat(),
        "amount_due": "1,250.00" if one.spoiled == "amount" else float(one.amount_due),
        "penalty": float(one.penalty),
        "collector": one.collector,
        "status": "Open" if one.active else "Settled",
        "modified": _local(one.changed),
    }


def _customer(one: Statement) -> dict[str, Any]:
    name = "" if one.spoiled == "customer" else one.name
    return {
        "name": one.customer,
        "customer_name": name,
        "primary_address": one.address,
        "mobile_no": one.phone,
        "tax_id": one.tin,
        "modified": _local(one.changed),
    }


def _invoice(one: Statement, bill: Bill) -> dict[str, Any]:
    return {
        "name": bill.id,
        "statement": one.id,
        "invoice_no": bill.number,
        "posting_date": bill.dated.isoformat(),
        "due_date": bill.due.isoformat(),
        "description": bill.text,
        "grand_total": float(bill.amount),
        "outstanding_amount": float(bill.balance),
        "penalty": float(bill.penalty),
        "vat_category": {"vatable": "VATable", "exempt": "VAT Exempt", "zero_rated": "Zero Rated"}[bill.kind],
        "total_taxes": float(bill.vat),
        "modified": _local(one.changed),
    }


def _collection(receipt: Receipt) -> dict[str, Any]:
    return {
        "name": receipt.own_id,
        "reference": receipt.reference,
        "receipt_no": receipt.number,
        "docstatus": 1 if receipt.void_reason is None else 2,
        "cancel_reason": receipt.void_reason,
        "paid_amount": float(receipt.amount),
        "statement": receipt.soa,
        "collected_at": _local(receipt.collected_at),
    }
