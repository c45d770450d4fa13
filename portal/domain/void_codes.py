"""The supervisor's code for one void (docs/journal.md, section 8). Twin of challenge and check digit: static/mpos/domain/void_codes.mjs."""

from __future__ import annotations

import hashlib
import hmac
import re

from portal.domain.errors import InvalidInput

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Digits and letters that nobody mistakes for each other."""
CHALLENGE_LETTERS = 8
MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})
OUTCOMES = ("approved", "wrong", "revoked", "not_entitled", "locked", "not_taken")
_CODE = re.compile(r"[0-9]{8}", re.ASCII)


def challenge(terminal: str, payment: str, void_number: str, amount: int) -> str:
    """What the phone shows of a void before it is asked for: eight letters for terminal, payment, void number and amount (centavos)."""
    digest = hashlib.sha256(f"mpos-void-1 {terminal} {payment} {void_number} {amount}".encode()).digest()
    bits = int.from_bytes(digest[:5])
    return "".join(ALPHABET[bits >> shift & 31] for shift in range(35, -1, -5))


def read_challenge(text: str) -> str:
    """A challenge as somebody typed it, in any case, with spaces or hyphens. Raises InvalidInput."""
    letters = re.sub(r"[\s-]", "", text).upper().translate(MISREAD)
    if len(letters) != CHALLENGE_LETTERS or any(letter not in ALPHABET for letter in letters):
        raise InvalidInput("The challenge has eight letters and digits, as the phone shows them.")
    return letters


def code(secret: bytes, void_number: str, amount: int, asked: str) -> str:
    """The code for a void of this number, amount (centavos) and challenge: seven digits only the secret gives, and a check digit."""
    digest = hmac.new(secret, f"mpos-void-code-1 {void_number} {amount} {asked}".encode(), hashlib.sha256).digest()
    digits = f"{int.from_bytes(digest[:8]) % 10_000_000:07d}"
    return digits + check_digit(digits, asked)


def check_digit(digits: str, asked: str) -> str:
    """The last digit of a code for this challenge: it tells a mistyped code before it is sent, and nothing about the right one."""
    weighted = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits))
    return str((weighted + sum(ALPHABET.index(letter) for letter in asked)) % 10)


def plausible(typed: str, asked: str) -> bool:
    """Whether this can be a code for this challenge: eight digits, the last of them right."""
    return bool(_CODE.fullmatch(typed)) and check_digit(typed[:7], asked) == typed[7]


def fits(typed: str, right: str) -> bool:
    """Whether a typed code is the right one, in a time that tells nothing."""
    return hmac.compare_digest(typed.encode(), right.encode())
