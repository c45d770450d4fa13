"""The collection portal: the bridge between PSCloud and the collectors' phones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.local import LocalProxy
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from config import Config


def create_app(config: Config) -> Flask:
    """The WSGI app: configuration, extensions, gate, blueprints, errors, filters, commands. No routes of its own."""
    from portal import addresses, cli, errors, filters, logs, security
    from portal.blueprints import all_blueprints
    from portal.extensions import compress, csrf, db, limiter, login_manager

    app = Flask("portal")
    app.config.from_object(config)
    app.config.update({name: getattr(config, name) for name in vars(config) if name.isupper()})
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if not app.testing:
        logs.configure(app.config["LOG_FORMAT"])
    if app.config["TRUSTED_PROXIES"]:
        count: int = app.config["TRUSTED_PROXIES"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]

    import portal.store.models  # noqa: F401 - the tables must be known before the database is used

    db.init_app(app)
    app.extensions["migrate"] = LocalProxy(lambda: _migrate(app))
    logs.register(app)
    login_manager.init_app(app)
    login_manager.session_protection = None  # the token is the session; a phone changes its address all day
    app.config.setdefault("RATELIMIT_STORAGE_URI", app.config["REDIS_URL"] or "memory://")
    if app.config["REDIS_URL"]:  # a Redis that hangs must not hold up those who are counted; then each process counts by itself
        app.config.setdefault("RATELIMIT_STORAGE_OPTIONS", {"socket_connect_timeout": 1, "socket_timeout": 1})
    app.config["COMPRESS_MIMETYPES"] = ["text/html", "text/css", "text/javascript", "application/json", "image/svg+xml", "text/csv"]
    compress.init_app(app)
    security.register(app)
    csrf.init_app(app)
    limiter.init_app(app)
    for blueprint in all_blueprints():
        app.register_blueprint(blueprint)
    errors.register(app)
    filters.register(app)
    addresses.register(app)
    cli.register(app)
    return app


def _migrate(app: Flask) -> Any:
    """What Flask-Migrate keeps of an app, made when it is first asked for: it holds 15 MB, and only migrations want it."""
    from flask_migrate import Migrate

    from portal.extensions import db

    Migrate(app, db, directory=str(_here("migrations")), render_as_batch=True)
    return app.extensions["migrate"]


def _here(name: str) -> Any:
    from pathlib import Path

    return Path(__file__).parent / name
