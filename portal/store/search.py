"""Finding customers in a million SOAs: what is typed and what is stored meet in folded text, indexed by its trigrams.

SQLite keeps the trigrams in an FTS5 table that triggers fill (migration 0006), PostgreSQL in a GIN index. The words of all customer names
are kept too, so that a word with one wrong letter can be mended when nothing is found."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, product
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Executable,
    Select,
    UnaryExpression,
    and_,
    bindparam,
    column,
    exists,
    func,
    literal_column,
    or_,
    select,
    table,
    true,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.operators import custom_op

from portal.extensions import db
from portal.store.models import SearchWord, Soa

MOST_WORDS = 12
LONGEST_SEARCH = 600
TRIGRAM = 3
NUMBERS = ("account_number", "soa_number")
STATUSES: tuple[ColumnElement[str], ...] = (literal_column("'active'"), literal_column("'closed'"))
"""Every status: named where any will do, so that an index that begins with it can be used."""
FEW = 5000
"""Up to so many hits are fetched by the index; of more, following the list's own order finds a page sooner."""
SHORTEST_MENDED = 4
"""A shorter word has too many neighbours to guess which one was meant."""
MOST_GUESSES = 9
LAST = "\U0010ffff"
"""Sorts behind every other character, so that what begins with a word lies between the word and the word with it."""
_PARTICLES = re.compile(r"\bde (la|las|los)\b")
_ODD_SPACES = re.compile(r"[\x00\t\x0b\x0c\r\x1c-\x1f]| [ \n]|\n |^ | $")
"""What fold() takes away besides capitals, in texts with line ends between."""
_MARKS = re.compile("[\u0300-\u034e\x00]+")
_UNCOMMON = re.compile("[^\x00-\u034e]")
"""Below these characters, marks stand together."""
_NAME_WORD = re.compile(r"[^\W\d_]+")
_INDEX = table("soa_search", column("rowid"))
_ROWS = table("soa_search_rows", column("id"), column("soa_id"))


def fold(text: str) -> str:
    """Text for searching: lower case, accents and other marks stripped, single spaces, "de la" in one word as many write it."""
    if text.isascii():
        return _PARTICLES.sub(r"de\1", " ".join(text.lower().replace("\x00", "").split()))
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())  # first apart: 𝒜 has no lower case
    if _UNCOMMON.search(apart) is None:
        bare = _MARKS.sub("", apart)
    else:
        bare = "".join(character for character in apart if not unicodedata.combining(character) and character != "\x00")
    return _PARTICLES.sub(r"de\1", " ".join(bare.split()))


def fold_many(texts: Sequence[str]) -> list[str]:
    """fold() of each, for many texts in a fifth of the time."""
    usual = "\n".join(text for text in texts if text.isascii())
    if usual.count("\n") != max(sum(map(str.isascii, texts)) - 1, 0) or _ODD_SPACES.search(usual):
        return list(map(fold, texts))
    lowered = iter(usual.lower().split("\n"))
    return [_join_particles(next(lowered)) if text.isascii() else fold(text) for text in texts]


def texts(names: Sequence[str], accounts: Sequence[str], numbers: Sequence[str]) -> list[str]:
    """Of each SOA what soas.search_text() says."""
    return [text[:LONGEST_SEARCH] for text in fold_many([" ".join(parts) for parts in zip(names, accounts, numbers, strict=True)])]


def _join_particles(folded: str) -> str:
    return _PARTICLES.sub(r"de\1", folded) if "de l" in folded else folded


