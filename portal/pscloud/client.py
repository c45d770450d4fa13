"""Talking to PSCloud: asks and posts by the connector profile, and turns every way it can fail into one of three plain errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from portal.domain.errors import InvalidAmount
from portal.domain.known_pages import NOTHING, Known
from portal.domain.money import ZERO
from portal.pscloud import answers, mapping, payments_list
from portal.pscloud.errors import AuthFailed, PscloudError, Rejected, Retryable
from portal.pscloud.exchange import Exchange, http_date
from portal.pscloud.joins import Joiner, ListMoved, in_query
from portal.pscloud.mapping import CollectorRecord, MappingError, PaymentResult
from portal.pscloud.paging import Answer, count_of, key_of, read_pages, records_of
from portal.pscloud.profile import ProfileError, load

__all__ = ["AuthFailed", "Page", "PaymentResult", "PscloudClient", "PscloudError", "Rejected", "Retryable", "Summary"]

RESTARTS = 2
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of SOAs. `records` are JSON texts for mapping.to_soa; `total` counts the whole snapshot, None when PSCloud does not say.
    `restarted` means that PSCloud forgot the snapshot, or mixed it up, and this is the first page of a new one: what came before it must be
    thrown away. `moved` means that the list changed between this page and the one before, so that an SOA may have been missed.

    `unchanged` means that its list is byte for byte that of the known page with this number: then `records` is empty and `count` says
    how many there are. `start`, `length` and `digest` are what to recognise it by; no digest, when it cannot be. `size` in bytes,
    `seconds` from asking to the last byte."""

    records: list[bytes]
    total: int | None
    as_of: datetime | None
    number: int
    restarted: bool
    moved: bool = False
    unchanged: bool = False
    count: int = 0
    start: int = 0
    length: int = 0
    digest: str | None = None
    size: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """PSCloud's own control totals; `amount_due` in exact pesos."""

    count: int
    amount_due: Decimal


