"""What stands on a phone's paper, as lines of text. Twin: static/mpos/paper.mjs and paper_lines.mjs; vectors: papers.json. Money is integer
centavos. The code to scan is no text: where it stands on paper, nothing stands here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from portal.domain.money import from_centavos, in_words, show, show_pesos
from portal.domain.payments import TENDER_WORDS

MANILA = timezone(timedelta(hours=8))
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec")
COLUMNS = 32
"""Letters on a line of 58 mm paper."""
NUMBERS = {"First receipt": "first_receipt", "Last receipt": "last_receipt", "First void": "first_void", "Last void": "last_void"}
PARTS = {
    "VATable": "vatable",
    "VAT amount": "vat_amount",
    "VAT-exempt": "vat_exempt",
    "Zero-rated": "zero_rated",
    "Penalty": "penalty",
    "Advances": "advance",
}
OFF = {
    "Change fund": "change_fund",
    "Cash collected": "cash_collected",
    "Less voided cash": "less_voided_cash",
    "Less cash drops": "less_drops",
    "Less expenses": "less_expenses",
}
PHRASE = "THIS DOCUMENT IS NOT VALID FOR CLAIM OF INPUT TAX"


@dataclass(frozen=True, slots=True)
class Block:
    """Text, mark, row, rule, gap or sign; `look` is strong, large, small or inner."""

    kind: Literal["text", "mark", "row", "rule", "gap", "sign"]
    text: str = ""
    right: str = ""
    look: str = ""
    centre: bool = False


RULE = Block("rule")


def day(value: str) -> str:
    """`20 Nov 2026` of a date or an instant, in Manila."""
    if len(value) == 10:
        year, month, number = (int(part) for part in value.split("-"))
        return f"{number} {MONTHS[month - 1]} {year}"
    at = datetime.fromisoformat(value).astimezone(MANILA)
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}"


def day_time(value: str | None) -> str:
    """`20 Nov 2026, 08:15` in Manila; empty when there is none."""
    return f"{day(value)}, {datetime.fromisoformat(value).astimezone(MANILA):%H:%M}" if value else ""


def amount(centavos: int) -> str:
    """`1,234.50`."""
    return show(from_centavos(centavos))


def pesos(centavos: int) -> str:
    """`₱1,234.50`."""
    return show_pesos(from_centavos(centavos))


def _text(value: Any, look: str = "", centre: bool = False) -> list[Block]:
    return [Block("text", str(value), look=look, centre=centre)] if value else []


def _centre(value: Any, look: str = "") -> list[Block]:
    return _text(value, look, True)


def _row(left: str, right: str, look: str = "") -> list[Block]:
    return [Block("row", left, right, look)]


def _money(left: str, centavos: int, look: str = "") -> list[Block]:
    return _row(left, amount(centavos), look)


def _given(left: str, right: Any) -> list[Block]:
    return _row(left, str(right)) if right else []


def _mark(value: str) -> list[Block]:
    return [Block("mark", value)]


def _sign(value: str) -> list[Block]:
    return [Block("sign", value)]


def _chosen(lines: Any) -> list[Block]:
    return [block for line in lines for block in _centre(line, "small")] if isinstance(lines, list) else []


def tender_name(tender: str, channel: str | None) -> str:
    """`E-wallet GCash`."""
    name = TENDER_WORDS.get(tender, tender)
    return f"{name} {channel}" if channel else name


def letterhead(business: Mapping[str, Any], demo: bool) -> list[Block]:
    """Who collects: the head of every paper."""
    registered, called = business.get("registered_name"), business.get("business_name")
    tin = business.get("tin")
    return [
        *(_mark("DEMO - not an official document") if demo else []),
        *_centre(called or registered, "strong"),
        *(_centre(registered) if registered and called and registered != called else []),
        *_centre(business.get("address")),
        *_centre(f"{'VAT' if business.get('vat_registered') else 'NON-VAT'} REG TIN {tin}" if tin else ""),
        *(block for name, words in (("min", "MIN"), ("serial", "SN"), ("ptu", "PTU")) for block in _numbered(business.get(name), words)),
    ]


def _numbered(value: Any, words: str) -> list[Block]:
    return _centre(f"{words} {value}" if value else "", "small")


def _void_mark(void: Mapping[str, Any] | None) -> list[Block]:
    if void and void["state"] == "approved":
        return _mark(f"VOID {void['void_number']}")
    return _centre(f"Void {void['void_number']} asked for", "small") if void and void["state"] == "requested" else []


def receipt(facts: Mapping[str, Any], copy: str, reprint: int) -> list[Block]:
    """A collection receipt; `facts` are a payment's payload with what the phone shows besides, `reprint` 0 is the first print."""
    business, void, demo = facts.get("business") or {}, facts.get("void"), bool(facts.get("demo"))
    cash, change, vat = facts["tender"] == "cash", facts.get("change") or 0, facts["vat"]
    penalty, advance = facts["penalty"], facts["advance"]
    tendered, or_number, check_date = facts.get("tendered"), facts.get("or_number"), facts.get("check_date")
    return [
        *letterhead(business, demo),
        *_chosen(business.get("receipt_header")),
        RULE,
        *_centre(business.get("receipt_title") or "COLLECTION RECEIPT", "strong"),
        *_centre(facts["receipt_number"], "large"),
        *(_mark("COLLECTOR'S COPY") if copy == "collector" else []),
        *(_mark(f"REPRINT {reprint}") if reprint > 0 else []),
        *_void_mark(void),
        *_row("Date", day_time(facts["at"])),
        RULE,
        *_text("Received from", "small"),
        *_text(facts["customer_name"], "strong"),
        *_text(facts.get("address")),
        *_given("TIN", facts.get("tin")),
        *_given("Account", facts["account_number"]),
        *_given("SOA", facts["soa_number"]),
        RULE,
        *(block for paid in facts["invoices"] for block in _paid(paid)),
        *(_money("Advance", advance) if advance > 0 else []),
        RULE,
        *_row("TOTAL", pesos(facts["amount"]), "large"),
        *_text(in_words(facts["amount"]), "small"),
        *_row("Paid by", tender_name(facts["tender"], facts.get("channel"))),
        *_given("Reference", facts.get("reference")),
        *_given("Branch", facts.get("branch")),
        *_given("Date on the check", check_date and day(check_date)),
        *_given("Official receipt", or_number and f"{or_number}, {day(facts['or_date'])}"),
        *(_money("Cash tendered", tendered) if cash and tendered is not None else []),
        *(_money("Change", change, "strong" if change > 0 else "") if cash else []),
        *(_mark("SUBJECT TO CLEARING") if facts["tender"] == "check" else []),
        RULE,
        *_money("Remaining balance", facts["balance_after"], "strong"),
        *(_text(f"of the SOA as of {day_time(facts['as_of'])}, less payments on this phone", "small") if facts.get("as_of") else []),
        RULE,
        *_money("VATable", vat["vatable"], "small"),
        *_money("VAT amount", vat["vat_amount"], "small"),
        *_money("VAT-exempt", vat["vat_exempt"], "small"),
        *_money("Zero-rated", vat["zero_rated"], "small"),
        *(_money("Penalty", penalty, "small") if penalty > 0 else []),
        *(_money("Advance", advance, "small") if advance > 0 else []),
        RULE,
        *_row("Collector", facts.get("collector_name") or facts.get("collector") or ""),
        *_row("Terminal", facts["terminal"]),
        *_row("Verification", facts["verification"], "strong"),
        Block("gap"),
        *_centre(business.get("receipt_phrase") or PHRASE, "small"),
        *_chosen(business.get("receipt_footer")),
        *(_sign("Customer's signature") if copy == "collector" else []),
        *_void_mark(void),
        *(_mark("DEMO") if demo else []),
    ]


