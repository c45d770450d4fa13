"""The login page: why it is shown, and the way back to the page that was open when a login ended."""

from __future__ import annotations

from tests.blueprints.office_site import HTMX, Site, text_of


def test_a_login_that_ended_under_an_open_page_leads_back_to_it(site: Site) -> None:
    page = "https://portal.example/soas?q=dela+cruz&overdue=1"
    answer = site.app.test_client().get("/soas?q=dela+cruz+m&overdue=1", headers={**HTMX, "HX-Current-URL": page})
    assert answer.status_code == 401
    login = site.app.test_client().get(answer.headers["HX-Redirect"]).text
    assert 'name="next" value="/soas?q=dela+cruz&amp;overdue=1"' in login
    assert "your login has ended" in text_of(login)


def test_whoever_comes_to_log_in_is_not_told_of_an_end(site: Site) -> None:
    assert "has ended" not in site.app.test_client().get("/login").text


def test_a_page_elsewhere_is_no_way_back(site: Site) -> None:
    answer = site.app.test_client().get("/soas", headers={**HTMX, "HX-Current-URL": "https://portal.example//evil.example/x"})
    assert 'name="next" value="/"' in site.app.test_client().get(answer.headers["HX-Redirect"]).text


def test_two_tabs_approving_the_same_payment_hear_where_it_stands(site: Site) -> None:
    row = site.page("ramon", "/payments?status=pending")
    payment = row.split('data-payment="')[1].split('"')[0]
    assert site.post("ramon", "/payments/approve", {"payment": [payment]}).status_code == 303
    again = site.post("ramon", "/payments/approve", {"payment": [payment]}, headers=HTMX)
    assert again.status_code == 409 and "approved already" in text_of(again.text)
