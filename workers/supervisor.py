"""Parent of all processes: prepares the data folder, starts everything in order, restarts what dies, stops all in order."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import io
import json
import os
import secrets
import selectors
import signal
import socket
import sys
import time
from typing import IO
from urllib.parse import urlsplit

from dotenv import dotenv_values

from config import QUEUES, Config, ConfigError
from workers import redis_server
from workers.processes import LONGEST_LINE, ROOT, Child, end, how_it_ended, kill_session

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STOP_PATIENCE = 10.0
LONGEST_BACKOFF = 30.0
START_PATIENCE = 90.0


class StartError(Exception):
    """The portal cannot start; the message says why and what to do."""


class StopRequested(Exception):
    """Someone asked the supervisor to stop while it was busy with something else."""


class Supervisor:
    """Starts, watches and stops the portal's processes. One thread: a loop over pipes, signals and due restarts."""

    def __init__(self, config: Config) -> None:
        """Takes the settings; nothing happens before run()."""
        self.config = config
        self.data_dir = config.DATA_DIR
        self.environment = {**os.environ, "FLASK_APP": "wsgi", "PYTHONUNBUFFERED": "1"}
        self.running_file = self.data_dir / "running.json"
        self.children: list[Child] = []
        self.stop_requests = 0
        self.ready = False
        self.stopping = False
        self.secrets: list[str] = []
        self.selector = selectors.DefaultSelector()
        self.lock_file: IO[str] | None = None

    # --- life

    def run(self) -> int:
        """Start everything, serve until asked to stop, stop everything. Returns the exit code."""
        self._listen_to_signals()
        try:
            self._start_all()
            while True:
                self._attend(60.0)
        except StopRequested:
            say("Stopping.")
            return 0
        except (StartError, redis_server.RedisServerError) as error:
            self._read_remaining_output()
            say(f"\nThe portal could not start: {error}", error=True)
            return 1
        finally:
            self._stop_all()

    def _start_all(self) -> None:
        self._take_data_dir()
        self._check_port()
        self._hide(self.config.PSCLOUD_TOKEN, self.config.ADMIN_PASSWORD, self.config.SECRET_KEY or "")
        self._hide(urlsplit(self.config.DATABASE_URL).password or "", urlsplit(self.config.REDIS_URL or "").password or "")
        found = self._prepare_redis()
        if self.config.DEMO:
            found.update(self._prepare_simulator())
        # Commands typed in another window (flask sync run ...) find what was started here in this file.
        redis_server.write_private(self.running_file, json.dumps(found) + "\n")
        self.environment.update(found)

        self._run_step("database", flask("db", "upgrade"))
        self._run_step("first admin", flask("users", "first-admin"))
        if self.config.DEMO:
            self._run_step("demo data", flask("demo", "seed"))
        web = self._start("web", [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"])
        for queue in QUEUES:
            self._start(f"worker {queue}", [sys.executable, "-m", "workers.run", queue])
        self._start("scheduler", [sys.executable, "-m", "workers.schedule"])
        logins = self._run_step("demo logins", flask("demo", "logins"), capture=True) if self.config.DEMO else []
        self._wait_until_ready(web)
        self.ready = True
        self._announce(logins)

    def _take_data_dir(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.data_dir.chmod(0o700)
        self.lock_file = (self.data_dir / "supervisor.lock").open("a+")
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.lock_file.seek(0)
            owner = self.lock_file.read().strip() or "unknown"
            raise StartError(
                f"another portal (process {owner}) is already running on the data folder {self.data_dir}. "
                "Stop that one first, or give this one a folder of its own with DATA_DIR."
            ) from None
        self.lock_file.truncate(0)
        self.lock_file.write(str(os.getpid()))
        self.lock_file.flush()

    def _check_port(self) -> None:
        """Refuse a taken port before anything is started; what is left of a killed portal gets a moment to go."""
        host, port = self.config.HOST, self.config.PORT
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        except OSError as error:
            raise StartError(f"HOST {host!r} is not an address of this machine ({error.strerror}). Write 127.0.0.1 or 0.0.0.0.") from None
        deadline = time.monotonic() + 3
        while True:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(address)
                    return
                except OSError as error:
                    if time.monotonic() > deadline:
                        another = port + 1 if port < 65535 else 8001
                        raise StartError(
                            f"port {port} on {host} cannot be used ({error.strerror}). "
                            f"Stop the program that uses it, or choose another: PORT={another} ./run"
                        ) from None
            self._attend(0.2)

    def _prepare_redis(self) -> dict[str, str]:
        """Start the embedded Redis unless a REDIS_URL is given; what the children must know about it."""
        if self.config.REDIS_URL:
            return {"REDIS_URL": self.config.REDIS_URL}
        server = redis_server.prepare(self.data_dir)
        self._hide(server.password)
        # SIGTERM lets Redis write its last second of changes.
        child = self._start("redis", server.command, death_signal=signal.SIGTERM)
        deadline = time.monotonic() + START_PATIENCE
        while not redis_server.answers(server):
            if not child.alive:
                place = redis_server.set_aside_unreadable(server)
                if place is None:
                    raise StartError(f"the embedded Redis ended. Its last words: {redis_server.log_tail(server)}")
                say(f"Redis could not read its stored jobs; they were moved to {place}. The portal makes them again from the database.")
                self._start_again(child)
            if time.monotonic() > deadline:
                raise StartError(f"the embedded Redis does not answer. Its last words: {redis_server.log_tail(server)}")
            self._attend(0.05)
        return {"REDIS_URL": server.url}

    def _prepare_simulator(self) -> dict[str, str]:
        """Start the PSCloud simulator of the demo; what the children must know about it."""
        settings_file = self.data_dir / "simulator.json"
        try:
            settings = json.loads(settings_file.read_text())
            port, token = int(settings["port"]), str(settings["token"])
        except FileNotFoundError:
            port, token = redis_server.free_port(), secrets.token_urlsafe(32)
        except (ValueError, KeyError, TypeError):
            raise StartError(f"{settings_file} cannot be read. It belongs to the demo only: delete it and start again.") from None
        if not redis_server.port_is_free(port):
            port = redis_server.free_port()
        redis_server.write_private(settings_file, json.dumps({"port": port, "token": token}) + "\n")
        self._hide(token)
        self.environment["PSCLOUD_TOKEN"] = token  # not on its command line, which every user of a machine can list
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--data", str(self.data_dir / "pscloud.sqlite3")]
        child = self._start("simulator", [sys.executable, "-m", "demo.pscloud", *arguments, "--seed", "1", "--customers", "3000"])
        deadline = time.monotonic() + START_PATIENCE
        while not _listens(port):
            if not child.alive:
                raise StartError("the PSCloud simulator ended; its lines above say why.")
            if time.monotonic() > deadline:
                raise StartError(f"the PSCloud simulator did not answer within {START_PATIENCE:g} seconds.")
            self._attend(0.1)
        return {
            "PORTAL_DEMO": "1",
            "PSCLOUD_URL": f"http://127.0.0.1:{port}",
            "PSCLOUD_TOKEN": token,
            "PSCLOUD_ALLOW_PRIVATE": "1",
            "PSCLOUD_PROFILE": str(ROOT / "demo" / "pscloud" / "profile.toml"),
        }

    def _wait_until_ready(self, web: Child) -> None:
        deadline = time.monotonic() + START_PATIENCE
        answer = "no answer"
        while True:
            if not web.alive:
                raise StartError("the web server ended; its lines above say why.")
            ready, answer = self._ask_ready()
            if ready:
                return
            if time.monotonic() > deadline:
                raise StartError(f"the web server is not ready after {START_PATIENCE:g} seconds. /readyz says: {answer}")
            self._attend(0.1)

    def _ask_ready(self) -> tuple[bool, str]:
        connection = http.client.HTTPConnection(_reachable(self.config.HOST), self.config.PORT, timeout=5)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            return response.status == 200, f"{response.status} {response.read(300).decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as error:
            return False, f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def _announce(self, logins: list[str]) -> None:
        host = _reachable(self.config.HOST)
        url = f"http://{f'[{host}]' if ':' in host else host}:{self.config.PORT}"
        rule = "-" * 72
        lines = [rule, f"The portal is ready:  {url}/", f"Phone app:            {url}/mpos/"]
        if self.config.DEMO:
            lines += ["", "DEMO: nothing here is real. PSCloud is a simulator; the data stay apart from any real ones.", "", *logins]
            if not _is_loopback(host) or self.config.HOST in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
                lines += [
                    "",
                    f"Everybody who reaches {self.config.HOST} can log in with these: show it to nobody you would not show the demo.",
                ]
        else:
            lines += ["", "Add a user: .venv/bin/python -m flask users add NAME --role admin"]
        lines += ["", f"Data: {self.data_dir}", "Stop: Ctrl-C", rule]
        say("\n".join(lines))

    # --- children

    def _start(self, name: str, command: list[str], death_signal: int = signal.SIGKILL) -> Child:
        child = Child(name, command, death_signal)
        self.children.append(child)
        self._start_again(child)
        return child

    def _start_again(self, child: Child) -> None:
        pipe = child.start(self.environment)
        self.selector.register(pipe, selectors.EVENT_READ, child)

    def _run_step(self, name: str, command: list[str], *, capture: bool = False) -> list[str]:
        """Run a command to its end. Raises StartError when it fails. With `capture` its lines are returned, not printed."""
        step = Child(name, command)
        step.captured = [] if capture else None
        self._start_again(step)
        try:
            while step.alive:
                self._attend(1.0)
        except StopRequested:
            end(step, signal.SIGTERM)
            raise
        self._read_remaining_output()
        if step.process is not None and step.process.returncode != 0:
            for line in step.captured or []:
                self._print(step, line)
            raise StartError(f"the step {name!r} failed; its lines above say why.")
        return step.captured or []

    def _attend(self, seconds: float) -> None:
        """Wait up to `seconds` for output, an ended child or a signal, and deal with it. Raises StopRequested when asked to stop."""
        if self.ready and not self.stopping:
            seconds = min([seconds, *(c.restart_at - time.monotonic() for c in self.children if c.restart_at is not None)])
        self._read(max(0.0, seconds))
        if self.stopping:
            return
        if self.stop_requests:
            raise StopRequested
        for child in self.children if self.ready else []:
            if child.alive:
                continue
            if child.restart_at is None:
                self._plan_restart(child)
            elif time.monotonic() >= child.restart_at:
                self._start_again(child)

    def _plan_restart(self, child: Child) -> None:
        if time.monotonic() - child.started_at > 60:
            child.backoff = 1.0
        if child.process is not None:
            kill_session(child.process.pid)  # a job it had begun must not go on beside the one of its successor
            say(f"{child.name} ended ({how_it_ended(child.process.returncode)}); starting it again in {child.backoff:g} s.")
        child.restart_at = time.monotonic() + child.backoff
        child.backoff = min(child.backoff * 2, LONGEST_BACKOFF)

    def _stop_all(self) -> None:
        """Stop in the order in which nothing loses its footing: who makes work first, who stores it last."""
        self.stopping = True
        requests_before = self.stop_requests
        workers = [child for child in self.children if child.name.startswith("worker ")]
        order = [*([c] for c in self.children if c.name in {"web", "scheduler"}), workers]
        order += [[c] for name in ("simulator", "redis") for c in self.children if c.name == name]
        for group in order:
            for child in group:
                if child.alive and child.process is not None:
                    child.process.terminate()
            deadline = time.monotonic() + STOP_PATIENCE
            while any(child.alive for child in group):
                impatient = self.stop_requests > requests_before + 1
                if time.monotonic() > deadline or impatient:
                    break
                self._attend(0.1)
            for child in group:
                if child.alive:
                    say(f"{child.name} did not stop by itself; it is ended now.")
                end(child, signal.SIGKILL)
        self._read_remaining_output()
        with contextlib.suppress(FileNotFoundError):
            if self.lock_file is not None and self.children:
                self.running_file.unlink()

    # --- output and signals

    def _listen_to_signals(self) -> None:
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)
        self.selector.register(read_end, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_stop_signal)
        # Its only purpose is to end the wait in _read when a child ends.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def _on_stop_signal(self, number: int, frame: object) -> None:
        self.stop_requests += 1

    def _read(self, seconds: float) -> bool:
        """Wait for output of the children and print it; whether there was any."""
        events = self.selector.select(seconds)
        for key, _ in events:
            child: Child | None = key.data
            data = os.read(key.fd, LONGEST_LINE)
            if child is None:
                continue  # a signal: its handler has run already
            for line in child.lines(data):
                if child.captured is not None:
                    child.captured.append(line)
                else:
                    self._print(child, line)
            if not data:
                self.selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
        return any(key.data is not None for key, _ in events)

    def _read_remaining_output(self) -> None:
        deadline = time.monotonic() + 1  # others may go on talking for ever
        while self._read(0.05) and time.monotonic() < deadline:
            continue

    def _hide(self, *values: str) -> None:
        """Never show these texts, whatever a child prints."""
        self.secrets += [value for value in values if len(value) >= 6]

    def _print(self, child: Child, line: str) -> None:
        for secret in self.secrets:
            line = line.replace(secret, "***")
        say(f"{child.name:<14} | {line}")


def machine_environment() -> dict[str, str]:
    """What `.env` and the environment say, and nothing that an earlier portal on this data folder left behind."""
    from_file = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value is not None}
    return {**from_file, **os.environ}


def flask(*arguments: str) -> list[str]:
    """The command line of a flask command in this environment."""
    return [sys.executable, "-m", "flask", *arguments]


def say(text: str, *, error: bool = False) -> None:
    """Print for the person who started the portal; goes on silently when nobody can read it any more."""
    try:
        print(text, file=sys.stderr if error else sys.stdout, flush=True)
    except OSError:
        # The terminal or pipe is gone (./run | head); the portal itself must not end for that.
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - stays open to the end


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _reachable(host: str) -> str:
    """An address at which a server bound to `host` can be reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def main() -> int:
    """Entry point of ./run."""
    os.chdir(ROOT)
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a peso sign must not end the portal on a terminal that has none
    try:
        config = Config(machine_environment())
    except ConfigError as error:
        say(f"A setting is wrong: {error}", error=True)
        return 2
    except OSError as error:
        say(f"The data folder cannot be used: {error}. Set DATA_DIR to a folder you may write to.", error=True)
        return 2
    return Supervisor(config).run()


if __name__ == "__main__":
    sys.exit(main())