def _paid(paid: Mapping[str, Any]) -> list[Block]:
    parts = (("Penalty", paid["penalty"]), ("Principal", paid["principal"]))
    return [
        *_text(f"Invoice {paid['invoice_number']}"),
        *(block for name, part in parts if part > 0 for block in _money(name, part, "inner")),
    ]


def void_slip(facts: Mapping[str, Any], demo: bool) -> list[Block]:
    """The slip of a void in the state it has in `facts["void"]`."""
    void = facts["void"]
    decided = void["state"] != "requested"
    words = {"requested": "REQUESTED, NOT YET APPROVED", "approved": "APPROVED", "refused": "REFUSED"}[void["state"]]
    return [
        *letterhead(facts.get("business") or {}, demo),
        RULE,
        *_centre("VOID SLIP", "strong"),
        *_centre(void["void_number"], "large"),
        *_mark(words),
        *_row("Asked", day_time(void["at"])),
        *([*_row("Decided", day_time(void["decided_at"])), *_row("By", void["decided_by"])] if decided else []),
        *_given("Answer", void.get("decision_reason")),
        RULE,
        *_row("Receipt", facts["receipt_number"], "strong"),
        *_row("Date", day_time(facts["at"])),
        *_text("Received from", "small"),
        *_text(facts["customer_name"], "strong"),
        *_given("Account", facts["account_number"]),
        *_given("SOA", facts["soa_number"]),
        *_row("Paid by", tender_name(facts["tender"], facts.get("channel"))),
        *_given("Reference", facts.get("reference")),
        RULE,
        *_row("VOID", pesos(facts["amount"]), "large"),
        *_text("Reason", "small"),
        *_text(void["reason"], "strong"),
        RULE,
        *_row("Collector", facts.get("collector_name") or facts.get("collector") or ""),
        *_row("Terminal", facts["terminal"]),
        *_sign("Customer's signature"),
        *_sign("Collector"),
        *(_mark("DEMO") if demo else []),
    ]


