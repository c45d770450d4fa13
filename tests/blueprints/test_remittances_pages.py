"""The remittance desk: blind until counted, plain words for what differs, one form that works without script."""

from __future__ import annotations

import re
from typing import Any

from portal.blueprints import remittances as page_module
from portal.services import remittances as service
from portal.store import remittances, users
from tests.blueprints.office_site import HTMX, Site, attributes, element, text_of, upload
from tests.factories import NOW, Phone, csrf_of, make_phone, make_soa, make_user, sign_in

EVEN = {
    "bill-50000": "1", "bill-10000": "1", "count-check:BDO": "1", "amount-check:BDO": "200.00", "count-e_wallet:GCash": "1",
    "amount-e_wallet:GCash": "300",
}  # fmt: skip
"""600.00 in cash, a check of 200.00 and GCash of 300.00: what the Z-reading of the office's data expects."""


def form_of(site: Site, who: str = "carla", **typed: str) -> dict[str, Any]:
    """The form as that person sees it, with something typed into it."""
    page = site.page(who, "/remittances/new?collector=nena")
    hidden = dict(re.findall(r'<input type="hidden" name="(collector|request_id|csrf_token)" value="([^"]+)">', page))
    assert hidden.keys() == {"collector", "request_id", "csrf_token"} and hidden["csrf_token"] == csrf_of(page)
    return {**hidden, "reading": re.findall(r'name="reading" value="(\d+)"', page), **typed}


def post(site: Site, who: str, path: str, data: dict[str, Any], **headers: str) -> Any:
    return site.client(who).post(path, data=data, headers=headers)


def received(site: Site, who: str = "carla", **typed: str) -> str:
    answer = post(site, who, "/remittances", form_of(site, who, **{**EVEN, **typed}))
    assert answer.status_code == 303, text_of(answer.text)
    return str(answer.headers["Location"])


def test_the_desk_says_who_has_to_remit_and_keeps_the_expected_cash_from_the_cashier(site: Site) -> None:
    cashier, supervisor = site.page("carla", "/remittances"), site.page("ramon", "/remittances")
    assert attributes(cashier, "data-waiting") == ["nena"] == attributes(supervisor, "data-waiting")
    assert "600.00" not in cashier and "after you have counted" in cashier
    assert "600.00" in supervisor and "1,000.00" in supervisor
    assert element(cashier, "remittance-count") == "0" and element(cashier, "remittance-total") == "₱0.00"
    admin = site.page("ada", "/remittances")
    assert "600.00" in admin and "/remittances/new" not in admin
    for path in ("/remittances", "/remittances/new?collector=nena", "/remittances/1"):
        assert site.get("nena", path).status_code == 403


def test_the_form_is_blind_names_every_piece_and_lists_what_is_handed_over_besides_cash(site: Site) -> None:
    page = site.page("carla", "/remittances/new?collector=nena")
    assert "600.00" not in page and "1,000.00" not in page and "Expected" not in page
    words = text_of(page)
    for piece in ("1,000 bill", "20 bill", "20 coin", "0.25 coin", "0.01 coin", "Check, BDO", "000123", "E-wallet, GCash", "=1+1"):
        assert piece in words
    assert site.get("ada", "/remittances/new?collector=nena").status_code == 403
    assert site.get("carla", "/remittances/new?collector=nobody").status_code == 404
    assert site.get("carla", "/remittances/new?collector=jun").headers["Location"] == "/remittances"


def test_the_total_is_added_up_by_the_server_with_and_without_script(site: Site) -> None:
    typed = form_of(site, **{"bill-100000": "2", "coin-25": "3", "coin-1": "1"})
    part = post(site, "carla", "/remittances/count", typed, **HTMX)
    assert element(part.text, "counted") == "₱2,000.76" and "<html" not in part.text
    whole = post(site, "carla", "/remittances/count", {**typed, "do": "add"})
    assert whole.status_code == 200 and element(whole.text, "counted") == "₱2,000.76" and "Expected cash" not in whole.text
    assert 'value="2"' in whole.text
    wrong = post(site, "carla", "/remittances/count", {**typed, "bill-50000": "1.5", "do": "compare"})
    assert wrong.status_code == 422 and "500 bill: enter a whole number of pieces" in wrong.text and "Expected cash" not in wrong.text


def test_a_count_changed_after_it_was_compared_is_compared_again_before_it_is_recorded(site: Site) -> None:
    typed = form_of(site, **{**EVEN, "bill-10000": ""})
    page = post(site, "carla", "/remittances/count", {**typed, "do": "compare"}).text
    (compared,) = re.findall(r'<input type="hidden" name="compared" value="([^"]+)">', page)
    other = {**typed, "compared": compared, "bill-50000": "", "reason": "A bill of 100 was lost"}
    again = post(site, "carla", "/remittances", other)
    assert again.status_code == 200 and "changed after it was compared" in again.text and "Short ₱600.00" in text_of(again.text)
    assert element(site.page("carla", "/remittances"), "remittance-count") == "0"
    (compared,) = re.findall(r'<input type="hidden" name="compared" value="([^"]+)">', again.text)
    assert post(site, "carla", "/remittances", {**other, "compared": compared}).status_code == 303


