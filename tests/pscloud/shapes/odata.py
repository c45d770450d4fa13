"""A PSCloud in the shape of an OData 4 service with sessions: entity sets, page links, a login whose session runs out."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from tests.pscloud.shapes.base import Heard, Receipt, Refused, Say, Shape, Statement

ROOT = "/odata/v4/"
_KEY = re.compile(r"(\w+)\('((?:[^']|'')*)'\)(?:/(\w+))?")
_TEST = re.compile(r"(\w+) (eq|ge) (?:'((?:[^']|'')*)'|([0-9T:.+Z-]+))")
METHODS = {"CSH": "cash", "CHQ": "check", "EWL": "e_wallet", "TRF": "bank_transfer"}
KINDS = {"P": "principal", "I": "penalty", "A": "advance"}


class Odata(Shape):
    """Statements with customer and invoices expanded; receipts are entities created one at a time, voided by an action."""

    user, password = "portal@example", "pass:with:colons"
    credential = f"{user}:{password}"
    profile = "portal/pscloud/profiles/odata.toml"

    def __init__(self) -> None:
        super().__init__()
        self.sessions: set[str] = set()
        self.logins = 0
        self.locked = False
        self.by_header = False
        """The session is not a cookie but what the log-in's answer holds, sent in a header."""

    def end_sessions(self) -> None:
        """Every session has run out."""
        self.sessions.clear()

    def is_soa_list(self, heard: Heard) -> bool:
        return heard.path == f"{ROOT}Statements" and heard.one("$select") != "Code,AmountDue"

    def is_post(self, heard: Heard) -> bool:
        return heard.method == "POST" and heard.path == f"{ROOT}Receipts"

    def is_void(self, heard: Heard) -> bool:
        return heard.method == "POST" and heard.path.endswith("/Void")

    def answer(self, heard: Heard) -> Say:
        if heard.path == f"{ROOT}Login":
            return self._login(heard.json())
        if heard.path == f"{ROOT}Logout":
            self.sessions.discard(self._session(heard))
            return Say(None, 204)
        if self._session(heard) not in self.sessions:
            return _error(401, "301", "Invalid session or session already timeout.")
        try:
            return self._serve(heard)
        except Refused as refusal:
            return _error(400, refusal.code, refusal.message)

    def _login(self, given: dict[str, str]) -> Say:
        self.logins += 1
        if self.locked or given != {"CompanyDB": "PARK", "UserName": self.user, "Password": self.password}:
            return _error(401, "100000027", "Login failed")
        session = f"s{self.logins}-{id(self):x}"
        self.sessions.add(session)
        cookie = {} if self.by_header else {"Set-Cookie": f"B1SESSION={session}; path=/odata; HttpOnly"}
        return Say({"SessionId": session, "SessionTimeout": 30}, 200, cookie)

    def _session(self, heard: Heard) -> str:
        if self.by_header:
            return heard.headers.get("x-session", "").removeprefix("Session ")
        cookies = dict(part.strip().partition("=")[::2] for part in heard.headers.get("cookie", "").split(";"))
        return cookies.get("B1SESSION", "")

    def _serve(self, heard: Heard) -> Say:
        what = heard.path.removeprefix(ROOT)
        if heard.path == ROOT:
            return Say({"@odata.context": "$metadata", "value": [{"name": "Statements"}, {"name": "Receipts"}]})
        if what == "Statements":
            return self._page(heard, [_statement(one) for one in sorted(self.books.statements, key=lambda one: one.id)])
        if what == "Collectors":
            rows = [{"Code": a, "Name": b, "Area": c or None, "Active": d} for a, b, c, d in self.books.collectors]
            return self._page(heard, rows)
        if what == "Receipts" and heard.method == "GET":
            return self._page(heard, [_held(one) for one in self.books.receipts.values()])
        if what == "Receipts":
            return self._create(heard.json())
        key = _KEY.fullmatch(what)
        wanted = key[2].replace("''", "'") if key else ""
        if key and key[1] == "Statements" and (found := self.books.known(wanted)):
            return Say({"@odata.context": "$metadata#Statements/$entity", **_expanded(_statement(found), heard)})
        if key and key[1] == "Receipts" and key[3] == "Void":
            return self._void(wanted, heard.json())
        return _error(404, "-2028", "No matching records found")

    def _page(self, heard: Heard, rows: list[Any]) -> Say:
        rows = [row for row in rows if _passes(heard.one("$filter"), row)]
        start = int(heard.one("$skiptoken", "0"))
        prefer = re.search(r"odata\.maxpagesize=(\d+)", heard.headers.get("prefer", ""))
        size = min(int(prefer[1]) if prefer else 20, self.cap)
        shown = [_spoiled(_expanded(row, heard)) for row in rows[start : start + size]]
        body: dict[str, Any] = {"@odata.context": f"$metadata#{heard.path.removeprefix(ROOT)}", "value": shown}
        if heard.one("$count") == "true":
            body["@odata.count"] = len(rows) if self.total is None or not self.is_soa_list(heard) else self.total
        asked = "&".join(f"{quote(name)}={quote(value)}" for name, value in heard.query if name != "$skiptoken")
        end = start + size
        link = f"{heard.path.removeprefix(ROOT)}?{asked}&%24skiptoken={end}"
        if self.is_soa_list(heard) and self.next_goes:
            to = {"same": start, "endless": end, "foreign": end}[self.next_goes]
            link = f"{'https://elsewhere.example/odata/v4/' if self.next_goes == 'foreign' else ''}Statements?{asked}&%24skiptoken={to}"
            if self.next_goes == "endless":
                body["value"] = [_expanded(row, heard) for row in rows[:3]]
            body["@odata.nextLink"] = link
        elif end < len(rows):
            body["@odata.nextLink"] = link if self.served % 2 else f"{self.url}{ROOT}{link}"  # relative and absolute links are both usual
        return Say(body)

    def _create(self, item: dict[str, Any]) -> Say:
        if item["Reference"] in self.books.receipts:
            return _error(409, "-2035", "This entry already exists")
        if any(not isinstance(part["Amount"], float | int) for part in item["Lines"]):
            raise Refused("-1", "Amount is a number.")
        if any(not isinstance(part["InvoiceId"], int | None) for part in item["Lines"]):
            raise Refused("-1", "InvoiceId is a whole number.")
        receipt = Receipt(
            reference=item["Reference"],
            number=item["ReceiptNumber"],
            soa=item["StatementCode"],
            amount=Decimal(str(item["Amount"])).quantize(Decimal("0.01")),
            method=METHODS[item["Tender"]],
            method_reference=item["TenderReference"],
            collected_at=datetime.fromisoformat(item["CollectedAt"]),
            collector=item["CollectorCode"],
            parts=[_line(part) for part in item["Lines"]],
            own_id=f"RC{len(self.books.receipts) + 1:06d}",
        )
        return Say({"@odata.context": "$metadata#Receipts/$entity", **_held(self.books.take(receipt))}, 201)

    def _void(self, reference: str, wish: dict[str, str]) -> Say:
        held = self.books.receipts.get(reference)
        if held is None:
            return _error(404, "-2028", "No matching records found")
        if held.void_reason is not None:
            raise Refused("-10", "Receipt is already cancelled")
        if held.number in self.books.refuse:
            raise Refused("-10", "Posting period locked")
        datetime.fromisoformat(wish["VoidedAt"])
        held.void_reason = wish["Reason"]
        return Say(_held(held))