def cash_slip(item: Mapping[str, Any], business: Mapping[str, Any], demo: bool, collector: str) -> list[Block]:
    """The slip of an expense or a cash drop; `item` is its payload with kind, terminal, seq, at, and state and answer of an expense."""
    spent = item["kind"] == "expense"
    answer = item.get("answer") if spent and item.get("state") != "requested" else None
    return [
        *letterhead(business, demo),
        RULE,
        *_centre("EXPENSE" if spent else "CASH DROP", "strong"),
        *_centre(f"{item['terminal']}/{item['seq']}", "large"),
        *(_mark(str(item["state"]) if answer else "NOT YET APPROVED") if spent else []),
        *_row("Date", day_time(item["at"])),
        *([*_row("Decided", day_time(answer["decided_at"])), *_row("By", answer["decided_by"])] if answer else []),
        RULE,
        *_given("Kind", item.get("category")),
        *_given("Given to", item.get("given_to")),
        *_given("Reference", item.get("reference")),
        *([*_text("Note", "small"), *_text(item["description"])] if item.get("description") else []),
        *_row("AMOUNT", pesos(item["amount"]), "large"),
        *_text(in_words(item["amount"]), "small"),
        RULE,
        *_row("Collector", collector),
        *_row("Terminal", item["terminal"]),
        *_sign("Collector"),
        *_sign("Supervisor" if spent else "Received by"),
        *(_mark("DEMO") if demo else []),
    ]


def reading(kind: str, facts: Mapping[str, Any], business: Mapping[str, Any], demo: bool, collector: str) -> list[Block]:
    """An X- or Z-reading (`kind` x or z) in the order of DOMAIN 6. An X before the first count keeps the expected cash to itself."""
    closing, counted = kind == "z", facts.get("counted_cash") is not None
    return [
        *letterhead(business, demo),
        RULE,
        *_centre("Z-READING" if closing else "X-READING", "large"),
        *([] if closing else _centre("Interim. This is not a closing report.", "small")),
        *_row("Report", day_time(facts["period_end"])),
        *_row("Business date", day(facts["business_date"])),
        *_row("From", day_time(facts["period_start"])),
        *_row("To", day_time(facts["period_end"])),
        *_row("Terminal", facts["terminal"]),
        *_row("Collector", collector or facts["collector"]),
        RULE,
        *(block for words, name in NUMBERS.items() for block in _row(words, facts[name] or "none")),
        *_row("Transactions", str(facts["transaction_count"])),
        *(_counters(facts) if closing else []),
        RULE,
        *(block for words, name in PARTS.items() for block in _money(words, facts[name])),
        RULE,
        *_money("Gross", facts["gross"]),
        *_money("Less void", facts["less_void"]),
        *_row("NET", pesos(facts["net"]), "large"),
        RULE,
        *_tenders(facts["tenders"]),
        RULE,
        *(block for words, name in OFF.items() for block in _money(words, facts[name])),
        *(_counted(facts) if counted else _text("Expected cash is shown after Count cash.", "small")),
        RULE,
        *_row("Unsent entries", str(facts["unsent"])),
        *_text("Journal " + re.sub(r"(.{8})(?=.)", r"\1 ", str(facts["head_hash"])), "small"),
        *([*_sign("Collector"), *_sign("Cashier")] if closing else []),
        *(_mark("DEMO") if demo else []),
    ]


