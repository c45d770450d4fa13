"""Writes the shared vectors anew: `python -m tests.vectors.make`. Cases are fixed or seeded.

The expected figures come from the Python side; tests/domain holds hand-worked ones. The JavaScript twins must agree with all."""

from __future__ import annotations

import base64
import itertools
import json
import random
import uuid
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from portal.domain import allocation, columns, journal, money, paper, readings, receipt_code, receipts, void_codes
from portal.domain.allocation import OpenInvoice
from tests.soa_columns import table

HERE = Path(__file__).parent


def write(name: str, value: Any) -> None:
    (HERE / f"{name}.json").write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def money_vectors() -> dict[str, Any]:
    texts = ["0", "1", "1.5", "1234.50", "1,234.50", " 1,234.5 ", "₱1,234.50", "P 100", ".50", "5.", "9999999999999.99"]
    bad = ["", "-1", "1.234", "1,23", "12,34.50", "1e3", "NaN", "abc", "１２", "1 000", "99999999999999", "1..2", "+5"]
    amounts = [0, 1, 99, 100, 101, 1050, 123450, 100000000, 1900, 2000, 2101, 99999900, 100000000000, 123456789012]
    rng = random.Random(4)
    splits = []
    for _ in range(40):
        weights = [rng.randrange(0, 1000) for _ in range(rng.randrange(1, 7))]
        if sum(weights):
            total = rng.randrange(0, 100000)
            splits.append({"total": total, "weights": weights, "parts": money.split(total, weights)})
    return {
        "parse": [{"text": text, "centavos": money.centavos(money.parse(text))} for text in texts],
        "refused": bad,
        "show": [{"centavos": amount, "text": money.show(money.from_centavos(amount))} for amount in amounts],
        "in_words": [{"centavos": amount, "words": money.in_words(amount)} for amount in amounts],
        "split": splits,
    }


def random_invoices(rng: random.Random) -> list[OpenInvoice]:
    invoices = []
    for index in range(rng.randrange(0, 6)):
        amount = rng.randrange(1, 900000)
        vat_type = rng.choice(["vatable", "vatable", "vatable", "exempt", "zero_rated"])
        invoices.append(
            OpenInvoice(
                id=f"inv-{rng.randrange(10**6)}-{index}",
                invoice_number=f"SI-{rng.randrange(1, 5):04d}",
                due_date=f"2026-{rng.randrange(1, 13):02d}-{rng.choice(['05', '15'])}",
                balance=rng.choice([0, amount, rng.randrange(0, amount + 1)]),
                penalty=rng.choice([0, 0, rng.randrange(0, 5000)]),
                amount=amount,
                vat_amount=round(amount * 12 / 112) if vat_type == "vatable" else 0,
                vat_type=vat_type,
            )
        )
    return invoices


def allocation_vectors() -> list[dict[str, Any]]:
    rng = random.Random(2026)
    cases = []
    for number in range(150):
        invoices = random_invoices(rng)
        owed = sum(invoice.balance + invoice.penalty for invoice in invoices)
        amount = rng.choice([max(owed, 1), rng.randrange(1, owed + 2), owed + rng.randrange(1, 10000), rng.randrange(1, 500)])
        mode, directed = "oldest_first", []
        if invoices and number % 3 == 0:
            mode, directed = "directed", [invoice.id for invoice in rng.sample(invoices, rng.randrange(1, len(invoices) + 1))]
        parts = allocation.allocate(amount, invoices, mode, directed)  # type: ignore[arg-type]
        paid_before = allocation.allocate(rng.randrange(1, owed + 2), invoices) if number % 4 == 0 else []
        cases.append(
            {
                "amount": amount,
                "mode": mode,
                "directed": directed,
                "invoices": [asdict(invoice) for invoice in invoices],
                "allocations": [asdict(part) for part in parts],
                "vat": asdict(allocation.split_vat(parts, invoices)),
                "paid_before": [asdict(part) for part in paid_before],
                "less_payments": [asdict(invoice) for invoice in allocation.less_payments(invoices, paid_before)],
            }
        )
    return cases


