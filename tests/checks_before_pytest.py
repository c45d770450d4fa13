"""pytest plugin for ./test: repeats which checks failed before pytest, just above the summary line."""

import os

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the names that ./test hands over in FAILED_CHECKS; nothing when all passed."""
    names = os.environ.get("FAILED_CHECKS", "")
    if names:
        terminalreporter.section("failed before pytest", red=True)
        terminalreporter.line(f"These checks failed, their output stands above pytest's: {names}")
