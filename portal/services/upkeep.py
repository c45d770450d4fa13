"""What `flask doctor` mends by itself."""

from __future__ import annotations

from portal.extensions import db
from portal.store import payment_totals, soa_totals


def mend_totals() -> int:
    """Hold the kept totals of SOAs and payments against these themselves and add them up anew when they differ; how many differed.
    Commits."""
    wrong = len(soa_totals.wrong())
    if wrong:
        soa_totals.rebuild()
    wrong_payments = len(payment_totals.wrong())
    if wrong_payments:
        payment_totals.rebuild()
    db.session.commit()
    return wrong + wrong_payments
