"""A long list as lines of one fixed pitch: each row is set as text already in its columns, so that a page is one block and not a thousand
cells. Widths are in characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

GAP = "  "
"""Between two columns."""


@dataclass(frozen=True, slots=True)
class Place:
    """A column: its heading, its width in characters, whether it stands to the right."""

    label: str
    width: int
    right: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """One row as lines, which stay on one page; `struck` when a line goes through it."""

    lines: tuple[str, ...]
    struck: bool = False


def plain(text: str) -> str:
    """The text without characters that would move or hide others: controls, marks of direction, breaks."""
    if text.isascii() and text.isprintable():
        return text
    return " ".join("".join(c if unicodedata.category(c)[0] != "C" else " " for c in unicodedata.normalize("NFC", text)).split())


def width(text: str) -> int:
    """How many characters wide it is set: an accent none, a wide one two."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrapped(text: str, most: int) -> list[str]:
    """The text in lines of at most so many characters, broken between words, and within a word only when it is longer than a line."""
    if len(text) <= most and text.isascii():
        return [text]
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if width(joined) <= most:
            line = joined
            continue
        if line:
            lines.append(line)
        while width(word) > most:
            cut = _fitting(word, most)
            lines.append(word[:cut])
            word = word[cut:]
        line = word
    return [*lines, line] if line or not lines else lines


def _fitting(word: str, most: int) -> int:
    taken = 0
    for place, character in enumerate(word):
        taken += width(character)
        if taken > most:
            return max(place, 1)
    return len(word)


def _set(text: str, place: Place) -> str:
    space = " " * max(place.width - width(text), 0)
    return space + text if place.right else text + space


def row(cells: Sequence[str], places: Sequence[Place], struck: bool = False) -> Block:
    """A row in its columns; what does not fit goes on beneath."""
    columns = [wrapped(plain(cell), place.width) for cell, place in zip(cells, places, strict=True)]
    depth = max(len(column) for column in columns)
    lines = (
        GAP.join(_set(column[line] if line < len(column) else "", place) for column, place in zip(columns, places, strict=True)).rstrip()
        for line in range(depth)
    )
    return Block(tuple(lines), struck)


def head(places: Sequence[Place]) -> tuple[str, ...]:
    """The headings and the rule beneath them, which begin each page."""
    lines = row([place.label for place in places], places).lines
    return (*lines, "─" * full_width(places))


def fitted(labels: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool], most: int) -> list[Place]:
    """Columns as wide as their widest cell and the longest word of their heading. Where a line would be longer than `most`, the widest
    columns of words are made narrower until it fits; figures only when there are no words left to wrap."""
    widths = [max((width(word) for word in plain(label).split(" ")), default=1) for label in labels]
    least = list(widths)
    for cells in rows:
        for number, cell in enumerate(cells):
            if len(cell) > widths[number]:
                widths[number] = max(widths[number], width(plain(cell)))
    room = most - len(GAP) * (len(labels) - 1)
    for narrowed in ([place for place, figure in enumerate(right) if not figure], list(range(len(labels)))):
        while sum(widths) > room and (wide := [place for place in narrowed if widths[place] > least[place]]):
            widest = max(wide, key=lambda place: widths[place])
            widths[widest] -= 1
    return [Place(label, max(one, 1), figure) for label, one, figure in zip(labels, widths, right, strict=True)]


def full_width(places: Sequence[Place]) -> int:
    """Characters of a whole line."""
    return sum(place.width for place in places) + len(GAP) * (len(places) - 1)


def pages(blocks: Iterable[Block], first: int, rest: int) -> Iterator[list[Block]]:
    """The rows of each page: `first` lines on the first, `rest` on each other. A row is never parted, unless it fills a page alone."""
    page: list[Block] = []
    used, room = 0, first
    for block in blocks:
        if page and used + len(block.lines) > room:
            yield page
            page, used, room = [], 0, rest
        page.append(block)
        used += len(block.lines)
    if page:
        yield page
