"""`flask pscloud check`: says what was found, names what is missing, shows no secret and nobody's data, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from portal.pscloud import check
from portal.pscloud.client import PscloudClient
from portal.pscloud.profile import BUILT_IN, load
from tests.pscloud.shapes.base import Say, Shape, serving
from tests.pscloud.shapes.frappe import Frappe
from tests.pscloud.shapes.odata import Odata
from tests.pscloud.shapes.rest import Rest


@pytest.fixture(params=[Rest, Frappe, Odata], ids=lambda kind: kind.__name__.lower())
def shape(request: pytest.FixtureRequest) -> Iterator[Shape]:
    made: Shape = request.param()
    with serving(made):
        yield made


@pytest.fixture
def rest() -> Iterator[Rest]:
    made = Rest()
    with serving(made):
        yield made


def checked(shape: Shape, tmp_path: Path | None = None, *replacements: tuple[str, str]) -> tuple[str, list[str]]:
    file = Path(shape.profile) if shape.profile else BUILT_IN
    if tmp_path is not None:
        text = file.read_text()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "profile.toml"
        file.write_text(text)
    with PscloudClient(shape.url, shape.credential, load(file), allow_private=True, attempts=1, sleep=lambda _: None) as client:
        report = check.check(client)
    return "\n".join(check.shown(report)), report.problems


def test_a_profile_that_fits_is_told_field_by_field_and_changes_nothing(shape: Shape) -> None:
    shape.books.statements[1].collector = None
    text, problems = checked(shape)
    assert problems == [] and text.endswith("This profile can be used.")
    assert "7 of 7 filled" in text and "6 of 7 filled" in text and "14 of 14 filled" in text and "leads on from page to page" in text
    assert "Control totals\n  7 SOAs" in text and "3 read, such as COL-01" in text and "One SOA can be asked for by its id" in text
    assert all(heard.method == "GET" or heard.path.endswith(("/Login", "/Logout")) for heard in shape.heard)
    assert shape.books.receipts == {}


def test_no_secret_and_nobodys_data_is_shown(shape: Shape) -> None:
    shape.books.statements[2].spoiled = "customer"
    text, _ = checked(shape)
    for secret in (*shape.credential.split(":"), "Maria", "Santos", "Rizal", "0917", "123-456", "HP-0000"):
        assert secret not in text, secret
    assert "M… S…" in text


def test_bad_records_are_counted_with_their_reason_and_are_no_reason_to_stop(shape: Shape) -> None:
    shape.books.statements[0].spoiled, shape.books.statements[4].spoiled = "amount", "shape"
    text, problems = checked(shape)
    assert problems == [] and "1 cannot be read: '1,250.00'" in text and "5 of 7 SOAs can be read whole" in text
    assert "not an object with fields" in text


LOOKUP = '[payments.lookup]\npath = "/api/v1/payments"'
MISSING = [
    ('customer_name = "customer.name"', 'customer_name = "customer.full"', "customer_name (customer.full) could not be read in any"),
    ('invoices = "invoices"', 'invoices = "lines"', "soa.invoices (lines): The field is missing."),
    ('balance = "balance"', 'balance = "open"', "balance (open) could not be read in any record"),
    ('records = "data"\ntotal', 'records = "items"\ntotal', "no list named items"),
    ('total = "total"', 'total = "count"', "no usable count named count"),
    ('next = "next_cursor"', 'next = "nxt"', "no further page was named"),
    ('amount_due = "amount_due"\n\n[coll', 'amount_due = "sum"\n\n[coll', "summary: PSCloud's summary cannot be read: sum"),
    ('one_path = "/api/v1/soas/{id}"', 'one_path = "/api/v1/soa/{id}"', "does not know SOA-0001"),
    ('path = "/api/v1/collectors"', 'path = "/api/v1/collector"', "collectors: PSCloud refused the request (404)"),
    ('code = "code"\nname', 'code = "id"\nname', "Not one collector code can be read."),
    (LOOKUP, LOOKUP.replace('payments"', 'status"'), "payments.lookup: PSCloud's answer holds no list"),
    ('status = "", updated_since', 'status = "", since', "does not understand soas.changes"),
    ('active = "active"\nsettled', 'open = "active"\nsettled', "'active' is not one of cancelled, open, settled"),
]


@pytest.mark.parametrize(("old", "new", "says"), MISSING)
def test_what_is_missing_is_named_and_makes_the_verdict(rest: Rest, tmp_path: Path, old: str, new: str, says: str) -> None:
    text, problems = checked(rest, tmp_path, (old, new))
    assert problems and any(says in problem for problem in problems), text
    assert "cannot be used yet" in text


def test_optional_parts_that_no_record_has_and_parts_not_used_are_told(rest: Rest, tmp_path: Path) -> None:
    text, problems = checked(rest, tmp_path, ('tin = "customer.tin"', 'tin = "customer.tax"'), ('vat_type = "vat_type"\n', ""))
    assert problems == [] and "No record has it" in text and "Not used of an invoice: vat_type" in text
    assert "vat_type        not in the profile" in text


def test_totals_that_speak_of_another_set_are_a_problem(rest: Rest) -> None:
    rest.total = 9
    _, problems = checked(rest)
    assert any("speaks of 9 SOAs and the control totals of 7" in problem for problem in problems)


def test_a_refused_log_in_ends_it_after_one_attempt(shape: Shape) -> None:
    shape.fail(lambda heard: True, Say({"error": {"message": "no"}}, 401), times=99)
    text, problems = checked(shape)
    assert len(problems) == 1 and "The rest was not tried" in text and len(shape.heard) == 1


def test_the_command_prints_it_and_its_exit_code_is_the_verdict(app: Flask, rest: Rest, tmp_path: Path) -> None:
    app.config.update(PSCLOUD_URL=rest.url, PSCLOUD_TOKEN=rest.credential, PSCLOUD_ALLOW_PRIVATE=True)
    good = app.test_cli_runner().invoke(args=["pscloud", "check"])
    assert good.exit_code == 0 and "This profile can be used." in good.stdout
    file = tmp_path / "mine.toml"
    file.write_text(BUILT_IN.read_text().replace('penalty = "penalty"\ncollector_code', 'penalty = "fine"\ncollector_code'))
    bad = app.test_cli_runner().invoke(args=["pscloud", "check", "--profile", str(file)])
    assert bad.exit_code == 1 and "penalty (fine)" in bad.stdout and rest.credential not in bad.output
    file = tmp_path / "broken.toml"
    file.write_text("name = 1")
    broken = app.test_cli_runner().invoke(args=["pscloud", "check", "--profile", str(file)])
    assert broken.exit_code == 1 and "line 1" in broken.stderr
