"""Logs: one line an event, JSON in production, names never breaking a line, with the request's or job's id on each."""

from __future__ import annotations

import logging
import secrets
import sys
from typing import Any

import structlog
from flask import Flask, Response, g, request


def configure(log_format: str) -> None:
    """Set up structlog and the standard logging beneath it; `console` for people, `json` for machines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
        if log_format == "json"
        else [*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("fontTools", "weasyprint", "alembic", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def register(app: Flask) -> None:
    """Give each request an id, on its log lines and in its answer."""

    @app.before_request
    def begin() -> None:
        g.request_id = secrets.token_hex(4)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=g.request_id, path=request.path)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
        return response
