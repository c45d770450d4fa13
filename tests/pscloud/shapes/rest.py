"""A PSCloud that speaks docs/pscloud-api.yaml: bearer token, cursors, invoices inside each SOA, payments in batches."""

from __future__ import annotations

import base64
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.pscloud.shapes.base import Heard, Receipt, Refused, Say, Shape, Statement

SOAS, PAYMENTS = "/api/v1/soas", "/api/v1/payments"


class Rest(Shape):
    """The default contract."""

    credential = "rest-secret-token"
    profile = None

    def is_soa_list(self, heard: Heard) -> bool:
        return heard.path == SOAS

    def is_post(self, heard: Heard) -> bool:
        return heard.method == "POST" and heard.path == PAYMENTS

    def is_void(self, heard: Heard) -> bool:
        return heard.method == "POST" and heard.path.endswith("/void")

    def answer(self, heard: Heard) -> Say:
        if heard.path == "/api/v1/status":
            return Say({"name": "PSCloud", "version": "1", "time": "2026-11-20T05:00:00+08:00"})
        if heard.headers.get("authorization") != f"Bearer {self.credential}":
            return _error(401, "unauthorized", "The token is not valid.")
        if heard.path == SOAS:
            return self._list(heard)
        if heard.path == f"{SOAS}/summary":
            open_ones = self.books.active()
            amount = sum((one.amount_due for one in open_ones), Decimal("0.00"))
            return Say({"count": len(open_ones), "amount_due": str(amount), "penalty": "0.00", "collectors": []})
        if heard.path.startswith(f"{SOAS}/"):
            found = self.books.known(heard.path.removeprefix(f"{SOAS}/"))
            return Say(_soa(found)) if found else _error(404, "not_found", "There is no such SOA.")
        if heard.path == "/api/v1/collectors":
            return Say({"data": [{"code": a, "name": b, "area": c or None, "active": d} for a, b, c, d in self.books.collectors]})
        if heard.path == PAYMENTS and heard.method == "GET":
            wanted = [value for name, value in heard.query if name == "reference"]
            return Say({"data": [_held(self.books.receipts[one]) for one in wanted if one in self.books.receipts]})
        if self.is_post(heard):
            return Say({"results": [self._take(item) for item in heard.json()["payments"]]})
        if self.is_void(heard):
            return self._void(heard)
        return _error(404, "not_found", "There is no such page.")

    def _list(self, heard: Heard) -> Say:
        rows = self.books.active() if heard.one("status") == "active" else sorted(self.books.statements, key=lambda one: one.id)
        if since := heard.one("updated_since"):
            rows = [one for one in rows if one.changed >= datetime.fromisoformat(since)]
        cursor = heard.one("cursor")
        try:
            start = int(base64.b64decode(cursor)) if cursor else 0
        except ValueError:
            return _error(400, "invalid", "The cursor is none of ours.")
        end = start + min(int(heard.one("limit", "500")), self.cap)
        shown = [_soa(one) for one in rows[start:end]]
        token: str | None = base64.b64encode(str(end).encode()).decode() if end < len(rows) else None
        if self.next_goes == "same":
            token = cursor or "MA=="
        elif self.next_goes == "foreign":
            token = "https://elsewhere.example/api/v1/soas"  # a cursor is only ever a value: it leads nowhere by itself
        elif self.next_goes == "endless":
            shown, token = [_soa(one) for one in rows[:3]], base64.b64encode(str(end).encode()).decode()
        total = len(rows) if self.total is None else self.total
        return Say({"data": shown, "next_cursor": token, "total": total, "as_of": "2026-11-20T05:00:00+08:00"})

    def _take(self, item: dict[str, Any]) -> dict[str, Any]:
        held = self.books.receipts.get(item["reference"])
        try:
            if held is None:
                return {**_held(self.books.take(_receipt(item))), "status": "accepted"}
            if _receipt(item, held.own_id, held.void_reason) != held:
                raise Refused("reference_conflict", "The reference is used for another payment.")
            return {**_held(held), "status": "duplicate"}
        except Refused as refusal:
            error = {"code": refusal.code, "message": refusal.message}
            return {"reference": item["reference"], "status": "rejected", "pscloud_id": None, "error": error}

    def _void(self, heard: Heard) -> Say:
        held = self.books.receipts.get(heard.path.split("/")[-2])
        wish = heard.json()
        if held is None:
            return _error(404, "not_found", "That payment was never posted.")
        if held.void_reason not in {None, wish["reason"]}:
            return _error(409, "conflict", "It was voided for another reason.")
        if held.number in self.books.refuse:
            return _error(409, "closed_period", "It is posted to a closed period.")
        datetime.fromisoformat(wish["voided_at"])
        held.void_reason = wish["reason"]
        return Say(_held(held))


def _error(status: int, code: str, message: str) -> Say:
    return Say({"error": {"code": code, "message": message}}, status)


def _soa(one: Statement) -> Any:
    wrong: dict[str, Any] = {"amount": {"amount_due": "1,250.00"}, "date": {"due_date": "0000-00-00"}}.get(one.spoiled, {})
    customer = {"id": one.customer, "account_number": one.account, "name": one.name, "address": one.address, "tin": one.tin}
    if one.spoiled == "customer":
        customer["name"] = ""
    if one.spoiled == "shape":
        return [one.id]
    return {
        "id": one.id,
        "soa_number": one.number,
        "customer": {**customer, "contact_number": one.phone},
        "issued_on": one.issued.isoformat(),
        "due_date": one.due.isoformat(),
        "amount_due": str(one.amount_due),
        "penalty": str(one.penalty),
        "collector_code": one.collector,
        "status": "active" if one.active else "settled",
        "updated_at": one.changed.isoformat(),
        "invoices": [
            {
                "id": bill.id,
                "invoice_number": bill.number,
                "invoice_date": bill.dated.isoformat(),
                "due_date": bill.due.isoformat(),
                "description": bill.text,
                "amount": str(bill.amount),
                "balance": str(bill.balance),
                "penalty": str(bill.penalty),
                "vat_type": bill.kind,
                "vat_amount": str(bill.vat),
            }
            for bill in one.bills
        ],
        **wrong,
    }


def _held(receipt: Receipt) -> dict[str, Any]:
    status = "accepted" if receipt.void_reason is None else "voided"
    return {"reference": receipt.reference, "status": status, "pscloud_id": receipt.own_id, "error": None}


def _receipt(item: dict[str, Any], own_id: str = "", void_reason: str | None = None) -> Receipt:
    return Receipt(
        reference=item["reference"],
        number=item["receipt_number"],
        soa=item["soa_id"],
        amount=Decimal(item["amount"]),
        method=item["method"],
        method_reference=item["method_reference"],
        collected_at=datetime.fromisoformat(item["collected_at"]),
        collector=item["collector_code"],
        parts=[(part["invoice_id"], part["kind"], Decimal(part["amount"])) for part in item["allocations"]],
        own_id=own_id or f"P-{item['receipt_number']}",
        void_reason=void_reason,
    )
