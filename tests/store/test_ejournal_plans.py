"""Neither the electronic journal nor the lists of expenses walk what grows."""

from __future__ import annotations

from flask import Flask

from portal import ejournal
from portal.ejournal import Frame
from portal.store import ejournal as store
from portal.store import expenses
from portal.store.ejournal import Asked
from tests.blueprints.office_site import upload
from tests.factories import make_phone, make_soa, make_user, store_soas
from tests.store.test_plans import TODAY, walks

GROWS = ("journal_entries", "payments", "soas", "expenses", "cash_drops", "soa_downloads")


def test_the_journal_is_read_along_its_own_order_and_expenses_along_their_states(any_app: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa(), *(make_soa(f"S{number}", collector_code="A1") for number in range(2, 40)))
    phone = make_phone("nena")
    phone.start()
    paid = phone.pay(make_soa(), 500)
    facts = {name: paid.payload[name] for name in ("payment", "receipt_number")}
    phone.append("receipt_printed", {**facts, "copy": "customer", "reprint": 0})
    phone.ask_void(paid)
    phone.spend(100)
    phone.drop(100)
    phone.x_reading()
    upload(phone, "automatic")
    for asked in (Asked(TODAY, TODAY), Asked(TODAY, TODAY, "nena", phone.code), Asked(TODAY, TODAY, code="A1")):
        assert walks(lambda asked=asked: list(ejournal.documents(asked, Frame({}, False))), GROWS) == []  # type: ignore[misc]
        assert walks(lambda asked=asked: store.count(asked, 10), GROWS) == []  # type: ignore[misc]
    for state in ("requested", "approved", "all"):
        assert walks(lambda state=state: expenses.list_page(state), GROWS) == []  # type: ignore[misc]
    assert walks(expenses.waiting, GROWS) == []
    assert walks(lambda: expenses.not_written_down(phone.terminal.id), GROWS) == []
    assert walks(lambda: expenses.counted_in_registry(phone.terminal.id, phone.registry, 99), GROWS) == []
