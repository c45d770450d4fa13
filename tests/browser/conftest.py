"""A real Chromium, and the whole product as ./run starts it, on a port and data of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.phone_portal import PhonePortal, serve

ROOT = Path(__file__).resolve().parents[2]
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True, "timezone_id": "Asia/Manila"}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs Chromium."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed; as root: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Product:
    """The running product: its address, its simulated PSCloud's, and where its data are."""

    url: str
    pscloud: str
    data: Path

    def pscloud_get(self, path: str) -> dict:
        """What the simulator says of itself under /_control."""
        answer = requests.get(f"{self.pscloud}/_control{path}", timeout=10)
        answer.raise_for_status()
        return answer.json()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The demo, every process of it, stopped at the end."""
    data, port = tmp_path_factory.mktemp("product"), free_port()
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PSCLOUD", "PORTAL", "DATABASE", "REDIS", "SECRET"))}
    environment = {**keep, "DATA_DIR": str(data), "PORT": str(port), "HTMX_SOURCE": "local", "PYTHONUNBUFFERED": "1"}
    log = (data / "output.txt").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.supervisor"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + 60
        while "The portal is ready" not in (output := (data / "output.txt").read_text()):
            assert process.poll() is None and time.monotonic() < deadline, f"the product did not start:\n{output}"
            time.sleep(0.2)
        found = re.search(r"DEMO PSCloud on (http://127\.0\.0\.1:\d+)", output)
        assert found, output
        yield Product(f"http://127.0.0.1:{port}", found[1], data)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


@pytest.fixture(scope="module")
def phone_portal(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[PhonePortal]:
    """A portal for phones alone, in this process."""
    with serve(tmp_path_factory.mktemp("portal"), sqlite_template) as portal:
        yield portal


@pytest.fixture
def phone(chromium: Browser) -> Iterator[BrowserContext]:
    """A phone's browser with storage of its own."""
    context = chromium.new_context(**PHONE)  # type: ignore[arg-type]
    yield context
    context.close()
