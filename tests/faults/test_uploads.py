"""Phone to portal: lost answers, killed web servers, locked databases, cut connections. Every payment ends in the ledger once."""

from __future__ import annotations

from tests.faults.stack import Stack


def test_f30_an_answer_lost_after_the_work_was_done_is_made_good_by_sending_again(stack: Stack) -> None:
    phone = stack.phone()
    ids = stack.pay(phone, 5)
    fault = stack.to_web.fault("lose_answer", "/api/v1/journal", times=2)
    phone.upload()
    assert fault.applied == 2 and fault.work_done == [200, 200]
    assert phone.tries == {"broken": 2, "200": 1}
    assert {status for status, _ in phone.verdicts.values()} == {"repeat"}
    stack.wait_until_posted(ids)
    stack.compare_books()
