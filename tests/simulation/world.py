"""The world of one seed: the portal, the phones, PSCloud, the job queue and the clock, and what an all-knowing observer wrote down."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

from sqlalchemy.exc import OperationalError

from portal import clock, doorbell
from portal.domain.errors import Conflict, PortalError
from portal.domain.journal import Entry
from portal.packing import packed
from portal.services import expenses, journal, restore, snapshot, sync, terminals, voids
from portal.services.journal import Policy, Uploader
from portal.store import reading_view
from portal.store import terminals as terminal_store
from tests.simulation.phone import Phone, PhoneDied, Refused, jwk
from tests.simulation.portal import COLLECTORS, START, Killed, Portal
from tests.simulation.pscloud import ModelClient, Pscloud
from tests.soa_columns import unpack
from workers import jobs, schedule

T = TypeVar("T")
BUSINESS = {"registered_name": "Hardin ng Kapayapaan Memorial Park, Inc."}
STEP = tuple[str, int]
"""A step: its name, and the number its own random choices grow from. So a sequence keeps its meaning when others are left out."""


class Violation(Exception):
    """An invariant does not hold. `ids` are those that differ."""

    def __init__(self, invariant: str, detail: str, ids: Sequence[object] = ()) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant, self.detail, self.ids = invariant, detail, list(ids)


@dataclass
class Observer:
    """What really happened, whoever forgot it since."""

    written: dict[str, Entry] = field(default_factory=dict)
    """Every payment that ever was on a phone's disk."""
    copies: dict[str, list[Entry]] = field(default_factory=dict)
    forms: set[str] = field(default_factory=set)
    """Payments that a collector filled in a form for."""
    confirmed: set[str] = field(default_factory=set)
    """Payments a phone called saved."""
    lost: set[str] = field(default_factory=set)
    """Payments that were on a disk which is gone, and never reached the portal's journal."""
    marked: list[tuple[str, Entry, str]] = field(default_factory=list)
    """Marks phones made in this step: terminal, entry, verdict."""
    poisoned: set[str] = field(default_factory=set)
    """Hashes of entries that are wrong on purpose."""
    damaged: set[str] = field(default_factory=set)
    """Hashes of entries that were damaged on the way at least once."""
    forked: set[str] = field(default_factory=set)
    """Terminals whose phone was put back to an older copy."""
    told_to_stop: dict[str, int] = field(default_factory=dict)
    """Terminal -> last receipt the phone had when it learned that its records are not the portal's."""
    sights: dict[tuple[int, int], str] = field(default_factory=dict)
    """What everybody saw of the SOAs, by the last completed download and the number of retries."""
    database: str = ""
    """What this step did with the portal's database: "backed up", "put back", or nothing."""
    notes: list[str] = field(default_factory=list)
    """What this step did, for people."""


@dataclass(frozen=True)
class Person:
    """A signed-in collector."""

    id: int
    name: str
    codes: tuple[str, ...]


