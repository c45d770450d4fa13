"""Talking to PSCloud: asks and posts by the connector profile, and turns every way it can fail into one of three plain errors."""

from __future__ import annotations

import base64
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import requests
import urllib3

from portal.domain.errors import InvalidAmount
from portal.domain.money import ZERO
from portal.pscloud import answers, mapping, payments_list
from portal.pscloud.errors import AuthFailed, PscloudError, Rejected, Retryable
from portal.pscloud.joins import Joiner, ListMoved, in_query
from portal.pscloud.mapping import CollectorRecord, MappingError, PaymentResult
from portal.pscloud.paging import Answer, count_of, key_of, read_pages, records_of
from portal.pscloud.profile import Login, Profile, ProfileError, load
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
SHORT_SESSION = 300.0
"""A session that PSCloud ends again within so many seconds after it was renewed is not renewed any more."""
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of SOAs. `records` are JSON texts for mapping.to_soa; `total` counts the whole snapshot, None when PSCloud does not say.
    `restarted` means that PSCloud forgot the snapshot, or mixed it up, and this is the first page of a new one: what came before it must be
    thrown away. `moved` means that the list changed between this page and the one before, so that an SOA may have been missed."""

    records: list[bytes]
    total: int | None
    as_of: datetime | None
    number: int
    restarted: bool
    moved: bool = False


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
    url: str
    seconds: float


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
        self._session.headers.update(profile.headers)
        listings = (profile.soas, profile.collectors, profile.payments.lookup, *profile.joins.values())
        bare = any(one is not None and not one.records for one in listings)
        self._beginnings = {b"{", b"["} if bare else {b"{"}
        self._token = token
        self._logged_in = False
        self._session_since: float | None = None
        self._authorise()

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
        """End PSCloud's session, where there is one, and give the connections back."""
        self._log_out()
        self._session.close()
        self._guard.tidy()

    def __enter__(self) -> PscloudClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what PSCloud is asked

    def status(self) -> dict[str, Any]:
        """Whether PSCloud lives: what it says of itself, as it sends it; empty when the profile names no address for that."""
        if not self.profile.status_path:
            return {}
        value = _read(self._get(self.profile.status_path).body)
        return value if isinstance(value, dict) else {"answer": value}

    def soa_pages(self, since: datetime | None = None) -> Iterator[Page]:
        """Every page of the snapshot; with `since`, of what changed at or after that instant of PSCloud's, whatever its status is now.

        Raises Rejected for a list that repeats or never ends, and Retryable after too many restarts."""
        restarts = 0
        restarted = False
        while True:
            try:
                for page in self._snapshot(restarted, since):
                    restarted = False
                    yield page
                return
            except ListMoved:
                told = f"PSCloud's list of SOAs changed {restarts + 1} times while it was being read. Try again later."
            except Rejected as error:
                if error.status != 410:
                    raise
                told = f"PSCloud forgot the list of SOAs {restarts + 1} times while it was being read. Try again later."
            restarts += 1
            restarted = True
            if restarts > RESTARTS:
                raise Retryable(told)

    def _snapshot(self, restarted: bool, since: datetime | None) -> Iterator[Page]:
        soas = self.profile.soas
        query = dict(soas.query)
        if since is not None:
            if soas.changes is None:
                raise ValueError("this connector profile cannot ask for changes")
            moment = mapping.write_instant(since, self.profile.formats)
            query |= {name: text.replace("{since}", moment) for name, text in soas.changes.query.items()}
            query = {name: text for name, text in query.items() if text or soas.changes.query.get(name) != ""}
        joiner = Joiner(self._get, self.profile, side_by_side=since is None)
        counted = soas.count is not None and since is None
        total = self._counted() if counted else None
        waiting: Page | None = None
        as_of: datetime | None = None
        for raw in read_pages(self._get, soas, "SOAs", self.profile.soa.id, list(query.items()), total):
            records = joiner.attach(raw.records, raw.moved)
            if soas.as_of or as_of is None:
                as_of = self._as_of(raw.answer)
            page = Page(records, raw.total, as_of, raw.number, restarted and raw.number == 1, raw.moved)
            if not counted:
                yield page
                continue
            if waiting is not None:
                yield waiting
            waiting = page
        joiner.finish()
        if waiting is not None:  # the last page tells how many SOAs there are now: another number than before means that the list moved
            yield replace(waiting, total=self._counted(), moved=waiting.moved)

    def _counted(self) -> int:
        """How many SOAs there are, by the call of its own that the profile names."""
        asked = self.profile.soas.count
        if asked is None:
            raise AssertionError("the profile has no soas.count")
        return count_of(self._get(asked.path, list(asked.query.items())).body, asked.value)

    def summary(self) -> Summary:
        """PSCloud's control totals. Raises Rejected also when the profile names none."""
        asked = self.profile.summary
        if asked.style == "none":
            raise Rejected("The connector profile says that PSCloud has none.")
        if asked.style == "list":
            return self._added_up()
        body = self._get(asked.path, list(asked.query.items())).body
        count = count_of(body, asked.count)
        try:
            part = answers.part_at(body, asked.amount_due)
            if part is None:
                raise ValueError
            amount = answers.read_json(part)
            # A database that adds up nothing says null.
            return Summary(count, ZERO if amount is None and count == 0 else mapping.read_amount(amount, self.profile.formats))
        except ValueError:
            raise Rejected(f"PSCloud's summary cannot be read: {asked.amount_due} is not there.") from None
        except InvalidAmount as error:
            raise Rejected(f"PSCloud's summary cannot be read: {asked.amount_due}: {error.message}") from None

    def _added_up(self) -> Summary:
        """Control totals from reading the list once more. Raises Retryable when it moved meanwhile."""
        soas, fields = self.profile.soas, self.profile.soa
        query = list((self.profile.summary.query or soas.query).items())
        seen: set[str | bytes] = set()
        amount = ZERO
        for page in read_pages(self._get, soas, "SOAs", fields.id, query):
            if page.moved:
                raise Retryable("PSCloud's list of SOAs changed while it was added up.")
            for record in page.records:
                key = key_of(record, fields.id) or record
                if key in seen:
                    continue
                seen.add(key)
                try:
                    part = answers.part_at(record, fields.amount_due)
                    amount += ZERO if part is None else mapping.read_amount(answers.read_json(part), self.profile.formats)
                except (ValueError, InvalidAmount):
                    continue  # a record that cannot be read is counted and set aside by the download itself
        return Summary(len(seen), amount)

    def soa(self, soa_id: str) -> bytes | None:
        """One SOA as it stands now, as JSON text for mapping.to_soa; None when PSCloud does not know it."""
        if soa_id in {".", ".."}:
            return None
        try:
            soas = self.profile.soas
            body = self._get(_fill(soas.one_path, id=soa_id), list(soas.one_query.items())).body
        except Rejected as error:
            if error.status == 404:
                return None
            raise
        record = _part(body, self.profile.soas.one_record)
        if record is None:
            raise Rejected(
                f"PSCloud's answer holds no SOA at {self.profile.soas.one_record}. Check soas.one_record in the connector profile."
            )
        return Joiner(self._get, self.profile, side_by_side=False).attach([record])[0]

    def collectors(self) -> tuple[list[CollectorRecord], list[str]]:
        """The collector codes, and for each one that could not be read a reason in plain words."""
        asked = self.profile.collectors
        if asked is None:
            raise Rejected("The connector profile names no list of them.")
        good: list[CollectorRecord] = []
        bad: list[str] = []
        for page in read_pages(self._get, asked, "collector codes", asked.fields.code):
            for raw in page.records:
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
        sent = {str(_value(payment, asked.fields.reference)) for payment in payments}
        record: Any = list(payments) if asked.style == "batch" else payments[0]
        try:
            body = self._exchange("POST", asked.path, body=_encoder.encode({asked.envelope: record} if asked.envelope else record)).body
        except Rejected as error:
            if error.status not in asked.refused:
                raise
            raw = error.answer.decode("utf-8", "replace")
            return [PaymentResult(sent.pop(), "rejected", None, error.code[:100], error.says or error.message, raw)]
        try:
            if asked.style == "batch":
                return self._results(records_of(body, asked.results), sent)
            one = _part(body, asked.results)
            return self._results([] if one is None else [one], sent)
        except Rejected as error:
            raise Retryable(error.message, outcome_unknown=True) from None

    def find_payments(self, references: Sequence[str]) -> list[PaymentResult]:
        """What PSCloud holds for these references; one it does not know is not in the list."""
        asked = self.profile.payments.lookup
        found: list[PaymentResult] = []
        for start in range(0, len(references), asked.keys.limit):
            wanted = list(references[start : start + asked.keys.limit])
            for page in read_pages(self._get, asked, "payments", "", [*asked.query.items(), *in_query(asked.keys, wanted)]):
                if page.moved:
                    raise Retryable("PSCloud's list of payments changed while it was read. Try again later.")
                found += self._results(page.records, set(wanted), strict=True)
        return found

    def held_payments(self, references: Sequence[str]) -> dict[str, payments_list.HeldPayment]:
        """What PSCloud holds for these references, with all it tells of each; one it does not know is not in it."""
        return payments_list.by_reference(self._get, self.profile, references)

    def listed_payments(self, since: datetime | None) -> Iterator[payments_list.ListedPage]:
        """PSCloud's own list of payments, page by page. Raises ValueError when the profile names none."""
        return payments_list.listed(self._get, self.profile, since)

    def void_payment(self, reference: str, record: dict[str, Any]) -> PaymentResult:
        """Void a payment PSCloud holds (record of mapping.to_void), once; the same again has no second effect there.

        Raises Retryable, AuthFailed or Rejected (404 when PSCloud never held it, 409 when it cannot be voided any more)."""
        asked, void = self.profile.payments, self.profile.payments.void
        pscloud_id = ""
        if void.ask_first or "{pscloud_id}" in asked.void_path:
            held = next((result for result in self.find_payments([reference]) if result.status != "rejected"), None)
            if held is None:
                raise Rejected("PSCloud does not hold this payment, so it cannot void it.", 404)
            if held.status == "voided":
                return held
            if "{pscloud_id}" in asked.void_path and not held.pscloud_id:
                raise Rejected(
                    "PSCloud gave this payment no id of its own, so it cannot be told which to void. Void it there by hand.", 409
                )
            pscloud_id = held.pscloud_id or ""
        names = {"{reference}": reference, "{pscloud_id}": pscloud_id}
        filled = {name: _named(value, names) if void.fixed.get(name) == value else value for name, value in record.items()}
        path = _fill(asked.void_path, reference=reference, pscloud_id=pscloud_id)
        try:
            body = self._exchange(void.method, path, body=_encoder.encode(filled)).body
        except Rejected as error:
            if error.status not in asked.refused:
                raise
            raise Rejected(error.message, 409, code=error.code, says=error.says, answer=error.answer) from None
        try:
            part = _part(body, void.record)
            if part is None:
                raise MappingError(void.record, "The field is missing.")
            result = mapping.to_result(part, self.profile)
        except (MappingError, Rejected) as error:
            raise Retryable(f"PSCloud's answer to a void cannot be read: {error}", outcome_unknown=True) from None
        if result.reference != reference:
            raise Retryable("PSCloud answered a void with another payment's result.", outcome_unknown=True)
        return result

    def _results(self, records: list[bytes], wanted: set[str], *, strict: bool = False) -> list[PaymentResult]:
        results: dict[str, PaymentResult] = {}
        for raw in records:
            try:
                result = mapping.to_result(raw, self.profile)
            except MappingError as error:
                if strict:  # when asked what it holds, an unreadable entry must not look like "nothing"
                    raise Rejected(f"PSCloud's answer about payments cannot be read: {error}") from None
                continue
            if result.reference in wanted:
                results.setdefault(result.reference, result)
        return list(results.values())

    def _as_of(self, answer: Answer) -> datetime | None:
        """When the list was taken, by PSCloud's clock: as the answer says, or else its header less the time the answer took."""
        soas = self.profile.soas
        if soas.as_of_header:
            sent = _http_date(answer.headers.get(soas.as_of_header) or "")
            return None if sent is None else sent - timedelta(seconds=answer.seconds)
        part = _part(answer.body, soas.as_of) if soas.as_of else None
        value = None if part is None else _read(part)
        if value is None:
            return None
        try:
            return mapping.read_instant(str(value), soas.as_of, self.profile.formats)
        except MappingError as error:
            raise Rejected(f"PSCloud's answer cannot be read: {error}") from None

    def _get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> _Answer:
        return self._exchange("GET", path, query)

    # --- the exchange

    def _exchange(self, method: str, path: str, query: Sequence[tuple[str, str]] = (), body: bytes | None = None) -> _Answer:
        """A 2xx answer with JSON. GET is repeated with growing pauses as long as that can help; nothing else ever is. `path` may be an
        address on PSCloud's own server."""
        attempts = self.attempts if method == "GET" else 1
        for attempt in range(1, attempts + 1):
            self.on_wait()
            try:
                return self._in_session(method, path, query, body)
            except Retryable as error:
                wish = error.retry_after
                if attempt == attempts or (wish is not None and wish > LONGEST_RETRY_AFTER):
                    raise
                pause = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
                # Jitter, so that many portals do not come back at the same moment; never earlier than PSCloud asked.
                self._pause((wish or 0) + pause * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    def _in_session(self, method: str, path: str, query: Sequence[tuple[str, str]], body: bytes | None) -> _Answer:
        """One request, in a session where PSCloud wants one. A request turned away with 401 was not done: it is repeated, also a post, in a
        new session, unless that session would be the second in a short time."""
        login = self.profile.auth.login
        if login is not None and not self._logged_in:
            self._log_in(login)
        try:
            return self._judge(self._send(method, path, query, body), posted=method != "GET")
        except AuthFailed as refusal:
            if login is None or refusal.status != 401:
                raise
            now = time.monotonic()
            if self._session_since is not None and now - self._session_since < SHORT_SESSION:
                raise AuthFailed(
                    f"PSCloud ended our session (401) again, shortly after it was renewed.{_sentence(refusal.says)} Nothing more was "
                    "tried, so that no account is locked. Ask PSCloud's administrator how long a session lasts, and whether two may be "
                    "open at once."
                ) from None
            self._session_since = now
            self._log_in(login)
        try:
            return self._judge(self._send(method, path, query, body), posted=method != "GET")
        except AuthFailed as refusal:
            if refusal.status != 401:
                raise
            raise AuthFailed(
                f"PSCloud lets us log in, but refuses what is asked in the new session too (401).{_sentence(refusal.says)} "
                "Nothing more was tried. Ask PSCloud's administrator what this user may do."
            ) from None

    def _log_in(self, login: Login) -> None:
        """Begin a session. Raises AuthFailed when PSCloud does not accept user and password; nothing that waits to be sent was sent."""
        user, _, password = self._token.partition(":")
        fields = {name: _fill_credentials(text, user, password) for name, text in login.body.items()}
        self._session.cookies.clear()
        self._session.headers.pop(self.profile.auth.header, None)
        self._logged_in = False
        form = login.encoding == "form"
        body = urlencode(fields).encode() if form else msgspec.json.encode(fields)
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        try:
            answer = self._judge(self._send("POST", login.path, (), body, kind), posted=False, empty_is_fine=not login.token)
        except Retryable as error:
            error.outcome_unknown = False
            raise
        except (AuthFailed, Rejected) as error:
            raise AuthFailed(
                f"PSCloud does not let us log in ({error.status or 'its answer cannot be used'}).{_sentence(error.says)} Check user and "
                "password in PSCLOUD_TOKEN (user:password) and [auth.login] in the connector profile. It was tried once, so that no "
                "account is locked."
            ) from None
        if login.token:
            part = _part(answer.body, login.token)
            token = None if part is None else _read(part)
            if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
                raise AuthFailed(
                    f"PSCloud's answer to the log-in holds no session at {login.token}. Check auth.login.token in the connector profile."
                )
            self._session.headers[self.profile.auth.header] = f"{self.profile.auth.prefix}{token}"
        elif not self._session.cookies:
            raise AuthFailed(
                "PSCloud's answer to the log-in set no cookie, so there is no session. Check [auth.login] in the connector profile."
            )
        self._logged_in = True

    def _log_out(self) -> None:
        login = self.profile.auth.login
        if login is None or not self._logged_in or not login.logout_path:
            return
        self._logged_in = False
        self.deadline = min(self.deadline, 5.0)
        try:
            self._send("POST", login.logout_path, (), b"{}")
        except PscloudError:
            pass  # the session runs out by itself

    def _pause(self, seconds: float) -> None:
        while seconds > 0:
            self.on_wait()
            self.sleep(min(seconds, PAUSE_SLICE))
            seconds -= PAUSE_SLICE

    def _send(
        self, method: str, path: str, query: Sequence[tuple[str, str]], body: bytes | None, kind: str = "application/json"
    ) -> _Answer:
        """One request under one deadline. Raises Retryable or Rejected."""
        posted = method != "GET"
        cut = threading.Event()
        too_late = threading.Timer(self.deadline, self._cut, [cut])
        too_late.daemon = True
        too_late.start()
        begun = time.monotonic()
        try:
            response = self._session.request(
                method,
                self.url + path if path.startswith("/") else path,
                params=list(query) or None,
                data=body,
                headers={"Content-Type": kind} if body is not None else None,
                timeout=(min(CONNECT_PATIENCE, self.deadline), min(READ_PATIENCE, self.deadline)),
                allow_redirects=False,
                stream=True,
            )
            with response:
                answer = _Answer(
                    response.status_code, response.headers, self._body(response.raw), response.url or "", time.monotonic() - begun
                )
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

    def _judge(self, answer: _Answer, *, posted: bool, empty_is_fine: bool = False) -> _Answer:
        """A good answer as it is; raises for every other."""
        status = answer.status
        if 200 <= status < 300:
            start = answer.body[:64].lstrip()
            if empty_is_fine and not start:
                return answer
            if start[:1] not in self._beginnings or not answers.is_json(answer.body):
                text = "a web page" if start.startswith(b"<") else "nothing" if not answer.body else "something that is not valid JSON"
                raise Retryable(
                    f"PSCloud's address answered with {text} instead of data. A proxy or a log-in page may stand in between; "
                    "nothing of it was used.",
                    outcome_unknown=posted,
                )
            return answer
        code, message = (self._said(answer.body, paths) for paths in (self.profile.errors.code, self.profile.errors.message))
        says = _sentence(message)
        if status == 401:
            raise AuthFailed(
                f"PSCloud does not accept the token (401).{says} Ask its administrator for a valid one and set PSCLOUD_TOKEN.", 401, message
            )
        if status == 403:
            raise AuthFailed(
                f"PSCloud refuses this to our token (403).{says} Ask its administrator for the missing permission.", 403, message
            )
        if 300 <= status < 400:
            raise Rejected(
                f"PSCloud's address sends us elsewhere ({status}), which is not followed. Write the final address into PSCLOUD_URL.", status
            )
        if status in {408, 425, 429} or status >= 500:
            wish = _retry_after(answer.headers.get("Retry-After"))
            what = "asks us to wait" if status == 429 else "is under maintenance" if status == 503 else "has a fault of its own"
            raise Retryable(f"PSCloud {what} ({status}).{says}", wish, outcome_unknown=posted and status != 429)
        raise Rejected(f"PSCloud refused the request ({status}).{says}", status, code=code, says=message, answer=answer.body[:20_000])

    def _said(self, body: bytes, paths: Sequence[str]) -> str:
        """What PSCloud gives as its reason, at the first of these paths that holds a text; empty when it is not PSCloud that answers."""
        return next((text for path in paths if (text := answers.text_at(body[:20_000], path))), "")

    def _authorise(self) -> None:
        auth, token = self.profile.auth, self._token
        if not token.isascii() or any(ord(character) < 32 for character in token):
            raise Rejected("PSCLOUD_TOKEN holds a character that no token has. Copy it again.")
        if auth.style in {"basic", "session"} and token and ":" not in token:
            raise Rejected("PSCLOUD_TOKEN must be user:password, because the connector profile logs in with both.")
        if not token or auth.style == "session":
            return  # without a token PSCloud will answer 401, and that message says what to do
        value = f"{auth.prefix}{token}"
        if auth.style == "bearer":
            value = f"Bearer {token}"
        elif auth.style == "basic":
            value = "Basic " + base64.b64encode(token.encode()).decode()
        self._session.headers[auth.header] = value


def _nothing() -> None:
    return None


def _read(text: bytes) -> Any:
    try:
        return answers.read_json(text)
    except ValueError:
        return None


def _part(body: bytes, path: str) -> bytes | None:
    try:
        return answers.part_at(body, path)
    except ValueError:
        return None


def _value(record: Mapping[str, Any], path: str) -> Any:
    return answers.value_at(record, path)


def _fill(path: str, **values: str) -> str:
    """A path with values put in. Between single quotes (OData) a quote is written twice, so that it ends nothing."""
    for name, value in values.items():
        path = path.replace(f"'{{{name}}}'", "'" + quote(value.replace("'", "''"), safe="") + "'")
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def _named(value: Any, names: Mapping[str, str]) -> Any:
    """A fixed value of the profile with the payment's names put in."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(name, text)
    return value


def _fill_credentials(text: str, user: str, password: str) -> str:
    """Both put in at once, so that braces inside a password stay what they are."""
    before, found, after = text.partition("{user}")
    if found:
        return _fill_credentials(before, user, password) + user + _fill_credentials(after, user, password)
    return text.replace("{password}", password)


def _sentence(text: str) -> str:
    return f" It says: {text.rstrip('.')}." if text else ""


def _retry_after(text: str | None) -> float | None:
    """Seconds from now, of a Retry-After in seconds or as an HTTP date; None when there is none that can be read."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    moment = _http_date(text)
    if moment is None:
        return None
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
