"""Profiles: the built-in one, a translated one, and wrong ones refused in plain words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portal.pscloud import mapping, profile
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


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('records = "data"', 'record = "data"', "record"),
        ('style = "bearer"', 'style = "kerberos"', "kerberos"),
        ('path = "/api/v1/soas"', 'path = "https://elsewhere/soas"', "not a path"),
        ('path = "/api/v1/soas"', 'path = "//elsewhere/soas"', "not a path"),
        ('one_path = "/api/v1/soas/{id}"', 'one_path = "/api/v1/soas/one"', "{id}"),
        ('check = "check"\n', "", "check"),
        ("limit = 200", "limit = 0", "limits"),
        ("[auth]", "[auth", "TOML"),
    ],
)
def test_a_wrong_profile_is_refused_in_plain_words(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(profile.ProfileError) as caught:
        profile.load(changed(tmp_path, (old, new)))
    assert says in str(caught.value) and "profile.toml" in str(caught.value)


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(profile.ProfileError, match=r"none\.toml"):
        profile.load(tmp_path / "none.toml")
