"""Reads of the stored SOAs: the filtered list, totals, one account, the set for a phone. The same on SQLite and PostgreSQL."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Executable, Row, Select, bindparam, false, func, literal_column, or_, select, tuple_
from sqlalchemy.orm import aliased

from portal.domain import soa as domain
from portal.domain.errors import InvalidAmount
from portal.domain.money import ZERO, centavos, from_centavos
from portal.domain.plain import PlainSoa
from portal.domain.soa import days_overdue
from portal.extensions import db
from portal.store import search, soa_changes, soa_totals
from portal.store.at_once import among
from portal.store.models import Invoice, Soa, SoaChange, SyncRun, UnconfirmedSoa
from portal.store.soa_totals import Totals

Status = Literal["active", "closed", "all"]
NO_CODE = "-"
MANY = 20_000
"""Of so many rows of a range of due dates SQLite sorts fewer, and rather follows the order of more."""
NEVER = "\U0010ffff"
"""A collector code that nothing has."""

COLUMNS = (
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
    "collector_code",
    "status",
    "updated_at",
)
INVOICE_COLUMNS = (
    "id",
    "invoice_number",
    "invoice_date",
    "due_date",
    "description",
    "amount",
    "balance",
    "penalty",
    "vat_type",
    "vat_amount",
)
# A missing code sorts before every other, on both databases alike.
_CODE_KEY = func.coalesce(Soa.collector_code, literal_column("''"))
_SORTS: dict[str, ColumnElement[Any]] = {
    "name": Soa.search_text.expression,
    "account_number": Soa.account_number.expression,
    "due_date": Soa.due_date.expression,
    "amount_due": Soa.amount_due.expression,
    "collector_code": _CODE_KEY,
}
SORTS = tuple(_SORTS)
SORT_FIELDS = {"name": "search_text", "account_number": "account_number", "due_date": "due_date", "amount_due": "amount_due"}
NEAR = 8_000
"""Rows of its order in which PostgreSQL looks for a page of a text first; they are read in some 6 ms."""


@dataclass(frozen=True, slots=True)
class SoaFilter:
    """What the list shows. `collector_code` "-" means without a code; `sort` is one of SORTS, reversed by a "-" before it."""

    q: str = ""
    collector_code: str = ""
    due_from: date | None = None
    due_to: date | None = None
    overdue: bool = False
    penalty: bool = False
    status: Status = "active"
    sort: str = "due_date"


class SoaRow(NamedTuple):
    """One line of the list; money in pesos, `days_overdue` is 0 for what is not yet due or closed. A tuple: a page makes fifty of them."""

    id: str
    soa_number: str
    account_number: str
    customer_name: str
    due_date: date
    amount_due: Decimal
    penalty: Decimal
    collector_code: str | None
    invoice_count: int
    status: str
    closed_on: date | None
    changed_run_id: int
    days_overdue: int


@dataclass(frozen=True, slots=True)
class SoaPage:
    """One page and the marks of its neighbours; None where there is no neighbour. `marked`: it begins or ends at a mark."""

    rows: list[SoaRow]
    next: str | None
    previous: str | None
    marked: bool = False


@dataclass(frozen=True, slots=True)
class SoaDetail:
    """One SOA with what the portal knows about it."""

    soa: domain.Soa
    closed_on: date | None
    changed_run_id: int
    version: str


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """Something that happened to an account; `detail` is (what, before, after), `link` a path or empty."""

    at: datetime
    kind: str
    title: str
    detail: list[tuple[str, str, str]]
    link: str


def search_text(soa: domain.Soa | PlainSoa) -> str:
    """Name, account and SOA number, folded: what a search looks in, and what the list is sorted by when sorted by name."""
    return search.fold(f"{soa.customer_name} {soa.account_number} {soa.soa_number}")[: search.LONGEST_SEARCH]


# --- the list


def list_page(filter: SoaFilter, today: date, after: str | None = None, before: str | None = None, limit: int = 50) -> SoaPage:
    """One page of the filtered list. `after` and `before` are marks of an earlier page; one that cannot be read is the first page."""
    name, descending = _sort(filter.sort)
    backwards = False
    mark = _read_mark(filter.sort, after)
    if mark is None and before:
        mark = _read_mark(filter.sort, before)
        backwards = mark is not None
    downwards = descending != backwards
    if filter.status == "all":  # of each status apart, because indexes begin with it
        parts = [replace(filter, status="active"), replace(filter, status="closed")]
        found = [row for part in parts for row in _some(part, today, name, downwards, mark, limit + 1)]
        found.sort(key=lambda row: (_sort_value(name, row), row[0]), reverse=downwards)
    else:
        found = _some(filter, today, name, downwards, mark, limit + 1)
    more = len(found) > limit
    found = found[:limit]
    if backwards:
        found = found[::-1]
    if not found:
        return SoaPage([], None, None, mark is not None)
    return SoaPage(
        [_soa_row(row, today) for row in found],
        next=_mark(filter.sort, found[-1]) if more or backwards else None,
        previous=_mark(filter.sort, found[0]) if (more if backwards else mark is not None) else None,
        marked=mark is not None,
    )


def _some(filter: SoaFilter, today: date, sort: str, downwards: bool, mark: tuple[Any, str] | None, limit: int) -> list[Row[Any]]:
    where, values = _asked(filter, today, sort=sort)
    if mark is not None:
        values["mark"], values["mark_id"] = mark
    sqlite = db.engine.dialect.name == "sqlite"
    if where.likes and not sqlite:
        found = db.session.connection().execute(_near_query(where, sort, downwards, mark is not None, limit), values).all()
        if len(found) == limit:
            return list(found)
    query = _page_query(where, sort, downwards, mark is not None, limit, sqlite)
    return list(db.session.connection().execute(query, values).all())


@lru_cache(1024)
def _near_query(where: _Where, sort: str, downwards: bool, marked: bool, limit: int) -> Executable:
    """What holds the text among the next rows of the list's order: PostgreSQL cannot guess that a text is common, and would rather find
    and sort all that hold it. A page of it is here long before, or the text is rare."""
    near = _next_rows(where._replace(likes=0), sort, downwards, marked, NEAR)
    likes = (near.search_text.like(bindparam(f"like{number}"), escape="\\") for number in range(where.likes))
    return _told_of(near, sort, downwards).where(*likes).limit(literal_column(str(limit)))


def _next_rows(where: _Where, sort: str, downwards: bool, marked: bool, most: int) -> Any:
    """The next so many rows of the list's order, for PostgreSQL to tell of."""
    key = _SORTS[sort]
    found = _from_mark(select(Soa.__table__).where(*_conditions(where)), key, downwards, marked, sqlite=False)
    return aliased(Soa, found.order_by(*_order(key, downwards)).limit(literal_column(str(most))).subquery())


