"""One module per office module of the field; `all_blueprints` is what create_app installs."""

from __future__ import annotations

from importlib import import_module

from flask import Blueprint

MODULES = (
    "auth", "home", "soas", "sync", "sync_files", "collectors", "payments", "visits", "voids", "expenses", "incidents", "missing",
    "readings", "remittances", "bank", "ejournal", "reports", "exports", "reconciliation", "saved_filters", "terminals", "users", "audit",
    "settings", "mpos", "api", "verify", "health",
)  # fmt: skip


def all_blueprints() -> list[Blueprint]:
    """Every blueprint of the portal: office, phone and health."""
    return [import_module(f"portal.blueprints.{name}").bp for name in MODULES]