def _counters(facts: Mapping[str, Any]) -> list[Block]:
    return [
        RULE,
        *_row("Reset counter", str(facts["reset_counter"])),
        *_row("Z counter", str(facts["z_counter"]), "strong"),
        *_money("Present accumulated", facts["present_accumulated"]),
        *_money("Previous accumulated", facts["previous_accumulated"]),
        *_money("Collection for the day", facts["gross"], "strong"),
    ]


def _tenders(tenders: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not tenders:
        return _text("No payments", "small")
    return [block for one in tenders for block in _money(f"{tender_name(one['tender'], one['channel'])} ({one['count']})", one["amount"])]


def _counted(facts: Mapping[str, Any]) -> list[Block]:
    pieces = [one for one in facts["counted"] or () if one["count"] > 0]
    difference = facts["short_over"]
    word = "Short" if difference < 0 else "Over" if difference > 0 else "Short/over"
    return [
        *_money("Expected cash", facts["expected_cash"], "strong"),
        *(
            block
            for one in pieces
            for block in _row(f"{amount(one['value'])} {one['kind']} x {one['count']}", amount(one["value"] * one["count"]), "inner")
        ),
        *_money("Counted cash", facts["counted_cash"], "strong"),
        *_row(word, amount(abs(difference)), "strong"),
    ]


# --- blocks as lines -----------------------------------------------------------------------------------------------------


def lines(blocks: Sequence[Block], columns: int = COLUMNS) -> list[str]:
    """The lines of a document; no line is longer than its columns. Wide letters take the room of two."""
    return [line.rstrip(" ") for block in blocks for line in _lines(block, columns)]


def _lines(block: Block, columns: int) -> list[str]:
    match block.kind:
        case "rule":
            return ["-" * columns]
        case "gap":
            return [""]
        case "sign":
            return ["", "", "_" * columns, *(_centred(line, columns) for line in wrap(block.text, columns))]
        case "mark":
            return [_centred(f"* {line} *", columns) for line in wrap(block.text.upper(), columns - 4)]
        case "row":
            return _row_lines(block, columns)
    room = columns // 2 if block.look == "large" else columns
    return [_centred(line, room) if block.centre else line for line in wrap(block.text, room)]


def _row_lines(block: Block, columns: int) -> list[str]:
    left, right = block.text, block.right
    wide = block.look == "large" and max(len(left), len(right)) <= columns // 2
    room = columns // 2 if wide else columns
    indent = "  " if block.look == "inner" else ""
    space = room - len(indent) - len(left) - len(right)
    if space >= 1:
        return [f"{indent}{left}{' ' * space}{right}"]
    rights = wrap(right, room - len(indent))
    return [*(indent + line for line in wrap(left, room - len(indent))), *(" " * (room - len(line)) + line for line in rights)]


def _centred(text: str, columns: int) -> str:
    return " " * max((columns - len(text)) // 2, 0) + text


def wrap(text: str, columns: int) -> list[str]:
    """Words on lines of at most `columns` letters; a longer word is cut. Spaces inside a line stay as they are."""
    found: list[str] = []
    line = ""
    for part in re.split("( +)", re.sub(r"[\r\n\t]+", " ", text)):
        if part == "":
            continue
        if len(line) + len(part) <= columns:
            line += part
            continue
        if part.strip(" ") == "":
            found.append(line.rstrip(" "))
            line = ""
            continue
        if line.strip(" ") != "":
            found.append(line.rstrip(" "))
        while len(part) > columns:
            found.append(part[:columns])
            part = part[columns:]
        line = part
    if line.strip(" ") != "" or not found:
        found.append(line.rstrip(" "))
    return found