def _told_of(near: Any, sort: str, downwards: bool) -> Select[Any]:
    """The fields of a SoaRow of those rows, as _rows() has them, in their order."""
    invoices = select(func.count()).select_from(Invoice).where(Invoice.soa_id == near.id).scalar_subquery()
    stored = [invoices if name == "invoice_count" else getattr(near, name) for name in SoaRow._fields[:-1]]
    own = func.coalesce(near.collector_code, literal_column("''")) if sort == "collector_code" else getattr(near, SORT_FIELDS[sort])
    return select(*stored, near.search_text).order_by(*((own.desc(), near.id.desc()) if downwards else (own.asc(), near.id.asc())))


@lru_cache(1024)
def _page_query(where: _Where, sort: str, downwards: bool, marked: bool, limit: int, sqlite: bool) -> Executable:
    """Made once for each kind of question: making one takes longer than answering it. Of one code by due date, which is one walk along an
    index whatever the values are, invoices are counted of the rows that were found: so told, PostgreSQL keeps its plan."""
    if not sqlite and where.code == "=" and sort == "due_date" and not where.likes and not where.begins:
        return _told_of(_next_rows(where, sort, downwards, marked, limit), sort, downwards)
    key = search.unindexed(_SORTS[sort]) if where.hidden in ("order", "status") else _SORTS[sort]
    return _from_mark(_rows(where), key, downwards, marked, sqlite).order_by(*_order(key, downwards)).limit(literal_column(str(limit)))


