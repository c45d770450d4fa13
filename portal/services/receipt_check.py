"""Whether a receipt is genuine, and what became of its payment: what `/verify/<code>` tells anybody. Reads only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from portal.domain import money, receipt_code, receipts
from portal.domain.errors import InvalidInput, NotFound
from portal.domain.receipt_code import ReceiptFacts
from portal.services.terminals import signature_fits
from portal.store import receipt_facts, terminals
from portal.store.terminals import TerminalRow

State = Literal["received", "voided", "not_received", "revoked", "differs"]
NOT_OURS = "The portal cannot confirm this code."
NOBODYS_KEY = json.dumps(
    {"kty": "EC", "crv": "P-256", "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}
)
"""The curve's own base point: an unknown terminal is checked with it, to take as long as a wrong signature. No answer trusts it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a signed code says, and the state of its payment. Nothing of it comes from the ledger but the state.

    `not_received`: its terminal has not uploaded so far. `revoked`: neither, and it may not collect any more. `differs`: something else was
    received in its place, or it could not be booked."""

    facts: ReceiptFacts
    state: State

    @property
    def receipt_number(self) -> str:
        """As printed."""
        return receipts.receipt_number(self.facts.terminal, self.facts.number)


def check(code: str) -> Checked:
    """What a receipt's code proves. Raises NotFound for whatever proves nothing, with the same words and about the same work."""
    try:
        facts, body, signature = receipt_code.read(code)
    except InvalidInput:
        raise NotFound(NOT_OURS) from None
    terminal = terminals.by_code(facts.terminal)
    # A terminal that waits for its approval is vouched for by nobody.
    vouched = terminal is not None and terminal.state != "waiting"
    key = terminal.public_key if terminal is not None and vouched else NOBODYS_KEY
    fits = signature_fits(key, receipt_code.signed_bytes(body), receipt_code.code(b"", signature))
    if terminal is None or not vouched or not fits:
        raise NotFound(NOT_OURS)
    return Checked(facts, _state(facts, terminal))


def _state(facts: ReceiptFacts, terminal: TerminalRow) -> State:
    booked = receipt_facts.booked(facts.payment)
    if booked is not None:
        same = (
            booked.terminal_id == terminal.id
            and booked.receipt_number == receipts.receipt_number(facts.terminal, facts.number)
            and booked.journal_seq == facts.seq
            and booked.entry_hash.startswith(facts.hash_start)
            and booked.amount == money.from_centavos(facts.amount)
            and (booked.tender, booked.soa_number) == (facts.tender, facts.soa_number)
            and round(booked.collected_at.timestamp() * 1000) == facts.at
        )
        if not same:
            return "differs"
        return "voided" if booked.voided else "received"
    if terminal.head_seq >= facts.seq:
        return "differs"
    return "revoked" if terminal.state == "revoked" else "not_received"
