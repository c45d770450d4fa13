"""What a JPEG says of itself, read from its own bytes: names and types that others gave it count for nothing."""

from __future__ import annotations

from portal.domain.errors import InvalidInput

LARGEST = 200_000
"""Bytes of a photo; the phone makes it smaller before it sends it."""
LONGEST_SIDE = 4096
"""Pixels. A few bytes may claim to be an image that fills a viewer's memory."""
NOT_A_PHOTO = "This is not a photo that the portal keeps: it must be a JPEG."
FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive frames: what cameras and browsers write."""
WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


def size(raw: bytes) -> tuple[int, int]:
    """Width and height in pixels. Raises InvalidInput for what is no JPEG, is not whole, or is larger than a photo here may be."""
    if not raw.startswith(b"\xff\xd8\xff") or not raw.endswith(b"\xff\xd9"):
        raise InvalidInput(NOT_A_PHOTO)
    if len(raw) > LARGEST:
        raise InvalidInput(f"This photo has more than {LARGEST // 1000} kB. Take it again with the app, which makes it smaller.")
    place, found = 2, (0, 0)
    while place + 4 <= len(raw):
        if raw[place] != 0xFF:
            raise InvalidInput(NOT_A_PHOTO)
        marker = raw[place + 1]
        if marker == 0xFF or marker in WITHOUT_LENGTH:
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(raw[place + 2 : place + 4], "big")
        part = raw[place + 4 : place + 2 + length]
        if length < 2 or len(part) != length - 2:
            raise InvalidInput(NOT_A_PHOTO)
        if marker in FRAMES and len(part) >= 6:
            found = int.from_bytes(part[3:5], "big"), int.from_bytes(part[1:3], "big")
        if marker == 0xDA:  # what follows is the picture itself
            break
        place += 2 + length
    height, width = found[1], found[0]
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE):
        raise InvalidInput(NOT_A_PHOTO)
    return width, height
