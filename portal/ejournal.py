"""The electronic journal: the text of the documents the phones printed, in the order of printing, made from the journal alone by the same
rules as the paper (portal/domain/paper.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.domain import paper
from portal.domain.paper import Block
from portal.domain.readings import DENOMINATIONS
from portal.store import ejournal as store
from portal.store.ejournal import Asked, Paid, Printed, VoidFacts

NAMES = {
    "receipt_printed": "Receipt",
    "void_requested": "Void slip",
    "void_decided": "Void slip",
    "expense": "Expense slip",
    "expense_decided": "Expense slip",
    "cash_drop": "Cash drop slip",
    "reading_x": "X-reading",
    "reading_z": "Z-reading",
}
UNKNOWN = "What this document says is not known: the entry it is about has not arrived, or cannot be read."


@dataclass(frozen=True, slots=True)
class Frame:
    """The letterhead and words of papers, and whether they say DEMO."""

    business: Mapping[str, Any]
    demo: bool


@dataclass(frozen=True, slots=True)
class Document:
    """One printed document: its place in which journal, when (an instant as the phone wrote it), what it is, its number and lines."""

    terminal: str
    seq: int
    at: str
    name: str
    number: str
    collector: str
    lines: tuple[str, ...]

    @property
    def when(self) -> str:
        """`20 Nov 2026, 15:04:00` in Manila; what a phone wrote that is no instant stays as it is."""
        try:
            local = datetime.fromisoformat(self.at).astimezone(paper.MANILA)
        except (ValueError, OverflowError):
            return self.at
        return f"{paper.day(local.isoformat())}, {local:%H:%M:%S}"

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


def documents(asked: Asked, frame: Frame) -> Iterator[Document]:
    """Every document of the filter, terminal by terminal, in the order of printing; looked up by set, a batch at a time."""
    for batch in store.entries(asked):
        facts = _Facts(batch)
        for entry in batch:
            yield _document(entry, facts, frame)


class _Facts:
    """What the documents of a batch need besides their entries."""

    def __init__(self, batch: Sequence[Printed]) -> None:
        named = {str(one.payload.get("payment")) for one in batch if one.kind in {"receipt_printed", "void_requested", "void_decided"}}
        self.payments = store.payments(named) if named else {}
        self.voids = store.voids(named) if named else {}
        decided = {str(one.payload.get("expense")) for one in batch if one.kind == "expense_decided"}
        self.expenses = store.expenses(decided) if decided else {}


def _document(entry: Printed, facts: _Facts, frame: Frame) -> Document:
    payload = entry.payload
    try:
        number, blocks = _blocks(entry, facts, frame)
    except (KeyError, TypeError, ValueError, IndexError):  # a phone may have written anything: its journal is kept, the copy says so
        number, blocks = str(payload.get("receipt_number") or payload.get("void_number") or ""), [Block("text", UNKNOWN)]
    name = NAMES[entry.kind]
    if entry.kind == "receipt_printed" and isinstance(payload.get("reprint"), int) and payload["reprint"] > 0:
        name = f"Receipt, reprint {payload['reprint']}"
    return Document(entry.terminal, entry.seq, entry.at, name, number, entry.collector_display, tuple(paper.lines(blocks)))


def _blocks(entry: Printed, facts: _Facts, frame: Frame) -> tuple[str, list[Block]]:
    """The number of a document and what stands on it. Raises KeyError and the like for an entry that does not say what it must."""
    payload, who = entry.payload, entry.collector_display or entry.collector
    business, demo = frame.business, frame.demo
    match entry.kind:
        case "reading_x" | "reading_z":
            kind = entry.kind.removeprefix("reading_")
            shown = payload["reading"]
            known = [line for line in shown.get("counted") or () if (line["value"], line["kind"]) in DENOMINATIONS]
            number = f"Z {payload['z_counter']}" if kind == "z" else ""
            return number, paper.reading(kind, {**shown, "counted": known}, business, demo, who)
        case "expense" | "cash_drop":
            item = {**payload, "kind": entry.kind, "terminal": entry.terminal, "seq": entry.seq, "at": entry.at, "state": "requested"}
            return f"{entry.terminal}/{entry.seq}", paper.cash_slip(item, business, demo, who)
        case "expense_decided":
            seq, spent, at = facts.expenses[payload["expense"]]
            item = {
                **spent,
                "kind": "expense",
                "terminal": entry.terminal,
                "seq": seq,
                "at": at,
                "state": payload["decision"],
                "answer": payload,
            }
            return f"{entry.terminal}/{seq}", paper.cash_slip(item, business, demo, who)
        case "void_requested" | "void_decided":
            paid = facts.payments[payload["payment"]]
            void = next(one for one in facts.voids[payload["payment"]] if one.void_number == payload["void_number"])
            state = "requested" if entry.kind == "void_requested" else void.state
            return void.void_number, paper.void_slip({**_receipt(paid, frame, who), "void": _slip(void, state)}, demo)
        case _:
            paid = facts.payments[payload["payment"]]
            void_then = _void_then(facts.voids.get(payload["payment"], []), entry.seq)
            copy, reprint = str(payload["copy"]), int(payload["reprint"])
            return payload["receipt_number"], paper.receipt({**_receipt(paid, frame, who), "void": void_then}, copy, reprint)


def _receipt(paid: Paid, frame: Frame, collector: str) -> dict[str, Any]:
    """The facts of a receipt as the phone has them."""
    invoices: dict[str, dict[str, Any]] = {}
    parts = dict.fromkeys(("penalty", "principal", "advance"), 0)
    for part in paid.payload["allocations"]:
        parts[part["kind"]] += part["amount"]
        if part["invoice"] is not None:
            line = invoices.setdefault(part["invoice"], {"invoice_number": part["invoice_number"], "penalty": 0, "principal": 0})
            line[part["kind"]] += part["amount"]
    return {
        **paid.payload,
        **parts,
        "business": frame.business,
        "demo": frame.demo,
        "at": paid.at,
        "terminal": paid.terminal,
        "address": paid.address,
        "tin": paid.tin,
        "as_of": paid.as_of.astimezone(paper.MANILA).isoformat() if paid.as_of else None,
        "invoices": list(invoices.values()),
        "collector_name": collector,
        "verification": paid.hash[:8],
    }


def _slip(void: VoidFacts, state: str) -> dict[str, Any]:
    """A void as its slip tells it, in the state it had."""
    return {
        "void_number": void.void_number,
        "at": void.requested_at.isoformat(),
        "reason": void.reason,
        "state": state,
        "decided_by": void.decided_by,
        "decided_at": void.decided_at.isoformat() if void.decided_at else None,
        "decision_reason": void.decision_reason if state != "requested" else None,
    }


def _void_then(voids: Sequence[VoidFacts], seq: int) -> dict[str, Any] | None:
    """The void that a receipt printed at this place in the journal had to show: approved, or asked for, as far as the phone had written it
    down by then."""
    for void in reversed(voids):
        if void.journal_seq >= seq:
            continue
        known = void.counted_seq is not None and void.counted_seq < seq
        return _slip(void, void.state if known else "requested")
    return None


def heading(document: Document) -> str:
    """The line between two documents in a text file."""
    return f"===== {document.terminal}, entry {document.seq}, {document.when}, {document.name} {document.number}".rstrip() + " ====="


def text_file(found: Iterator[Document], words: Sequence[str], made_at: str) -> Iterator[str]:
    """The journal as plain text, piece by piece."""
    yield f"ELECTRONIC JOURNAL\n{', '.join(words)}\nMade {made_at}\n"
    count = 0
    for document in found:
        count += 1
        yield f"\n{heading(document)}\n{document.text}\n"
    yield f"\n===== {count:,} document{'' if count == 1 else 's'} =====\n"
