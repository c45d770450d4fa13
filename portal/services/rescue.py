"""What a phone could not upload itself: its rescue file, or a customer's receipt. Each is taken once, by whatever way it comes."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from portal.domain import receipt_code
from portal.domain.allocation import Vat
from portal.domain.errors import Forbidden, InvalidInput, NotFound, PortalError
from portal.domain.journal import Entry
from portal.domain.money import from_centavos
from portal.domain.payments import Payment
from portal.domain.receipt_code import ReceiptFacts
from portal.domain.soa import Soa
from portal.extensions import db
from portal.services import journal, missing, receipt_check
from portal.services.bookings import Bookings, Sender
from portal.services.journal import Policy, Uploader
from portal.services.payments import MANILA, open_invoices
from portal.store import audit, rebuilt, soas, terminals, users

WHAT = "unsent journal entries"
NO_REGISTRY = "00000000-0000-0000-0000-000000000000"
"""The registry of a payment known from paper, until the phone's own entry says which."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one terminal's entries: how many were new, here already, held for a missing one, and for a person to look at."""

    terminal: str
    collector: str
    new: int
    known: int
    held: int
    problems: int
    approved: bool


def take(raw: bytes, who: str, policy: Policy, now: datetime) -> list[Taken]:
    """Take every entry of a rescue file as if its phone had uploaded it; the file's own signatures say whose they are. Commits terminal by
    terminal. Raises InvalidInput for another file, NotFound for an unknown terminal, and what journal.receive() raises."""
    try:
        file = json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidInput("This is not a rescue file: it cannot be read. Choose the file the phone saved under Settings.") from None
    uploads = file.get("uploads") if isinstance(file, dict) else None
    if not isinstance(file, dict) or file.get("what") != WHAT or not isinstance(uploads, list):
        raise InvalidInput("This is not a rescue file. Choose the file that the phone saved under Settings, Save rescue file.")
    if not all(isinstance(upload, dict) for upload in uploads):
        raise InvalidInput("This rescue file is damaged. Save it on the phone again.")
    return [_take_one(upload, who, policy, now) for upload in uploads]


def _take_one(upload: dict[str, object], who: str, policy: Policy, now: datetime) -> Taken:
    code = upload.get("terminal")
    terminal = terminals.by_code(code) if isinstance(code, str) and "\x00" not in code else None
    user = users.get(terminal.user_id) if terminal else None
    if terminal is None or user is None:
        raise NotFound("This rescue file is of a terminal that is not known here. Was it saved from another portal's app?")
    disabled = not (user.active and "collector" in user.roles)
    uploader = Uploader(user.id, user.name, disabled, handed_in_by=who)
    answer = journal.receive(terminal.code, upload.get("entries"), upload.get("signature"), uploader, policy, now)
    found = Counter(verdict["status"] for verdict in answer.verdicts)
    problems = found["quarantined"] + found["conflict"]
    return Taken(terminal.code, user.display_name, found["stored"], found["repeat"], found["held"], problems, answer.approved)


# --- a payment known from its receipt alone -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paper:
    """What the code of a receipt says, signed by its terminal, and what the books know: `state` as the page for strangers has it, `soa_id`
    None when the portal knows no SOA of that number. `amount` in pesos, `at` in UTC."""

    code: str
    facts: ReceiptFacts
    state: receipt_check.State
    receipt_number: str
    amount: Decimal
    at: datetime
    collector: str
    customer_name: str
    account_number: str
    soa_id: str | None
    needs_reference: bool
    known: bool
    """A payment of this identity is in the books, so that nothing may be recorded."""


def read_paper(text: str) -> Paper:
    """What a receipt's code, or the address its QR holds, says. Raises InvalidInput for no code, NotFound for one that proves nothing."""
    code = _code_in(text)
    try:
        checked = receipt_check.check(code)
    except NotFound:
        raise NotFound(
            "This code proves nothing: it was mistyped, cut or forged, or its phone is not known here. Nothing was recorded. Scan the QR "
            "again, or copy its address letter by letter; capitals and small letters differ."
        ) from None
    facts = checked.facts
    terminal = terminals.by_code(facts.terminal)
    user = users.get(terminal.user_id) if terminal else None
    found = rebuilt.soa_of_number(facts.soa_number)
    soa_id, account, customer = found or (None, facts.soa_number, "Not known: the paper names the customer")
    return Paper(
        code=code,
        facts=facts,
        state=checked.state,
        receipt_number=checked.receipt_number,
        amount=from_centavos(facts.amount),
        at=datetime.fromtimestamp(facts.at // 1000, UTC) + timedelta(milliseconds=facts.at % 1000),
        collector=user.display_name if user else "",
        customer_name=customer,
        account_number=account,
        soa_id=soa_id,
        needs_reference=facts.tender != "cash",
        known=rebuilt.is_booked(facts.payment),
    )


def _code_in(text: str) -> str:
    """The code in what was typed or scanned: the address of a receipt, or its last part. Raises InvalidInput for neither."""
    typed = "".join(text.split())
    code = typed.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1]
    if not code or len(code) > receipt_code.LONGEST or not re.fullmatch(r"[A-Za-z0-9_-]+", code):
        raise InvalidInput("Scan the QR of the receipt, or type the address it holds: it ends in /verify/ and a long code.")
    return code


