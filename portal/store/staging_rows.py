"""Rows of staging, made of SOAs before anybody writes them: lines for PostgreSQL's COPY, values for SQLite. Touches no database.

Lines are made column by column, and row by row where a text holds what COPY would misread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from portal.domain.plain import PlainInvoice, PlainSoa, centavos
from portal.store import bulk, search

NULL = "\\N"
SOA_COLUMNS = (
    "run_id",
    "place",
    "id",
    "soa_number",
    "customer_id",
    "account_number",
    "customer_name",
    "address",
    "contact_number",
    "tin",
    "issued_on",
    "due_date",
    "amount_due",
    "penalty",
    "status",
    "updated_at",
    "version",
    "search_text",
    "collector_code",
)
INVOICE_COLUMNS = (
    "run_id",
    "place",
    "soa_id",
    "position",
    "id",
    "invoice_number",
    "invoice_date",
    "due_date",
    "amount",
    "balance",
    "penalty",
    "vat_amount",
    "vat_type",
    "description",
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some SOAs as rows of staging: how many, what is due on them in centavos, and the words of their customers' names."""

    count: int
    centavos: int
    words: set[str]
    soas: Sequence[Any]
    invoices: Sequence[Any]


class RowMaker:
    """Makes rows of a run's SOAs, and numbers these in the order they came."""

    def __init__(self, run_id: int, postgresql: bool) -> None:
        """`postgresql` says which of the two databases the rows are for."""
        self.run_id, self.postgresql, self.place = run_id, postgresql, 0

    def make(self, found: Sequence[PlainSoa]) -> Rows:
        """Rows of the SOAs that come next; at least one."""
        run_id, place = self.run_id, self.place
        self.place += len(found)
        due = sum(centavos(soa.amount_due) for soa in found)
        words = search.words_of_names(soa.customer_name for soa in found)
        if self.postgresql:
            return Rows(len(found), due, words, [of_soas(run_id, place, found)], [of_invoices(run_id, place, found)])
        numbered = list(enumerate(found, place))
        soas = [_soa_values(run_id, number, soa) for number, soa in numbered]
        return Rows(len(found), due, words, soas, [each for number, soa in numbered for each in _invoice_values(run_id, number, soa)])


def _soa_values(run_id: int, place: int, soa: PlainSoa) -> tuple[Any, ...]:
    values = soa._replace(amount_due=centavos(soa.amount_due), penalty=centavos(soa.penalty))  # type: ignore[arg-type]
    (text,) = search.texts([soa.customer_name], [soa.account_number], [soa.soa_number])
    return run_id, place, *values[:12], *values[13:16], text, soa.collector_code


def _invoice_values(run_id: int, place: int, soa: PlainSoa) -> list[tuple[Any, ...]]:
    before = (run_id, place, soa.id)
    return [
        (*before, position, one, number, issued, due, *map(centavos, (amount, balance, penalty, vat)), vat_type, description)
        for position, (one, number, issued, due, description, amount, balance, penalty, vat_type, vat) in enumerate(soa.invoices)
    ]


def of_soas(run_id: int, place: int, found: Sequence[PlainSoa]) -> str:
    """One line for each SOA, in the order of SOA_COLUMNS; the first SOA is number `place` of the run."""
    one, number, customer, account, name, address, contact, tin, issued, due, amount, penalty, code, status, updated, version, _ = zip(
        *found, strict=True
    )
    columns: list[Iterable[str]] = [
        repeat(str(run_id)),
        map(str, range(place, place + len(found))),
        *(one, number, customer, account, name, address, contact, tin, issued, due),
        _centavos(amount),
        _centavos(penalty),
        status,
        [f"{moment}+00" for moment in updated],
        version,
        search.texts(name, account, number),
    ]
    return _lines(columns, code, len(found))


def of_invoices(run_id: int, place: int, found: Sequence[PlainSoa]) -> str:
    """One line for each invoice of these SOAs, in the order of INVOICE_COLUMNS."""
    invoices: list[PlainInvoice] = list(chain.from_iterable(soa.invoices for soa in found))
    if not invoices:
        return ""
    sizes = [len(soa.invoices) for soa in found]
    places = chain.from_iterable(map(repeat, map(str, range(place, place + len(found))), sizes))
    owners = chain.from_iterable(repeat(soa.id, size) for soa, size in zip(found, sizes, strict=True))
    positions = chain.from_iterable(map(_positions, sizes))
    one, number, issued, due, description, amount, balance, penalty, vat_type, vat = zip(*invoices, strict=True)
    money = map(_centavos, (amount, balance, penalty, vat))
    return _lines([repeat(str(run_id)), places, owners, positions, one, number, issued, due, *money, vat_type], description, len(invoices))


def _positions(count: int) -> Sequence[str]:
    return _FIRST[:count] if count <= len(_FIRST) else list(map(str, range(count)))


_FIRST = tuple(map(str, range(32)))


def _centavos(pesos: Sequence[str]) -> list[str]:
    return "\n".join(pesos).replace(".", "").split("\n")


def _lines(columns: Sequence[Iterable[str]], last: Sequence[str | None], rows: int) -> str:
    """The columns side by side; `last` may hold None."""
    nulls = last.count(None)
    table = list(zip(*columns, last if not nulls else [NULL if text is None else text for text in last], strict=False))
    made = "\n".join(map("\t".join, table)) + "\n"
    if made.count("\t") == rows * len(columns) and made.count("\n") == rows and "\r" not in made and made.count("\\") == nulls:
        return made
    return "".join(bulk.line(row[:-1], end) for row, end in zip(table, last, strict=True))
