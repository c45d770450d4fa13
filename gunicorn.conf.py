"""Settings of the web server, from the same configuration as the application."""

import gc
import os
from pathlib import Path

from config import Config
from workers.processes import die_with_parent

_config = Config()

bind = [f"[{_config.HOST}]:{_config.PORT}" if ":" in _config.HOST else f"{_config.HOST}:{_config.PORT}"]
workers = _config.WEB_WORKERS
worker_class = "gthread"
threads = 8
timeout = 60
# Shorter than the supervisor's patience, so that a stop ends requests in an orderly way.
graceful_timeout = 8
# Longer than a reverse proxy or a phone needs between two requests of one page.
keepalive = 5
# Heartbeat files in memory: on a slow disk they would stop workers that are well.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - gunicorn makes unnamed files there
# The application logs requests itself, with an id on each line.
accesslog = None
errorlog = "-"
loglevel = "warning"
proc_name = "portal-web"
# Only ProxyFix, with the count in TRUSTED_PROXIES, may believe X-Forwarded headers.
forwarded_allow_ips = ""
# Its default place is one per user: two clones on a machine would share it.
control_socket_disable = True

# Counters of all web processes are added up through files in this folder.
_metrics_dir = Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(_config.DATA_DIR / "prometheus")))


def on_starting(server):
    """Start with an empty folder of counters: those of processes that are gone would be added for ever."""
    _metrics_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file in _metrics_dir.glob("*.db"):
        file.unlink()


def post_fork(server, worker):
    """A web process never outlives the server's first process, even when that is killed."""
    die_with_parent(parent=worker.ppid)


def post_worker_init(worker):
    """Load what sets documents once the application is there, so that nobody's first PDF waits for it; then let the collector of cycles
    look no more at what stays for ever: each of its full rounds made somebody wait for a tenth of a second."""
    import portal.typesetting  # noqa: F401

    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def child_exit(server, worker):
    """Let the counters of an ended process stand, but not its gauges."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
