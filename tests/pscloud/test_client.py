"""The client against a server that misbehaves in every way PSCloud, a proxy or an attacker might."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from urllib3.connection import HTTPConnection

from portal.pscloud import mapping, transport
from portal.pscloud.client import AuthFailed, PscloudClient, Rejected, Retryable
from portal.pscloud.profile import load
from tests.pscloud.server import TOKEN, Answer, Asked, Script, page, record, scripted


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted() as script:
        yield script


def pages(client: PscloudClient) -> list[Any]:
    return list(client.soa_pages())


def test_pages_follow_the_cursor_and_carry_the_token(server: Script) -> None:
    server.answers(Answer(page([record(1)], "c1", 3)), Answer(page([record(2)], "c2", 3)), Answer(page([record(3)], None, 3)))
    found = pages(server.client())
    assert [len(one.records) for one in found] == [1, 1, 1] and [one.number for one in found] == [1, 2, 3]
    assert found[0].total == 3 and found[0].as_of == datetime(2026, 11, 19, 21, 0, tzinfo=UTC)
    assert [asked.query.get("cursor") for asked in server.asked] == [None, ["c1"], ["c2"]]
    assert all(asked.query["status"] == ["active"] and asked.query["limit"] == ["500"] for asked in server.asked)
    assert all(asked.headers["Authorization"] == f"Bearer {TOKEN}" for asked in server.asked)


# --- answers that are no data


@pytest.mark.parametrize(
    "body",
    [
        b"<html>log in</html>",
        b"",
        b'{"data": [',
        b"\xef\xbb\xbf{}",
        b"[]",
        b"null",
        b'{"data": [NaN]}',
        b"{" * 200_000,
        b'"text"',
        b"{}trailing",
    ],
)
def test_what_is_not_json_is_never_data(server: Script, body: bytes) -> None:
    server.answers(Answer(body))
    with pytest.raises(Retryable) as caught:
        server.client().summary()
    assert "nothing of it was used" in caught.value.message
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    "body", [{}, {"data": None, "total": 1}, {"data": {}, "total": 1}, {"data": []}, {"data": [], "total": "3"}, {"data": [], "total": -1}]
)
def test_json_of_another_shape_is_refused(server: Script, body: dict[str, Any]) -> None:
    server.answers(Answer(body))
    with pytest.raises(Rejected):
        pages(server.client())


def test_a_compressed_bomb_is_cut_off(server: Script) -> None:
    bomb = gzip.compress(b" " * 64 * 1024 * 1024)
    assert len(bomb) < 100_000
    server.answers(Answer(bomb, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(Rejected, match="larger than 32 MB"):
        server.client().summary()


def test_a_page_larger_than_any_page_is_refused_however_it_is_sent(server: Script) -> None:
    client = server.client(largest_body=200_000)
    for body in (b" " * 200_001, page([record(1, address="x" * 250_000)], None, 1)):
        server.answers(Answer(body))
        with pytest.raises(Rejected, match="larger than"):
            pages(client)


def test_compressed_answers_are_read_and_damaged_ones_tried_again(server: Script) -> None:
    good = gzip.compress(json.dumps({"count": 1, "amount_due": "5.00"}).encode())
    headers = {"Content-Encoding": "gzip"}
    server.answers(Answer(b"no gzip at all", headers=headers), Answer(good[:-12], headers=headers), Answer(good, headers=headers))
    assert server.client().summary().count == 1


def test_an_answer_cut_short_is_tried_again(server: Script) -> None:
    whole = json.dumps({"count": 1, "amount_due": "5.00"}).encode()
    server.answers(Answer(whole[:10], headers={"Content-Length": str(len(whole))}, raw=cut_short(whole)), Answer(whole))
    assert server.client().summary().count == 1


def cut_short(whole: bytes) -> Any:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole[:10])

    return write


# --- trying again


def test_faults_are_tried_again_with_growing_pauses(server: Script) -> None:
    server.answers(Answer(status=500), Answer(b"<html>bad gateway</html>", 502), Answer(status=503), Answer({"count": 0, "amount_due": 0}))
    client = server.client()
    assert client.summary().count == 0
    first, second, third = client.pauses  # type: ignore[attr-defined]
    assert 0.25 <= first <= 0.5 <= second <= 1 <= third <= 2


def test_it_gives_up_after_a_while_and_says_what_pscloud_said(server: Script) -> None:
    server.answers(Answer({"error": {"code": "maintenance", "message": "Back at noon\x1b[31m"}}, 503))
    with pytest.raises(Retryable, match=r"under maintenance.*It says: Back at noon") as caught:
        server.client().summary()
    assert "\x1b" not in caught.value.message
    assert len(server.asked) == 5


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_obeyed_in_both_forms(server: Script, as_date: bool) -> None:
    wish = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True) if as_date else "8"
    server.answers(Answer(status=429, headers={"Retry-After": wish}), Answer({"count": 2, "amount_due": 0}))
    client = server.client()
    assert client.summary().count == 2
    waited = sum(client.pauses)  # type: ignore[attr-defined]
    assert 7 <= waited <= 14
    assert max(client.pauses) <= 5, "long waits are cut, so that the run can show that it lives"  # type: ignore[attr-defined]


@pytest.mark.parametrize("wish", ["3600", "999999999", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_too_long_a_wish_ends_the_request_at_once(server: Script, wish: str) -> None:
    server.answers(Answer(status=503, headers={"Retry-After": wish}))
    with pytest.raises(Retryable) as caught:
        server.client().summary()
    assert caught.value.retry_after and caught.value.retry_after >= 3600 and len(server.asked) == 1


@pytest.mark.parametrize("wish", ["soon", "-5", "1e3", "٣", "", "nan", "99999999999999999999"])
def test_an_unreadable_wish_is_no_wish(server: Script, wish: str) -> None:
    server.answers(
        Answer(status=429, headers={"Retry-After": wish.encode("utf-8").decode("latin-1")}), Answer({"count": 2, "amount_due": 0})
    )
    assert server.client().summary().count == 2


def test_a_wrong_token_is_not_tried_again(server: Script) -> None:
    server.answers(Answer({"error": {"code": "x", "message": "expired"}}, 401))
    with pytest.raises(AuthFailed, match="does not accept the token") as caught:
        server.client().summary()
    assert caught.value.status == 401 and len(server.asked) == 1
    server.answers(Answer(status=403))
    with pytest.raises(AuthFailed, match="permission"):
        server.client().summary()
    assert len(server.asked) == 2


def test_on_wait_can_stop_a_request_that_is_waiting(server: Script) -> None:
    server.answers(Answer(status=503, headers={"Retry-After": "100"}))
    client = server.client()
    calls = []

    def on_wait() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    client.on_wait = on_wait
    with pytest.raises(KeyboardInterrupt):
        client.summary()


# --- the deadline


@pytest.mark.parametrize("part", ["headers", "body", "body of a server that closes"])
def test_a_slow_drip_meets_the_deadline(server: Script, part: str) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        if part != "headers":
            closing = b"Connection: close\r\n" if part.endswith("closes") else b""
            handler.wfile.write(closing + b"Content-Length: 100000\r\n\r\n")
        for _ in range(60):
            handler.wfile.write(b"X" if part != "headers" else b"X-Drip: 1\r\n")
            handler.wfile.flush()
            time.sleep(0.1)

    server.answers(Answer(raw=drip))
    started = time.monotonic()
    with pytest.raises(Retryable, match=r"did not finish its answer within 0\.5 seconds"):
        server.client(deadline=0.5, attempts=1).summary()
    assert time.monotonic() - started < 2


def test_a_server_that_says_nothing_meets_the_deadline(server: Script) -> None:
    server.answers(Answer(raw=lambda handler: time.sleep(2)))
    started = time.monotonic()
    with pytest.raises(Retryable):
        server.client(deadline=0.3, attempts=1).summary()
    assert time.monotonic() - started < 1.5


def test_after_a_deadline_the_client_still_works(server: Script) -> None:
    server.answers(Answer(raw=lambda handler: time.sleep(1)), Answer({"count": 7, "amount_due": 0}))
    assert server.client(deadline=0.3).summary().count == 7


# --- where it may go


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/", "http://169.254.169.254/latest", "//evil.example/x", "/api/v1/other"])
def test_redirects_are_not_followed(server: Script, place: str) -> None:
    server.answers(Answer(status=302, headers={"Location": place}))
    with pytest.raises(Rejected, match="not followed"):
        server.client().summary()
    assert len(server.asked) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]"])
def test_private_addresses_are_refused_at_connect(server: Script, host: str) -> None:
    client = PscloudClient(f"https://{host}:{server.port}", TOKEN, load(), sleep=lambda _: None)
    with pytest.raises((Rejected, Retryable)) as caught:
        client.summary()
    if isinstance(caught.value, Rejected):
        assert "private network" in caught.value.message
    else:
        assert "cannot be found" in caught.value.message, "a form of writing that the system does not resolve is as good"
    assert server.asked == []


def test_a_name_that_changes_its_mind_is_checked_again(server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    guard = transport.Guard(allow_private=False)
    connected: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connected.append(address))
    connection = HTTPConnection("rebind.example", server.port, timeout=1)
    first, handle = guard.connect(connection)
    first.close()
    guard.forget(handle)
    guard.tidy()
    assert connected == [("93.184.216.34", server.port)], "it connects to the very address that was checked"
    with pytest.raises(transport.AddressRefused):
        guard.connect(connection)
    assert len(connected) == 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert transport.is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x",
        "file:///etc/passwd",
        "pscloud.example.com",
        "https://",
        "https://u:p@host",
        "https://h?x=1",
        "http://pscloud.example.com",
    ],
)
def test_an_address_that_cannot_be_right_is_refused(url: str) -> None:
    with pytest.raises(Rejected, match="PSCLOUD_URL"):
        PscloudClient(url, TOKEN, load())


def test_a_dead_server_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = PscloudClient(f"http://127.0.0.1:{port}", TOKEN, load(), allow_private=True, attempts=1)
    with pytest.raises(Retryable, match="cannot be reached"):
        client.summary()
    with pytest.raises(Retryable) as caught:
        client.post_payments([{"reference": "r"}])
    assert not caught.value.outcome_unknown, "nothing was sent, so nothing needs to be asked"


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(datetime(2000, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
    signed = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False).sign(key, hashes.SHA256())
    pem = tmp_path / "own.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    asked: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                asked.append(secure.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        url = f"https://localhost:{listening.getsockname()[1]}"
        with PscloudClient(url, TOKEN, load(), allow_private=True, attempts=1) as client:
            with pytest.raises(Rejected, match="certificate of localhost cannot be verified"):
                client.summary()
            with pytest.raises(Rejected, match="certificate of localhost cannot be verified"):
                client.post_payments([{"reference": "r"}])
        thread.join(10)
    assert asked == [], "nothing was sent, the token least of all"


# --- paging that does not end


def test_a_cursor_that_repeats_is_refused(server: Script) -> None:
    server.answers(Answer(page([record(1)], "same", 5)))
    with pytest.raises(Rejected, match="same next page twice"):
        pages(server.client())
    assert len(server.asked) == 2


def test_paging_without_end_is_refused(server: Script) -> None:
    server.reply = lambda asked: Answer(page([record(n) for n in range(500)], f"c{len(server.asked)}", 10))
    with pytest.raises(Rejected, match="does not end"):
        pages(server.client())
    assert len(server.asked) < 6


def test_empty_pages_without_end_are_refused(server: Script) -> None:
    server.reply = lambda asked: Answer(page([], f"c{len(server.asked)}", 10))
    with pytest.raises(Rejected, match="does not end"):
        pages(server.client())


def test_one_record_a_page_is_slow_but_fine(server: Script) -> None:
    def reply(asked: Asked) -> Answer:
        number = int(asked.query.get("cursor", ["0"])[0])
        return Answer(page([record(number)], str(number + 1) if number < 29 else None, 30))

    server.reply = reply
    assert len(pages(server.client())) == 30


def test_a_forgotten_snapshot_is_started_again(server: Script) -> None:
    server.answers(
        Answer(page([record(1)], "c1", 2)), Answer(status=410), Answer(page([record(1)], "d1", 2)), Answer(page([record(2)], None, 2))
    )
    assert [(one.number, one.restarted) for one in pages(server.client())] == [(1, False), (1, True), (2, False)]


def test_a_snapshot_forgotten_again_and_again_is_given_up(server: Script) -> None:
    server.reply = lambda asked: Answer(status=410) if "cursor" in asked.query else Answer(page([record(1)], "c", 2))
    with pytest.raises(Retryable, match="forgot the list"):
        pages(server.client())


# --- single records, codes, payments


def test_one_soa_or_none(server: Script) -> None:
    server.reply = lambda asked: Answer(record(1)) if asked.path == "/api/v1/soas/S%2F1" else Answer(status=404)
    client = server.client()
    assert client.soa("S/1") is not None
    assert client.soa("unknown") is None and client.soa("..") is None


def test_collectors_that_cannot_be_read_are_reported(server: Script) -> None:
    server.answers(
        Answer({"data": [{"code": "A", "name": "North"}, {"code": None, "name": "x"}, {"code": "B", "name": "S", "active": "yes"}]})
    )
    good, bad = server.client().collectors()
    assert [(one.code, one.area, one.active) for one in good] == [("A", "", True)] and len(bad) == 2


def test_posting_gives_a_result_for_each_and_leaves_out_what_cannot_be_read(server: Script) -> None:
    results = [
        {"reference": "a", "status": "accepted", "pscloud_id": "P1"},
        {"reference": "b", "status": "rejected", "error": {"code": "invalid", "message": "no"}},
        {"reference": "c", "status": "shrug"},
        {"reference": "foreign", "status": "accepted"},
        "rubbish",
    ]
    server.answers(Answer({"results": results}))
    found = server.client().post_payments([{"reference": name} for name in "abc"])
    assert [(one.reference, one.status) for one in found] == [("a", "accepted"), ("b", "rejected")]
    assert json.loads(server.asked[0].body) == {"payments": [{"reference": "a"}, {"reference": "b"}, {"reference": "c"}]}


@pytest.mark.parametrize(
    "answer",
    [Answer(status=500), Answer(status=503), Answer(b"<html>"), Answer({"other": []}), Answer(raw=lambda handler: None)],
    ids=["500", "503", "html", "shape", "lost"],
)
def test_a_post_is_never_repeated_and_its_outcome_is_unknown(server: Script, answer: Answer) -> None:
    server.answers(answer)
    with pytest.raises(Retryable) as caught:
        server.client().post_payments([{"reference": "a"}])
    assert caught.value.outcome_unknown and len(server.asked) == 1


def test_a_post_that_was_turned_away_has_a_known_outcome(server: Script) -> None:
    server.answers(Answer(status=429, headers={"Retry-After": "7"}))
    with pytest.raises(Retryable) as caught:
        server.client().post_payments([{"reference": "a"}])
    assert not caught.value.outcome_unknown and caught.value.retry_after == 7
    server.answers(Answer(status=413))
    with pytest.raises(Rejected):
        server.client().post_payments([{"reference": "a"}])


def test_a_void_goes_to_the_payment_s_own_address_once_and_says_how_it_ended(server: Script) -> None:
    client = server.client()
    server.answers(Answer({"reference": "a/b", "status": "voided", "pscloud_id": "P-1"}))
    record = mapping.to_void("Typed 300 instead of 30", datetime(2026, 11, 20, 9, tzinfo=UTC), "ramon", client.profile)
    assert client.void_payment("a/b", record).status == "voided"
    assert server.asked[0].path == "/api/v1/payments/a%2Fb/void"
    sent = {"reason": "Typed 300 instead of 30", "voided_at": "2026-11-20T09:00:00+00:00", "approved_by": "ramon"}
    assert json.loads(server.asked[0].body) == sent


@pytest.mark.parametrize("status", [404, 409])
def test_a_void_that_pscloud_will_not_make_is_refused_with_the_status(server: Script, status: int) -> None:
    server.answers(Answer(status=status))
    with pytest.raises(Rejected) as caught:
        server.client().void_payment("a", {})
    assert caught.value.status == status and len(server.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer({"reference": "another", "status": "voided"}),
        Answer({"reference": "a", "status": "shrug"}),
        Answer({}),
        Answer(b"<html>"),
        Answer(status=500),
    ],
    ids=["another payment", "unknown word", "shape", "html", "500"],
)
def test_a_void_whose_end_is_unknown_is_to_be_sent_again(server: Script, answer: Answer) -> None:
    server.answers(answer)
    with pytest.raises(Retryable) as caught:
        server.client().void_payment("a", {})
    assert caught.value.outcome_unknown and len(server.asked) == 1


def test_asking_for_payments_goes_in_portions_and_never_hides_what_it_cannot_read(server: Script) -> None:
    server.reply = lambda asked: Answer({"data": [{"reference": name, "status": "accepted"} for name in asked.query["reference"]]})
    assert len(server.client().find_payments([f"r{n}" for n in range(120)])) == 120 and len(server.asked) == 3
    server.answers(Answer({"data": [{"reference": "a", "status": "shrug"}]}))
    with pytest.raises(Rejected):
        server.client().find_payments(["a"])


def test_the_token_stays_out_of_messages_and_bad_tokens_are_refused(server: Script) -> None:
    server.answers(Answer(status=500))
    with pytest.raises(Retryable) as caught:
        server.client(attempts=1).summary()
    assert TOKEN not in str(caught.value)
    with pytest.raises(Rejected, match="PSCLOUD_TOKEN"):
        PscloudClient(server.url, "a\nb", load(), allow_private=True)
