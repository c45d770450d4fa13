"""The PIN steps of a collector on the phone, in one place."""

from __future__ import annotations

from playwright.sync_api import Page, expect

PIN = "271828"


def log_in(page: Page, name: str, password: str) -> None:
    """Log in with the password, as the phone asks at first."""
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()


def choose_pin(page: Page, pin: str = PIN) -> None:
    """Set the PIN where the phone offers it, after the log-in with the password."""
    page.get_by_label("New PIN", exact=True).fill(pin)
    page.get_by_label("New PIN again").fill(pin)
    page.get_by_role("button", name="Set PIN").click()
    expect(page.get_by_label("New PIN", exact=True)).to_have_count(0)


def unlock(page: Page, pin: str = PIN) -> None:
    """What a reload, an idle while or Lock now asks for."""
    page.get_by_label("PIN", exact=True).fill(pin)
    page.get_by_role("button", name="Unlock", exact=True).click()
    expect(page.get_by_role("button", name="Unlock", exact=True)).to_have_count(0)