def words_of(typed: str) -> list[str]:
    """The words of a search, folded; a search of endless length is cut."""
    return fold(typed)[:LONGEST_SEARCH].split()[:MOST_WORDS]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search asks of the database: a phrase for SQLite's trigram index, patterns that must all be held, and how the one number
    that was typed may begin: in which column, spelled how. `rare`: few SOAs have such a number."""

    match: str = ""
    likes: tuple[str, ...] = ()
    begins: tuple[tuple[str, str], ...] = ()
    rare: bool = False

    @property
    def values(self) -> dict[str, str]:
        """What conditions() of this shape want to know."""
        found = {f"like{number}": like for number, like in enumerate(self.likes)}
        for number, (_, spelled) in enumerate(self.begins):
            found |= {f"from{number}": spelled, f"to{number}": spelled + LAST}
        return {**found, "match": self.match} if self.match else found


def ask(typed: str, counting: bool = False) -> Asked:
    """SOAs whose name, account or SOA number holds every word that was typed, in any order; of one word with a digit in it that begins any
    account or SOA number, those that begin with it. `counting` says that all are wanted, not the first page of a list in its own order."""
    words = words_of(typed)
    if not words:
        return Asked()
    begins = _begins_number(typed.strip())
    if begins:
        return Asked(begins=begins, rare=_is_rare_number(begins))
    likes = tuple(f"%{_escaped(word)}%" for word in words)
    long = [word for word in words if len(word) >= TRIGRAM]
    if not long or db.engine.dialect.name != "sqlite":
        return Asked(likes=likes)
    phrase = " ".join('"' + word.replace('"', '""') + '"' for word in long)
    return Asked(phrase if counting or _is_rare(phrase) else "", likes)


def conditions(match: bool, likes: int, begins: tuple[str, ...], hidden: bool = False) -> list[ColumnElement[bool]]:
    """The conditions on SOAs of a search of this shape; its values are bound when it is asked. `hidden` keeps SQLite from looking numbers
    up in their index."""
    found: list[ColumnElement[bool]] = [Soa.search_text.like(bindparam(f"like{number}"), escape="\\") for number in range(likes)]
    if match:
        found.insert(0, Soa.id.in_(select(_ROWS.c.soa_id).where(_ROWS.c.id.in_(_hits()))))
    if begins:
        found.append(_beginning(begins, hidden))
    return found


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column with a plus before it, which is how SQLite is told not to use its index."""
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _number(name: str, hidden: bool = False) -> ColumnElement[str]:
    column = {"account_number": Soa.account_number, "soa_number": Soa.soa_number}[name].expression
    return unindexed(column) if hidden else column


def _beginning(columns: tuple[str, ...], hidden: bool = False) -> ColumnElement[bool]:
    numbers = [(_number(name, hidden), str(place)) for place, name in enumerate(columns)]
    return or_(*(and_(column >= bindparam(f"from{place}"), column < bindparam(f"to{place}")) for column, place in numbers))


def _begins_number(typed: str) -> tuple[tuple[str, str], ...]:
    """In which column it begins a number, spelled how, when it does: digits are alike, so their trigrams find too much too slowly."""
    if not any(character.isdigit() for character in typed) or len(typed) < TRIGRAM or len(typed.split()) != 1 or "\x00" in typed:
        return ()
    asked = Asked(begins=tuple((name, spelled) for name in NUMBERS for spelled in sorted({typed, typed.upper(), typed.lower()})))
    known = db.session.connection().execute(_known_numbers(tuple(name for name, _ in asked.begins)), asked.values).one()
    return tuple(one for one, held in zip(asked.begins, known, strict=True) if held)


@cache
def _known_numbers(columns: tuple[str, ...]) -> Executable:
    return select(*(exists().where(*_range(name, place)) for place, name in enumerate(columns)))


def _range(name: str, place: int) -> tuple[ColumnElement[bool], ...]:
    """Every SOA whose number begins so; account numbers have an index that begins with the status, SOA numbers one of their own."""
    column = _number(name)
    found = (column >= bindparam(f"from{place}"), column < bindparam(f"to{place}"))
    return (Soa.status.in_(STATUSES), *found) if name == "account_number" else found


def _is_rare_number(begins: tuple[tuple[str, str], ...]) -> bool:
    """Asked for SQLite, which cannot guess it; PostgreSQL keeps statistics."""
    if db.engine.dialect.name != "sqlite":
        return False
    some = _some_numbers(tuple(name for name, _ in begins), FEW + 1)
    return db.session.connection().execute(some, Asked(begins=begins).values).scalar_one() <= FEW


@cache
def _some_numbers(columns: tuple[str, ...], most: int) -> Select[int]:
    parts = (select(Soa.id).where(*_range(name, place)) for place, name in enumerate(columns))
    return _counted(union_all(*parts).limit(literal_column(str(most))))


