"""The lists of reconciliation, asked of the database: no page of a report, and no step of a comparison, walks a table that grows."""

from __future__ import annotations

import functools

from flask import Flask

from portal.extensions import db
from portal.store import reconciliations as store
from portal.store.reconciliations import DifferenceFilter, NewDifference
from tests.factories import NOW, make_soa, store_soas
from tests.store.test_plans import LARGE, walks

TABLES = (*LARGE, "reconciliation_differences", "reconciliation_staged", "reconciliations")


def test_no_page_of_a_report_and_no_step_of_a_comparison_walks_a_table(any_app: Flask) -> None:
    store_soas(*(make_soa(f"S{number}") for number in range(60)))
    number = store.add("carla", None, NOW)
    store.claim(number, "lease", NOW)
    store.stage(number, "soa", [(f"S{one}", "equal", None, None) for one in range(40)])
    store.add_differences(number, [NewDifference("soa", "only_here", "soa_gone", f"S{one}") for one in range(60)])
    db.session.commit()
    for given in ({}, {"record": "soa"}, {"record": "soa", "kind": "only_here"}, {"field": "amount_due"}, {"q": "reyes"}):
        wanted = DifferenceFilter(number, **given)
        assert walks(functools.partial(store.list_page, wanted), TABLES) == [], given
        assert walks(functools.partial(store.list_page, wanted, after=20), TABLES) == [], given
        assert walks(functools.partial(store.list_page, wanted, before=20), TABLES) == [], given
    steps = {
        "history": lambda: store.recent(before_id=7),
        "under way": store.active,
        "one": lambda: store.get(number),
        "known": lambda: store.soa_versions(["S1", "S2"]),
        "absent": lambda: store.absent_soas(number, "S3"),
        "strangers": lambda: store.strange_payments(number, "x"),
        "ours": lambda: store.booked_after("x", None, NOW),
        "these": lambda: store.booked(["x"]),
        "read before": lambda: store.staged_documents(number, "payment", ["x"]),
        "totals": lambda: store.staged_totals(number),
        "counts": lambda: store.counted(number),
        "waiting": store.waiting,
        "silent": lambda: store.silent_since(NOW),
    }
    for name, body in steps.items():
        assert walks(body, TABLES) == [], name