def _line(part: dict[str, Any]) -> tuple[str | None, str, Decimal]:
    invoice = part["InvoiceId"]
    return None if invoice is None else str(invoice), KINDS[part["Kind"]], Decimal(str(part["Amount"])).quantize(Decimal("0.01"))


def _error(status: int, code: str, message: str) -> Say:
    return Say({"error": {"code": code, "message": message}}, status)


def _passes(condition: str, row: dict[str, Any]) -> bool:
    """`A eq 'x' or A eq 'y'`, or conditions joined with `and`."""
    if not condition:
        return True
    if " or " in condition:
        return any(_passes(part, row) for part in condition.split(" or "))
    for part in condition.split(" and "):
        found = _TEST.fullmatch(part.strip())
        if found is None:
            raise Refused("-1", f"Unsupported filter: {part}")
        held, text = row[found[1]], (found[3] or "").replace("''", "'")
        tests: dict[str, Callable[[], bool]] = {
            "eq": lambda held=held, text=text: held == text,  # type: ignore[misc]
            "ge": lambda held=held, moment=found[4]: datetime.fromisoformat(held) >= datetime.fromisoformat(moment),  # type: ignore[misc]
        }
        if not tests[found[2]]():
            return False
    return True


def _expanded(row: dict[str, Any], heard: Heard) -> dict[str, Any]:
    """Only what $select and $expand ask for."""
    select, expand = heard.one("$select"), heard.one("$expand").split(",")
    names = set(select.split(",")) if select else {name for name, value in row.items() if not isinstance(value, dict | list)}
    return {name: value for name, value in row.items() if name in names or name in expand or name == "_spoiled"}


def _spoiled(row: dict[str, Any]) -> Any:
    return row["Code"] if row.pop("_spoiled", "") == "shape" else row


def _statement(one: Statement) -> dict[str, Any]:
    return {
        "_spoiled": one.spoiled,
        "Code": one.id,
        "Number": one.number,
        "IssueDate": f"{one.issued.isoformat()}T00:00:00Z",
        "DueDate": "0000-00-00T00:00:00Z" if one.spoiled == "date" else f"{one.due.isoformat()}T00:00:00Z",
        "AmountDue": "1,250.00" if one.spoiled == "amount" else float(one.amount_due),
        "PenaltyAmount": float(one.penalty),
        "CollectorCode": one.collector,
        "State": "O" if one.active else "C",
        "UpdatedAt": one.changed.isoformat().replace("+00:00", "Z"),
        "Customer": {
            "CardCode": one.customer,
            "Account": one.account,
            "CardName": "" if one.spoiled == "customer" else one.name,
            "Address": one.address,
            "Phone": one.phone,
            "TaxId": one.tin,
        },
        "Invoices": [
            {
                "Id": int(bill.id.replace("INV-", "").replace("-", "")),
                "Number": bill.number,
                "Date": f"{bill.dated.isoformat()}T00:00:00Z",
                "DueDate": f"{bill.due.isoformat()}T00:00:00Z",
                "Remarks": bill.text,
                "Total": float(bill.amount),
                "Open": float(bill.balance),
                "Penalty": float(bill.penalty),
                "VatGroup": {"vatable": "V12", "exempt": "EX", "zero_rated": "Z0"}[bill.kind],
                "VatSum": float(bill.vat),
            }
            for bill in one.bills
        ],
    }


def _held(receipt: Receipt) -> dict[str, Any]:
    return {
        "Reference": receipt.reference,
        "DocNumber": receipt.own_id,
        "State": "Posted" if receipt.void_reason is None else "Voided",
        "ReceiptNumber": receipt.number,
        "Amount": float(receipt.amount),
        "StatementCode": receipt.soa,
        "CollectedAt": receipt.collected_at.isoformat(),
    }
