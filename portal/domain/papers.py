"""Checks, e-wallet payments and transfers on their way to the bank: the moves each may make, and what a bounced check means in plain words
(DOMAIN 3, 4). Money is integer centavos."""

from __future__ import annotations

from portal.domain.errors import Conflict, Forbidden, InvalidInput
from portal.domain.money import from_centavos, show_pesos

CHECK_STATES = {
    "received": "In the office", "deposited": "Deposited", "cleared": "Cleared", "bounced": "Bounced", "settled": "Bounced, settled",
}  # fmt: skip
TRANSFER_STATES = {"unverified": "Not verified", "verified": "Verified", "not_found": "Not found"}
MOVES = {
    ("received", "deposited"),
    ("deposited", "cleared"),
    ("deposited", "bounced"),
    ("cleared", "bounced"),  # the bank may take it back
    ("bounced", "deposited"),  # brought to the bank again
    ("bounced", "settled"),
    ("unverified", "verified"),
    ("unverified", "not_found"),
    ("not_found", "verified"),
    ("verified", "not_found"),  # ticked off by mistake
}
CONSEQUENCES = (
    "The receipt said SUBJECT TO CLEARING, so this money was never safe. The payment stays in the ledger, in its Z-reading and in PSCloud: "
    "nothing un-pays it by itself. Tell the customer; take cash or another check, or have the collector ask for the void of this receipt, "
    "which a supervisor approves and PSCloud is told of. A supervisor who did not record the bounce says how it was settled."
)


def first_state(tender: str) -> str:
    """Where a paper stands when its payment is booked."""
    return "received" if tender == "check" else "unverified"


def check_move(state: str, new: str) -> None:
    """Raises Conflict when the move is not one that is made."""
    words = {**CHECK_STATES, **TRANSFER_STATES}
    if (state, new) not in MOVES:
        raise Conflict(
            f"It is {words[state].lower()} now, so it cannot become {words[new].lower()}. Reload the page to see where it stands."
        )


def check_note(new: str, note: str) -> str:
    """The note, trimmed. Raises InvalidInput where a reason is needed and there is none."""
    text = note.strip()
    needed = new in ("bounced", "settled", "not_found")
    if needed and len(text) < 3:
        raise InvalidInput("Say why, in 3 to 500 characters: what the bank or the provider says, or how it was settled.")
    if len(text) > 500 or "\x00" in text:
        raise InvalidInput("Say it in at most 500 characters.")
    return text


def check_settler(who: str, recorded_by: str, collector: str) -> None:
    """Raises Forbidden unless a third person settles a bounced check: neither who recorded the bounce nor who collected it."""
    if who == recorded_by:
        raise Forbidden("Nobody settles a bounce they recorded themselves. Another supervisor must do it.")
    if who == collector:
        raise Forbidden("Nobody settles a check they collected themselves. Another supervisor must do it.")


def check_sum(typed: int, cash: int, checks: int) -> None:
    """Raises InvalidInput when what is chosen does not add up to the amount on the bank's slip."""
    if cash + checks == 0:
        raise InvalidInput("Choose the cash and checks that go to the bank.")
    if typed != cash + checks:
        chosen, gap = show_pesos(from_centavos(cash + checks)), show_pesos(from_centavos(abs(typed - cash - checks)))
        raise InvalidInput(
            f"The slip says {show_pesos(from_centavos(typed))}, and what is chosen adds up to {chosen}: {gap} "
            f"{'less' if typed < cash + checks else 'more'}. Nothing was recorded. Correct one of the two."
        )


def number(position: int) -> str:
    """`D-000001` for the first deposit of this portal, dense from there."""
    return f"D-{position:06d}"
