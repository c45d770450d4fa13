"""Runs the simulator over HTTP, and ends it cleanly: requests under way are finished first."""

import threading

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from demo.pscloud.app import InFlight

PATIENCE_SECONDS = 5.0


class QuietHandler(WSGIRequestHandler):
    """Logs nothing for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing: a sync alone is a hundred lines."""


class Server:
    """One listening simulator; port 0 picks a free one."""

    def __init__(self, app: Flask, host: str = "127.0.0.1", port: int = 0, *, access_log: bool = False) -> None:
        """Listens at once; raises OSError (or SystemExit, from werkzeug) when the port is taken."""
        self._app = app
        handler = WSGIRequestHandler if access_log else QuietHandler
        self._server: BaseWSGIServer = make_server(host, port, app, threaded=True, request_handler=handler)
        self.host = host
        self.port: int = self._server.server_port
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def serve(self, poll_seconds: float = 0.1) -> None:
        """Answers requests until stop() is called, which it notices within poll_seconds; then lets those under way finish."""
        try:
            self._server.serve_forever(poll_interval=poll_seconds)
        finally:
            self._server.server_close()
            in_flight = self._app.wsgi_app
            if isinstance(in_flight, InFlight):
                in_flight.wait_until_idle(PATIENCE_SECONDS)

    def stop(self) -> None:
        """Ends serve(); may be called from another thread or from a signal handler."""
        # shutdown() waits for the serving loop, so it must not run in the loop's own thread.
        threading.Thread(target=self._server.shutdown, name="pscloud-stop", daemon=True).start()