def _from_mark(query: Select[Any], key: ColumnElement[Any], downwards: bool, marked: bool, sqlite: bool) -> Select[Any]:
    """Behind the mark: PostgreSQL enters its index there by the pair of both values. For SQLite the first condition enters the index, and
    the second parts rows with an equal sort value."""
    if not marked:
        return query
    value, row_id = bindparam("mark", type_=key.type), bindparam("mark_id", type_=Soa.id.type)
    if not sqlite:
        pair, mark = tuple_(key, Soa.id), tuple_(value, row_id)
        return query.where(pair < mark if downwards else pair > mark)
    if downwards:
        return query.where(key <= value, or_(key < value, Soa.id < row_id))
    return query.where(key >= value, or_(key > value, Soa.id > row_id))


def _order(key: ColumnElement[Any], downwards: bool) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return (key.desc(), Soa.id.desc()) if downwards else (key.asc(), Soa.id.asc())


def _sort_value(sort: str, row: Sequence[Any]) -> Any:
    if sort == "collector_code":
        return row[7] or ""
    return row[{"name": -1, "account_number": 2, "due_date": 4, "amount_due": 5}[sort]]


def find(filter: SoaFilter, today: date, after: str | None = None, before: str | None = None) -> tuple[SoaFilter, SoaPage]:
    """list_page(), and the filter it is of: when nothing holds what was typed, one whose text is mended by one letter a word."""
    page = list_page(filter, today, after, before)
    if not page.rows and not after and not before:
        for text in search.guesses(filter.q):
            mended = replace(filter, q=text)
            found = list_page(mended, today)
            if found.rows:
                return mended, found
    return filter, page


def totals(filter: SoaFilter, today: date) -> Totals:
    """Count and pesos of everything the filter lets through, on every page."""
    if not search.words_of(filter.q):
        return _kept_totals(filter, today)
    where, values = _asked(filter, today, counting=True)
    query = select(func.count(), func.sum(Soa.amount_due), func.sum(Soa.penalty)).select_from(Soa).where(*_conditions(where))
    count, amount, penalty = db.session.execute(query, values).one()
    return Totals(count, amount or ZERO, penalty or ZERO)


def has_text(filter: SoaFilter) -> bool:
    """Whether it looks for a text, whose totals nobody has added up beforehand."""
    return bool(search.words_of(filter.q))


def totals_at_once(filter: SoaFilter, today: date, page: SoaPage, most: int) -> Totals | None:
    """totals() of a text, when a page need not wait for them: they are counted row by row, up to `most` rows. None when there are more.
    Nothing is counted when `page`, found without a mark, holds all."""
    if not (page.next or page.previous or page.marked):
        return Totals(len(page.rows), sum((row.amount_due for row in page.rows), ZERO), sum((row.penalty for row in page.rows), ZERO))
    if most <= len(page.rows):
        return None
    where, values = _asked(filter, today, counting=True)
    some = select(Soa.amount_due, Soa.penalty).where(*_conditions(where)).limit(most + 1).subquery()
    query = select(func.count(), func.sum(some.c.amount_due), func.sum(some.c.penalty)).select_from(some)
    count, amount, penalty = db.session.execute(query, values).one()
    return None if count > most else Totals(count, amount or ZERO, penalty or ZERO)


def count(filter: SoaFilter, today: date, most: int | None = None) -> int:
    """How many SOAs the filter lets through, counted no further than `most`."""
    where, values = _asked(filter, today)
    found = select(Soa.id).where(*_conditions(where)).limit(most)
    return db.session.execute(select(func.count()).select_from(found.subquery()), values).scalar_one()


def iterate(filter: SoaFilter, today: date) -> Iterator[SoaRow]:
    """Every row the filter lets through, in its order, a few hundred in memory at a time."""
    where, values = _asked(filter, today)
    name, descending = _sort(filter.sort)
    query = _rows(where).order_by(*_order(_SORTS[name], descending))
    for row in db.session.execute(query, values, execution_options={"yield_per": 500}):
        yield _soa_row(row, today)


