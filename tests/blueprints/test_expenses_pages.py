"""Expenses in the office: what waits, who may decide it, its paper, and the cash drops beside them."""

from __future__ import annotations

import hashlib

import pytest

from portal.services import expenses
from portal.store import expenses as store
from tests.blueprints.office_site import Site, attributes, element, text_of, upload
from tests.factories import NOW, Phone, make_phone
from tests.services.test_door import photo

NOTE = '<b>Diesel</b> to "Plaridel"'


class Spent:
    """Two expenses of Jun that wait, 45.00 and 7.00, and a cash drop of 1,000.00."""

    def __init__(self, site: Site) -> None:
        self.site = site
        with site.app.app_context():
            self.phone: Phone = make_phone("jun")
            self.phone.start()
            self.id = str(self.phone.spend(4500, description=NOTE).payload["expense"])
            self.other = str(self.phone.spend(700, category="Fare").payload["expense"])
            self.phone.drop(100000, given_to="Branch safe", reference="SAFE-12")
            upload(self.phone, "automatic")


@pytest.fixture
def spent(site: Site) -> Spent:
    return Spent(site)


def state(site: Site, expense_id: str) -> str:
    with site.app.app_context():
        found = store.get(expense_id)
        assert found
        return found.state


def test_what_waits_is_counted_listed_longest_first_and_on_home(site: Site, spent: Spent) -> None:
    page = site.page("carla", "/expenses")
    assert (element(page, "expense-count"), element(page, "expense-total")) == ("2", "₱52.00")
    assert attributes(page, "data-expense") == [spent.id, spent.other]
    assert NOTE in text_of(page) and "<b>Diesel" not in page and "Cash drops 1" in text_of(page)
    home = text_of(site.page("ramon", "/"))
    assert "2 expenses to decide" in home and "₱52.00. Until then the cash stays expected" in home
    assert attributes(site.page("ramon", "/expenses?state=approved", HX_Request="true"), "data-expense") == []


def test_an_office_without_expenses_says_so(site: Site) -> None:
    assert "No expense waits" in site.page("carla", "/expenses")
    assert "No expenses here" in site.page("carla", "/expenses?state=refused")
    assert "not one of the choices" in text_of(site.page("carla", "/expenses?state=gold"))
    assert "No cash drop" in site.page("carla", "/expenses/cash-drops")
    assert site.get("carla", "/expenses/00000000-0000-4000-8000-000000000000").status_code == 404


def test_a_supervisor_decides_and_nobody_else(site: Site, spent: Spent) -> None:
    for name in ("carla", "ada"):
        page = site.page(name, f"/expenses/{spent.id}")
        assert "/approve" not in page and "/refuse" not in page and "A supervisor who did not spend" in page
        assert site.post(name, f"/expenses/{spent.id}/approve").status_code == 403
    assert site.post("ramon", f"/expenses/{spent.id}/approve").status_code == 303
    assert site.post("ramon", f"/expenses/{spent.other}/refuse", {"reason": "No"}).status_code == 422
    assert site.post("ramon", f"/expenses/{spent.other}/refuse", {"reason": "There is no paper"}).status_code == 303
    assert (state(site, spent.id), state(site, spent.other)) == ("approved", "refused")
    assert site.post("ramon", f"/expenses/{spent.id}/refuse", {"reason": "Changed my mind"}).status_code == 409
    page = text_of(site.page("ramon", f"/expenses/{spent.id}"))
    assert "Approved by Ramon" in page and "Not on the phone yet" in page and "Decide" not in page
    assert "There is no paper" in text_of(site.page("ramon", f"/expenses/{spent.other}"))
    assert "Approved an expense" in text_of(site.page("ramon", "/audit"))


def test_its_paper_is_shown_as_an_image_and_nothing_else(site: Site, spent: Spent) -> None:
    raw = photo(40, 30)
    with site.app.app_context():
        assert expenses.keep_photo(spent.id, hashlib.sha256(raw).hexdigest(), raw, "jun", NOW)
        (kept,) = store.photos(spent.id)
    assert f"/photos/{kept.id}" in site.page("carla", f"/expenses/{spent.id}")
    answer = site.get("carla", f"/expenses/{spent.id}/photos/{kept.id}")
    assert (answer.status_code, answer.data, answer.headers["Content-Type"]) == (200, raw, "image/jpeg")
    assert site.get("carla", f"/expenses/{spent.other}/photos/{kept.id}").status_code == 404


def test_cash_drops_say_to_whom_and_under_which_reference(site: Site, spent: Spent) -> None:
    page = site.page("carla", "/expenses/cash-drops")
    text = text_of(page)
    assert (element(page, "drop-count"), element(page, "drop-total")) == ("1", "₱1,000.00")
    assert "Branch safe" in text and "SAFE-12" in text and len(attributes(page, "data-drop")) == 1


def test_long_lists_go_on_where_the_page_before_ended(site: Site, spent: Spent) -> None:
    with site.app.app_context():
        for number in range(55):
            spent.phone.spend(100 + number)
            spent.phone.drop(100 + number)
        upload(spent.phone, "automatic")
    first = attributes(site.page("carla", "/expenses"), "data-expense")
    page = site.page("carla", f"/expenses?after={first[-1]}")
    second = attributes(page, "data-expense")
    assert (len(first), len(second), len({*first, *second})) == (50, 7, 57) and "First page" in page
    drops = attributes(site.page("carla", "/expenses/cash-drops"), "data-drop")
    rest = attributes(site.page("carla", f"/expenses/cash-drops?after={drops[-1]}"), "data-drop")
    assert (len(drops), len(rest), len({*drops, *rest})) == (50, 6, 56)