class World:
    """Everything of one seed. Close it (or use it in `with`) to give the machine its own clock back."""

    def __init__(self, portal: Portal, seed: int) -> None:
        rng = Random(f"world {seed}")
        portal.reset()
        self.portal, self.seed = portal, seed
        self.time = START
        self.seen = Observer()
        self.approval = "manual" if rng.random() < 0.15 else "automatic"
        self.pscloud = Pscloud(rng, self.now, dedupes=rng.random() < 0.5)
        self.queue: list[tuple[str, tuple[int | str, ...], str | None]] = []
        self.redis = True
        self.codes: dict[str, set[tuple[str, str]]] = {}
        """Of a void number: challenge and digits that a supervisor read out for it."""
        self.old_uploads: list[tuple[str, dict[str, Any]]] = []
        self.keys = 0
        self.depth = 0
        self.fate: tuple[int, str] | None = None
        """How the next process ends, where a step is about just that: fuse and way, as Portal.process has them."""
        self.job_rng = rng
        self.phones = [self.new_phone(user, f"{user} {number}") for user in COLLECTORS for number in (1, 2) if (user, number) != ("jun", 2)]
        self.schedulers = [schedule.Scheduler(portal.app), schedule.Scheduler(portal.app)]
        self.stack = ExitStack()
        for what, name, value in (
            (clock, "now", self.tick),
            (doorbell, "ring", self.ring),
            (doorbell, "is_waiting", self.is_waiting),
            (jobs.PscloudClient, "from_config", lambda _config: self.client(self.job_rng)),
        ):
            self.stack.enter_context(patch.object(what, name, value))
        self.during: Callable[[str], None] = lambda what: None
        self.first_download()
        portal.app.config["SYNC_DROP_PERCENT"] = 20
        portal.app.config["PAYMENT_APPROVAL"] = self.approval

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def first_download(self) -> None:
        """What the installation did: one download, so that the day does not begin empty."""

        def work() -> None:
            sync.run(sync.request_run("manual", "boss", self.tick()), self.client(self.job_rng), self.tick)  # type: ignore[arg-type]

        self.portal.process(work)
        self.queue.clear()

    # --- time and chance

    def now(self) -> datetime:
        """This instant."""
        return self.time

    def tick(self) -> datetime:
        """This instant, as somebody reads it: every look takes a millisecond."""
        self.time += timedelta(milliseconds=1)
        return self.time

    def pass_time(self, **span: float) -> None:
        """Let time go by."""
        self.time += timedelta(**span)

    def note(self, text: str) -> None:
        """Say what this step does."""
        self.seen.notes.append(text)

    # --- people and phones

    def new_phone(self, user: str, name: str) -> Phone:
        """A new browser, nothing on it."""
        phone = Phone(name, user, self.now, self.next_key)
        phone.on_entry = self._entry_written
        phone.on_confirmed = lambda entry: self.seen.confirmed.add(entry.payload["payment"])
        phone.on_marked = lambda code, entry, status: self.seen.marked.append((code, entry, status))
        return phone

    def _entry_written(self, entry: Entry) -> None:
        if "poisoned" in entry.payload:
            self.seen.poisoned.add(entry.hash)
        if entry.kind != "payment":
            return
        payment_id = entry.payload["payment"]
        self.seen.written.setdefault(payment_id, entry)
        self.seen.copies.setdefault(payment_id, []).append(entry)

    def next_key(self) -> int:
        """A key pair nobody has."""
        self.keys += 1
        return self.keys

    # --- processes

    def process(self, rng: Random, work: Callable[[], T], risk: float = 0.12) -> T:
        """Do work as one of the portal's processes, which now and then dies or finds its database failing on the way."""
        random.seed(rng.getrandbits(64))
        fuse, how = None, "kill"
        if self.fate:
            (fuse, how), self.fate = self.fate, None
        elif rng.random() < risk:
            fuse, how = int(2 ** (rng.random() * 7.5)) - 1, rng.choice(("kill", "kill at commit", "fail", "fail at commit"))
            fuse = rng.randrange(4) if "commit" in how else fuse
        try:
            return self.portal.process(work, fuse, how)
        except Killed:
            self.note("process killed")
            raise

    # --- the web

    def signed_in(self, phone: Phone) -> Person | None:
        """The user of a phone, when the portal still lets them in. Read past the product's code, which does it in its own sign-ins."""
        own = self.portal.ids[phone.user]
        if not self.portal.one("SELECT active FROM users WHERE id = ?", own):
            return None
        codes = self.portal.rows("SELECT code FROM code_holdings WHERE user_id = ? AND until IS NULL ORDER BY code", own)
        return Person(own, phone.user, tuple(row[0] for row in codes))

    def web_upload(self, rng: Random, phone: Phone, body: dict[str, Any], risk: float = 0.12) -> tuple[int, dict[str, Any] | None]:
        """POST /api/v1/journal as the blueprint does it: (status, JSON answer). Status 0: the connection broke."""
        received = json.loads(json.dumps(body))

        def handle() -> tuple[int, dict[str, Any] | None]:
            user = self.signed_in(phone)
            if user is None:
                return 401, None
            policy = Policy(self.approval, 7)
            try:
                answer = journal.receive(
                    received["terminal"], received["entries"], received["signature"], Uploader(user.id, user.name), policy, self.tick()
                )
            except PortalError as error:
                return error.status, None
            if answer.approved:
                doorbell.ring("workers.jobs.post_payments")
            return 200, {
                "acknowledged_seq": answer.acknowledged_seq,
                "verdicts": answer.verdicts,
                "voids": answer.voids,
                "expenses": answer.expenses,
            }

        try:
            status, answer = self.process(rng, handle, risk)
        except Killed:
            return 0, None
        except OperationalError:
            return 503, None
        return status, json.loads(json.dumps(answer))

    def web_terminal(self, phone: Phone, code: str) -> dict[str, Any] | None:
        """GET /api/v1/terminals/<code>: None when signed out, empty when the portal does not know this terminal as the user's."""

        def handle() -> dict[str, Any] | None:
            user = self.signed_in(phone)
            if user is None:
                return None
            row = terminal_store.by_code(code)
            if row is None or row.user_id != user.id:
                return {}
            answer = {"state": row.state, "acknowledged_seq": row.head_seq, "head_hash": row.head_hash}
            return answer | {
                "restored_at": restore.restored_at(),
                "voids": voids.decisions_for(row.id),
                "expenses": expenses.decisions_for(row.id),
            }

        return self.portal.process(handle)

    def web_enroll(self, rng: Random, phone: Phone, number: int, own_code: str | None = None) -> tuple[str, str] | None:
        """POST /api/v1/terminals: (code, state), or None when no answer or a refusal came."""

        def handle() -> tuple[str, str] | None:
            user = self.signed_in(phone)
            if user is None:
                return None
            row = terminals.enroll(phone.name, dict(jwk(number)), user.id, user.name, "automatic", self.tick(), own_code)
            return row.code, row.state

        try:
            return self.process(rng, handle)
        except (Killed, OperationalError, Conflict):
            return None

    def web_soas(self, phone: Phone, tag: str | None) -> tuple[str, dict[str, Any] | None]:
        """GET /api/v1/soas: (tag, the snapshot or None for 304). Raises Refused."""

        def handle() -> tuple[str, dict[str, Any] | None]:
            user = self.signed_in(phone)
            if user is None:
                raise Refused("signed out")
            mine = terminal_store.of_user(user.id)
            if mine and all(terminal.state != "active" for terminal in mine):
                raise Refused("terminal not active")
            reading_view.begin()
            found = snapshot.tag(user.id, user.codes, BUSINESS)
            made = json.loads(json.dumps(snapshot.snapshot(user.id, user.codes, BUSINESS)))
            in_columns = json.loads(packed(snapshot.columns(user.id, user.codes, BUSINESS), None))
            if unpack(in_columns.pop("columns")) != made["soas"] or {**made, **in_columns} != made:
                raise Violation("I16", f"{phone.user} would get another list in columns than as objects", [])
            allowed = set(user.codes)
            foreign = [soa["id"] for soa in made["soas"] if soa["collector_code"] not in allowed]
            if foreign:
                raise Violation("I28", f"{phone.user} downloads SOAs of other codes", foreign)
            if found == tag:
                mine_now = phone.disk.snapshot or {}
                if made["soas"] != mine_now["soas"]:
                    theirs = {soa["id"]: soa for soa in made["soas"]}
                    had = {soa["id"]: soa for soa in mine_now["soas"]}
                    differ = [soa for soa in theirs.keys() | had.keys() if theirs.get(soa) != had.get(soa)]
                    raise Violation("I16", "the portal says 304 though the list has changed", differ)
                return found, None
            return found, made

        return self.portal.process(handle)

    # --- the job queue

    def ring(self, job: str, *args: int | str, job_id: str | None = None) -> bool:
        """The doorbell: a job into the queue, unless Redis is away."""
        if not self.redis:
            return False
        self.queue.append((job.removeprefix("workers.jobs."), args, job_id))
        return True

    def is_waiting(self, _job: str, job_id: str) -> bool:
        """Whether that job is in the queue."""
        return self.redis and any(one[2] == job_id for one in self.queue)

    def client(self, rng: Random) -> ModelClient:
        """A client of PSCloud; while it waits, time passes and others work."""

        def wait(what: str) -> None:
            self.pass_time(seconds=rng.choice((0.05, 0.2, 1, 20)))
            with self.portal.spared():
                self.during(what)

        return ModelClient(self.pscloud, rng, wait)

    @contextmanager
    def meanwhile(self, during: Callable[[str], None]) -> Iterator[None]:
        """What happens while a job waits for PSCloud."""
        before, self.during = self.during, during
        try:
            yield
        finally:
            self.during = before

    def work(self, rng: Random, job: str, args: tuple[int | str, ...], risk: float) -> None:
        """A worker does one job; when it dies the job is gone."""
        before, self.job_rng = self.job_rng, rng
        functions: dict[str, Callable[..., object]] = {
            "download_soas": jobs.download_soas,
            "post_payments": jobs.post_payments,
            "retry_failed": jobs.retry_failed,
            "sweep": jobs.sweep,
        }
        try:
            self.process(rng, lambda: functions[job](*args), risk)
        except (Killed, OperationalError) as error:
            self.note(f"{job} ended by {type(error).__name__}")
        except Exception as error:
            if type(error).__module__ not in {"portal.domain.errors", "portal.pscloud.errors"}:
                raise
            self.note(f"{job} refused: {error}")
        finally:
            self.job_rng = before

    def scheduler(self, rng: Random, number: int = 0, risk: float = 0.05) -> None:
        """One tick of a scheduler; a killed one starts anew with its memory gone."""
        random.seed(rng.getrandbits(64))
        fuse = int(2 ** (rng.random() * 5)) if rng.random() < risk else None
        try:
            self.portal.process(lambda: self.schedulers[number].tick(self.tick()), fuse)
        except Killed:
            self.note("scheduler killed")
            self.schedulers[number] = schedule.Scheduler(self.portal.app)

    # --- phones die

    def on_phone(self, rng: Random, phone: Phone, work: Callable[[], T], risk: float = 0.06) -> T | None:
        """Let a phone do something; it may die at any durable write, and is started again."""
        if rng.random() < risk:
            phone.crash = rng.choice((0, 1, 1, 2, 3))
        try:
            return work()
        except PhoneDied:
            self.note("phone died")
            phone.restart()
            return None
        except Refused as refusal:
            self.note(f"refused: {refusal}")
            return None
        finally:
            phone.crash = None
