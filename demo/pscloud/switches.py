"""Switches that make the simulator slow, failing, rate-limited or silent, for tests and demonstrations."""

import threading
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any

from demo.pscloud import money

API_PREFIX = "/api/v1"
COUNTDOWNS = ("fail_next", "rate_limit_next", "html_next", "broken_json_next", "lose_answer_next", "reject_next")


@dataclass
class Settings:
    """Every switch with its resting value."""

    paths: list[str] = field(default_factory=lambda: [API_PREFIX])
    delay_ms: int = 0
    drip_bytes_per_second: int = 0
    unauthorized: bool = False
    maintenance: bool = False
    retry_after: str = "1"
    rate_limit_next: int = 0
    fail_next: int = 0
    fail_every: int = 0
    html_next: int = 0
    broken_json_next: int = 0
    lose_answer_next: int = 0
    reject_next: int = 0
    page_shift: int = 0
    total_add: int = 0
    summary_amount_add: str = "0.00"
    close_period_before: str | None = None


@dataclass(frozen=True)
class Plan:
    """What is to happen to one request: wait, then at most one fault."""

    delay_ms: int = 0
    drip_bytes_per_second: int = 0
    fault: str | None = None


class Switches:
    """The settings and the counters of requests, safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settings = Settings()
        self._requests: Counter[str] = Counter()
        self._matched = 0

    def reset(self) -> None:
        """Every switch back to rest, every counter to zero."""
        with self._lock:
            self._settings = Settings()
            self._requests.clear()
            self._matched = 0

    def change(self, values: dict[str, Any]) -> None:
        """Sets the given switches, all or none; raises ValueError in plain words."""
        checked = {name: _checked(name, value) for name, value in values.items()}
        with self._lock:
            for name, value in checked.items():
                setattr(self._settings, name, value)

    def state(self) -> dict[str, Any]:
        """All switches as they stand; countdowns show what is left."""
        with self._lock:
            return asdict(self._settings)

    def requests(self) -> dict[str, int]:
        """How many requests came in by "METHOD /path", since start or reset."""
        with self._lock:
            return dict(sorted(self._requests.items()))

    def settings(self) -> Settings:
        """A copy of the settings."""
        with self._lock:
            return Settings(**asdict(self._settings))

    def plan(self, method: str, path: str) -> Plan:
        """Counts the request and decides its fate; a countdown that is used goes down by one."""
        with self._lock:
            self._requests[f"{method} {path}"] += 1
            now = self._settings
            if not any(path.startswith(prefix) for prefix in now.paths):
                return Plan()
            self._matched += 1
            return Plan(now.delay_ms, now.drip_bytes_per_second, self._fault(now, method, path))

    def _fault(self, now: Settings, method: str, path: str) -> str | None:
        if now.maintenance:
            return "maintenance"
        if now.unauthorized and path != f"{API_PREFIX}/status":
            return "unauthorized"
        if self._use("rate_limit_next"):
            return "rate_limit"
        if self._use("fail_next") or (now.fail_every and self._matched % now.fail_every == 0):
            return "fail"
        if self._use("html_next"):
            return "html"
        if self._use("broken_json_next"):
            return "broken_json"
        if method == "POST" and path.startswith(f"{API_PREFIX}/payments") and self._use("lose_answer_next"):
            return "lose_answer"
        return None

    def refuse_payment(self) -> bool:
        """Whether the next new payment is to be rejected (reject_next)."""
        with self._lock:
            return self._use("reject_next")

    def _use(self, name: str) -> bool:
        left: int = getattr(self._settings, name)
        if left > 0:
            setattr(self._settings, name, left - 1)
        return left > 0


def _checked(name: str, value: Any) -> Any:
    if name not in {item.name for item in fields(Settings)}:
        raise ValueError(f"there is no switch {name}; the switches are {', '.join(item.name for item in fields(Settings))}")
    if name == "paths":
        paths = [API_PREFIX] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(paths, list) or not all(isinstance(path, str) and path.startswith("/") for path in paths):
            raise ValueError("paths must be one path prefix, a list of them, or null for all")
        return paths
    if name in ("unauthorized", "maintenance"):
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
        return value
    if name == "summary_amount_add":
        return money.text(money.parse(value))
    if name == "close_period_before":
        return None if value is None else date.fromisoformat(str(value)).isoformat()
    if name == "retry_after":
        if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).isprintable():
            raise ValueError("retry_after must be seconds or an HTTP date")
        return str(value)
    if not isinstance(value, int) or isinstance(value, bool) or (value < 0 and name not in ("page_shift", "total_add")):
        raise ValueError(f"{name} must be a whole number")
    return value
