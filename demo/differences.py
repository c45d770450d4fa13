"""Plants one difference of each kind between the simulator and a portal that has downloaded it, through the simulator's switchboard."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

# Never through a proxy that the environment names: the simulator is on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def plant(url: str, soas: Sequence[str]) -> Iterator[str]:
    """Change what the simulator at `url` holds, one line in words for each change. `soas` are ids that the portal has as well.

    Raises OSError when the simulator does not answer."""
    changed, gone, settled, spoiled, taken_over, paid = soas[:6]
    _call(url, f"/_control/soas/{changed}", {"penalty_add": "125.00", "collector_code": "BUL-02"})
    yield f"SOA {changed}: PSCloud added a penalty and moved it to another collector code."
    _call(url, f"/_control/soas/{gone}", {"hidden": True})
    yield f"SOA {gone}: removed from PSCloud."
    _call(url, f"/_control/soas/{settled}", {"status": "settled"})
    yield f"SOA {settled}: settled in PSCloud."
    _call(url, f"/_control/soas/{spoiled}", {"fault": [{"path": ["amount_due"], "value": "12,5O0.00"}]})
    yield f"SOA {spoiled}: PSCloud sends an amount that cannot be read."
    state = _call(url, "/_control")
    hidden = state.get("faulty_ids", [])
    mended = next((one for one in hidden if one != spoiled), None)
    if mended is not None:
        _call(url, f"/_control/soas/{mended}", {"fault": None})
        yield f"SOA {mended}: mended in PSCloud; the portal could not read it and does not have it yet."
    _call(url, f"/_control/soas/{taken_over}", {"customer_name": "Reyes-Santos, Maria Corazon"})
    yield f"SOA {taken_over}: the customer's name was changed in PSCloud."
    _call(url, "/_control/payments", {"soa_id": paid, "amount": "750.00"})
    yield "A payment of 750.00 was entered in PSCloud under a reference that no phone knows."
    held = [one["reference"] for one in _call(url, "/_control/payments")["payments"] if one["status"] == "accepted" and one["allocations"]]
    spoils: list[tuple[str, dict[str, Any]]] = [
        ("forgotten by PSCloud", {"forget": True}),
        ("changed to 1.00 in PSCloud", {"amount": "1.00"}),
        ("voided in PSCloud", {"voided": True}),
    ]
    for reference, (words, change) in zip(held, spoils, strict=False):
        _call(url, f"/_control/payments/{reference}", change)
        yield f"Payment {reference}: {words}."
    if len(held) < len(spoils):
        yield "Upload three payments from a phone first to see differences of payments as well."


def _call(url: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the demo's own address
        url + path,
        method="GET" if body is None else "POST",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with _opener.open(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
        return answer
