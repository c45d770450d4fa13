"""Another client of the portal, written from docs/journal.md and docs/phone-api.md alone: no code of it is the portal's."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

MANILA = timezone(timedelta(hours=8))
NOTHING = "0" * 64
TENDERS = ("cash", "check", "e_wallet", "bank_transfer")


# --- section 3


def canonical(value: Any) -> bytes:
    """Canonical bytes of a JSON value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def hash_of(entry: Mapping[str, Any]) -> str:
    """The hash of an entry, whether it carries one or not."""
    return hashlib.sha256(canonical({key: entry[key] for key in entry if key != "hash"})).hexdigest()


def base64url(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- sections 4 and 7


def signed_words(terminal: str, seq: int, last: str) -> bytes:
    """What one upload's signature stands over."""
    return f"mpos-journal-1 {terminal} {seq} {last}".encode()


def signature_fits(jwk: Mapping[str, str], message: bytes, signature: str) -> bool:
    """Whether a signature is that of a public key."""
    raw = from_base64url(signature)
    numbers = [int.from_bytes(from_base64url(jwk[name]), "big") for name in ("x", "y")]
    key = ec.EllipticCurvePublicNumbers(numbers[0], numbers[1], ec.SECP256R1()).public_key()
    try:
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        key.verify(der, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def sevens(number: int) -> bytes:
    """A number, seven bits to a byte."""
    found = bytearray()
    while number > 127:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])


def code_body(entry: Mapping[str, Any]) -> bytes:
    """What the code of a payment's receipt says, before its signature."""
    payload = entry["payload"]
    moment = datetime.fromisoformat(entry["at"])
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
    numbers = (
        int(entry["terminal"][1:]),
        int(payload["receipt_number"].split("-")[1]),
        entry["seq"],
        payload["amount"],
        since // timedelta(milliseconds=1),
    )
    identity = uuid.UUID(payload["payment"]).bytes + bytes.fromhex(entry["hash"][:32])
    return bytes([16 + TENDERS.index(payload["tender"])]) + b"".join(map(sevens, numbers)) + identity + payload["soa_number"].encode()


# --- section 5, How a payment is worked out


def allocate(amount: int, invoices: Iterable[Mapping[str, Any]], directed: list[str]) -> list[dict[str, Any]]:
    """Which invoice the money pays: those the customer chose in their order, else by due date, number and id; penalty first."""
    of = {invoice["id"]: invoice for invoice in invoices}
    in_order = sorted(of.values(), key=lambda one: (one["due_date"], one["invoice_number"], one["id"]))
    parts = []
    for invoice in [of[key] for key in directed] or in_order:
        for kind, open_amount in (("penalty", invoice["penalty"]), ("principal", invoice["balance"])):
            part = min(amount, open_amount)
            if part > 0:
                parts.append({"invoice": invoice["id"], "invoice_number": invoice["invoice_number"], "kind": kind, "amount": part})
                amount -= part
    if amount:
        parts.append({"invoice": None, "invoice_number": None, "kind": "advance", "amount": amount})
    return parts


