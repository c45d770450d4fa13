"""Profiles: the built-in one, a translated one, and wrong ones refused in plain words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from portal.pscloud import answers, mapping, profile
from tests.pscloud.server import record


def changed(tmp_path: Path, *replacements: tuple[str, str]) -> Path:
    text = profile.BUILT_IN.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "profile.toml"
    file.write_text(text)
    return file


def test_field_paths_words_and_formats_come_from_the_profile(tmp_path: Path) -> None:
    file = changed(
        tmp_path,
        ('customer_name = "customer.name"', 'customer_name = "party.full.name"'),
        ('date = "iso"', 'date = "%d/%m/%Y"'),
        ('active = "active"\nsettled', 'OPEN = "active"\nsettled'),
    )
    fields = record(status="OPEN", issued_on="15/09/2026", due_date="31/12/2026", party={"full": {"name": "Maria Santos"}})
    for one in fields["invoices"]:
        one |= {"invoice_date": "01/09/2026", "due_date": "02/09/2026"}
    soa = mapping.to_soa(json.dumps(fields).encode(), profile.load(file))
    assert (soa.customer_name, soa.due_date.isoformat(), soa.status) == ("Maria Santos", "2026-12-31", "active")


def line_of(text: str) -> int:
    return profile.BUILT_IN.read_text()[: profile.BUILT_IN.read_text().index(text)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "PSCloud REST', 'nam = "PSCloud REST', "nam is not a setting. Did you mean name?"),
        ('records = "data"\ntotal', 'recrds = "data"\ntotal', "soas.recrds is not a setting. Did you mean records?"),
        ('style = "bearer"', 'style = "kerberos"', "auth.style cannot be kerberos. Write one of: bearer, basic, header, session."),
        ('style = "bearer"', 'style = "session"', "[auth.login]"),
        ('style = "bearer"', 'style = "bearer"\nprefix = "x"', "auth.prefix"),
        ('path = "/api/v1/soas"\none', 'path = "https://elsewhere/soas"\none', "not a path"),
        ('path = "/api/v1/soas"\none', 'path = "//elsewhere/soas"\none', "not a path"),
        ('path = "/api/v1/soas"\none', 'path = "/api/../soas"\none', "not a path"),
        ('one_path = "/api/v1/soas/{id}"', 'one_path = "/api/v1/soas/one"', "{id}"),
        ('one_path = "/api/v1/soas/{id}"', 'one_path = "/api/v1/soas/{ID}"', "{ID} is not known; only {id}"),
        ('style = "cursor"\nnext = "next_cursor"', 'style = "cursor"', "needs soas.pagination.next"),
        ('style = "cursor"', 'style = "offset"', "soas.pagination.next has no use"),
        ('style = "cursor"', 'style = "pages"', "cursor, page, offset, link_header, next_link, none"),
        ("limit = 500", 'limit = "500"', "soas.pagination.limit must be a whole number, not a text in quotes"),
        ("limit = 500", "limit = 500\nfirst = 0", "soas.pagination.first is only for the style page"),
        ('parameter = "cursor"', 'parameter = "status"', "soas.query holds status"),
        ('count = "count"\n', "", "summary.count and summary.amount_due must say"),
        ("[summary]\n", '[summary]\nstyle = "none"\n', "summary.path has no use where summary.style is none"),
        ('updated_since = "{since}"', 'updated_since = "yes"', "{since}"),
        ('check = "check"\n', "", "no word for: check"),
        ('check = "check"\n', 'check = "check"\ncheque = "x"\n', "payments.methods.cheque is none of cash"),
        ("limit = 200", "limit = 0", "limits"),
        ("limit = 200", 'limit = 200\nstyle = "single"', "payments.limit must be 1"),
        ("limit = 200", "limit = 200\nrefused = [422]", "payments.refused is only for"),
        ('void_path = "/api/v1/payments/{reference}/void"', 'void_path = "/api/v1/payments/void"', "{reference} or {pscloud_id}"),
        ('accepted = "accepted"', 'accepted = "duplicate"', "payments.statuses has no word"),
        ('voided = "voided"', 'voided = "gone"', "payments.statuses"),
        ('style = "repeat"', 'style = "json"', "payments.lookup.keys.template must hold {keys} once"),
        ('customer_name = "customer.name"', 'customer_name = "customer..name"', "is no field path"),
        ('customer_name = "customer.name"\n', "", "soa.customer_name is missing"),
        ('date = "iso"', 'date = "%d %m"', "formats.date"),
        ('date = "iso"', 'date = "iso"\nzone = "Manila"', "is no time zone"),
        ('active = "active"\nsettled', "settled", 'no word that means "active"'),
        ("[vat_type]", "[vat_types]", "vat_types is not a setting"),
        ("[formats]", '[headers]\nAuthorization = "Bearer x"\n[formats]', "not a profile's to set"),
        ("[formats]", "[joins.invoices]\nmany = 1\n[formats]", "joins.invoices.many must be true or false"),
        ("[auth]", "[auth", "TOML"),
    ],
)
def test_a_wrong_profile_is_refused_in_plain_words(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(profile.ProfileError) as caught:
        profile.load(changed(tmp_path, (old, new)))
    said = str(caught.value)
    assert says in said and "profile.toml" in said and "$" not in said and "line " in said, said


def test_the_line_is_the_one_at_fault(tmp_path: Path) -> None:
    with pytest.raises(profile.ProfileError) as caught:
        profile.load(changed(tmp_path, ('parameter = "cursor"', 'parameter = ""')))
    assert f"line {line_of('[soas.pagination]') + 1}:" in str(caught.value), "where the style asks for it"
    with pytest.raises(profile.ProfileError) as caught:
        profile.load(changed(tmp_path, ('cash = "cash"', 'kash = "cash"')))
    assert f"line {line_of('[payments.methods]')}:" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("many = false", "many = true", "many = false, because an SOA has one of it"),
        ("[joins.holder", "[joins.owner", "no field of [soa] begins with owner"),
        (
            'template = \'[["name", "in", {keys}]]\'',
            'template = \'[["name", "in", []]]\'',
            "keys.template must hold {keys} once",
        ),
        ('key = "statement" ', 'ky = "statement" ', "joins.invoices.ky is not a setting"),
        ("[soas.count]", 'total = "total"\n[soas.count]', "soas.pagination.total is not a setting"),
        ("refused = [417]", "refused = [409]", "409 does not speak of one payment only"),
        ("fixed = { docstatus = 2 }", 'fixed = { name = "{id}" }', "{id} is not known"),
        ("fixed = { docstatus = 1 }", "fixed = { docstatus = 1.5 }", "payments.fixed must be"),
    ],
)
def test_a_wrong_join_or_payment_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = (profile.BUILT_IN.parent / "frappe.toml").read_text()
    assert old in text
    (tmp_path / "profile.toml").write_text(text.replace(old, new))
    with pytest.raises(profile.ProfileError) as caught:
        profile.load(tmp_path / "profile.toml")
    assert says in str(caught.value), caught.value


@pytest.mark.parametrize("file", sorted(profile.BUILT_IN.parent.glob("*.toml")), ids=lambda file: file.stem)
def test_every_profile_that_comes_with_the_portal_can_be_used(file: Path) -> None:
    assert profile.load(file).name


FORMATS = [
    ("midnight", "2026-10-15T00:00:00Z", True),
    ("midnight", "2026-10-15 00:00", True),
    ("midnight", "2026-10-15T16:00:00Z", False),
    ("iso", "2026-10-15T00:00:00Z", False),
    ("%m/%d/%Y", "10/15/2026", True),
    ("%m/%d/%Y", "15/10/2026", False),
]


@pytest.mark.parametrize(("how", "text", "good"), FORMATS)
def test_dates_are_read_as_the_profile_says_or_refused(tmp_path: Path, how: str, text: str, good: bool) -> None:
    made = profile.load(changed(tmp_path, ('date = "iso"', f'date = "{how}"')))
    fields = record(issued_on=text, due_date=text, invoices=[])
    if good:
        assert mapping.to_soa(json.dumps(fields).encode(), made).due_date.isoformat() == "2026-10-15"
    else:
        with pytest.raises(mapping.MappingError, match="is not a date such as"):
            mapping.to_soa(json.dumps(fields).encode(), made)


@pytest.mark.parametrize(
    ("how", "sent", "good"),
    [
        ("local", "2026-11-19 08:00:00", True),
        ("local", "2026-11-19T08:00:00.000000", True),
        ("local", "2026-11-19T08:00:00+08:00", False),
        ("unix", int(datetime(2026, 11, 19, tzinfo=UTC).timestamp()), True),
        ("unix", "yesterday", False),
        ("%d.%m.%Y %H:%M", "19.11.2026 08:00", True),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-11-19T00:00:00Z", True),
        ("iso", "2026-11-19 08:00:00", False),
    ],
)
def test_instants_are_read_as_the_profile_says_or_refused(tmp_path: Path, how: str, sent: object, good: bool) -> None:
    made = profile.load(changed(tmp_path, ('instant = "iso"', f'instant = "{how}"')))
    raw = json.dumps(record(updated_at=sent)).encode()
    moment = datetime(2026, 11, 19, 0, 0, tzinfo=UTC)
    if good:
        assert mapping.to_soa(raw, made).updated_at == moment
        written = mapping.write_instant(moment, made.formats)
        assert mapping.read_instant(written, "x", made.formats) == moment, "what is written can be read again"
    else:
        with pytest.raises(mapping.MappingError, match="is not a moment"):
            mapping.to_soa(raw, made)


@pytest.mark.parametrize(
    ("how", "sent", "pesos"),
    [
        ("centavos", 101000, "1010.00"),
        ("centavos", "101000", "1010.00"),
        ("centavos", 1010.5, None),
        ("grouped", "1,010.00", "1010.00"),
        ("grouped", 1010, "1010.00"),
        ("grouped", "1,01.00", None),
        ("grouped", "PHP 1,010.00", None),
        ("pesos", "1,010.00", None),
    ],
)
def test_amounts_are_read_as_the_profile_says_or_refused(tmp_path: Path, how: str, sent: object, pesos: str | None) -> None:
    made = profile.load(changed(tmp_path, ('date = "iso"', f'date = "iso"\namount = "{how}"')))
    raw = json.dumps(record(amount_due=sent, penalty=0, invoices=[])).encode()
    if pesos:
        assert str(mapping.to_soa(raw, made).amount_due) == pesos
    else:
        with pytest.raises(mapping.MappingError):
            mapping.to_soa(raw, made)


def test_a_path_leads_through_lists_and_names_with_dots() -> None:
    assert answers.keys('value.0."@odata.count"') == ("value", "0", "@odata.count")
    body = b'{"value": [{"@odata.count": 7}, 2], "a": {"b": null}}'
    assert answers.part_at(body, 'value.0."@odata.count"') == b"7"
    assert answers.part_at(body, "value.2") is None and answers.part_at(body, "a.b") == b"null" and answers.part_at(body, "") == body
    assert answers.value_at({"value": [{"x": 1}]}, "value.0.x") == 1 and answers.value_at({"value": []}, "value.0") is answers.MISSING
    with pytest.raises(ValueError, match="not a JSON object"):
        answers.part_at(body, "value.1.x")


@pytest.mark.parametrize("path", [".", "a..b", "a.", ".a", 'a"b', '"a', '""'])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no field path"):
        answers.keys(path)


def test_a_reason_may_stand_in_json_inside_a_text_and_hold_tags() -> None:
    told = json.dumps([json.dumps({"message": "The <b>period</b>\nis &amp; stays closed"})])
    body = json.dumps({"_server_messages": told, "deep": "[" * 5000}).encode()
    assert answers.text_at(body, "_server_messages.0.message") == "The period is &amp; stays closed"
    assert answers.text_at(body, "_server_messages.0.none") == "" and answers.text_at(body, "deep.0.x") == ""
    assert answers.text_at(b"<html>", "error.message") == ""


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(profile.ProfileError, match=r"none\.toml"):
        profile.load(tmp_path / "none.toml")
