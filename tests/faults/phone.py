"""A phone in Python: its journal as docs/journal.md says, its talk with the portal over real HTTP, its patience when that fails."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric import ec

from portal.domain import readings
from portal.domain.journal import Entry
from portal.domain.soa import Invoice
from tests import factories

MANILA = timezone(timedelta(hours=8))
AT_MOST = 500
"""Entries in one upload, until the portal says that it takes fewer."""


@dataclass(frozen=True)
class ListedSoa:
    """An SOA as the downloaded list shows it: what factories.Phone needs of one."""

    id: str
    soa_number: str
    account_number: str
    customer_name: str
    version: str
    invoices: tuple[Invoice, ...]
    amount_due: int


class HttpPhone(factories.Phone):
    """A signed-in, enrolled phone with an open registry. `tries` counts what came of every upload tried: statuses, or `broken`."""

    _numbers = iter(range(1, 1_000_000))

    def __init__(self, url: str, user: str = "nena") -> None:
        """Talks to the portal at `url`."""
        number = next(self._numbers)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.user_name = user
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-Forwarded-For"] = f"10.0.{number // 250}.{number % 250 + 1}"
        self.entries: list[Entry] = []
        self.receipts = 0
        self.registry = ""
        self.change_fund = 0
        self.taken: list[readings.Taken] = []
        self.counted = None
        self.counters = readings.Counters()
        self.opened_at = ""
        self.minute = 0
        self.last_at = datetime.now(MANILA)
        self.verdicts: dict[str, tuple[str, str | None]] = {}
        self.not_money: set[str] = set()
        """Hashes of entries that a test spoiled: the portal keeps them and books nothing."""
        self.tries: Counter[str] = Counter()
        self.waits: list[str] = []
        self.at_most = AT_MOST
        self.sign_in()
        answer = self.call("POST", "/api/v1/terminals", {"name": f"Phone {number}", "public_key": self.jwk()})
        assert answer.status_code == 201, answer.text
        self.code = answer.json()["terminal"]
        self.soas = self.download()
        self.start()

    def sign_in(self) -> None:
        """Log in; keeps the token that goes with every change."""
        answer = self.session.post(
            f"{self.url}/api/v1/session", json={"username": self.user_name, "password": factories.PASSWORD}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        self.session.headers["X-CSRFToken"] = answer.json()["csrf_token"]

    def call(self, method: str, path: str, body: Any = None, timeout: float = 60) -> requests.Response:
        """One request. Raises requests.RequestException when it broke."""
        return self.session.request(method, self.url + path, json=body, timeout=timeout, allow_redirects=False)

    def download(self) -> list[ListedSoa]:
        """The SOAs of this collector as the portal lists them now."""
        answer = self.call("GET", "/api/v1/soas")
        assert answer.status_code == 200, answer.text
        self.snapshot = answer.json()
        return [_listed(one) for one in self.snapshot["soas"]]

    def at(self) -> str:
        """The phone's clock, never twice the same."""
        self.last_at = max(datetime.now(MANILA), self.last_at + timedelta(milliseconds=1))
        return self.last_at.isoformat(timespec="milliseconds")

    def start(self, change_fund: int = 50000, snapshot: str = "") -> None:
        """Enrol, note the download, open the day's registry."""
        self.append("enrolled", {"name": "Phone", "collector": self.user_name, "app_version": "test"})
        self.open(change_fund, datetime.now(MANILA).date().isoformat())
        noted = {name: self.snapshot[name] for name in ("snapshot", "as_of", "count", "amount_due")}
        self.append("soa_downloaded", noted)

    def payments(self) -> list[dict[str, Any]]:
        """What was confirmed on this phone, as its journal says."""
        return [dict(entry.payload) for entry in self.entries if entry.kind == "payment" and entry.hash not in self.not_money]

    def waiting(self) -> list[Entry]:
        """Entries that no verdict came for."""
        return [entry for entry in self.entries if entry.hash not in self.verdicts]

    def try_upload(self, entries: Sequence[Entry] | None = None, timeout: float = 60) -> requests.Response | None:
        """Send once, by default the next of what waits. None when the connection broke, timed out or brought something else."""
        chosen = list(self.waiting()[: self.at_most] if entries is None else entries)
        try:
            answer = self.call("POST", "/api/v1/journal", self.upload_body(chosen), timeout)
            said = answer.json()
        except (requests.RequestException, ValueError):
            self.tries["broken"] += 1
            return None
        self.tries[str(answer.status_code)] += 1
        if answer.status_code == 200:
            assert [verdict["seq"] for verdict in said["verdicts"]] == [entry.seq for entry in chosen]
            for entry, verdict in zip(chosen, said["verdicts"], strict=True):
                if verdict["status"] != "held":
                    self.verdicts[entry.hash] = (verdict["status"], verdict["reason"])
        elif answer.status_code == 413:
            self.at_most = max(1, min(self.at_most // 2, said["error"].get("limit", self.at_most)))
        elif answer.status_code in {429, 503}:
            assert answer.headers.get("Retry-After", "").isdigit(), "a phone must be told when to come back"
            self.waits.append(answer.headers["Retry-After"])
        return answer

    def upload(self, seconds: float = 60) -> None:
        """Send until everything has its verdict, as a phone in a bad place does. Fails after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.waiting():
            answer = self.try_upload()
            assert time.monotonic() < deadline, f"{len(self.waiting())} entries wait after {seconds:g} seconds: {self.tries}"
            if answer is None or answer.status_code in {429, 503}:
                time.sleep(0.2)
            else:
                assert answer.status_code in {200, 413}, f"{answer.status_code}: {answer.text}"

    def verdict(self, entry: Entry) -> str:
        """What the portal said of this entry."""
        return self.verdicts[entry.hash][0]


class Pool:
    """SOAs that no phone of this portal has taken a payment on, so that nothing looks like a double payment."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def take(self, phone: HttpPhone, count: int) -> Iterator[ListedSoa]:
        """So many SOAs of the phone's list, with more than fifty pesos to pay on each."""
        free = [soa for soa in phone.soas if soa.id not in self._used and soa.amount_due > 5000][:count]
        assert len(free) == count, "the simulator has too few customers for this test"
        self._used.update(soa.id for soa in free)
        return iter(free)


def pay(phone: HttpPhone, soas: Iterator[ListedSoa], amount: int = 5000) -> list[str]:
    """A payment of so many centavos on each of these SOAs; their ids."""
    return [phone.pay(soa, amount).payload["payment"] for soa in soas]  # type: ignore[arg-type]


def pay_often(phone: HttpPhone, soas: Sequence[ListedSoa], count: int, amount: int = 100) -> list[str]:
    """Many small payments on these SOAs in turn; their ids. All is advance, which no phone would do but the books must take."""
    advance = [{"invoice": None, "invoice_number": None, "kind": "advance", "amount": amount}]
    nothing = {"vatable": 0, "vat_amount": 0, "vat_exempt": 0, "zero_rated": 0}
    ids = []
    for number in range(count):
        payload = {**phone.payload(soas[number % len(soas)], amount), "allocations": advance, "vat": nothing, "payment": str(uuid.uuid4())}  # type: ignore[arg-type]
        phone.append("payment", payload)
        ids.append(payload["payment"])
    return ids


def _listed(raw: dict[str, Any]) -> ListedSoa:
    invoices = tuple(
        Invoice(
            **{
                **invoice,
                **{name: date.fromisoformat(invoice[name]) for name in ("invoice_date", "due_date")},
                **{name: Decimal(invoice[name]).scaleb(-2) for name in ("amount", "balance", "penalty", "vat_amount")},
            }
        )
        for invoice in raw["invoices"]
    )
    names = ("id", "soa_number", "account_number", "customer_name", "version", "amount_due")
    return ListedSoa(**{name: raw[name] for name in names}, invoices=invoices)