class PscloudClient(Exchange):
    """One PSCloud server: what the portal asks it and tells it, by the connector profile."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> PscloudClient:
        """A client for the configured PSCloud. Raises Rejected in plain words when the settings cannot be right."""
        try:
            profile = load(config.get("PSCLOUD_PROFILE") or None)
        except ProfileError as error:
            raise Rejected(str(error)) from None
        allow_private = bool(config.get("PSCLOUD_ALLOW_PRIVATE"))
        return cls(config.get("PSCLOUD_URL") or "", config.get("PSCLOUD_TOKEN") or "", profile, allow_private=allow_private)

    def __enter__(self) -> PscloudClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what PSCloud is asked

    def status(self) -> dict[str, Any]:
        """Whether PSCloud lives: what it says of itself, as it sends it; empty when the profile names no address for that."""
        if not self.profile.status_path:
            return {}
        value = answers.value_or_none(self.get(self.profile.status_path).body)
        return value if isinstance(value, dict) else {"answer": value}

    def soa_pages(self, since: datetime | None = None, known: Known = NOTHING) -> Iterator[Page]:
        """Every page of the snapshot; with `since`, of what changed at or after that instant of PSCloud's, whatever its status is now.
        Pages that are `known` are not read again where their bytes alone say that they are the same.

        Raises Rejected for a list that repeats or never ends, and Retryable after too many restarts."""
        restarts = 0
        restarted = False
        while True:
            try:
                for page in self._snapshot(restarted, since, known):
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

    def _snapshot(self, restarted: bool, since: datetime | None, known: Known) -> Iterator[Page]:
        soas = self.profile.soas
        query = dict(soas.query)
        if since is not None:
            if soas.changes is None:
                raise ValueError("this connector profile cannot ask for changes")
            moment = mapping.write_instant(since, self.profile.formats)
            query |= {name: text.replace("{since}", moment) for name, text in soas.changes.query.items()}
            query = {name: text for name, text in query.items() if text or soas.changes.query.get(name) != ""}
        joiner = Joiner(self.get, self.profile, side_by_side=since is None)
        counted = soas.count is not None and since is None
        total = self._counted() if counted else None
        waiting: Page | None = None
        as_of: datetime | None = None
        if self.profile.joins:
            known = NOTHING  # what belongs to the records stands in other lists
        for raw in read_pages(self.get, soas, "SOAs", self.profile.soa.id, list(query.items()), total, known):
            records = joiner.attach(raw.records, raw.moved)
            if soas.as_of or as_of is None:
                as_of = self._as_of(raw.answer)
            page = Page(
                records,
                raw.total,
                as_of,
                raw.number,
                restarted and raw.number == 1,
                raw.moved,
                raw.unchanged,
                raw.count,
                raw.start,
                raw.length,
                raw.digest,
                raw.answer.size,
                raw.answer.seconds,
            )
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
        return count_of(self.get(asked.path, list(asked.query.items())).body, asked.value)

    def summary(self) -> Summary:
        """PSCloud's control totals. Raises Rejected also when the profile names none."""
        asked = self.profile.summary
        if asked.style == "none":
            raise Rejected("The connector profile says that PSCloud has none.")
        if asked.style == "list":
            return self._added_up()
        body = self.get(asked.path, list(asked.query.items())).body
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
        for page in read_pages(self.get, soas, "SOAs", fields.id, query):
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
            body = self.get(_fill(soas.one_path, id=soa_id), list(soas.one_query.items())).body
        except Rejected as error:
            if error.status == 404:
                return None
            raise
        record = answers.part_or_none(body, self.profile.soas.one_record)
        if record is None:
            raise Rejected(
                f"PSCloud's answer holds no SOA at {self.profile.soas.one_record}. Check soas.one_record in the connector profile."
            )
        return Joiner(self.get, self.profile, side_by_side=False).attach([record])[0]

    def collectors(self) -> tuple[list[CollectorRecord], list[str]]:
        """The collector codes, and for each one that could not be read a reason in plain words."""
        asked = self.profile.collectors
        if asked is None:
            raise Rejected("The connector profile names no list of them.")
        good: list[CollectorRecord] = []
        bad: list[str] = []
        for page in read_pages(self.get, asked, "collector codes", asked.fields.code):
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
            one = answers.part_or_none(body, asked.results)
            return self._results([] if one is None else [one], sent)
        except Rejected as error:
            raise Retryable(error.message, outcome_unknown=True) from None

    def find_payments(self, references: Sequence[str]) -> list[PaymentResult]:
        """What PSCloud holds for these references; one it does not know is not in the list."""
        asked = self.profile.payments.lookup
        found: list[PaymentResult] = []
        for start in range(0, len(references), asked.keys.limit):
            wanted = list(references[start : start + asked.keys.limit])
            for page in read_pages(self.get, asked, "payments", "", [*asked.query.items(), *in_query(asked.keys, wanted)]):
                if page.moved:
                    raise Retryable("PSCloud's list of payments changed while it was read. Try again later.")
                found += self._results(page.records, set(wanted), strict=True)
        return found

    def held_payments(self, references: Sequence[str]) -> dict[str, payments_list.HeldPayment]:
        """What PSCloud holds for these references, with all it tells of each; one it does not know is not in it."""
        return payments_list.by_reference(self.get, self.profile, references)

    def listed_payments(self, since: datetime | None) -> Iterator[payments_list.ListedPage]:
        """PSCloud's own list of payments, page by page. Raises ValueError when the profile names none."""
        return payments_list.listed(self.get, self.profile, since)

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
            part = answers.part_or_none(body, void.record)
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
            sent = http_date(answer.headers.get(soas.as_of_header) or "")
            return None if sent is None else sent - timedelta(seconds=answer.seconds)
        part = answers.part_or_none(answer.body, soas.as_of) if soas.as_of else None
        value = None if part is None else answers.value_or_none(part)
        if value is None:
            return None
        try:
            return mapping.read_instant(str(value), soas.as_of, self.profile.formats)
        except MappingError as error:
            raise Rejected(f"PSCloud's answer cannot be read: {error}") from None


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