def _rows(where: _Where) -> Select[Any]:
    """The fields of a SoaRow but the last, which the day decides, and what the list sorts by when sorted by name."""
    invoices = select(func.count()).select_from(Invoice).where(Invoice.soa_id == Soa.id).scalar_subquery()
    stored = [invoices if name == "invoice_count" else getattr(Soa, name) for name in SoaRow._fields[:-1]]
    return select(*stored, Soa.search_text).where(*_conditions(where))


def _soa_row(row: Sequence[Any], today: date) -> SoaRow:
    # By place: by name takes three times as long.
    return SoaRow._make((*row[:-1], days_overdue(row[4], today) if row[9] == "active" else 0))


class _Where(NamedTuple):
    """What kind of conditions a filter makes; their values come apart from it. `code` is one of "=", "-" (none), "" (any), "0" (never);
    `hidden` is what SQLite is not to look up in an index: "due" dates, the number that "begins" so, the "order", it and the "status", or
    nothing."""

    one_status: bool
    code: str
    since: bool
    until: bool
    penalty: bool
    match: bool
    likes: int
    begins: tuple[str, ...]
    hidden: str


def _until(filter: SoaFilter, today: date) -> date | None:
    """The last due date that is let through."""
    yesterday = today - timedelta(days=1)
    return min(filter.due_to or yesterday, yesterday) if filter.overdue else filter.due_to


def _code(filter: SoaFilter) -> str:
    if "\x00" in filter.collector_code:
        return "0"
    return "-" if filter.collector_code == NO_CODE else "=" if filter.collector_code else ""


def _asked(filter: SoaFilter, today: date, counting: bool = False, sort: str = "") -> tuple[_Where, dict[str, Any]]:
    """The kind of the filter's conditions, and their values. `sort` is the order in which a first page is wanted, if one is."""
    text, until, code = search.ask(filter.q, counting), _until(filter, today), _code(filter)
    begins = tuple(name for name, _ in text.begins)
    where = _Where(
        filter.status != "all",
        code,
        filter.due_from is not None,
        until is not None,
        filter.penalty,
        bool(text.match),
        len(text.likes),
        begins,
        hidden="",
    )
    if (sort or begins or text.match) and db.engine.dialect.name == "sqlite":
        where = where._replace(hidden=_hidden(filter, today, where, sort, text.rare))
    given = {"status": filter.status, "code": filter.collector_code, "since": filter.due_from, "until": until}
    used = {"status": where.one_status, "code": code == "=", "since": where.since, "until": where.until}
    return where, {**{name: value for name, value in given.items() if used[name]}, **text.values}


def _hidden(filter: SoaFilter, today: date, where: _Where, sort: str, rare: bool) -> str:
    """SQLite does not know how many rows a range holds. Of few, finding and sorting them is quick; of many, following the order is."""
    if where.match:
        return "status"  # the hits of a text are looked up one by one; along an index of all, SQLite asks of each SOA whether it is one
    if where.begins:
        alone = "status" if set(where.begins) == {"soa_number"} else "order"  # that number's index does not begin with the status
        if not sort:
            return alone if alone == "status" else ""
        return "" if where.begins == (sort,) else alone if rare else "begins"
    if sort == "due_date" or where.code or not (where.since or where.until):
        return ""
    return "due" if _kept_totals(replace(filter, penalty=False), today).count > MANY else "order"


def _conditions(where: _Where) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    status = search.unindexed(Soa.status.expression) if where.hidden == "status" else Soa.status.expression
    found.append(status == bindparam("status") if where.one_status else status.in_(search.STATUSES))
    found += search.conditions(where.match, where.likes, where.begins, where.hidden == "begins")
    due = search.unindexed(Soa.due_date.expression) if where.hidden == "due" else Soa.due_date.expression
    if where.code == "-":
        found.append(Soa.collector_code.is_(None))
    elif where.code == "0":
        found.append(false())
    elif where.code:
        found.append(Soa.collector_code == bindparam("code"))
    if where.since:
        found.append(due >= bindparam("since"))
    if where.until:
        found.append(due <= bindparam("until"))
    if where.penalty:
        found.append(Soa.penalty > literal_column("0"))
    return found