def _hits() -> Select[int]:
    return select(_INDEX.c.rowid).where(literal_column("soa_search").op("MATCH")(bindparam("match")))


def _is_rare(phrase: str) -> bool:
    return db.session.connection().execute(_some_hits(FEW + 1), {"match": phrase}).scalar_one() <= FEW


@cache
def _some_hits(most: int) -> Select[int]:
    return _counted(_hits().limit(literal_column(str(most))))


def _counted(rows: Select[Any] | CompoundSelect[Any]) -> Select[int]:
    """How many those are: rows that nobody looks at would cost more to hand over than to find."""
    return select(func.count()).select_from(rows.subquery())


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


# --- one wrong letter


def name_words(name: str) -> set[str]:
    """The words of a customer's name that are long enough to be mended, folded."""
    return words_of_names([name])


def words_of_names(names: Iterable[str]) -> set[str]:
    """name_words() of all of them."""
    apart = set("\n".join(fold_many(list(set(names)))).split())
    return {word for word in _NAME_WORD.findall(" ".join(apart)) if SHORTEST_MENDED <= len(word) <= 40}


def learn(names: Iterable[str]) -> None:
    """Remember the words of these customer names."""
    learn_words(words_of_names(names))


def learn_words(words: Iterable[str]) -> None:
    """Remember these words of customers' names. They are never forgotten: one that no name holds any more finds nothing."""
    dialect = sqlite if db.engine.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(SearchWord).on_conflict_do_nothing()
    rows = [{"word": word, "backwards": word[::-1]} for word in sorted(set(words))]
    for start in range(0, len(rows), 500):
        db.session.execute(statement, rows[start : start + 500])


def guesses(typed: str) -> Iterator[str]:
    """What may have been meant, when nothing was found: the search with each unknown word replaced by a known one that differs in one
    letter (another, one more, one less, or two swapped). The last word may be unfinished."""
    words = words_of(typed)
    choices: list[list[str]] = []
    for position, word in enumerate(words):
        unfinished = position == len(words) - 1
        known = len(word) < SHORTEST_MENDED or not _NAME_WORD.fullmatch(word) or _is_known(word)
        choices.append([word] if known else [word, *_neighbours(word, unfinished)])
    for chosen in islice(product(*choices), MOST_GUESSES + 1):
        if list(chosen) != words:
            yield " ".join(chosen)


def _is_known(word: str) -> bool:
    return db.session.execute(select(SearchWord.word).where(_starts(SearchWord.word.expression, word)).limit(1)).first() is not None


def _neighbours(word: str, unfinished: bool) -> list[str]:
    """Known words one letter away: with one letter wrong, at least one half of the word is right, at its place from that end."""
    half = len(word) // 2
    begins, ends = SearchWord.word.expression, SearchWord.backwards.expression
    swapped = and_(_starts(begins, word[: half - 1]), _starts(ends, word[:half:-1]))  # in the middle, so that neither half is right
    halves = or_(_starts(begins, word[:half]), _starts(ends, word[: half - 1 : -1]), swapped)
    length = func.length(SearchWord.word)
    near = and_(halves, length >= len(word) - 1, true() if unfinished else length <= len(word) + 1)
    found = db.session.scalars(select(SearchWord.word).where(near).order_by(SearchWord.word))
    return [known for known in found if one_letter_apart(word, known, unfinished)][:MOST_GUESSES]


def _starts(text: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
    """Begins with; a range, which both databases answer from an index."""
    return and_(text >= beginning, text < beginning + LAST)


def one_letter_apart(typed: str, known: str, unfinished: bool = False) -> bool:
    """Whether one letter put in, left out, replaced, or swapped with the next makes `typed` of `known`, or of the beginning of it."""
    start = next((place for place, (a, b) in enumerate(zip(typed, known, strict=False)) if a != b), min(len(typed), len(known)))
    rest, other = typed[start:], known[start:]

    def same(mine: str, theirs: str) -> bool:
        return theirs.startswith(mine) if unfinished else mine == theirs

    return (
        same(rest[1:], other[1:])
        or same(rest, other[1:])
        or same(rest[1:], other)
        or (rest[:2] == other[1::-1] and len(rest) > 1 and same(rest[2:], other[2:]))
    )
