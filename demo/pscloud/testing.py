"""Runs the simulator inside a test: a real HTTP server in a thread, on a free port and a temporary file."""

import json
import secrets
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask

from demo.pscloud.app import create_app
from demo.pscloud.server import Server

TOKEN = secrets.token_urlsafe(16)
# Never through a proxy that the environment names: the server is on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RunningPSCloud:
    """A simulator that is up: url, token, and the calls of its switchboard."""

    def __init__(self, app: Flask, token: str) -> None:
        self.app = app
        self.token = token
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """Base address without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Comes up, after stop() on the same port with the same data."""
        if self._server is not None:
            raise RuntimeError("the simulator is already up")
        self._server = Server(self.app, port=self.port)
        self.port = self._server.port
        self._thread = threading.Thread(target=self._server.serve, args=(0.01,), name="pscloud", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Goes down: connections are refused until start(). Nothing happens when it is down already."""
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join(timeout=10)
            if self._thread.is_alive():
                raise RuntimeError("the simulator did not end within 10 seconds")
            self._server = self._thread = None

    def state(self) -> dict[str, Any]:
        """Counts, switches, request counters, faulty_ids."""
        return self._call("GET", "/_control")

    def control(self, **switches: Any) -> dict[str, Any]:
        """Sets switches (see demo/pscloud/switches.py, and expire_cursors=True); answers the state."""
        return self._call("POST", "/_control", switches)

    def reset(self) -> dict[str, Any]:
        """All switches and counters back to rest."""
        return self._call("POST", "/_control/reset")

    def payments(self) -> list[dict[str, Any]]:
        """The payments PSCloud holds, in the order posted."""
        held: list[dict[str, Any]] = self._call("GET", "/_control/payments")["payments"]
        return held

    def add_payment(self, soa_id: str, amount: str) -> str:
        """A payment that PSCloud's own people entered; its reference."""
        return str(self._call("POST", "/_control/payments", {"soa_id": soa_id, "amount": amount})["reference"])

    def change_payment(self, reference: str, **change: Any) -> None:
        """Spoils a payment behind everybody's back: forget=True, amount="1.00" or voided=True."""
        self._call("POST", f"/_control/payments/{reference}", change)

    def soa(self, soa_id: str) -> dict[str, Any]:
        """Balances of one statement as PSCloud keeps them."""
        return self._call("GET", f"/_control/soas/{soa_id}")

    def change_soa(self, soa_id: str, **changes: Any) -> dict[str, Any]:
        """Changes one statement as PSCloud's office would: penalty_add, office_payment, status, hidden, fault and others."""
        return self._call("POST", f"/_control/soas/{soa_id}", changes)

    def records(self, status: str | None = None) -> list[dict[str, Any]]:
        """Every published record, straight from the pages of the API (the switches act on this too)."""
        found: list[dict[str, Any]] = []
        query = "?limit=1000" + (f"&status={status}" if status else "")
        cursor = ""
        while True:
            page = self._call("GET", f"/api/v1/soas{query}{cursor}")
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - always http, to the simulator of this test
            self.url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        try:
            with _opener.open(request, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path} answered {error.code}: {error.read().decode(errors='replace')}") from error


@contextmanager
def running_pscloud(
    customers: int = 40, faulty_records: bool = True, *, token: str = TOKEN, data_file: Path | None = None, **options: Any
) -> Iterator[RunningPSCloud]:
    """A simulator that is up inside the block. Options go to create_app: seed, clock. data_file keeps the data afterwards."""
    with tempfile.TemporaryDirectory(prefix="pscloud-") as folder:
        file = data_file or Path(folder) / "pscloud.sqlite3"
        app = create_app(file, token, customers=customers, faulty_records=faulty_records, **options)
        running = RunningPSCloud(app, token)
        try:
            yield running
        finally:
            running.stop()
