"""Users: added, changed, disabled by admins; nobody touches their own roles."""

from __future__ import annotations

import pytest

from portal.store import users
from portal.store.users import UserRow
from tests.blueprints.office_site import Site, attributes, text_of

GOOD = {
    "name": "liza",
    "display_name": "Liza Ramos",
    "password": "a long enough one",
    "roles": ["collector", "office"],
    "codes": "A1, B2;\nA1",
}


def person(site: Site, name: str) -> UserRow:
    with site.app.app_context():
        found = users.by_name(name)
        assert found
        return found


def test_an_admin_adds_a_user_who_can_log_in(site: Site) -> None:
    assert site.post("ada", "/users", GOOD).status_code == 303
    added = person(site, "liza")
    assert (added.display_name, added.roles, added.codes) == ("Liza Ramos", ("collector", "office"), ("A1", "B2"))
    page = site.page("ada", "/users")
    assert "liza" in attributes(page, "data-user") and "a long enough one" not in page


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        ({"password": "short"}, 422),
        ({"roles": []}, 422),
        ({"roles": ["owner"]}, 422),
        ({"name": "NENA"}, 409),
        ({"name": "x"}, 422),
        ({"codes": "A" * 41}, 422),
    ],
)
def test_what_cannot_be_right_is_refused_in_words(site: Site, spoilt: dict[str, object], expected: int) -> None:
    answer = site.post("ada", "/users", {**GOOD, **spoilt}, headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert answer.status_code == expected and "data-error" in answer.text and "<html" not in answer.text


def test_roles_and_codes_change_and_act_on_the_next_click(site: Site) -> None:
    nena = person(site, "nena")
    assert site.get("nena", "/").status_code == 302
    answer = site.post("ada", f"/users/{nena.id}", {"display_name": "Nena S.", "roles": ["office"], "codes": "B2", "active": "1"})
    assert answer.status_code == 303
    changed = person(site, "nena")
    assert (changed.display_name, changed.roles, changed.codes, changed.active) == ("Nena S.", ("office",), ("B2",), True)
    assert site.get("nena", "/mpos/").status_code == 200
    assert site.get("nena", "/soas").headers["Location"].startswith("/login")


def test_a_disabled_user_is_out_at_once(site: Site) -> None:
    assert site.get("carla", "/soas").status_code == 200
    assert site.post("ada", f"/users/{person(site, 'carla').id}/disable").status_code == 303
    assert not person(site, "carla").active
    assert site.get("carla", "/soas").status_code == 302
    assert "Disabled" in site.page("ada", "/users")


def test_nobody_edits_their_own_roles_or_disables_themselves(site: Site) -> None:
    ada = person(site, "ada")
    page = site.page("ada", f"/users/{ada.id}")
    assert 'name="roles"' not in page and 'name="active"' not in page and "Nobody edits their own roles" in page
    answer = site.post("ada", f"/users/{ada.id}", {"display_name": "Ada L.", "roles": ["admin", "supervisor"], "codes": ""})
    assert answer.status_code == 303
    assert (person(site, "ada").roles, person(site, "ada").display_name, person(site, "ada").active) == (("admin",), "Ada L.", True)
    assert site.post("ada", f"/users/{ada.id}/disable").status_code == 403 and person(site, "ada").active


def test_a_new_password_ends_the_old_sessions(site: Site) -> None:
    carla = person(site, "carla")
    assert site.get("carla", "/soas").status_code == 200
    assert site.post("ada", f"/users/{carla.id}/password", {"password": "tiny"}).status_code == 422
    assert site.get("carla", "/soas").status_code == 200
    assert site.post("ada", f"/users/{carla.id}/password", {"password": "another good one"}).status_code == 303
    assert site.get("carla", "/soas").status_code == 302


def test_only_admins_see_or_touch_users(site: Site) -> None:
    target = person(site, "nena").id
    for name in ("carla", "ramon", "nena"):
        assert site.get(name, "/users").status_code == 403
        assert site.get(name, f"/users/{target}").status_code == 403
    assert site.post("ramon", "/users", GOOD).status_code == 403
    assert site.post("ramon", f"/users/{target}/disable").status_code == 403
    assert site.get("ada", "/users/999").status_code == 404
    assert "Users" not in text_of(site.page("carla", "/soas"))
