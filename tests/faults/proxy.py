"""A fault proxy: stands before one HTTP server, passes requests on, and does to chosen ones what a bad network does. Counts what it did."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal[
    "reset",  # the connection breaks before anything is passed on
    "answer",  # somebody else answers; nothing is passed on
    "silence",  # nothing is passed on and nothing is answered until release()
    "hold_request",  # passed on only after release()
    "cut_request",  # half of the request's body is passed on, then everything breaks
    "throttle",  # the request is passed on slowly
    "lose_answer",  # the work is done, the answer is lost
    "cut_answer",  # the work is done, half of the answer arrives
    "hold_answer",  # the work is done, the answer arrives after release()
    "drip",  # the work is done, the answer arrives slowly
    "rewrite",  # the work is done, another answer arrives
]
FOR_EVER = 1_000_000
PIECES_PER_SECOND = 10


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked."""

    method: str
    path: str
    body: bytes


@dataclass
class Fault:
    """One kind of trouble for the next `times` requests that fit, after the first `skip` of them. `applied` counts where it happened."""

    kind: Kind
    path: str = "/"
    method: str = ""
    times: int = 1
    skip: int = 0
    only: Callable[[Request], bool] = lambda request: True
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    bytes_per_second: int = 200
    rewrite: Callable[[int, bytes], tuple[int, bytes]] = lambda status, body: (status, body)
    applied: int = 0
    work_done: list[int] = field(default_factory=list)
    """Statuses the server answered with although nobody, or nobody in time, heard of it."""
    lost: bool = False
    _seen: int = 0
    _released: threading.Event = field(default_factory=threading.Event)

    def fits(self, request: Request) -> bool:
        """Whether this request is to suffer."""
        wanted = urlsplit(request.path).path.startswith(self.path) and self.method in {"", request.method} and self.only(request)
        if not wanted:
            return False
        self._seen += 1
        return self._seen > self.skip and self.applied < self.times

    def release(self, *, lost: bool = False) -> None:
        """Let go what is held, or lose it."""
        self.lost = lost
        self._released.set()

    async def released(self) -> None:
        """Wait for release()."""
        while not self._released.is_set():
            await asyncio.sleep(0.01)


class Broken(Exception):
    """The connection is to break now."""


class FaultProxy:
    """Listens on a free port of this machine, in a thread of its own, for the server at `upstream`. One request a connection."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._do(self._listen()).result(10)

    @property
    def url(self) -> str:
        """The address to give to whoever is to suffer."""
        return f"http://127.0.0.1:{self.port}"

    def fault(self, kind: Kind, path: str = "/", **how: Any) -> Fault:
        """Have this happen from now on; look at its `applied` afterwards."""
        fault = Fault(kind, path, **how)
        self.faults.append(fault)
        return fault

    def clear(self) -> None:
        """No faults any more; what is held goes on."""
        faults, self.faults = self.faults, []
        for fault in faults:
            fault.release()

    def count(self, method: str, path: str) -> int:
        """How many requests of this kind came."""
        return sum(one.method == method and urlsplit(one.path).path.startswith(path) for one in list(self.requests))

    def close(self) -> None:
        """Stop listening and break what is open."""
        self.clear()
        self._do(self._end()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(what, self._loop)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await self._handle(reader, writer)
            writer.close()
        except (Broken, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            _reset(writer)
        except asyncio.CancelledError:
            _reset(writer)
            raise

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        method, path = head.split(b" ", 2)[:2]
        request = Request(method.decode(), path.decode(), body)
        self.requests.append(request)
        fault = next((one for one in list(self.faults) if one.fits(request)), None)
        if fault is None:
            await _send(writer, await self._ask(head, body))
            return
        if fault.kind in {"reset", "answer", "silence"}:
            fault.applied += 1
            if fault.kind == "silence":
                await fault.released()
            if fault.kind != "answer":
                raise Broken
            await _send(writer, _answer(fault.status, fault.headers, fault.body))
            return
        if fault.kind == "hold_request":
            fault.applied += 1
            await fault.released()
            if fault.lost:
                raise Broken
            await _send(writer, await self._ask(head, body))
            return
        if fault.kind == "cut_request":
            fault.applied += 1
            await self._ask(head, body, cut=True)
            raise Broken
        if fault.kind == "throttle":
            fault.applied += 1
            await _send(writer, await self._ask(head, body, fault.bytes_per_second))
            return
        answer = await self._ask(head, body, plain=fault.kind == "rewrite")
        fault.work_done.append(_status(answer))
        fault.applied += 1
        await self._spoil(fault, answer, writer)

    async def _spoil(self, fault: Fault, answer: bytes, writer: asyncio.StreamWriter) -> None:
        """The work is done; now something happens to its answer."""
        head, _, content = answer.partition(b"\r\n\r\n")
        if fault.kind == "lose_answer":
            raise Broken
        if fault.kind == "cut_answer":
            await _send(writer, head + b"\r\n\r\n" + content[: len(content) // 2])
            raise Broken
        if fault.kind == "hold_answer":
            await fault.released()
            if fault.lost:
                raise Broken
            await _send(writer, answer)
        elif fault.kind == "drip":
            await _send(writer, answer, fault.bytes_per_second)
        else:
            status, changed = fault.rewrite(_status(answer), content)
            await _send(writer, _answer(status, {"Content-Type": "application/json"}, changed))

    async def _ask(self, head: bytes, body: bytes, bytes_per_second: int = 0, *, cut: bool = False, plain: bool = False) -> bytes:
        """The server's whole answer. With `cut` it gets half of the body and then nothing more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            await _send(writer, _closing(head, plain))
            await _send(writer, body[: len(body) // 2] if cut else body, bytes_per_second)
            if cut:
                await asyncio.sleep(0.1)
                return b""
            answer_head = await reader.readuntil(b"\r\n\r\n")
            # Waiting for the end of the connection instead would wait for a server that waits for ours.
            known = b"\ncontent-length:" in answer_head.lower()
            content = await reader.readexactly(_length(answer_head)) if known else await reader.read()
        finally:
            _reset(writer)
        return _closing(answer_head, False) + content


async def _send(writer: asyncio.StreamWriter, data: bytes, bytes_per_second: int = 0) -> None:
    if not bytes_per_second:
        writer.write(data)
        await writer.drain()
        return
    size = max(1, bytes_per_second // PIECES_PER_SECOND)
    for start in range(0, len(data), size):
        writer.write(data[start : start + size])
        await writer.drain()
        await asyncio.sleep(1 / PIECES_PER_SECOND)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection as a dead machine or a bad line does: no orderly end."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _closing(head: bytes, plain: bool) -> bytes:
    """The head with one request a connection; with `plain`, answers are asked for without compression."""
    dropped = (b"connection:", b"accept-encoding:") if plain else (b"connection:",)
    lines = [line for line in head.split(b"\r\n") if line and not line.lower().startswith(dropped)]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":", 1)[1])
    return 0


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def _answer(status: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode() + body