def test_short_or_over_is_told_in_words_once_counted_and_needs_a_reason(site: Site) -> None:
    typed = form_of(site, **{**EVEN, "bill-10000": ""})
    page = text_of(post(site, "carla", "/remittances/count", {**typed, "do": "compare"}).text)
    assert "Short ₱100.00" in page and "Expected cash 600.00" in page and "Collector's count 1,000.00" in page
    assert "Receive and send to a supervisor" in page
    refused = post(site, "carla", "/remittances", typed)
    assert refused.status_code == 200 and "Say why" in refused.text and "Short ₱100.00" in text_of(refused.text)
    over = text_of(post(site, "carla", "/remittances/count", {**typed, "bill-10000": "2", "do": "compare"}).text)
    assert "Over ₱100.00" in over and "An overage is kept with its reason" in over
    one_check_less = {**typed, "bill-10000": "1", "count-check:BDO": "", "amount-check:BDO": "", "do": "compare"}
    assert "Short ₱200.00" in text_of(post(site, "carla", "/remittances/count", one_check_less).text)
    half = post(site, "carla", "/remittances/count", {**typed, "count-check:BDO": "", "do": "compare"})
    assert half.status_code == 422 and "enter both the number and the amount" in half.text
    with site.app.app_context():
        assert remittances.totals(remittances.RemittanceFilter()).count == 0


def test_an_even_remittance_is_received_printed_and_listed(site: Site) -> None:
    page = text_of(post(site, "carla", "/remittances/count", {**form_of(site, **EVEN), "do": "compare"}).text)
    assert "Agrees in cash" in page and "Reason" not in page
    place = received(site)
    detail = text_of(site.page("carla", place))
    assert "R-000001" in detail and "Received" in detail and "₱1,100.00" in detail and "T01, Z counter 1" in detail
    slip = site.get("carla", "/reports/remittance/1.pdf")
    assert slip.status_code == 200 and slip.data.startswith(b"%PDF-") and "R-000001" in slip.headers["Content-Disposition"]
    listed = site.page("ada", "/remittances?collector=nena&state=received")
    assert attributes(listed, "data-remittance") == ["1"] and attributes(listed, "data-state") == ["received"]
    assert element(listed, "remittance-count") == "1" and element(listed, "remittance-total") == "₱1,100.00"
    assert attributes(listed, "data-waiting") == []
    part = site.page("carla", "/remittances?state=waiting", HX_Request="true")
    assert "No remittance matches" in part and "<html" not in part and "To be remitted" not in part
    assert "R-000001" in site.page("carla", "/remittances?from=2026-01-01")
    assert "R-000001" not in site.page("carla", "/remittances?to=2020-01-01")
    assert site.get("carla", "/remittances/99").status_code == 404 == site.get("carla", "/reports/remittance/99.pdf").status_code


def test_two_presses_of_one_form_are_one_remittance_and_a_second_desk_reads_who_has_it(site: Site) -> None:
    first, second = form_of(site, **EVEN), form_of(site, "ramon", **EVEN)
    assert first["request_id"] != second["request_id"]
    places = [post(site, "carla", "/remittances", first).headers["Location"] for _ in range(2)]
    assert places == ["/remittances/1"] * 2
    late = post(site, "ramon", "/remittances", second)
    assert late.status_code == 409 and "remittance R-000001" in late.text and "Nothing was recorded twice" in late.text
    assert post(site, "ada", "/remittances", first).status_code in {403, 400}


def test_a_shortage_is_approved_by_another_supervisor_and_the_slip_says_so(site: Site) -> None:
    place = received(site, "ramon", **{"bill-10000": "", "reason": "One bill of 100 is missing"})
    with site.app.app_context():
        make_user("sol", "supervisor")
    assert "somebody else must approve" in text_of(site.page("ramon", place)) and "Approve this" not in site.page("ramon", place)
    assert site.post("ramon", f"{place}/approve", {"reason": "Charged to Nena"}).status_code == 403
    assert site.post("carla", f"{place}/approve", {"reason": "Charged to Nena"}).status_code == 403
    client = sign_in(site.app, "sol")
    token = csrf_of(client.get(place).text)
    assert "Approve this remittance" in client.get(place).text
    assert client.post(f"{place}/approve", data={"csrf_token": token, "reason": "Charged to Nena"}).status_code == 303
    assert client.post(f"{place}/approve", data={"csrf_token": token, "reason": "Charged to Nena"}).status_code == 409
    detail = text_of(site.page("carla", place))
    assert "Approved by sol" in detail and "Charged to Nena" in detail and "One bill of 100 is missing" in detail
    with site.app.app_context():
        slip = site.app.jinja_env.get_template("pdf/remittance.html").render(
            DEMO=True, ORGANISATION=site.app.config["ORGANISATION"], **page_module.contents(page_module.found(1))
        )
    words = text_of(slip)
    assert "SHORT 100.00" in words and "Approved by sol" in words and "DEMO DATA" in words
    for signer in ("Collector, name", "Cashier, name", "Supervisor, name"):
        assert signer in words


