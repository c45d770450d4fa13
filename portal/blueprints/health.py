"""Whether the portal lives (`/healthz`), can work (`/readyz`), and its metrics (`/metrics`, from this machine only)."""

from __future__ import annotations

import os

from flask import Blueprint, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess

from portal.access import public
from portal.store import health

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    """200 while the process answers."""
    return jsonify({"status": "ok"})


@bp.get("/readyz")
@public
def readyz() -> ResponseReturnValue:
    """200 when the database answers and is up to date; Redis away is reported but not fatal, since nothing of value lives there."""
    database = health.database_state()
    ready = database == "ok"
    parts = {"database": database, "redis": "ok" if health.redis_answers() else "away"}
    return jsonify({"status": "ready" if ready else "not ready", **parts}), 200 if ready else 503


@bp.get("/metrics")
@public
def metrics() -> ResponseReturnValue:
    """Prometheus metrics; anybody but this machine gets a 404 (S59)."""
    if request.remote_addr not in {"127.0.0.1", "::1"} or current_app.config["TRUSTED_PROXIES"]:
        abort(404)
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.MultiProcessCollector(registry)
    registry.register(health.Backlog())
    return Response(generate_latest(registry), mimetype=CONTENT_TYPE_LATEST)