def _kept_totals(filter: SoaFilter, today: date) -> Totals:
    return soa_totals.read(*kept_by(filter, today))


def kept_by(filter: SoaFilter, today: date) -> tuple[str, str | None, date | None, date | None, bool]:
    """What soa_totals is asked with for all that this filter lets through; its text, which nobody adds up beforehand, is left out."""
    code = {"": None, "-": "", "=": filter.collector_code, "0": NEVER}[_code(filter)]
    return "" if filter.status == "all" else filter.status, code, filter.due_from, _until(filter, today), filter.penalty


def _sort(sort: str) -> tuple[str, bool]:
    name = sort.removeprefix("-")
    return (name, sort.startswith("-")) if name in _SORTS else ("due_date", False)


def _mark(sort: str, row: Sequence[Any]) -> str:
    name, descending = _sort(sort)
    value = _sort_value(name, row)
    if name == "due_date":
        value = value.isoformat()
    elif name == "amount_due":
        value = centavos(value)
    text = json.dumps([name, descending, value, row[0]], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_mark(sort: str, mark: str | None) -> tuple[Any, str] | None:
    """(sort value, id) of a mark made for the same order, else None."""
    if not mark or len(mark) > 6000:
        return None
    name, descending = _sort(sort)
    try:
        text = base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)).decode()
        made_for, made_descending, value, row_id = json.loads(text)
        if (made_for, made_descending) != (name, descending) or not isinstance(row_id, str) or "\x00" in row_id:
            return None
        row_id.encode()
        if name == "due_date":
            return date.fromisoformat(value), row_id
        if name == "amount_due":
            return from_centavos(value), row_id
        if not isinstance(value, str) or "\x00" in value:
            return None
        value.encode()
        return value, row_id
    except (ValueError, TypeError, RecursionError, InvalidAmount):
        return None


# --- whole SOAs


def get(soa_id: str) -> SoaDetail | None:
    """One SOA with its invoices, closed or not; None when there is none."""
    if "\x00" in soa_id:
        return None
    found = list(_whole(select(Soa).where(Soa.id == soa_id)))
    if not found:
        return None
    return _detail(*found[0])


def _detail(soa: domain.Soa, row: Row[Any]) -> SoaDetail:
    return SoaDetail(soa, row.closed_on, row.changed_run_id, row.version)


def get_many(ids: Sequence[str]) -> dict[str, domain.Soa]:
    """The SOAs with these ids, closed ones too; what does not exist is not in the answer."""
    return {soa_id: detail.soa for soa_id, detail in details(ids).items()}


def details(ids: Sequence[str]) -> dict[str, SoaDetail]:
    """get() of many; what does not exist is not in the answer."""
    found: dict[str, SoaDetail] = {}
    wanted = sorted({soa_id for soa_id in ids if "\x00" not in soa_id})
    for start in range(0, len(wanted), 500):
        found |= {soa.id: _detail(soa, row) for soa, row in _read_whole(_by_ids(), {"ids": wanted[start : start + 500]})}
    return found


@cache
def _by_ids() -> Select[Any]:
    """Made once: each payment that is booked asks for its SOA."""
    return _whole_query(select(Soa).where(among(Soa.id, "ids")))


def by_account(accounts: Sequence[str]) -> dict[str, str]:
    """Account number -> id of its open SOA; an account with none, or with several, is not in the answer."""
    wanted = sorted({account for account in accounts if account and "\x00" not in account})
    if not wanted:
        return {}
    query = select(Soa.account_number, func.min(Soa.id)).where(Soa.status == "active", Soa.account_number.in_(wanted))
    rows = db.session.execute(query.group_by(Soa.account_number).having(func.count() == 1))
    return {row[0]: row[1] for row in rows}