def test_what_cannot_be_meant_is_refused_in_words_and_never_an_error(site: Site) -> None:
    typed = form_of(site, **EVEN)
    wrong: list[dict[str, Any]] = [
        {"reading": []}, {"count-cash:": "1", "amount-cash:": "5", "reading": []}, {"amount-check:BDO": "1e9"}, {"bill-10000": "-1"},
        {"count-check:BDO": "x"}, {"amount-check:BDO": "-5"}, {"reason": "x" * 501, "bill-10000": ""},
    ]  # fmt: skip
    for change in wrong:
        for path in ("/remittances", "/remittances/count"):
            answer = post(site, "carla", path, {**typed, **change, "do": "compare"})
            assert answer.status_code == (200 if "reason" in change else 422), (path, change)
    assert post(site, "carla", "/remittances", {**typed, "reading": ["999"]}).status_code == 404
    assert post(site, "carla", "/remittances", {**typed, "collector": "jun"}).status_code == 404
    assert post(site, "carla", "/remittances", {**typed, "collector": "\x00"}).status_code == 400
    with site.app.app_context():
        assert remittances.totals(remittances.RemittanceFilter()).count == 0


def test_a_customer_s_name_and_a_reference_stay_text_on_page_and_slip(site: Site) -> None:
    place = received(site)
    page = site.page("carla", place)
    assert "<script>alert" not in page and "&lt;script&gt;" in page and "=1+1" in page


def late_day(site: Site) -> Phone:
    """A second phone whose first payment is written after its Z and enters the next one."""
    with site.app.app_context():
        phone = make_phone("nena")
        phone.start()
        phone.z_reading()
        phone.append("payment", phone.payload(make_soa(), 5000))
        phone.close()
        phone.open()
        phone.z_reading()
        phone.close()
        upload(phone, "automatic")
    return phone


def test_late_payments_stand_in_the_reading_with_their_own_date_and_are_no_alarm(site: Site) -> None:
    phone = late_day(site)
    with site.app.app_context():
        user = users.by_name("nena")
        assert user
        (late_z,) = [row for row in remittances.waiting_readings(user.id) if row.portal["late_count"]]
    page = site.page("carla", f"/readings/{late_z.id}")
    words = text_of(page)
    assert len(attributes(page, "data-late")) == 1 and f"{phone.code}-00000001 20 Nov 2026" in words
    assert "Only late payments make the phone's paper differ" in words and "Late payments (1) 50.00" in words and "Late cash 50.00" in words
    assert "Late: Cash (1) 50.00" in words and "disagree" not in words
    assert site.get("carla", f"/readings/{late_z.id}.pdf").data.startswith(b"%PDF-")
    assert "late payments" in site.page("carla", "/readings")
    assert "1 late" in text_of(site.page("carla", "/remittances/new?collector=nena"))


def test_what_is_in_no_z_yet_is_named_on_the_desk_and_the_home_page_counts_what_waits(site: Site) -> None:
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        phone.pay(make_soa(), 7700)
        upload(phone, "automatic")
    page = site.page("carla", "/remittances")
    assert attributes(page, "data-uncovered") == [phone.code] and "In no Z-reading yet: 1 payment, ₱77.00" in text_of(page)
    assert "the Z-reading of the open registry" in page
    assert "1 collector to remit 1 Z-reading, oldest of 20 Nov 2026." in text_of(site.page("carla", "/"))
    with site.app.app_context():
        user = users.by_name("nena")
        assert user
        ids = [row.id for row in remittances.waiting_readings(user.id)]
        service.receive(user.id, ids, [], [], "Nothing was brought", "carla", NOW)
    assert "1 remittance to approve" in text_of(site.page("carla", "/"))


def test_an_empty_count_is_told_nothing(site: Site) -> None:
    for path, more in (("/remittances/count", {"do": "compare"}), ("/remittances", {"reason": "Nothing came"})):
        answer = post(site, "carla", path, {**form_of(site), **more})
        assert answer.status_code == 422 and "Count first" in answer.text, path
        assert "600.00" not in answer.text and "Expected cash" not in answer.text
    assert element(site.page("carla", "/remittances"), "remittance-count") == "0"
    nothing = post(site, "carla", "/remittances/count", {**form_of(site, **{"bill-100000": "0"}), "do": "compare"})
    assert nothing.status_code == 200 and "Short ₱600.00" in text_of(nothing.text)
