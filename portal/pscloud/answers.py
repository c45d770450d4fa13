"""JSON as PSCloud sends it: read exactly, opened layer by layer so that one bad record fails alone, and addressed by field paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

_STEP = re.compile(r'(?:"([^"]+)"|([^".]+))(?:\.(?=.)|$)')
_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.", re.DOTALL)
_record_decoder = msgspec.json.Decoder(float_hook=Decimal)
_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class Missing:
    """What stands for a value that is not there; null is there."""


MISSING: Final = Missing()


@lru_cache(maxsize=1024)
def keys(path: str) -> tuple[str, ...]:
    """The keys of a field path, from the outside in: `customer.name`, `value.0.amount` (the first entry of a list), `"@odata.count"` (a
    key that itself holds a dot stands in quotes). The empty path is the whole. Raises ValueError when it cannot be read."""
    found, at = [], 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError(f"{path!r} is no field path")
        found.append(step[1] or step[2])
        at = step.end()
    return tuple(found)


def value_at(record: object, path: str) -> Any:
    """The value at a path of a decoded record, or MISSING."""
    value: Any = record
    for key in keys(path):
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value


def open_envelope(body: bytes) -> dict[str, msgspec.Raw]:
    """The outer object of an answer, its parts still unread. Raises ValueError."""
    try:
        return _object_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        mended = _LONE_SURROGATE.sub(_half_character, body)
        if mended == body:
            raise ValueError("not a JSON object") from None
    try:
        return _object_decoder.decode(mended)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValueError("not a JSON object") from None


def _half_character(found: re.Match[bytes]) -> bytes:
    r"""An escaped half of a character makes the decoder refuse the whole page; as \u0000 it makes us refuse its record alone."""
    text = found.group()
    return rb"\u0000" if len(text) == 6 else text


def split_list(part: bytes | msgspec.Raw) -> list[bytes]:
    """The items of a JSON list, each as its own JSON text. Raises ValueError when it is no list."""
    try:
        return [bytes(item) for item in _list_decoder.decode(part)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        mended = _LONE_SURROGATE.sub(_half_character, bytes(part))
    try:
        return [bytes(item) for item in _list_decoder.decode(mended)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValueError("not a JSON list") from None


def is_json(body: bytes) -> bool:
    """Whether this is one whole JSON object or list."""
    try:
        if body.lstrip()[:1] == b"[":
            split_list(body)
        else:
            open_envelope(body)
    except ValueError:
        return False
    return True


def part_at(body: bytes, path: str) -> bytes | None:
    """The unread part at a path, or None when it is not there. Raises ValueError when the way leads through something else than objects
    and lists."""
    for key in keys(path):
        if key.isdecimal() and body.lstrip()[:1] == b"[":
            items = split_list(body)
            if int(key) >= len(items):
                return None
            body = items[int(key)]
            continue
        part = open_envelope(body).get(key)
        if part is None:
            return None
        body = bytes(part)
    return body


def read_json(text: bytes) -> Any:
    """Any JSON value; numbers come out as int or exact Decimal, never float. Raises ValueError."""
    try:
        return _record_decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def value_or_none(text: bytes) -> Any:
    """read_json(), None for what is no JSON."""
    try:
        return read_json(text)
    except ValueError:
        return None


def part_or_none(body: bytes, path: str) -> bytes | None:
    """part_at(), None also where no way leads."""
    try:
        return part_at(body, path)
    except ValueError:
        return None


def text_at(body: bytes, path: str) -> str:
    """A text for people at a path of an answer, on one line; empty when there is none. JSON that stands inside a text is opened on the
    way, and tags of HTML are left out."""
    value: Any = body.decode("utf-8", "replace")
    for key in (*keys(path), ""):
        if key and isinstance(value, str):
            try:
                value = read_json(value.encode())
            except ValueError:
                return ""
        if key:
            value = value_at(value, f'"{key}"')
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return ""
    plain = re.sub(r"</?[A-Za-z][^<>]*>", " ", value[:2000])
    return " ".join("".join(letter if letter.isprintable() else " " for letter in plain).split())[:300]