def open_with_number(soa_number: str) -> list[str]:
    """Ids of the open SOAs with this number, two at most: one is the rule."""
    if not soa_number or "\x00" in soa_number:
        return []
    query = select(Soa.id).where(Soa.soa_number == soa_number, Soa.status == "active").order_by(Soa.id).limit(2)
    return list(db.session.execute(query).scalars())


def open_of_account(account_number: str, limit: int = 20) -> list[str]:
    """Numbers of the open SOAs of an account, in order."""
    query = select(Soa.soa_number).where(Soa.account_number == account_number, Soa.status == "active").order_by(Soa.soa_number).limit(limit)
    return list(db.session.execute(query).scalars())


def for_codes(codes: Sequence[str]) -> list[domain.Soa]:
    """Active SOAs of these collector codes, ordered by id."""
    wanted = sorted({code for code in codes if code and "\x00" not in code})
    if not wanted:
        return []
    return [soa for soa, _ in _whole(select(Soa).where(Soa.status == "active", Soa.collector_code.in_(wanted)))]


def data_as_of() -> tuple[int, datetime] | None:
    """(id, moment of the data) of the last completed run; None when none has completed."""
    run = db.session.connection().execute(last_run()).one_or_none()
    return None if run is None else (run[0], run[1] or run[2] or run[3])


@cache
def last_run() -> Select[*tuple[Any, ...]]:
    """Asks for the last completed download: its id and the moments that may say of when its data are, the best first."""
    moments = (SyncRun.as_of, SyncRun.finished_at, SyncRun.requested_at)
    return select(SyncRun.id, *moments).where(SyncRun.status == "completed").order_by(SyncRun.id.desc()).limit(literal_column("1"))


def last_change() -> tuple[int, int]:
    """Moves whenever a download or a retry of failed records changes any SOA, or confirms that its figures are still right: the
    newest change's id, and how many SOAs the last download could not confirm."""
    unconfirmed = db.session.execute(select(func.count()).select_from(UnconfirmedSoa)).scalar_one()
    return db.session.execute(select(func.max(SoaChange.id))).scalar_one_or_none() or 0, unconfirmed


def _whole(query: Select[Any]) -> Iterator[tuple[domain.Soa, Row[Any]]]:
    return _read_whole(_whole_query(query), {})


def _whole_query(query: Select[Any]) -> Select[Any]:
    """SOAs with their invoices in ONE statement, so that no run can come between the two; ordered by id."""
    chosen = query.with_only_columns(
        *(getattr(Soa, name) for name in COLUMNS), Soa.closed_on, Soa.changed_run_id, Soa.version, maintain_column_froms=True
    ).subquery()
    parts = [getattr(Invoice, name).label(f"invoice__{name}") for name in INVOICE_COLUMNS]
    return select(chosen, *parts).outerjoin(Invoice, Invoice.soa_id == chosen.c.id).order_by(chosen.c.id, Invoice.position)


def _read_whole(query: Select[Any], values: dict[str, Any]) -> Iterator[tuple[domain.Soa, Row[Any]]]:
    rows = db.session.execute(query, values)
    current: Row[Any] | None = None
    invoices: list[domain.Invoice] = []
    for row in rows:
        if current is not None and row.id != current.id:
            yield _domain(current, invoices), current
            invoices = []
        current = row
        if row.invoice__id is not None:
            invoices.append(domain.Invoice(**{name: getattr(row, f"invoice__{name}") for name in INVOICE_COLUMNS}))
    if current is not None:
        yield _domain(current, invoices), current


def _domain(row: Row[Any], invoices: list[domain.Invoice]) -> domain.Soa:
    return domain.Soa(**{name: getattr(row, name) for name in COLUMNS}, invoices=tuple(invoices))


def timeline(soa_id: str, limit: int = 100) -> list[TimelineEvent]:
    """What downloads changed on this SOA, the latest first."""
    return [
        TimelineEvent(
            row.at, row.kind, row.words, [(field.words, field.before, field.after) for field in row.fields], f"/syncs/{row.run_id}"
        )
        for row in soa_changes.of_soa(soa_id, limit)
    ]
