"""Connections to PSCloud that cannot be led astray: each address is checked as it is connected to, and one deadline can cut all."""

from __future__ import annotations

import ipaddress
import math
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError


class AddressRefused(Exception):
    """The name leads to an address the portal must not talk to (RELIABILITY S47)."""


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet; every form that hides an inner address is looked into."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class Guard:
    """Opens sockets for one client, and can cut them all off from another thread when a deadline passes."""

    def __init__(self, allow_private: bool) -> None:
        """`allow_private` lets private, loopback and link-local addresses through (PSCLOUD_ALLOW_PRIVATE)."""
        self.allow_private = allow_private
        self._open: set[socket.socket] = set()
        self._left: set[socket.socket] = set()
        self._lock = threading.Lock()

    def connect(self, connection: HTTPConnection) -> tuple[socket.socket, socket.socket]:
        """Resolve, check, and connect to exactly what was checked. Returns the socket, and a second handle on it that stays
        valid when TLS takes the first one over. Raises AddressRefused or urllib3's connection errors."""
        host = connection.host.strip("[]")
        try:
            found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(host, connection, reason) from error
        if not self.allow_private:
            for *_, address in found:
                if not is_public(str(address[0])):
                    raise AddressRefused(f"{host} leads to {address[0]}")
        failure: OSError | None = None
        timeout = connection.timeout if isinstance(connection.timeout, int | float) else None
        for family, kind, protocol, _, address in found:
            opened = socket.socket(family, kind, protocol)
            try:
                opened.settimeout(timeout)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                opened.connect(address)
                handle = opened.dup()
            except OSError as error:
                opened.close()
                failure = error
                continue
            with self._lock:
                self._open.add(handle)
            return opened, handle
        raise NewConnectionError(connection, f"no address answered: {failure}") from failure

    def forget(self, handle: socket.socket) -> None:
        """The connection was closed. An answer with `Connection: close` may still be read from it, so it can be cut until tidy()."""
        with self._lock:
            self._open.discard(handle)
            self._left.add(handle)

    def tidy(self) -> None:
        """No answer is being read any more: closed connections lose their second handle too."""
        with self._lock:
            left, self._left = self._left, set()
        for handle in left:
            handle.close()

    def cut(self) -> None:
        """End every open connection at once; whoever reads from one gets an error."""
        with self._lock:
            for handle in self._open | self._left:
                try:
                    handle.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side was faster


class Watchdog:
    """One thread that calls `cut` when a deadline passes; it costs nothing to set a new deadline for every request."""

    IDLE = 5.0

    def __init__(self, cut: Callable[[], None]) -> None:
        """`cut` is called from the thread."""
        self._cut = cut
        self._changed = threading.Condition()
        self._at: float | None = None
        self._wakes = math.inf
        self._thread: threading.Thread | None = None
        self._fired = False
        self._ended = False

    def arm(self, seconds: float) -> None:
        """From now on so many seconds, until disarm()."""
        with self._changed:
            self._fired = self._ended = False
            self._at = time.monotonic() + seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="deadline", daemon=True)
                self._thread.start()
            elif self._at < self._wakes:
                self._changed.notify()

    def disarm(self) -> bool:
        """No deadline any more; whether the last one passed."""
        with self._changed:
            self._at = None
            return self._fired

    def end(self) -> None:
        """Nothing more is to be watched; the thread goes."""
        with self._changed:
            self._ended, self._at = True, None
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            idle = False
            while True:
                if self._ended:
                    self._thread = None
                    return
                left = self.IDLE if self._at is None else self._at - time.monotonic()
                if left <= 0:
                    self._fired, self._at = True, None
                    self._cut()
                    continue
                if self._at is None and idle:
                    self._thread = None
                    return
                idle = self._at is None
                self._wakes = time.monotonic() + left
                self._changed.wait(left)


class GuardedAdapter(HTTPAdapter):
    """A requests adapter whose sockets are all opened by a Guard; no retries and no proxies of its own."""

    def __init__(self, guard: Guard) -> None:
        """`guard` opens the sockets."""
        self.guard = guard
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, with our pools in place of urllib3's."""
        super().init_poolmanager(*args, **kwargs)
        http, https = _pools(self.guard)
        self.poolmanager.pool_classes_by_scheme = {"http": http, "https": https}


def _pools(guard: Guard) -> tuple[type[HTTPConnectionPool], type[HTTPSConnectionPool]]:
    """Pool classes whose connections ask this guard for their sockets."""

    def opened(connection: Any) -> socket.socket:
        opened_socket, connection.handle = guard.connect(connection)
        return opened_socket

    def closed(connection: Any, close: Callable[[], None]) -> None:
        try:
            close()
        finally:
            handle, connection.handle = getattr(connection, "handle", None), None
            if handle is not None:
                guard.forget(handle)

    class GuardedHTTP(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return opened(self)

        def close(self) -> None:
            closed(self, super().close)

    class GuardedHTTPS(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return opened(self)

        def close(self) -> None:
            closed(self, super().close)

    class HTTPPool(HTTPConnectionPool):
        ConnectionCls = GuardedHTTP

    class HTTPSPool(HTTPSConnectionPool):
        ConnectionCls = GuardedHTTPS

    return HTTPPool, HTTPSPool