def record_paper(text: str, channel: str, reference: str, who: str, policy: Policy, now: datetime) -> Paper:
    """Book the payment of a receipt whose phone is lost, once, held for approval; the phone's own entry, if it comes, is the same payment.

    Whoever collected it cannot do this. Raises InvalidInput, NotFound, Forbidden, and Conflict when it is in the books. Commits."""
    paper = read_paper(text)
    facts = paper.facts
    terminal = terminals.by_code(facts.terminal, lock=True)
    user = users.get(terminal.user_id) if terminal else None
    if terminal is None or user is None:
        raise NotFound("The terminal of this receipt is not known here.")
    if user.name == who:
        db.session.rollback()
        raise Forbidden("This is a payment that you collected. Somebody else has to record it.")
    named = [" ".join(part.split())[:60] or None for part in (channel, reference)]
    if paper.needs_reference and named[1] is None:
        db.session.rollback()
        raise InvalidInput("Type the check or transaction number that the paper shows.")
    bank, number = named if paper.needs_reference else (None, None)
    at = paper.at.astimezone(MANILA).isoformat(timespec="milliseconds")
    registry = rebuilt.registry_of_day(terminal.id, paper.at.astimezone(MANILA).date())
    owed = sum(part.balance + part.penalty for part in open_invoices(soa)) if (soa := _soa(paper.soa_id)) else 0
    payment = Payment(
        id=facts.payment,
        registry=registry or NO_REGISTRY,
        receipt_number=paper.receipt_number,
        soa=paper.soa_id or f"number:{facts.soa_number}"[:100],
        soa_number=facts.soa_number,
        account_number=paper.account_number,
        customer_name=paper.customer_name,
        soa_version="",
        amount=facts.amount,
        tender=facts.tender,
        channel=bank,
        reference=number,
        tendered=None,
        change=None,
        mode="oldest_first",
        directed=(),
        allocations=(),
        vat=Vat(),
        balance_after=max(owed - facts.amount, 0),
    )
    entry = Entry(terminal.code, facts.seq, "payment", at, None, {}, "", facts.hash_start)
    sender = Sender(terminal, user.name, user.codes, policy.approval, policy.stale_soa_days, False)
    booking = Bookings(sender, facts.seq, [payment], now)
    try:
        booking.take_rebuilt(entry, payment, f"Recorded by {who}.")
    except PortalError:
        db.session.rollback()
        raise
    booking.write()
    rebuilt.add(payment.id, paper.code, who, now)
    detail = {"receipt_number": paper.receipt_number, "amount": str(paper.amount), "tender": facts.tender, "terminal": terminal.code}
    audit.add(who, "payment_rebuilt", payment.id, detail | {"soa": facts.soa_number, "seq": facts.seq}, now)
    missing.notice(terminal, who, now)
    db.session.commit()
    return paper


def _soa(soa_id: str | None) -> Soa | None:
    found = soas.get(soa_id) if soa_id else None
    return found.soa if found else None
