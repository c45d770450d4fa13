"""Every action that the code notes has plain words, and every detail it notes is told without a name a cashier would not know."""

from __future__ import annotations

import ast
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from portal.domain.audit_words import ACTIONS, Fact, facts, label, words_of

ROOT = Path(__file__).parents[2]
MADE_UP = {
    "paper_{state}": ("paper_cleared", "paper_bounced", "paper_verified", "paper_not_found"),
    "payment_{status}": ("payment_completed", "payment_failed"),
    "expense_{state}": ("expense_approved", "expense_refused"),
    "void_{state}": ("void_approved", "void_refused"),
    "void_posting_{status}": ("void_posting_completed", "void_posting_failed"),
}
"""Actions put together while the portal runs, and all they can become."""


def noted() -> set[str]:
    """The second argument of every audit.add(...) and audit.Event(...) in the code."""
    found: set[str] = set()
    for folder in ("portal", "workers", "demo"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call) or ast.unparse(node.func) not in {"audit.add", "audit.Event"}:
                    continue
                action = node.args[1]
                if isinstance(action, ast.Constant):
                    found.add(str(action.value))
                else:
                    assert isinstance(action, ast.JoinedStr), f"{file}:{node.lineno}: which actions can {ast.unparse(action)} be?"
                    template = ast.unparse(action).removeprefix("f").strip("'\"")
                    assert template in MADE_UP, f"{file}:{node.lineno}: say in MADE_UP what {template} can become"
                    found |= set(MADE_UP[template])
    return found


def test_every_action_that_the_code_notes_has_words_and_no_words_are_left_over() -> None:
    assert noted() == set(ACTIONS)


def test_words_are_words_and_no_two_actions_share_them() -> None:
    told = [action.words for action in ACTIONS.values()]
    assert len(set(told)) == len(told) and all(re.fullmatch(r"[A-Z][A-Za-z -]+", words) for words in told)
    assert words_of("something_new") == "Something new"


@pytest.mark.parametrize(
    ("action", "detail", "expected"),
    [
        ("payment_approved", {"amount": "1120.00"}, [Fact("Amount", Decimal("1120.00"))]),
        ("payment_held", {"reason": "Wait for the bank"}, [Fact("Reason", "Wait for the bank")]),
        (
            "payment_booked",
            {"tender": "e_wallet", "flags": ["stale_soa"], "seq": 4},
            [Fact("Tender", "E-wallet"), Fact("Flags", "stale soa"), Fact("Journal entry", 4)],
        ),
        ("z_reading", {"z_counter": 2, "gross": 12345}, [Fact("Z counter", 2), Fact("Gross", Decimal("123.45"))]),
        ("remittance_received", {"variance": -500}, [Fact("Variance", Decimal("-5.00"))]),
        ("registry_opened", {"business_date": "2026-11-20"}, [Fact("Business date", date(2026, 11, 20))]),
        ("new_one", {"at": "2026-11-20T01:00:00+00:00"}, [Fact("At", datetime(2026, 11, 20, 1, tzinfo=UTC))]),
        ("new_one", {"at": "2026-11-20T01:00:00", "day": "2026-99-99"}, [Fact("At", "2026-11-20T01:00:00"), Fact("Day", "2026-99-99")]),
        (
            "user_changed",
            {"before": {"roles": ["office"], "active": True, "codes": []}, "after": {"roles": [], "active": False, "codes": []}},
            [Fact("Roles", "office before, now none"), Fact("May log in", "yes before, now no")],
        ),
        (
            "remittance_counted",
            {
                "counted": [{"value": 100000, "kind": "bill", "count": 2}],
                "lines": [{"tender": "check", "channel": "BDO", "expected": [1, 20000], "received": [0, 0]}],
            },
            [Fact("Counted pieces", "2 x 1,000.00"), Fact("Check BDO", "0 of 0.00 received, 1 of 200.00 expected")],
        ),
        ("new_one", {"deep": {"a_b": [1, 2], "c": None}}, [Fact("Deep", "A b 1, 2, C nothing")]),
    ],
)
def test_a_detail_is_told_as_labelled_facts(action: str, detail: dict[str, object], expected: list[Fact]) -> None:
    assert facts(action, detail) == expected


@pytest.mark.parametrize("detail", [{"counted": [{"value": "x"}]}, {"lines": [{"expected": 4}]}, {"variance": 10**30}])
def test_a_detail_that_no_version_wrote_is_told_as_it_stands(detail: dict[str, object]) -> None:
    assert facts("remittance_counted", detail) == [Fact("Detail", str(detail))]


def test_labels_are_words() -> None:
    assert label("pscloud_id") == "PSCloud number" and label("expected_cash") == "Expected cash"
