"""One module per office module of the field; `all_blueprints` is what create_app installs."""

from __future__ import annotations

from flask import Blueprint


def all_blueprints() -> list[Blueprint]:
    """Every blueprint of the portal, office, phone and health."""
    from portal.blueprints import (
        api,
        auth,
        collectors,
        health,
        home,
        mpos,
        payments,
        readings,
        reports,
        soas,
        sync,
        terminals,
        users,
    )

    modules = (auth, home, soas, sync, collectors, payments, readings, reports, terminals, users, mpos, api, health)
    return [module.bp for module in modules]
