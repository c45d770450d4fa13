"""Talking to PSCloud: asks and posts by the connector profile, and turns every way it can fail into one of three plain errors."""

from __future__ import annotations

import base64
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import requests
import urllib3

from portal.domain.errors import InvalidAmount
from portal.domain.money import exact
from portal.pscloud import mapping
from portal.pscloud.errors import AuthFailed, PscloudError, Rejected, Retryable
from portal.pscloud.mapping import CollectorRecord, MappingError, PaymentResult
from portal.pscloud.profile import Profile, ProfileError, load
from portal.pscloud.transport import AddressRefused, Guard, GuardedAdapter

__all__ = ["AuthFailed", "Page", "PaymentResult", "PscloudClient", "PscloudError", "Rejected", "Retryable", "Summary"]

DEADLINE = 60.0
"""Seconds for one request, from connecting to the last byte."""
READ_PATIENCE = 30.0
CONNECT_PATIENCE = 10.0
LARGEST_BODY = 32 * 1024 * 1024
"""Bytes of one answer, after decompression."""
ATTEMPTS = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
LONGEST_RETRY_AFTER = 120.0
"""A wish to wait longer than this many seconds is not waited for inside a run."""
RESTARTS = 2
PAUSE_SLICE = 5.0


@dataclass(frozen=True, slots=True)
class Page:
    """One page of SOAs. `records` are JSON texts for mapping.to_soa; `total` counts the whole snapshot. `restarted` means that
    PSCloud forgot the snapshot and this is the first page of a new one: what came before it must be thrown away."""

    records: list[bytes]
    total: int
    as_of: datetime | None
    number: int
    restarted: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """PSCloud's own control totals; `amount_due` in exact pesos."""

    count: int
    amount_due: Decimal


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class PscloudClient:
    """One PSCloud server. Not shared between threads. `on_wait` is called before every request and every few seconds of waiting, so
    that a long run can show that it lives, and can be stopped by an exception raised there."""

    def __init__(
        self,
        url: str,
        token: str,
        profile: Profile,
        *,
        allow_private: bool = False,
        deadline: float = DEADLINE,
        largest_body: int = LARGEST_BODY,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`url` is PSCloud's address without a path at the end. Raises Rejected when it cannot be right."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
            raise Rejected("PSCLOUD_URL is missing or is no address. Write it like https://pscloud.example.com.")
        if parts.scheme == "http" and not allow_private:
            raise Rejected(
                "PSCLOUD_URL must start with https://, because the token would travel readable for everybody. "
                "Only PSCLOUD_ALLOW_PRIVATE=1 (a PSCloud inside the office network) allows http://."
            )
        self.url = url.rstrip("/")
        self.host = parts.hostname
        self.profile = profile
        self.deadline = deadline
        self.largest_body = largest_body
        self.attempts = attempts
        self.sleep = sleep
        self.on_wait: Callable[[], None] = _nothing
        self._guard = Guard(allow_private)
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no .netrc of the machine may redirect or replace the token
        self._session.mount("http://", GuardedAdapter(self._guard))
        self._session.mount("https://", GuardedAdapter(self._guard))
        self._session.headers.update({"Accept": "application/json", "User-Agent": "collection-portal", "Accept-Encoding": "gzip, deflate"})
        self._authorise(token)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> PscloudClient:
        """A client for the configured PSCloud. Raises Rejected in plain words when the settings cannot be right."""
        try:
            profile = load(config.get("PSCLOUD_PROFILE") or None)
        except ProfileError as error:
            raise Rejected(str(error)) from None
        allow_private = bool(config.get("PSCLOUD_ALLOW_PRIVATE"))
        return cls(config.get("PSCLOUD_URL") or "", config.get("PSCLOUD_TOKEN") or "", profile, allow_private=allow_private)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()
        self._guard.tidy()

    def __enter__(self) -> PscloudClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what PSCloud is asked

    def status(self) -> dict[str, Any]:
        """Whether PSCloud lives: its name, version and clock, as it sends them."""
        envelope = self._get(self.profile.status_path)
        return {key: _read(bytes(value)) for key, value in envelope.items()}

    def soa_pages(self, since: datetime | None = None) -> Iterator[Page]:
        """Every page of the snapshot; with `since`, of what changed at or after that instant of PSCloud's, whatever its status is now.

        Raises Rejected for a cursor that repeats or never ends, and after too many restarts."""
        restarts = 0
        restarted = False
        while True:
            try:
                for page in self._snapshot(restarted, since):
                    restarted = False
                    yield page
                return
            except Rejected as error:
                if error.status != 410:
                    raise
                restarts += 1
                restarted = True
                if restarts > RESTARTS:
                    message = f"PSCloud forgot the list of SOAs {restarts} times while it was being read. Try again later."
                    raise Retryable(message) from None

    def _snapshot(self, restarted: bool, since: datetime | None) -> Iterator[Page]:
        soas, paging = self.profile.soas, self.profile.soas.pagination
        query = dict(soas.query)
        if since is not None:
            if soas.changes is None:
                raise ValueError("this connector profile cannot ask for changes")
            query = {**soas.changes.query, soas.changes.parameter: since.isoformat()}
        if paging.limit_parameter:
            query[paging.limit_parameter] = str(paging.limit)
        seen: set[str] = set()
        received = empty = number = 0
        while True:
            envelope = self._get(soas.path, query)
            number += 1
            records = self._records(envelope, soas.records)
            total = self._count(envelope, soas.total)
            received += len(records)
            empty = 0 if records else empty + 1
            yield Page(records, total, self._moment(envelope, soas.as_of), number, restarted and number == 1)
            cursor = self._value(envelope, paging.next)
            if cursor is None or cursor == "":
                return
            if not isinstance(cursor, str) or len(cursor) > 4000:
                raise Rejected(f"PSCloud's answer holds no usable {paging.next}, so the list of SOAs cannot be read to its end.")
            if cursor in seen:
                raise Rejected("PSCloud named the same next page twice, so its list of SOAs would never end. Nothing was changed here.")
            if empty > 3 or received > total + total // 10 + 1000:
                raise Rejected(
                    f"PSCloud speaks of {total} SOAs but keeps naming further pages after {received}. Nothing was changed here; "
                    "tell PSCloud's administrator that its paging does not end."
                )
            seen.add(cursor)
            query[paging.parameter] = cursor

    def summary(self) -> Summary:
        """PSCloud's control totals."""
        asked = self.profile.summary
        envelope = self._get(asked.path, asked.query)
        amount = self._value(envelope, asked.amount_due)
        try:
            return Summary(self._count(envelope, asked.count), exact(amount))
        except InvalidAmount as error:
            raise Rejected(f"PSCloud's summary cannot be read: {asked.amount_due}: {error.message}") from None

    def soa(self, soa_id: str) -> bytes | None:
        """One SOA as it stands now, as JSON text for mapping.to_soa; None when PSCloud does not know it."""
        if soa_id in {".", ".."}:
            return None
        try:
            body = self._exchange("GET", self.profile.soas.one_path.replace("{id}", quote(soa_id, safe="")))
        except Rejected as error:
            if error.status == 404:
                return None
            raise
        return body

    def collectors(self) -> tuple[list[CollectorRecord], list[str]]:
        """The collector codes, and for each one that could not be read a reason in plain words."""
        asked = self.profile.collectors
        good: list[CollectorRecord] = []
        bad: list[str] = []
        for raw in self._records(self._get(asked.path), asked.records):
            try:
                good.append(mapping.to_collector(raw, self.profile))
            except MappingError as error:
                bad.append(str(error))
        return good, bad

    # --- payments

    def post_payments(self, payments: Sequence[dict[str, Any]]) -> list[PaymentResult]:
        """Post payments (records of mapping.to_payment, at most `profile.payments.limit`), once: never repeated by itself.

        A result that cannot be read, or that is for nothing we sent, is left out: the outcome of a payment without a result
        is unknown. Raises Retryable (look at `outcome_unknown`), Rejected or AuthFailed for the request as a whole."""
        asked = self.profile.payments
        if not 1 <= len(payments) <= asked.limit:
            raise ValueError(f"from 1 to {asked.limit} payments can be posted at once, not {len(payments)}")
        body = self._exchange("POST", asked.path, body=msgspec.json.encode({asked.envelope: list(payments)}))
        sent = {str(payment.get(asked.fields.reference)) for payment in payments}
        try:
            return self._results(body, asked.results, sent)
        except Rejected as error:
            raise Retryable(error.message, outcome_unknown=True) from None

    def find_payments(self, references: Sequence[str]) -> list[PaymentResult]:
        """What PSCloud holds for these references; one it does not know is not in the list."""
        asked = self.profile.payments
        found: list[PaymentResult] = []
        for start in range(0, len(references), 50):
            wanted = list(references[start : start + 50])
            body = self._exchange("GET", asked.path, [(asked.lookup_parameter, reference) for reference in wanted])
            found += self._results(body, asked.lookup_results, set(wanted), strict=True)
        return found

    def void_payment(self, reference: str, record: dict[str, Any]) -> PaymentResult:
        """Void a payment PSCloud holds (record of mapping.to_void), once; the same again has no second effect there.

        Raises Retryable, AuthFailed or Rejected (404 when PSCloud never held it, 409 when it cannot be voided any more)."""
        path = self.profile.payments.void_path.replace("{reference}", quote(reference, safe=""))
        body = self._exchange("POST", path, body=msgspec.json.encode(record))
        try:
            result = mapping.to_result(body, self.profile)
        except MappingError as error:
            raise Retryable(f"PSCloud's answer to a void cannot be read: {error}", outcome_unknown=True) from None
        if result.reference != reference:
            raise Retryable("PSCloud answered a void with another payment's result.", outcome_unknown=True)
        return result

    def _results(self, body: bytes, path: str, wanted: set[str], *, strict: bool = False) -> list[PaymentResult]:
        results: dict[str, PaymentResult] = {}
        for raw in self._records(_open(body), path):
            try:
                result = mapping.to_result(raw, self.profile)
            except MappingError as error:
                if strict:  # when asked what it holds, an unreadable entry must not look like "nothing"
                    raise Rejected(f"PSCloud's answer about payments cannot be read: {error}") from None
                continue
            if result.reference in wanted:
                results.setdefault(result.reference, result)
        return list(results.values())

    # --- one answer

    def _records(self, envelope: dict[str, msgspec.Raw], path: str) -> list[bytes]:
        try:
            part = mapping.at_path(envelope, path)
            if part is None:
                raise ValueError
            return mapping.split_list(part)
        except ValueError:
            raise Rejected(
                f"PSCloud's answer holds no list named {path}. Check the connector profile with PSCloud's administrator."
            ) from None

    def _value(self, envelope: dict[str, msgspec.Raw], path: str) -> Any:
        try:
            part = mapping.at_path(envelope, path) if path else None
        except ValueError:
            part = None
        return None if part is None else _read(bytes(part))

    def _count(self, envelope: dict[str, msgspec.Raw], path: str) -> int:
        value = self._value(envelope, path)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100_000_000:
            raise Rejected(
                f"PSCloud's answer holds no usable count named {path}. Check the connector profile with PSCloud's administrator."
            )
        return value

    def _moment(self, envelope: dict[str, msgspec.Raw], path: str) -> datetime | None:
        value = self._value(envelope, path)
        if value is None:
            return None
        try:
            return mapping.read_instant(str(value), path)
        except MappingError as error:
            raise Rejected(f"PSCloud's answer cannot be read: {error}") from None

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, msgspec.Raw]:
        return _open(self._exchange("GET", path, list((query or {}).items())))

    # --- the exchange

    def _exchange(self, method: str, path: str, query: Sequence[tuple[str, str]] = (), body: bytes | None = None) -> bytes:
        """The JSON body of a 2xx answer. GET is repeated with growing pauses as long as that can help; POST never is."""
        attempts = self.attempts if method == "GET" else 1
        for attempt in range(1, attempts + 1):
            self.on_wait()
            try:
                return self._judge(self._send(method, path, query, body), posted=method == "POST")
            except Retryable as error:
                wish = error.retry_after
                if attempt == attempts or (wish is not None and wish > LONGEST_RETRY_AFTER):
                    raise
                pause = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
                # Jitter, so that many portals do not come back at the same moment; never earlier than PSCloud asked.
                self._pause((wish or 0) + pause * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    def _pause(self, seconds: float) -> None:
        while seconds > 0:
            self.on_wait()
            self.sleep(min(seconds, PAUSE_SLICE))
            seconds -= PAUSE_SLICE

    def _send(self, method: str, path: str, query: Sequence[tuple[str, str]], body: bytes | None) -> _Answer:
        """One request under one deadline. Raises Retryable or Rejected."""
        posted = method == "POST"
        cut = threading.Event()
        too_late = threading.Timer(self.deadline, self._cut, [cut])
        too_late.daemon = True
        too_late.start()
        try:
            response = self._session.request(
                method,
                self.url + path,
                params=list(query) or None,
                data=body,
                headers={"Content-Type": "application/json"} if body is not None else None,
                timeout=(min(CONNECT_PATIENCE, self.deadline), min(READ_PATIENCE, self.deadline)),
                allow_redirects=False,
                stream=True,
            )
            with response:
                answer = _Answer(response.status_code, response.headers, self._body(response.raw))
            if cut.is_set():  # without a length, an answer that was cut off looks like one that is complete
                raise TimeoutError
            return answer
        except AddressRefused as error:
            raise Rejected(
                f"PSCloud's address was refused: {error}, which is inside a private network. "
                "If PSCloud really stands there, set PSCLOUD_ALLOW_PRIVATE=1."
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            unknown = posted and not _never_sent(error)
            if cut.is_set():
                text = f"PSCloud did not finish its answer within {self.deadline:g} seconds."
                raise Retryable(text, outcome_unknown=unknown) from None
            if _is_wrong_certificate(error):
                text = f"The certificate of {self.host} cannot be verified, so nothing was sent."
                raise Rejected(f"{text} Check PSCLOUD_URL with PSCloud's administrator.") from None
            raise Retryable(_why(error, self.host), outcome_unknown=unknown) from None
        finally:
            too_late.cancel()
            self._guard.tidy()

    def _cut(self, cut: threading.Event) -> None:
        cut.set()
        self._guard.cut()

    def _body(self, raw: urllib3.HTTPResponse) -> bytes:
        """The decompressed body. Raises Rejected above the limit, before it is in memory."""
        parts = bytearray()
        while True:
            part = raw.read1(65536, decode_content=True)
            if not part:
                return bytes(parts)
            parts += part
            if len(parts) > self.largest_body:
                raise Rejected(
                    f"PSCloud's answer is larger than {self.largest_body // (1024 * 1024)} MB. Ask for smaller pages in the profile."
                )

    def _judge(self, answer: _Answer, *, posted: bool) -> bytes:
        """The body of a good answer; raises for every other."""
        status = answer.status
        if 200 <= status < 300:
            start = answer.body[:64].lstrip()
            if start[:1] not in {b"{", b"["} or not _is_json(answer.body):
                text = "a web page" if start.startswith(b"<") else "nothing" if not answer.body else "something that is not valid JSON"
                raise Retryable(
                    f"PSCloud's address answered with {text} instead of data. A proxy or a log-in page may stand in between; "
                    "nothing of it was used.",
                    outcome_unknown=posted,
                )
            return answer.body
        says = _error_text(answer.body)
        if status == 401:
            raise AuthFailed(
                f"PSCloud does not accept the token (401).{says} Ask its administrator for a valid one and set PSCLOUD_TOKEN.", 401
            )
        if status == 403:
            raise AuthFailed(f"PSCloud refuses this to our token (403).{says} Ask its administrator for the missing permission.", 403)
        if 300 <= status < 400:
            raise Rejected(
                f"PSCloud's address sends us elsewhere ({status}), which is not followed. Write the final address into PSCLOUD_URL.", status
            )
        if status in {408, 425, 429} or status >= 500:
            wish = _retry_after(answer.headers.get("Retry-After"))
            what = "asks us to wait" if status == 429 else "is under maintenance" if status == 503 else "has a fault of its own"
            raise Retryable(f"PSCloud {what} ({status}).{says}", wish, outcome_unknown=posted and status != 429)
        raise Rejected(f"PSCloud refused the request ({status}).{says}", status)

    def _authorise(self, token: str) -> None:
        auth = self.profile.auth
        if not token.isascii() or any(ord(character) < 32 for character in token):
            raise Rejected("PSCLOUD_TOKEN holds a character that no token has. Copy it again.")
        if not token:
            return  # PSCloud will answer 401, and that message says what to do
        value = token
        if auth.style == "bearer":
            value = f"Bearer {token}"
        elif auth.style == "basic":
            value = "Basic " + base64.b64encode(token.encode()).decode()
        self._session.headers[auth.header] = value


def _nothing() -> None:
    return None


def _read(text: bytes) -> Any:
    try:
        return mapping.read_json(text)
    except ValueError:
        return None


def _open(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return mapping.open_envelope(body)
    except ValueError:
        raise Rejected("PSCloud answered with JSON that is not an object. Nothing of it was used.") from None


def _is_json(body: bytes) -> bool:
    try:
        mapping.open_envelope(body)
    except ValueError:
        return False
    return True


def _retry_after(text: str | None) -> float | None:
    """Seconds from now, of a Retry-After in seconds or as an HTTP date; None when there is none that can be read."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _error_text(body: bytes) -> str:
    """What PSCloud says of its error, as a sentence with a space before it; empty when it is not PSCloud that answers."""
    value = _read(body[:20_000])
    error = value.get("error") if isinstance(value, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    if not isinstance(message, str):
        return ""
    text = " ".join("".join(character if character.isprintable() else " " for character in message[:300]).split())
    return f" It says: {text.rstrip('.')}." if text else ""


def _why(error: Exception, host: str) -> str:
    """A network failure in plain words."""
    text = repr(error)
    if "NameResolutionError" in text:
        return f"The name {host} cannot be found. Check the internet connection and PSCLOUD_URL."
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return f"PSCloud at {host} did not answer in time."
    if isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        return "PSCloud's answer is damaged: it cannot be decompressed."
    if _never_sent(error):
        return f"PSCloud at {host} cannot be reached. Check that it runs, and the network between."
    return f"The connection to PSCloud at {host} broke off."


def _is_wrong_certificate(error: Exception) -> bool:
    return isinstance(error, requests.exceptions.SSLError) and "certificate" in repr(error).lower()


def _never_sent(error: Exception) -> bool:
    """Whether the request certainly did not reach PSCloud: there was no connection."""
    inner = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else error
    reason = getattr(inner, "reason", inner)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
