"""A supervisor's code for a void: given in the office's pages, typed on a phone without a signal, checked when the void arrives."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.domain import money, receipts, voids
from portal.domain import void_codes as rules
from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.extensions import db
from portal.store import audit, incidents, users
from portal.store import terminals as terminal_store
from portal.store import void_codes as store
from portal.store import voids as void_store
from portal.store.terminals import TerminalRow
from portal.store.void_codes import CodeRow

WRONG_CODES = 5
"""After so many wrong codes from one terminal within LOCKED_FOR its codes are not looked at; its voids wait for the office as any other."""
LOCKED_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Known:
    """What the portal knows of the payment a code is asked for."""

    receipt_number: str
    customer_name: str
    collected_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a code that came with a void is worth: when `approved`, `decided_by` approves it, at the moment the code was given."""

    outcome: str
    code_id: int | None = None
    decided_by: str = ""
    decided_at: datetime | None = None


def issue(who: str, void_number: str, amount: str, challenge: str, now: datetime) -> int:
    """Give a code for one void; its id. Asked for again with the same facts it is the same code. Raises InvalidInput, Forbidden or Conflict
    in plain words. Commits."""
    person = users.by_name(who)
    if person is None or not person.active or "supervisor" not in person.roles:
        raise Forbidden("Only a supervisor gives codes for voids.")
    number, asked = void_number.strip().upper(), rules.read_challenge(challenge)
    code, _ = receipts.read_void_number(number)
    pesos = money.parse(amount.replace("₱", "").strip())
    if pesos <= 0:
        raise InvalidInput("The amount must be above zero, as the phone shows it.")
    terminal = terminal_store.by_code(code)
    if terminal is None:
        raise InvalidInput(f"There is no terminal {code}. Look at the void number on the phone again.")
    if terminal.state != "active":
        raise Conflict(f"Terminal {code} is not active, so its voids are decided here, after they arrived.")
    if terminal.user_id == person.id:
        raise Forbidden("Nobody approves a void of their own terminal. Ask another supervisor.")
    if void_store.by_number(number) is not None:
        raise Conflict(f"Void {number} arrived already. Decide it in the list of voids.")
    known = _payment(terminal, number, asked, money.centavos(pesos))
    if known and known[3] == person.id:
        raise Forbidden("Nobody approves a void of a payment they collected themselves. Ask another supervisor.")
    for given in store.for_void(terminal.id, number, pesos, asked):
        if given.user_id == person.id and given.revoked_at is None:
            return given.id
    code_id = store.add(person.id, terminal.id, number, pesos, asked, secrets.token_bytes(32), now)
    audit.add(who, "void_code_given", code, {"void_number": number, "amount": str(pesos), "challenge": asked}, now)
    db.session.commit()
    return code_id


def _payment(terminal: TerminalRow, void_number: str, asked: str, amount: int) -> tuple[str, str, str, int, datetime] | None:
    """The payment that a challenge stands for, when it arrived already."""
    for found in store.payments_of(terminal.id, money.from_centavos(amount)):
        if rules.challenge(terminal.code, found[0], void_number, amount) == asked:
            return found
    return None


def own(code_id: int, who: str) -> CodeRow:
    """A code that this supervisor gave. Raises NotFound for any other."""
    given = store.get(code_id)
    if given is None or given.user != who:
        raise NotFound("There is no such code of yours.")
    return given


def code_of(given: CodeRow) -> str:
    """The eight digits of a code that was given."""
    return rules.code(given.secret, given.void_number, money.centavos(given.amount), given.challenge)


def known_payment(given: CodeRow) -> Known | None:
    """The payment a code was given for, when the portal has it already."""
    terminal = terminal_store.by_code(given.terminal)
    found = terminal and _payment(terminal, given.void_number, given.challenge, money.centavos(given.amount))
    return Known(found[1], found[2], found[4]) if found else None


def revoke(code_id: int, who: str, now: datetime) -> None:
    """Take a code back that no void carried yet. Raises NotFound or Conflict. Commits."""
    store.lock(code_id)
    given = own(code_id, who)
    if given.void_id is not None:
        raise Conflict(f"Void {given.void_number} arrived with this code already; it cannot be taken back any more.")
    if given.revoked_at is not None:
        raise Conflict("This code was taken back before.")
    store.revoke(code_id, now)
    audit.add(who, "void_code_revoked", given.terminal, {"void_number": given.void_number, "amount": str(given.amount)}, now)
    db.session.commit()


def judge(asked: voids.VoidRequest, terminal: TerminalRow, collectors: frozenset[str], trusted: bool, now: datetime) -> Verdict:
    """What the code in a request is worth, in the current transaction. Whatever it is, the request stands; only `approved` decides it.

    `collectors`: who asked for the void and who collected the payment; `trusted`: the sender may log in."""
    typed = asked.supervisor_code or ""
    if terminal.state != "active" or not trusted:
        return Verdict("not_taken")
    if store.count_wrong(terminal.id, now - LOCKED_FOR) >= WRONG_CODES:
        return Verdict("locked")
    facts = rules.challenge(terminal.code, asked.payment, asked.void_number, asked.amount)
    for given in store.for_void(terminal.id, asked.void_number, money.from_centavos(asked.amount), facts):
        if not rules.fits(typed, code_of(given)):
            continue
        store.lock(given.id)
        given = store.get(given.id) or given
        person = users.get(given.user_id)
        if given.revoked_at is not None or given.void_id is not None:
            return Verdict("revoked")
        if person is None or not person.active or "supervisor" not in person.roles or person.name in collectors:
            return Verdict("not_entitled")
        return Verdict("approved", given.id, given.user, given.issued_at)
    return Verdict("wrong")


def note(void_id: int, void_number: str, terminal: TerminalRow, verdict: Verdict, who: str, payment_id: str, now: datetime) -> None:
    """Keep what a code was worth, in the current transaction. One that was not taken is audited; the one that locks is an incident."""
    store.add_use(void_id, terminal.id, verdict.code_id, verdict.outcome, now)
    if verdict.outcome == "approved":
        return
    audit.add(who, "void_code_not_taken", payment_id, {"void_number": void_number, "outcome": verdict.outcome}, now)
    if verdict.outcome == "wrong" and store.count_wrong(terminal.id, now - LOCKED_FOR) == WRONG_CODES:
        detail = (
            f"{terminal.code} sent {WRONG_CODES} voids with a wrong supervisor's code within a day. Its codes are not looked at for a day; "
            "its voids wait to be decided as any other. Ask the collector what happened."
        )
        incidents.add("void_codes", detail, now, terminal.id, void_number)
