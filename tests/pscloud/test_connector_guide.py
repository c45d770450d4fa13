"""The guide's worked example works: its profile, against a server that gives exactly the answers printed there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from portal.pscloud import check, mapping
from portal.pscloud.client import PscloudClient
from portal.pscloud.profile import Profile, load
from tests.pscloud.shapes.base import Heard, Say, Shape, serving

GUIDE = Path("docs/connector.md").read_text(encoding="utf-8")
EXAMPLE = GUIDE[GUIDE.index("## The example") : GUIDE.index("## Every setting")]


def printed() -> list[tuple[str, list[tuple[str, str]], bytes]]:
    """Each GET of the example with the answer printed for it, in their order."""
    asked = re.findall(r"`GET ([^`]+)`", EXAMPLE)
    answers = re.findall(r"```json\n(.*?)```", EXAMPLE, re.DOTALL)
    assert len(asked) == len(answers) >= 8
    return [(urlsplit(one).path, parse_qsl(urlsplit(one).query), body.encode()) for one, body in zip(asked, answers, strict=True)]


class Ledger(Shape):
    """Answers as printed; `...` in a printed query stands for anything."""

    def answer(self, heard: Heard) -> Say:
        if heard.headers.get("x-api-key") != "the-key":
            return Say({"fault": "key", "text": "unknown key"}, 401)
        for path, query, body in printed():
            fixed = sorted(one for one in query if one[1] != "...")
            free = {name for name, value in query if value == "..."}
            if (
                path == heard.path
                and fixed == sorted(one for one in heard.query if one[0] not in free)
                and free <= dict(heard.query).keys()
            ):
                return Say(body)
        return Say({"fault": "unknown", "text": f"{heard.path} {heard.query}"}, 400)

    def is_soa_list(self, heard: Heard) -> bool:
        return False

    is_post = is_void = is_soa_list


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    (found,) = re.findall(r"```toml\n(.*?)```", EXAMPLE, re.DOTALL)
    (tmp_path / "ledger.toml").write_text(found)
    return load(tmp_path / "ledger.toml")


@pytest.fixture
def client(profile: Profile) -> Iterator[PscloudClient]:
    ledger = Ledger()
    with serving(ledger), PscloudClient(ledger.url, "the-key", profile, allow_private=True, attempts=1) as made:
        yield made


def test_the_example_passes_the_check(client: PscloudClient) -> None:
    report = check.check(client)
    assert report.problems == [], "\n".join(report.lines)
    assert "  2 of 2 SOAs can be read whole." in report.lines


def test_the_example_is_read_exactly(client: PscloudClient, profile: Profile) -> None:
    (page,) = client.soa_pages()
    assert page.total == 2 and page.as_of == datetime(2026, 11, 19, 21, 0, tzinfo=UTC)
    ana, jose = (mapping.to_soa(record, profile) for record in page.records)
    assert (ana.id, ana.amount_due, ana.penalty, ana.due_date) == ("SOA-1001", Decimal("1510.00"), Decimal("10.00"), date(2026, 11, 30))
    assert [(one.id, one.balance, one.vat_type) for one in ana.invoices] == [
        ("1", Decimal("1000.00"), "vatable"),
        ("2", Decimal("500.00"), "exempt"),
    ]
    assert jose.collector_code is None and len(jose.invoices) == 1 and jose.updated_at == datetime(2026, 11, 18, 1, 30, tzinfo=UTC)
    assert client.summary().amount_due == Decimal("2510.00")
    assert [(code.code, code.active) for code in client.collectors()[0]] == [("NORTH-1", True), ("SOUTH-1", False)]


def test_a_payment_is_written_as_the_example_says(profile: Profile) -> None:
    payment = mapping.PaymentToPost(
        "ref-1", "T07-00000001", "SOA-1001", Decimal("10.00"), "cash", None, datetime(2026, 11, 20, 1, 30, tzinfo=UTC), "NORTH-1",
        (("1", "penalty", Decimal("10.00")),),
    )  # fmt: skip
    sent: dict[str, Any] = mapping.to_payment(payment, profile)
    assert sent["tender"] == {"kind": "CASH", "number": None} and sent["amount"] == 1000 and sent["taken"] == "20/11/2026 09:30:00"
    assert sent["lines"] == [{"bill": 1, "as": "fine", "amount": 1000}]
