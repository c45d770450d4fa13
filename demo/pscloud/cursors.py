"""Paging cursors: opaque, signed, and valid for a while; they carry the snapshot, so the server keeps no list of them."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta

from demo.pscloud import store
from demo.pscloud.errors import ApiError

LIFETIME = timedelta(hours=1)


def issue(key: bytes, snapshot: store.Snapshot, after: tuple[int, str], now: datetime) -> str:
    """A cursor that continues this snapshot after this place."""
    set_of_records = [snapshot.revision, snapshot.total, store.micros(snapshot.as_of), snapshot.status, snapshot.updated_since]
    content = [*set_of_records, *after, store.micros(now)]
    body = base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).rstrip(b"=")
    return f"{body.decode()}.{_signature(key, body)}"


def read(key: bytes, cursor: str, now: datetime) -> tuple[store.Snapshot, tuple[int, str]]:
    """The snapshot and place of a cursor; raises ApiError 410 when it is not one of ours or too old."""
    body, _, signature = cursor.partition(".")
    if not cursor.isascii() or not hmac.compare_digest(signature, _signature(key, body.encode())):
        raise ApiError(410, "cursor_expired", "This cursor is not known any more. Start again without a cursor.")
    revision, total, as_of, status, since, after_at, after_id, issued = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    if now - store.moment(issued) > LIFETIME:
        raise ApiError(410, "cursor_expired", "This cursor has expired. Start again without a cursor.")
    return store.Snapshot(revision, total, store.moment(as_of), status, since), (after_at, after_id)


def _signature(key: bytes, body: bytes) -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest()[:32]
