"""One request to PSCloud and its answer: checked addresses, deadlines, repetitions, sessions, and plain words for whatever goes wrong."""

from __future__ import annotations

import base64
import math
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
import urllib3

from portal.domain.known_pages import KnownPage
from portal.pscloud import answers
from portal.pscloud.errors import AuthFailed, PscloudError, Rejected, Retryable
from portal.pscloud.profile import Login, Profile
from portal.pscloud.recognise import shortened
from portal.pscloud.transport import AddressRefused, Guard, GuardedAdapter, Watchdog

DEADLINE = 60.0
"""Seconds for one request, from connecting to the last byte."""
READ_PATIENCE = 30.0
CONNECT_PATIENCE = 10.0
LARGEST_BODY = 32 * 1024 * 1024
"""Bytes of one answer, after decompression."""
PORTION = 512 * 1024
ATTEMPTS = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
LONGEST_RETRY_AFTER = 120.0
"""A wish to wait longer than this many seconds is not waited for inside a run."""
PAUSE_SLICE = 5.0
PAGES_AHEAD = 2
"""Pages that may wait to be read while the next one is fetched."""
SHORT_SESSION = 300.0
"""A session that PSCloud ends again within so many seconds after it was renewed is not renewed any more."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    seconds: float
    size: int = 0
    cut: bool = False
    """Whether the mark of a known page stands in its body in place of the list; `size` is that of the whole body."""


class Exchange:
    """The way to one PSCloud server. Used by one thread at a time, but for interrupt(). `on_wait` is called before every request and every
    few seconds of waiting, so that a long run can show that it lives, and can be stopped by an exception raised there."""

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
        sleep: Callable[[float], object] | None = None,
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
        self.pages_ahead = PAGES_AHEAD
        self.on_wait: Callable[[], None] = _nothing
        self._interrupted = threading.Event()
        self.sleep: Callable[[float], object] = sleep or self._interrupted.wait
        self._guard = Guard(allow_private)
        self._watchdog = Watchdog(self._guard.cut)
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._origin, self._base = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        self._known: tuple[bytes, KnownPage] | None = None
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

    def close(self) -> None:
        """End PSCloud's session, where there is one, and give the connections back."""
        self._log_out()
        self._session.close()
        self._watchdog.end()
        self._guard.tidy()

    def interrupt(self) -> None:
        """From another thread: whoever waits here, for an answer or between two tries, waits no longer."""
        self._interrupted.set()
        self._guard.cut()

    def resume(self) -> None:
        """After interrupt(), when nobody waits here any more: it can be asked again."""
        self._interrupted.clear()

    def get(self, path: str, query: Sequence[tuple[str, str]] = (), known: tuple[bytes, KnownPage] | None = None) -> Answer:
        """A good answer. Of a page that is `known` (with the seed of its digest) and came again the same, the list is cut out unread."""
        self._known = known
        try:
            return self._exchange("GET", path, query)
        finally:
            self._known = None

    def _exchange(self, method: str, path: str, query: Sequence[tuple[str, str]] = (), body: bytes | None = None) -> Answer:
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

    def _in_session(self, method: str, path: str, query: Sequence[tuple[str, str]], body: bytes | None) -> Answer:
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
            found = answers.part_or_none(answer.body, login.token)
            token = None if found is None else answers.value_or_none(found)
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

    def _send(self, method: str, path: str, query: Sequence[tuple[str, str]], body: bytes | None, kind: str = "application/json") -> Answer:
        """One request under one deadline. Raises Retryable or Rejected."""
        posted = method != "GET"
        self._watchdog.arm(self.deadline)
        begun = time.monotonic()
        try:
            if method == "GET" and path.startswith("/") and not self._session.cookies:
                status, headers, address, content = self._get_plainly(path, query)
            else:
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
                    content = self._body(response.raw)
                status, headers, address = response.status_code, response.headers, response.url or ""
            if self._watchdog.disarm():  # without a length, an answer that was cut off looks like one that is complete
                raise TimeoutError
            seconds = time.monotonic() - begun
            short = None
            if self._known is not None and method == "GET" and status == 200:
                seed, page = self._known
                short = shortened(content, page, seed)
            return Answer(status, headers, short or content, address, seconds, len(content), short is not None)
        except AddressRefused as error:
            raise Rejected(
                f"PSCloud's address was refused: {error}, which is inside a private network. "
                "If PSCloud really stands there, set PSCLOUD_ALLOW_PRIVATE=1."
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            unknown = posted and not _never_sent(error)
            if self._watchdog.disarm():
                text = f"PSCloud did not finish its answer within {self.deadline:g} seconds."
                raise Retryable(text, outcome_unknown=unknown) from None
            if _is_wrong_certificate(error):
                text = f"The certificate of {self.host} cannot be verified, so nothing was sent."
                raise Rejected(f"{text} Check PSCLOUD_URL with PSCloud's administrator.") from None
            raise Retryable(_why(error, self.host), outcome_unknown=unknown) from None
        finally:
            self._watchdog.disarm()
            self._guard.tidy()

    def _get_plainly(self, path: str, query: Sequence[tuple[str, str]]) -> tuple[int, Mapping[str, str], str, bytes]:
        """Status, headers, address and body of a GET without cookies: over the connection that `requests` keeps for this server, checked as
        it checks it, but without what it does for each request besides, which is as much as a page of a list takes to come."""
        pool = self._pool or self._checked_pool()
        target = f"{self._base}{path}"
        if query:
            target += ("&" if "?" in path else "?") + urlencode(query)
        target = requests.utils.requote_uri(target)
        response = pool.urlopen(
            "GET",
            target,
            headers={name: str(value) for name, value in self._session.headers.items()},
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(min(CONNECT_PATIENCE, self.deadline), min(READ_PATIENCE, self.deadline)),
            preload_content=False,
            decode_content=False,
        )
        try:
            content = self._body(response)
        finally:
            response.close()
        if "Set-Cookie" in response.headers:  # from now on requests takes care of them
            asked = requests.Request("GET", self.url + path).prepare()
            requests.cookies.extract_cookies_to_jar(self._session.cookies, asked, response)  # type: ignore[no-untyped-call]
        return response.status, response.headers, self._origin + target, content

    def _checked_pool(self) -> urllib3.HTTPConnectionPool:
        """The connection that `requests` keeps for this server, with its certificate checked as `requests` does."""
        prepared = requests.Request("GET", self.url).prepare()
        adapter = cast(GuardedAdapter, self._session.get_adapter(self.url))
        pool = cast(urllib3.HTTPConnectionPool, adapter.get_connection_with_tls_context(prepared, verify=True))
        adapter.cert_verify(pool, self.url, True, None)  # type: ignore[no-untyped-call]
        self._pool = pool
        return pool

    def _body(self, raw: urllib3.BaseHTTPResponse) -> bytes:
        """The decompressed body. Raises Rejected above the limit, before it is in memory."""
        length = raw.headers.get("Content-Length") or ""
        if length.isdecimal() and len(length) <= 9 and 0 < int(length) <= self.largest_body and "Content-Encoding" not in raw.headers:
            whole = raw.read(int(length), decode_content=False)
            if len(whole) == int(length):
                return whole
            return whole + raw.read(decode_content=False)  # says that the rest is missing
        parts = bytearray()
        while True:
            part = raw.read1(PORTION, decode_content=True)
            if not part:
                return bytes(parts)
            parts += part
            if len(parts) > self.largest_body:
                raise Rejected(
                    f"PSCloud's answer is larger than {self.largest_body // (1024 * 1024)} MB. Ask for smaller pages in the profile."
                )

    def _judge(self, answer: Answer, *, posted: bool, empty_is_fine: bool = False) -> Answer:
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
    moment = http_date(text)
    if moment is None:
        return None
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def http_date(text: str) -> datetime | None:
    """The instant of an HTTP date, None for what is none."""
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
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # urllib3 counts it among those that took too long
        return f"PSCloud at {host} cannot be reached. Check that it runs, and the network between."
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return f"PSCloud at {host} did not answer in time."
    if isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        return "PSCloud's answer is damaged: it cannot be decompressed."
    if _never_sent(error):
        return f"PSCloud at {host} cannot be reached. Check that it runs, and the network between."
    return f"The connection to PSCloud at {host} broke off."


def _is_wrong_certificate(error: Exception) -> bool:
    return isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError) and "certificate" in repr(error).lower()


def _never_sent(error: Exception) -> bool:
    """Whether the request certainly did not reach PSCloud: there was no connection."""
    inner = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else error
    reason = getattr(inner, "reason", inner)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
