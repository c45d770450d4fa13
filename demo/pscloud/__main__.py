"""Command line of the simulator: python -m demo.pscloud --help."""

import argparse
import os
import signal
import sys
from types import FrameType

from demo.pscloud.app import create_app
from demo.pscloud.server import Server
from demo.pscloud.store import StoreError


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGTERM or Ctrl-C; 0 when ended that way, 2 when it could not start."""
    parser = argparse.ArgumentParser(prog="python -m demo.pscloud", description="PSCloud simulator with invented customers.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081, help="0 picks a free port")
    parser.add_argument(
        "--token", default=os.environ.get("PSCLOUD_TOKEN", ""), help="bearer token that callers must send (default: PSCLOUD_TOKEN)"
    )
    parser.add_argument("--data", default="pscloud-demo.sqlite3", metavar="FILE", help="data file, made and seeded when it does not exist")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--customers", type=int, default=3000)
    parser.add_argument(
        "--faulty-records", action=argparse.BooleanOptionalAction, default=True, help="add a few records that are wrong on purpose"
    )
    parser.add_argument("--access-log", action="store_true", help="print one line for each request")
    options = parser.parse_args(arguments)
    try:
        app = create_app(options.data, options.token, seed=options.seed, customers=options.customers, faulty_records=options.faulty_records)
        server = Server(app, options.host, options.port, access_log=options.access_log)
    except (StoreError, ValueError, OSError) as error:
        print(f"DEMO PSCloud cannot start: {error}", file=sys.stderr)
        return 2

    def end(_signal: int, _frame: FrameType | None) -> None:
        server.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    data = app.extensions["pscloud"].data
    origin = "new" if data.new else f"kept from {data.seeded_on}; delete it for statements that are due around today"
    print(f"DEMO PSCloud on {server.url} with {options.data} ({origin})", flush=True)
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