def journal_vectors() -> dict[str, Any]:
    key = ec.derive_private_key(0x5EED0000000000000000000000000000000000000000000000000000000000A7, ec.SECP256R1())
    numbers = key.public_key().public_numbers()

    def b64(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    values: list[Any] = [
        {"b": 1, "a": [True, False, None, -5, 9007199254740991], "A": {"z": "", "é".encode().hex(): "x"}},
        {"text": 'quote " back \\ slash / tab \t newline \n bell \x07 del \x7f', "name": "Niño Peña ₱ 😀 \u2028"},
        [],
        {},
        "Ma. Dela Cruz",
    ]
    entries = []
    prev = journal.FIRST_PREV
    steps: list[tuple[str, dict[str, Any]]] = [
        ("enrolled", {"name": "Nena's phone", "collector": "nena", "app_version": "1"}),
        (
            "registry_opened",
            {
                "registry": "0b7f7c52-6a3a-4c37-9a0e-0d8c3f0a1b2c",
                "business_date": "2026-11-20",
                "change_fund": 50000,
                "collector": "nena",
                "z_counter": 0,
                "accumulated": 0,
            },
        ),
        ("soa_downloaded", {"snapshot": "1-abc", "as_of": "2026-11-20T05:00:00+08:00", "count": 2, "amount_due": 350000}),
        ("promise", {"soa": "S-1", "promised_on": "2026-11-30", "amount": None, "note": "Babalik si Ñora sa “Lunes” 😀\n"}),
        (
            "no_collection",
            {"visit": "5d0f1f0e-2c1b-4a7c-8a2e-6a8f9b0c1d2e", "soa": "S-1", "reason": "Nobody home", "note": None},
        ),
    ]
    for seq, (kind, payload) in enumerate(steps, start=1):
        entry = journal.append("T07", seq, kind, f"2026-11-20T08:0{seq}:00.000+08:00", None, payload, prev)
        entries.append({**entry.content(), "hash": entry.hash})
        prev = entry.hash
    text = journal.signed_text("T07", len(entries), prev)
    der = key.sign(text, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    return {
        "canonical": [{"value": value, "bytes_hex": journal.canonical(value).hex()} for value in values],
        "entries": entries,
        "signed_text": text.decode(),
        "public_key": {
            "kty": "EC",
            "crv": "P-256",
            "x": b64(numbers.x.to_bytes(32, "big")),
            "y": b64(numbers.y.to_bytes(32, "big")),
        },
        "signature": b64(r.to_bytes(32, "big") + s.to_bytes(32, "big")),
        "receipt_numbers": [{"terminal": "T07", "number": 123, "text": receipts.receipt_number("T07", 123)}],
        "void_numbers": [{"terminal": "T07", "number": 4, "text": receipts.void_number("T07", 4)}],
    }


def receipt_code_vectors() -> dict[str, Any]:
    key = ec.derive_private_key(0x5EED0000000000000000000000000000000000000000000000000000000000A7, ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    x, y = (base64.urlsafe_b64encode(part.to_bytes(32, "big")).rstrip(b"=").decode() for part in (numbers.x, numbers.y))
    identity, start = "0b7f7c52-6a3a-4c37-9a0e-0d8c3f0a1b2c", "00112233445566778899aabbccddeeff"
    first = receipt_code.ReceiptFacts("T07", 123, 456, 123450, "cash", 1795133730123, identity, start, "2026-09-000123")
    largest = {"number": 99_999_999, "seq": 2**31, "amount": 10_000_000_000, "at": receipt_code.LATEST}
    ends = {"payment": f"{'f' * 8}-ffff-4fff-bfff-{'f' * 12}", "hash_start": "f" * 32, "soa_number": "Ñ-₱-😀"}
    widest = replace(first, terminal="T123456", tender="bank_transfer", **largest, **ends)  # type: ignore[arg-type]
    smallest = replace(first, terminal="T01", number=1, seq=1, amount=1, tender="check", at=0, soa_number="")
    cases = []
    for facts in (first, widest, smallest, replace(first, tender="e_wallet", number=127, seq=128, amount=16383, at=16384)):
        body = receipt_code.body(facts)
        r, s = decode_dss_signature(key.sign(receipt_code.signed_bytes(body), ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        code = receipt_code.code(body, r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        cases.append({"facts": asdict(facts), "body_hex": body.hex(), "code": code})
    good = cases[0]["code"]
    body = bytes.fromhex(str(cases[0]["body_hex"]))
    spelled = [
        body[:1] + b"\x87\x00" + body[2:],  # the terminal's number in two bytes where one is enough
        b"\x14" + body[1:],  # a tender that does not exist
        b"\x20" + body[1:],  # another version
        body + b"\xff",  # an SOA number that is no text
        body[:30],
        b"",
    ]
    refused = [f"{good}=", f" {good}", "", "x", "A" * 1001, "é" + str(good)[1:]]
    refused += [receipt_code.code(one, bytes(64)) for one in spelled]
    return {"public_key": {"kty": "EC", "crv": "P-256", "x": x, "y": y}, "cases": cases, "refused": refused}


def reading_vectors() -> list[dict[str, Any]]:
    rng = random.Random(11)
    cases = []
    for number in range(40):
        payments = []
        for index in range(rng.choice([0, 1, 3, 12])):
            invoices = random_invoices(rng)
            amount = rng.randrange(1, 500000)
            parts = allocation.allocate(amount, invoices)
            tender = rng.choice(readings.TENDER_ORDER)
            channel = None if tender == "cash" else rng.choice(["GCash", "Maya", "BDO", None])
            payments.append(
                readings.Taken(
                    receipts.receipt_number("T07", index + 1),
                    amount,
                    tender,
                    channel,
                    sum(p.amount for p in parts if p.kind == "penalty"),
                    sum(p.amount for p in parts if p.kind == "advance"),
                    allocation.split_vat(parts, invoices),
                )
            )
        voids = [
            readings.Voided(receipts.void_number("T07", i + 1), payment.amount, payment.tender == "cash")
            for i, payment in enumerate(payments)
            if rng.random() < 0.2
        ]
        counted = None
        if number % 2:
            counted = [{"value": value, "kind": kind, "count": rng.randrange(0, 4)} for value, kind in readings.DENOMINATIONS]
        period = readings.Period(
            "0b7f7c52-6a3a-4c37-9a0e-0d8c3f0a1b2c",
            "2026-11-20",
            "T07",
            "nena",
            "2026-11-20T07:30:00.000+08:00",
            rng.choice([0, 50000, 100000]),
            payments,
            voids,
            [void.void_number for void in voids],
            [rng.randrange(1, 50000) for _ in range(rng.randrange(0, 3))],
            [rng.randrange(1, 5000) for _ in range(rng.randrange(0, 2))],
            counted,
        )
        previous = readings.Counters(rng.randrange(0, 400), rng.randrange(0, 10**9))
        arguments = ("2026-11-20T17:00:00.000+08:00", "ab" * 32, rng.randrange(0, 5))
        cases.append(
            {
                "period": asdict(period),
                "previous": asdict(previous),
                "period_end": arguments[0],
                "head_hash": arguments[1],
                "unsent": arguments[2],
                "x": readings.x_reading(period, *arguments),
                "z": readings.z_reading(period, previous, *arguments),
            }
        )
    return cases


def period_vectors() -> list[dict[str, Any]]:
    """A registry's entries as the phone wrote them, with voids, and the period and readings that follow from them."""
    rng = random.Random(8)
    cases = []
    for number in range(16):
        registry, earlier = (f"{rng.getrandbits(32):08x}-6a3a-4c37-9a0e-0d8c3f0a1b2c" for _ in range(2))
        fund = rng.choice([0, 50000])
        opened = {
            "registry": registry,
            "business_date": "2026-11-20",
            "change_fund": fund,
            "collector": "nena",
            "z_counter": 3,
            "accumulated": 900,
        }
        steps: list[tuple[str, dict[str, Any]]] = [("registry_opened", opened)]
        payments, voids, void_numbers, drops, spent = [], [], [], [], []
        counted = None
        # An expense waits from the registry before; what is decided counts where the decision stands.
        undecided = [(str(uuid.UUID(int=rng.getrandbits(128), version=4)), 2550)]
        # What may be voided: payment, receipt number, amount, tender. Two are of the registry before, where the void of one was asked for.
        open_ = [("p-0a", "T07-00000001", 70000, "cash"), ("p-0b", "T07-00000002", 31050, "check")]
        waiting = [("T07-V000001", open_.pop(0))]
        next_void, next_receipt = 2, 3
        for _ in range(rng.choice([0, 3, 10, 25])):
            act = rng.randrange(10)
            if act < 3:
                amount, tender = rng.randrange(1, 500000), rng.choice(readings.TENDER_ORDER)
                invoices = random_invoices(rng)
                parts = allocation.allocate(amount, invoices)
                vat = allocation.split_vat(parts, invoices)
                channel = None if tender == "cash" else rng.choice(["GCash", "BDO", None])
                receipt = receipts.receipt_number("T07", next_receipt)
                payment = f"p-{next_receipt}"
                next_receipt += 1
                payload = {"payment": payment, "registry": registry, "receipt_number": receipt, "amount": amount, "tender": tender}
                steps.append(
                    ("payment", {**payload, "channel": channel, "allocations": [asdict(part) for part in parts], "vat": asdict(vat)})
                )
                sums = {kind: sum(part.amount for part in parts if part.kind == kind) for kind in ("penalty", "advance")}
                payments.append(readings.Taken(receipt, amount, tender, channel, sums["penalty"], sums["advance"], vat))
                open_.append((payment, receipt, amount, tender))
            elif act == 3 and open_:
                item = open_.pop(rng.randrange(len(open_)))
                name = receipts.void_number("T07", next_void)
                next_void += 1
                facts = {"registry": registry, "void_number": name, "payment": item[0], "receipt_number": item[1], "amount": item[2]}
                steps.append(("void_requested", {**facts, "reason": "wrong amount", "supervisor_code": None}))
                void_numbers.append(name)
                waiting.append((name, item))
            elif act in (4, 5) and waiting:
                name, item = waiting.pop(0)
                approved = rng.random() < 0.7
                facts = {"registry": registry, "void_number": name, "payment": item[0], "amount": item[2], "tender": item[3]}
                decision = {
                    "decision": "approved" if approved else "refused",
                    "decided_by": "sol",
                    "decided_at": "2026-11-20T10:00:00.000+08:00",
                }
                steps.append(("void_decided", {**facts, **decision}))
                if approved:
                    voids.append(readings.Voided(name, item[2], item[3] == "cash"))
                else:
                    open_.append(item)
            elif act == 6:
                drops.append(rng.randrange(1, 50000))
                drop = {"given_to": "the office", "reference": f"P-{len(drops)}", "description": None}
                steps.append(("cash_drop", {"registry": registry, "amount": drops[-1], **drop}))
            elif act == 7:
                counted = [{"value": value, "kind": kind, "count": rng.randrange(0, 4)} for value, kind in readings.DENOMINATIONS]
                steps.append(("count", {"registry": registry, "denominations": counted, "total": readings.count_total(counted)}))
            elif act == 8:
                undecided.append((str(uuid.UUID(int=rng.getrandbits(128), version=4)), rng.randrange(1, 50000)))
                facts = {"registry": registry, "expense": undecided[-1][0], "amount": undecided[-1][1]}
                steps.append(("expense", {**facts, "category": "Fuel", "description": rng.choice([None, "To Malolos and back"])}))
            elif act == 9 and undecided:
                expense, amount = undecided.pop(0)
                approved = rng.random() < 0.7
                facts = {"registry": registry, "expense": expense, "amount": amount, "decision": "approved" if approved else "refused"}
                steps.append(("expense_decided", {**facts, "decided_by": "sol", "decided_at": "2026-11-20T10:00:00.000+08:00"}))
                if approved:
                    spent.append(amount)
        # An entry that names another registry counts in no reading of this one.
        elsewhere = {"registry": earlier, "void_number": "T07-V000900", "payment": "p-0c", "amount": 5, "tender": "cash"}
        steps.append(
            ("void_decided", {**elsewhere, "decision": "approved", "decided_by": "sol", "decided_at": "2026-11-20T10:00:00.000+08:00"})
        )
        entries = []
        prev = journal.FIRST_PREV
        for seq, (kind, payload) in enumerate(steps, start=1):
            entry = journal.append("T07", seq, kind, f"2026-11-20T08:{seq:02}:00.000+08:00", None, payload, prev)
            entries.append({**entry.content(), "hash": entry.hash})
            prev = entry.hash
        start = entries[0]["at"]
        period = readings.Period(registry, "2026-11-20", "T07", "nena", start, fund, payments, voids, void_numbers, drops, spent, counted)
        arguments = ("2026-11-20T17:00:00.000+08:00", prev, number)
        counters = readings.Counters(3, 900)
        cases.append(
            {
                "entries": entries,
                "period": asdict(period),
                "period_end": arguments[0],
                "head_hash": arguments[1],
                "unsent": arguments[2],
                "previous": asdict(counters),
                "x": readings.x_reading(period, *arguments),
                "z": readings.z_reading(period, counters, *arguments),
            }
        )
    return cases


def paper_vectors() -> list[dict[str, Any]]:
    """Papers as the phone prints them at 32 and 48 columns: facts, and the lines that follow from them."""
    rng = random.Random(23)
    business = {
        "registered_name": "Hardin ng Kapayapaan Memorial Park, Inc.", "business_name": "Hardin ng Kapayapaan",
        "address": "Km 21 Ortigas Ave. Ext., Brgy. San Isidro, Taytay, Rizal", "tin": "004-512-873-00000", "vat_registered": True,
        "min": "120000001", "serial": "MPOS-T07", "ptu": "", "receipt_title": "COLLECTION RECEIPT", "receipt_phrase": paper.PHRASE,
        "receipt_header": ["Tel. 044 555 0101"], "receipt_footer": ["Salamat po"],
    }  # fmt: skip
    small: dict[str, Any] = {"registered_name": "Maliit Corp.", "business_name": "", "tin": "", "vat_registered": False}
    at, cases = "2026-11-20T08:15:30.123+08:00", list[dict[str, Any]]()

    def add(what: str, blocks: list[paper.Block], facts: dict[str, Any], **more: Any) -> None:
        texts = {str(columns): paper.lines(blocks, columns) for columns in (32, 48)}
        cases.append({"paper": what, "facts": facts, **more, "lines": texts})

    for number in range(1, 17):
        tender = readings.TENDER_ORDER[number % 4]
        invoices = random_invoices(rng)
        total = rng.choice([1, 123456, 9_999_999_999, rng.randrange(1, 800_000)])
        parts = allocation.allocate(total, invoices)
        by_invoice: dict[str, dict[str, Any]] = {}
        for part in parts:
            if part.invoice:
                line = by_invoice.setdefault(part.invoice, {"invoice_number": part.invoice_number, "penalty": 0, "principal": 0})
                line[part.kind] += part.amount
        void: dict[str, Any] = {
            "void_number": f"T07-V{number:06d}",
            "at": at,
            "reason": "Typed 300 instead of 30, twice over",
            "decided_by": "sol",
        }
        void |= {"decided_at": "2026-11-20T16:45:00.000+08:00", "decision_reason": rng.choice([None, "Seen"])}
        state = rng.choice(["none", "requested", "approved", "refused"])
        facts: dict[str, Any] = {
            "business": rng.choice([business, small]), "demo": number % 3 == 0, "receipt_number": receipts.receipt_number("T07", number),
            "at": at, "customer_name": rng.choice(["Peñaflor, Ma. Teresa", "Dela Cruz-Buenaventura, Maria Concepcion Immaculada"]),
            "address": rng.choice(["", "12 Mabini St., Malolos City, Bulacan"]), "tin": rng.choice(["", "123-456-789-000"]),
            "account_number": "HP-2026-000123456789", "soa_number": f"SOA-{number}", "invoices": list(by_invoice.values()),
            "advance": sum(part.amount for part in parts if part.kind == "advance"),
            "penalty": sum(part.amount for part in parts if part.kind == "penalty"), "amount": total, "tender": tender,
            "channel": None if tender == "cash" else "GCash", "reference": None if tender == "cash" else "00012345678901234567890123456789",
            "tendered": total + 100 if tender == "cash" else None, "change": 100 if tender == "cash" else None,
            "branch": "Malolos" if tender == "check" else None, "check_date": "2026-12-01" if tender == "check" else None,
            "or_number": "OR 0012" if number == 5 else None, "or_date": "2026-11-19" if number == 5 else None,
            "balance_after": rng.randrange(0, 10**6), "as_of": rng.choice([None, "2026-11-20T05:00:00+08:00"]),
            "vat": asdict(allocation.split_vat(parts, invoices)), "collector": "nena", "collector_name": rng.choice(["", "Nena Salazar"]),
            "terminal": "T07", "verification": "7f3a91c2", "code": None, "void": None if state == "none" else {**void, "state": state},
        }  # fmt: skip
        copy = rng.choice(["customer", "collector"])
        add("receipt", paper.receipt(facts, copy, number % 3), facts, copy=copy, reprint=number % 3)
        if facts["void"]:
            add("void", paper.void_slip(facts, bool(facts["demo"])), facts)
    for case in reading_vectors()[:8]:
        for kind in ("x", "z"):
            frame: dict[str, Any] = {
                "business": rng.choice([business, small]),
                "demo": rng.random() < 0.5,
                "collector": rng.choice(["", "Nena Salazar"]),
            }
            blocks = paper.reading(kind, case[kind], frame["business"], frame["demo"], frame["collector"])
            add("reading", blocks, case[kind], kind=kind, frame=frame)
    for kind, state in itertools.product(("expense", "cash_drop"), ("requested", "approved", "refused")):
        item: dict[str, Any] = {"kind": kind, "terminal": "T07", "seq": rng.randrange(1, 9999), "at": at, "amount": rng.randrange(1, 10**7)}
        given = {"given_to": "Branch safe", "reference": rng.choice([None, "S-7"])}
        item |= {"category": "Fuel", "state": state} if kind == "expense" else given
        answer = {"decided_by": "sol", "decided_at": at} if kind == "expense" and state != "requested" else None
        item |= {"description": rng.choice([None, "To Malolos and back, by way of Plaridel"]), "answer": answer}
        slip: dict[str, Any] = {"business": business, "demo": rng.random() < 0.5, "collector": "Nena Salazar"}
        add("cash", paper.cash_slip(item, business, slip["demo"], slip["collector"]), item, frame=slip)
    return cases


def void_code_vectors() -> list[dict[str, Any]]:
    """Challenges and codes of voids; `mistyped` differs in one digit."""
    rng = random.Random(17)
    cases = []
    for place in range(24):
        terminal = f"T{rng.choice([1, 7, 42, 123]):02d}"
        payment = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        number, amount = f"{terminal}-V{rng.randrange(1, 10**6):06d}", rng.choice([1, 100, 123450, 9_999_999_999])
        secret = bytes(rng.randrange(256) for _ in range(32))
        asked = void_codes.challenge(terminal, payment, number, amount)
        code = void_codes.code(secret, number, amount, asked)
        digit = place % 8
        mistyped = code[:digit] + str((int(code[digit]) + rng.randrange(1, 10)) % 10) + code[digit + 1 :]
        facts = {"terminal": terminal, "payment": payment, "void_number": number, "amount": amount}
        cases.append({**facts, "challenge": asked, "secret": secret.hex(), "code": code, "mistyped": mistyped})
    return cases


def column_vectors() -> list[dict[str, Any]]:
    rng = random.Random(11)

    def day() -> str:
        return f"{rng.choice([1999, 2025, 2026, 2031])}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"

    def soa(number: int) -> dict[str, Any]:
        invoices: list[dict[str, Any]] = []
        for place in range(rng.randrange(0, 4)):
            amount, kind = rng.randrange(0, 9_000_000), rng.choice(["vatable", "vatable", "exempt", "zero_rated"])
            invoices.append(
                {
                    "id": f"{rng.choice(['INV', 'ÑINV', '😀'])}{number:05d}-{place}",
                    "invoice_number": f"SI-{number}{place}",
                    "invoice_date": day(),
                    "due_date": day(),
                    "description": rng.choice(["", f"Lawn lot, Block {number % 7}, instalment {place} of 36", "Kahon ₱"]),
                    "amount": amount,
                    "balance": rng.choice([amount, amount, 0, amount + 1, rng.randrange(0, amount + 1)]),
                    "penalty": rng.choice([0, rng.randrange(0, 9000)]),
                    "vat_type": kind,
                    "vat_amount": rng.choice([(amount * 24 + 112) // 224 if kind == "vatable" else 0, 5]),
                }
            )
        owed = sum(one["balance"] + one["penalty"] for one in invoices)
        return {
            "id": f"SOA{number:06d}",
            "soa_number": f"2026-09-{number:06d}",
            "version": f"{rng.randrange(16**16):016x}",
            "account_number": f"HP-{number}",
            "customer_name": rng.choice(["Peñaflor, Ma. Teresa", "Dela Cruz, Juan", "José 😀"]),
            "address": rng.choice(["", "12 Mabini St., Malolos"]),
            "contact_number": rng.choice(["", "0917 000 1234"]),
            "tin": "",
            "collector_code": rng.choice(["A01", "B02", None]),
            "issued_on": day(),
            "due_date": day(),
            "amount_due": rng.choice([owed, owed, owed + 700, 0]),
            "penalty": rng.choice([sum(one["penalty"] for one in invoices), 0]),
            "invoices": invoices,
        }

    cases = []
    for count in (0, 1, 2, 12):
        soas = [soa(rng.randrange(1, 40)) | {"id": f"SOA{place:06d}"} for place in range(count)]
        cases.append({"soas": soas, "columns": columns.pack(table(soas))})
    return cases


def collection_vectors() -> dict[str, Any]:
    """A day's payments as the phone holds them, and the lines and sums that its Collection Report and the portal's both have."""
    invoices = [
        OpenInvoice("I1", "SI-0001", "2026-10-01", 50000, penalty=1250, amount=112000, vat_amount=12000),
        OpenInvoice("I2", "SI-0002", "2026-10-02", 112000, penalty=0, amount=112000, vat_amount=12000),
    ]
    takings: list[dict[str, Any]] = [
        {"amount": 30050, "tender": "cash", "channel": None, "reference": None},
        {"amount": 40000, "tender": "check", "channel": "BDO", "reference": "0012345"},
        {"amount": 100, "tender": "cash", "channel": None, "reference": None, "void": {"number": 1, "reason": "Typed 1 instead of 100"}},
        {"amount": 150000, "tender": "e_wallet", "channel": "GCash", "reference": "GC-9000001"},
    ]
    paid: list[allocation.Allocation] = []
    payments, lines = [], []
    for place, taking in enumerate(takings, start=1):
        parts = allocation.allocate(taking["amount"], allocation.less_payments(invoices, paid), "oldest_first", [])
        paid += parts
        void = taking.get("void") and {**taking["void"], "number": receipts.void_number("T01", taking["void"]["number"])}
        shared = {"receipt_number": receipts.receipt_number("T01", place), "account_number": "ACC-S1", "customer_name": "Dela Cruz, Maria"}
        shared |= {name: taking[name] for name in ("amount", "tender", "channel", "reference")}
        payments.append({**shared, "allocations": [asdict(part) for part in parts], "void": void})
        sums = {kind: sum(part.amount for part in parts if part.kind == kind) for kind in ("penalty", "principal", "advance")}
        numbers = list(dict.fromkeys(part.invoice_number for part in parts if part.invoice_number))
        lines.append({**shared, **sums, "invoices": numbers, "void": void})
    good = [line for line in lines if not line["void"]]
    names = ("penalty", "principal", "advance", "amount")
    return {
        "invoices": [asdict(one) for one in invoices],
        "payments": payments,
        "lines": lines,
        "taken": {name: sum(line[name] for line in lines) for name in names},
        "voided": sum(line["amount"] for line in lines if line["void"]),
        "net": {name: sum(line[name] for line in good) for name in names},
    }


if __name__ == "__main__":
    write("collection", collection_vectors())
    write("money", money_vectors())
    write("allocation", allocation_vectors())
    write("journal", journal_vectors())
    write("receipt_code", receipt_code_vectors())
    write("void_codes", void_code_vectors())
    write("readings", reading_vectors())
    write("periods", period_vectors())
    write("papers", paper_vectors())
    write("columns", column_vectors())
