"""What `flask doctor` mends by itself."""

from __future__ import annotations

from portal.extensions import db
from portal.store import soa_totals


def mend_totals() -> int:
    """Hold the kept totals of SOAs against the SOAs themselves and add them up anew when they differ; how many differed. Commits."""
    wrong = len(soa_totals.wrong())
    if wrong:
        soa_totals.rebuild()
    db.session.commit()
    return wrong
