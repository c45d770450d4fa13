"""The code in a receipt's QR: a payment in few bytes, signed by its terminal (docs/journal.md 7).

Twin: static/mpos/domain/receipt_code.mjs; vectors: receipt_code.json."""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass

from portal.domain.errors import InvalidInput
from portal.domain.journal import LARGEST_INTEGER
from portal.domain.money import from_centavos
from portal.domain.receipts import terminal_code, terminal_number

VERSION = 1
TENDERS = ("cash", "check", "e_wallet", "bank_transfer")
"""Their place is what the code says; new ones are added at the end."""
SIGNATURE_BYTES = 64
LATEST = 253_370_736_000_000
"""The start of the year 9999 in milliseconds: no later instant can be shown."""
LONGEST = 1000
"""Characters of a code: an SOA number has at most 100 characters, of four bytes each."""
_PREFIX = b"mpos-receipt-1 "


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """What a code says: `amount` in centavos, `at` in milliseconds since 1970 UTC, `hash_start` the first half of the entry's hash, hex."""

    terminal: str
    number: int
    seq: int
    amount: int
    tender: str
    at: int
    payment: str
    hash_start: str
    soa_number: str


def body(facts: ReceiptFacts) -> bytes:
    """The bytes before the signature. Raises InvalidInput for what has no place in them."""
    terminal = terminal_number(facts.terminal)
    if terminal is None or facts.tender not in TENDERS:
        raise InvalidInput("This payment cannot be written as a code.")
    numbers = (terminal, facts.number, facts.seq, facts.amount, facts.at)
    try:
        identity, start = uuid.UUID(facts.payment).bytes, bytes.fromhex(facts.hash_start)
    except ValueError:
        raise InvalidInput("This payment cannot be written as a code.") from None
    if len(start) != 16 or facts.at > LATEST or any(not 0 <= number <= LARGEST_INTEGER for number in numbers):
        raise InvalidInput("This payment cannot be written as a code.")
    from_centavos(facts.amount)  # refuses what the books cannot hold
    head = bytes([VERSION << 4 | TENDERS.index(facts.tender)])
    return head + b"".join(map(_sevens, numbers)) + identity + start + facts.soa_number.encode()


def signed_bytes(body_: bytes) -> bytes:
    """What the terminal signs for one receipt."""
    return _PREFIX + body_


def code(body_: bytes, signature: bytes) -> str:
    """The text in the address: body and signature, base64url without padding."""
    return base64.urlsafe_b64encode(body_ + signature).rstrip(b"=").decode()


def read(text: str) -> tuple[ReceiptFacts, bytes, bytes]:
    """What a code says, its body and the signature, which is not checked here. Raises InvalidInput unless it is spelled as code() does."""
    try:
        if len(text) > LONGEST or not text.isascii():
            raise ValueError("not a code")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        body_, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
        version, place = body_[0] >> 4, body_[0] & 15
        if version != VERSION:
            raise ValueError("a code of another kind")
        (terminal, number, seq, amount, at), rest = _take_sevens(body_[1:], 5)
        identity, start, soa_number = str(uuid.UUID(bytes=rest[:16])), rest[16:32].hex(), rest[32:].decode()
        facts = ReceiptFacts(terminal_code(terminal), number, seq, amount, TENDERS[place], at, identity, start, soa_number)
        if body(facts) != body_ or code(body_, signature) != text:
            raise ValueError("spelled otherwise")
    except (ValueError, IndexError, binascii.Error, InvalidInput):
        raise InvalidInput("This is not the code of a receipt.") from None
    return facts, body_, signature


def _sevens(number: int) -> bytes:
    """Seven bits to a byte, the lowest first; the high bit says that more follow."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def _take_sevens(raw: bytes, count: int) -> tuple[list[int], bytes]:
    numbers, number, shift = [], 0, 0
    for place, byte in enumerate(raw):
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(number)
            number, shift = 0, 0
            if len(numbers) == count:
                return numbers, raw[place + 1 :]
    raise ValueError("cut short")
