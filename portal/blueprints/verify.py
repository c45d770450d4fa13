"""`/verify/<code>`: whether a receipt is genuine, for anybody who holds one; says no more than the paper and what became of the payment."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.access import public
from portal.domain.errors import NotFound
from portal.domain.money import from_centavos
from portal.extensions import limiter
from portal.services import receipt_check

bp = Blueprint("verify", __name__, url_prefix="/verify")


@bp.get("/<code>")
@public
@limiter.limit("60 per minute")
def show(code: str) -> ResponseReturnValue:
    """What the code in a receipt's QR proves; 404 in the same words for each that proves nothing."""
    try:
        checked = receipt_check.check(code)
    except NotFound:
        return render_template("verify/unknown.html"), 404
    facts = checked.facts
    return render_template(
        "verify/show.html",
        checked=checked,
        amount=from_centavos(facts.amount),
        at=datetime.fromtimestamp(facts.at / 1000, UTC),
        verification=facts.hash_start[:8],
    )