def vat_of(parts: Iterable[Mapping[str, Any]], invoices: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The principal of a payment by VAT."""
    of = {invoice["id"]: invoice for invoice in invoices}
    exempt = zero_rated = vatable = 0
    numerator, denominator = 0, 1
    for part in parts:
        if part["kind"] != "principal":
            continue
        invoice = of[part["invoice"]]
        if invoice["vat_type"] == "exempt":
            exempt += part["amount"]
        elif invoice["vat_type"] == "zero_rated":
            zero_rated += part["amount"]
        else:
            vatable += part["amount"]
            if invoice["amount"]:  # sum of fractions, rounded once
                numerator = numerator * invoice["amount"] + part["amount"] * invoice["vat_amount"] * denominator
                denominator *= invoice["amount"]
    vat = min((2 * numerator + denominator) // (2 * denominator), vatable)
    return {"vatable": vatable - vat, "vat_amount": vat, "vat_exempt": exempt, "zero_rated": zero_rated}


# --- section 5, reading


def reading_of(entries: list[dict[str, Any]], registry: str, at: str, unsent: int) -> dict[str, Any]:
    """The X-reading of a registry from the whole journal so far."""
    opened = next(one for one in entries if one["kind"] == "registry_opened" and one["payload"]["registry"] == registry)
    within = [one for one in entries if one["payload"].get("registry") == registry]
    paid, asked, decided, drops, spent, counts = (
        [one["payload"] for one in within if one["kind"] == kind]
        for kind in ("payment", "void_requested", "void_decided", "cash_drop", "expense_decided", "count")
    )
    voided = [one for one in decided if one["decision"] == "approved"]
    parts = [part for one in paid for part in one["allocations"]]

    def total(items: Iterable[Mapping[str, Any]], name: str = "amount") -> int:
        return sum(item[name] for item in items)

    tenders: dict[tuple[int, bool, str], dict[str, Any]] = {}
    for one in paid:
        key = (TENDERS.index(one["tender"]), one["channel"] is not None, one["channel"] or "")
        line = tenders.setdefault(key, {"tender": one["tender"], "channel": one["channel"], "count": 0, "amount": 0})
        line["count"] += 1
        line["amount"] += one["amount"]
    cash = total(one for one in paid if one["tender"] == "cash")
    voided_cash = total(one for one in voided if one["tender"] == "cash")
    expenses = total(one for one in spent if one["decision"] == "approved")
    expected = opened["payload"]["change_fund"] + cash - voided_cash - total(drops) - expenses
    counted = counts[-1] if counts else None
    return {
        "registry": registry,
        "business_date": opened["payload"]["business_date"],
        "terminal": opened["terminal"],
        "collector": opened["payload"]["collector"],
        "period_start": opened["at"],
        "period_end": at,
        "first_receipt": paid[0]["receipt_number"] if paid else None,
        "last_receipt": paid[-1]["receipt_number"] if paid else None,
        "first_void": asked[0]["void_number"] if asked else None,
        "last_void": asked[-1]["void_number"] if asked else None,
        "transaction_count": len(paid),
        **{name: total((one["vat"] for one in paid), name) for name in ("vatable", "vat_amount", "vat_exempt", "zero_rated")},
        "penalty": total(part for part in parts if part["kind"] == "penalty"),
        "advance": total(part for part in parts if part["kind"] == "advance"),
        "gross": total(paid),
        "less_void": total(voided),
        "net": total(paid) - total(voided),
        "tenders": [tenders[key] for key in sorted(tenders)],
        "change_fund": opened["payload"]["change_fund"],
        "cash_collected": cash,
        "less_voided_cash": voided_cash,
        "less_drops": total(drops),
        "less_expenses": expenses,
        "expected_cash": expected,
        "counted": counted["denominations"] if counted else None,
        "counted_cash": counted["total"] if counted else None,
        "short_over": counted["total"] - expected if counted else None,
        "head_hash": entries[-1]["hash"],
        "unsent": unsent,
    }


# --- the client


@dataclass(frozen=True)
class Answer:
    """What came back: `body` is None when it was not JSON, and then nobody knows what the portal did."""

    status: int
    body: Any
    etag: str | None = None


class LostAnswer(Exception):
    """The request may have arrived; the answer did not."""


class Refused(Exception):
    """The portal answered with an error."""


Send = Callable[[str, str, dict[str, Any] | None, dict[str, str]], Answer]


class Client:
    """One collector's terminal. `send` carries a request and raises LostAnswer when no answer came."""

    def __init__(self, send: Send, now: Callable[[], datetime]) -> None:
        self.send, self.now = send, now
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.user = self.terminal = self.token = self.registry = ""
        self.entries: list[dict[str, Any]] = []
        self.acknowledged = self.receipts = self.voids = self.z_counter = self.accumulated = 0
        self.soas: dict[str, dict[str, Any]] = {}
        self.included = 0
        self.decisions: list[dict[str, Any]] = []
        self.verdicts: dict[int, tuple[str, str | None]] = {}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON of a good answer. Raises Refused with the portal's code, LostAnswer for what is not the portal's."""
        headers = {"Accept": "application/json"} | ({"X-CSRFToken": self.token} if self.token else {})
        answer = self.send(method, path, body, headers)
        if answer.status == 204:
            return None
        if not isinstance(answer.body, dict):
            raise LostAnswer(f"{answer.status}, and not JSON")
        if answer.status >= 400:
            raise Refused(answer.body["error"]["code"])
        return answer.body

    def log_in(self, name: str, password: str) -> None:
        """Begin a session."""
        self.token = self.call("POST", "/api/v1/session", {"username": name, "password": password})["csrf_token"]
        ping = self.call("GET", "/api/v1/ping")
        self.user, self.token = ping["user"], ping["csrf_token"]

    def enroll(self, name: str) -> None:
        """Become a terminal; a journal begins with `enrolled`."""
        numbers = self.key.public_key().public_numbers()
        x, y = (base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        self.terminal = self.call("POST", "/api/v1/terminals", {"name": name, "public_key": {"kty": "EC", "crv": "P-256", "x": x, "y": y}})[
            "terminal"
        ]
        if not self.entries:
            self.append("enrolled", {"name": name, "collector": self.user, "app_version": "another client"})

    def append(self, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The next entry."""
        at = self.now().astimezone(MANILA).isoformat(timespec="milliseconds")
        prev = self.entries[-1]["hash"] if self.entries else NOTHING
        entry = {
            "terminal": self.terminal,
            "seq": len(self.entries) + 1,
            "kind": kind,
            "at": at,
            "at_trusted": None,
            "payload": payload,
            "prev": prev,
        }
        self.entries.append({**entry, "hash": hash_of(entry)})
        return self.entries[-1]

    def open_registry(self, change_fund: int) -> None:
        """Begin the business day."""
        self.registry = str(uuid.uuid4())
        day = self.now().astimezone(MANILA).date().isoformat()
        facts = {"change_fund": change_fund, "collector": self.user, "z_counter": self.z_counter, "accumulated": self.accumulated}
        self.append("registry_opened", {"registry": self.registry, "business_date": day, **facts})
        for told in self.decisions:
            self.write_down(told)
        self.decisions = []

    def download(self) -> None:
        """The list of SOAs, held against its own totals."""
        answer = self.call("GET", "/api/v1/soas")
        if (len(answer["soas"]), sum(soa["amount_due"] for soa in answer["soas"])) != (answer["count"], answer["amount_due"]):
            raise LostAnswer("the list is not whole")
        self.soas = {soa["id"]: soa for soa in answer["soas"]}
        self.included = answer["included"].get(self.terminal, 0)
        self.append("soa_downloaded", {name: answer[name] for name in ("snapshot", "as_of", "count", "amount_due")})

    def open_invoices(self, soa_id: str) -> tuple[list[dict[str, Any]], int]:
        """The SOA's invoices and what it owes, less own payments the list does not hold; a voided one takes nothing off."""
        soa = self.soas[soa_id]
        gone = {
            one["payload"]["payment"] for one in self.entries if one["kind"] == "void_decided" and one["payload"]["decision"] == "approved"
        }
        own = [one["payload"] for one in self.entries if one["kind"] == "payment" and one["seq"] > self.included]
        own = [payload for payload in own if payload["soa"] == soa_id and payload["payment"] not in gone]
        paid: dict[tuple[str, str], int] = {}
        for part in (part for payload in own for part in payload["allocations"] if part["invoice"]):
            paid[part["invoice"], part["kind"]] = paid.get((part["invoice"], part["kind"]), 0) + part["amount"]
        left = [
            {
                **invoice,
                "balance": max(invoice["balance"] - paid.get((invoice["id"], "principal"), 0), 0),
                "penalty": max(invoice["penalty"] - paid.get((invoice["id"], "penalty"), 0), 0),
            }
            for invoice in soa["invoices"]
        ]
        return left, max(soa["amount_due"] - sum(payload["amount"] for payload in own), 0)

    def pay(self, soa_id: str, amount: int, tender: str = "cash", directed: Iterable[str] = (), **given: Any) -> dict[str, Any]:
        """Take a payment; `given` holds channel and reference, or what was tendered."""
        soa, chosen = self.soas[soa_id], list(directed)
        invoices, owed = self.open_invoices(soa_id)
        self.receipts += 1
        parts = allocate(amount, invoices, chosen)
        tendered = given.get("tendered", amount) if tender == "cash" else None
        payload = {
            "payment": str(uuid.uuid4()),
            "registry": self.registry,
            "receipt_number": f"{self.terminal}-{self.receipts:08d}",
            "soa": soa_id,
            "soa_version": soa["version"],
            **{name: soa[name] for name in ("soa_number", "account_number", "customer_name")},
            "amount": amount,
            "tender": tender,
            "channel": given.get("channel"),
            "reference": given.get("reference"),
            "tendered": tendered,
            "change": None if tendered is None else tendered - amount,
            "mode": "directed" if chosen else "oldest_first",
            "directed": chosen,
            "allocations": parts,
            "vat": vat_of(parts, invoices),
            "balance_after": max(owed - amount, 0),
            **{name: given[name] for name in given if name not in {"channel", "reference", "tendered"}},
        }
        entry = self.append("payment", payload)
        self.append(
            "receipt_printed",
            {"payment": payload["payment"], "receipt_number": payload["receipt_number"], "copy": "customer", "reprint": 0},
        )
        return entry

    def code(self, paid: Mapping[str, Any]) -> str:
        """The code of a payment's receipt."""
        body = code_body(paid)
        return base64url(body + self.sign(b"mpos-receipt-1 " + body))

    def ask_void(self, paid: Mapping[str, Any], reason: str) -> None:
        """Ask for the void of a payment."""
        self.voids += 1
        facts = {name: paid["payload"][name] for name in ("payment", "receipt_number", "amount")}
        number = f"{self.terminal}-V{self.voids:06d}"
        self.append(
            "void_requested", {"registry": self.registry, "void_number": number, **facts, "reason": reason, "supervisor_code": None}
        )

    def write_down(self, told: Mapping[str, Any]) -> None:
        """Write down what the office decided of a void."""
        names = ("void_number", "payment", "amount", "tender", "decision", "decided_by", "decided_at")
        self.append("void_decided", {"registry": self.registry, **{name: told[name] for name in names}})

    def count(self, bills: Mapping[int, int]) -> None:
        """Count bills: how many of each value in centavos."""
        lines = [{"value": value, "kind": "bill", "count": count} for value, count in bills.items()]
        self.append(
            "count", {"registry": self.registry, "denominations": lines, "total": sum(value * count for value, count in bills.items())}
        )

    def x_reading(self) -> dict[str, Any]:
        """An interim reading."""
        return self._read("reading_x", {})

    def z_reading(self) -> dict[str, Any]:
        """The closing reading; the registry takes no more payments."""
        self.z_counter += 1
        before = self.accumulated
        reading = self._read("reading_z", {"z_counter": self.z_counter, "reset_counter": 0, "previous_accumulated": before})
        self.accumulated = reading["present_accumulated"]
        return reading

    def _read(self, kind: str, more: dict[str, int]) -> dict[str, Any]:
        at = self.now().astimezone(MANILA).isoformat(timespec="milliseconds")
        reading = reading_of(self.entries, self.registry, at, len(self.entries) - self.acknowledged) | more
        payload: dict[str, Any] = {"registry": self.registry, "reading": reading}
        if more:
            reading["present_accumulated"] = reading["previous_accumulated"] + reading["gross"]
            payload["z_counter"] = more["z_counter"]
        self.append(kind, payload)
        return reading

    def close(self) -> None:
        """End the business day."""
        self.append("registry_closed", {"registry": self.registry, "z_counter": self.z_counter})
        self.registry = ""

    def sign(self, message: bytes) -> bytes:
        """64 bytes, r then s."""
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def upload(self, most: int = 500) -> None:
        """Send what is not acknowledged, a part at a time. Raises LostAnswer, after which the same may be sent again."""
        while self.acknowledged < len(self.entries):
            part = self.entries[self.acknowledged : self.acknowledged + most]
            signature = base64url(self.sign(signed_words(self.terminal, part[-1]["seq"], part[-1]["hash"])))
            answer = self.call("POST", "/api/v1/journal", {"terminal": self.terminal, "entries": part, "signature": signature})
            self.verdicts |= {verdict["seq"]: (verdict["status"], verdict["reason"]) for verdict in answer["verdicts"]}
            self.acknowledged = answer["acknowledged_seq"]
            self._hear(answer["voids"])

    def contact(self) -> dict[str, Any]:
        """What the portal holds of this terminal."""
        answer: dict[str, Any] = self.call("GET", f"/api/v1/terminals/{self.terminal}")
        self.acknowledged = min(self.acknowledged, answer["acknowledged_seq"])
        self._hear(answer["voids"])
        return answer

    def _hear(self, told: list[dict[str, Any]]) -> None:
        """Write each decision down once; without an open registry it waits for the next one."""
        known = {one["payload"]["void_number"] for one in self.entries if one["kind"] == "void_decided"}
        new = [one for one in told if one["void_number"] not in known]
        closed = any(one["kind"] == "reading_z" and one["payload"]["registry"] == self.registry for one in self.entries)
        if not self.registry or closed:
            self.decisions = new
            return
        for one in new:
            self.write_down(one)
