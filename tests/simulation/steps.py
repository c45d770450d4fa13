"""What may happen in one step. A new kind of event is one more function in STEPS."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy.exc import OperationalError

from portal import doorbell
from portal.domain.errors import PortalError
from portal.domain.journal import Entry
from portal.services import payments, sync, terminals, users
from portal.services import restore as restore_service
from tests.simulation.phone import MANILA, Disk, Phone, Refused, uuid4
from tests.simulation.portal import COLLECTORS, Killed
from tests.simulation.pscloud import CODES, Faults
from tests.simulation.world import Violation, World

Step = Callable[[World, Random], None]
STEPS: dict[str, tuple[float, Step]] = {}
"""name -> (weight, what happens). The weights are those of a bad day, not of a usual one."""
NESTED = ("pay", "upload", "work", "work", "work", "tick", "office", "settle", "hold", "cancel sync", "cancel sync", "download", "redis")
"""What may happen while a job waits for PSCloud."""


def step(name: str, weight: float) -> Callable[[Step], Step]:
    """Put a function into the table."""

    def enter(function: Step) -> Step:
        STEPS[name] = (weight, function)
        return function

    return enter


def do(world: World, name: str, salt: int) -> None:
    """Do one step with its own random choices."""
    STEPS[name][1](world, Random(salt))


def plan(seed: int, count: int, focus: Sequence[str] = ()) -> list[tuple[str, int]]:
    """The steps of a seed; those of `focus` are drawn far more often."""
    rng = Random(f"steps {seed}")
    names = list(STEPS)
    weights = [STEPS[name][0] + (120 if name in focus else 0) for name in names]
    return [(name, rng.getrandbits(48)) for name in rng.choices(names, weights, k=count)]


def nested(world: World, rng: Random, chance: float, among: Sequence[str] = NESTED) -> Callable[[str], None]:
    """Now and then, while a job waits, something else happens."""
    salts = [(rng.choice(among), rng.getrandbits(48)) if rng.random() < chance else None for _ in range(6)]
    stall = rng.random() < 0.1
    second = Random(rng.getrandbits(48))

    def during(what: str) -> None:
        reader_looks(world)
        chosen = salts.pop() if salts else None
        if world.depth >= 2:
            return
        world.depth += 1
        try:
            if chosen:
                world.note(f"[while waiting for {what}: {chosen[0]}]")
                do(world, *chosen)
            if stall and what == "page":
                world.pass_time(seconds=100)
            if stall and what == "answer" and world.pscloud.dedupes:
                # A machine that slept past its lease. Without references that PSCloud knows again this is not promised.
                world.note("[slept; a second worker comes]")
                world.pass_time(seconds=300)
                world.work(second, "post_payments", (), 0.1)
        finally:
            world.depth -= 1

    return during


def reader_looks(world: World) -> None:
    """I16: as long as no other download completed and no records were retried, everybody sees the same SOAs, also in the middle of one."""
    mark = world.portal.rows(
        "SELECT (SELECT max(id) FROM sync_runs WHERE status = 'completed'), (SELECT count(*) FROM audit_log WHERE action = 'sync_retried')"
    )[0]
    seen = world.seen.sights.setdefault(mark, sight(world))
    if seen != sight(world):
        raise Violation("I16", "a reader sees a part of a download that is not complete", [mark[0]])


def sight(world: World) -> str:
    """All that is seen of the SOAs, in one short text."""
    rows = world.portal.rows("SELECT id, version, status, (SELECT count(*) FROM invoices WHERE soa_id = soas.id) FROM soas ORDER BY id")
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def a_phone(world: World, rng: Random) -> Phone:
    """Any phone."""
    return rng.choice(world.phones)


# --- the phone ---------------------------------------------------------------------------------------------------------------


@step("enroll", 2)
def enroll(world: World, rng: Random) -> None:
    """A phone without a terminal, or with one that was stopped or revoked, is enrolled; the answer may be lost."""
    phone = a_phone(world, rng)
    terminal = phone.terminal
    if terminal and not terminal.stopped and terminal.state == "active":
        return
    world.note(f"{phone.name} enrolls")
    enroll_this(world, rng, phone, 0.1)


@step("download", 22)
def download(world: World, rng: Random) -> None:
    """Download SOA; enrols first when needed. The answer may be cut."""
    phone = a_phone(world, rng)
    if phone.terminal is None or phone.terminal.stopped or phone.terminal.state == "revoked":
        enroll_this(world, rng, phone)
    download_this(world, rng, phone)


def download_this(world: World, rng: Random, phone: Phone) -> None:
    """One phone downloads."""
    world.note(f"{phone.name} downloads")

    def work() -> None:
        phone.may_write()
        old = phone.disk.snapshot
        tag, snapshot = world.web_soas(phone, old["tag"] if old else None)
        if snapshot is None or rng.random() < 0.05:
            return
        if rng.random() < 0.05:
            snapshot["soas"] = snapshot["soas"][:-1]
        phone.take_snapshot({**snapshot, "tag": tag})

    world.on_phone(rng, phone, work)


def enroll_this(world: World, rng: Random, phone: Phone, lose: float = 0.0) -> None:
    """Enrol a certain phone; the key is kept before the portal is asked, so a lost answer gives no second terminal."""

    def work() -> None:
        if phone.disk.new_key is None:
            fresh = phone.next_key()
            phone.commit(lambda disk: setattr(disk, "new_key", fresh))
        number = phone.disk.new_key
        answer = None if number is None else world.web_enroll(rng, phone, number)
        if answer is None or number is None or rng.random() < lose:
            raise Refused("no answer")
        phone.take_enrolment(answer[0], number, answer[1])

    world.on_phone(rng, phone, work)


def ready(world: World, rng: Random, phone: Phone) -> None:
    """What a collector does first: enrol, download, open the registry."""
    if phone.terminal is None or phone.terminal.stopped or phone.terminal.state == "revoked":
        enroll_this(world, rng, phone)
    if phone.terminal and not (phone.disk.snapshot or {}).get("soas"):

        def first() -> None:
            tag, snapshot = world.web_soas(phone, None)
            if snapshot is not None:
                phone.take_snapshot({**snapshot, "tag": tag})

        world.on_phone(rng, phone, first, 0)
    if phone.head and phone.head.registry is None:
        world.on_phone(rng, phone, lambda: phone.open_registry(rng))


@step("pay", 68)
def pay(world: World, rng: Random) -> None:
    """Collect a payment: any tender, exact, partial, over, directed; confirmed once, twice, or again after a crash."""
    take_payment(world, rng, a_phone(world, rng))


def take_payment(world: World, rng: Random, phone: Phone, risk: float = 0.06) -> None:
    """One payment on this phone, which dies on the way with this probability."""
    ready(world, rng, phone)

    def work() -> None:
        draft = phone.draft(rng)
        world.seen.forms.add(draft["intent"])
        again = rng.random() < 0.1
        world.note(f"{phone.name} takes {draft['amount']} {draft['tender']} for {draft['soa']}{' (double tap)' if again else ''}")
        try:
            entry = phone.confirm(draft)
        finally:
            if again:
                phone.crash = None
                phone.confirm(draft)
        saved = entry.payload
        if (saved["soa"], saved["amount"], saved["tender"]) != (draft["soa"], draft["amount"], draft["tender"]):
            raise Violation("I4", f"{phone.name} calls another payment saved than the one on the form", [draft["intent"]])
        if rng.random() < 0.3:
            phone.print_receipt(entry.payload["payment"])

    world.on_phone(rng, phone, work, risk)


@step("visit", 6)
def visit(world: World, rng: Random) -> None:
    """Cannot collect, or a promise."""
    phone = a_phone(world, rng)
    world.note(f"{phone.name} notes a visit")
    world.on_phone(rng, phone, lambda: phone.note_visit(rng))


@step("reprint", 8)
def reprint(world: World, rng: Random) -> None:
    """Print a receipt again."""
    phone = a_phone(world, rng)
    if phone.disk.payments:
        chosen = rng.choice(list(phone.disk.payments))
        world.note(f"{phone.name} reprints {chosen}")
        world.on_phone(rng, phone, lambda: phone.print_receipt(chosen))


@step("x", 6)
def x_reading(world: World, rng: Random) -> None:
    """An X-reading."""
    phone = a_phone(world, rng)
    world.note(f"{phone.name} X-reading")
    world.on_phone(rng, phone, phone.x_reading)


@step("count", 10)
def count(world: World, rng: Random) -> None:
    """Count the cash."""
    phone = a_phone(world, rng)
    world.note(f"{phone.name} counts")
    world.on_phone(rng, phone, lambda: phone.count(rng))


@step("drop", 4)
def drop(world: World, rng: Random) -> None:
    """A cash drop."""
    phone = a_phone(world, rng)
    world.note(f"{phone.name} drops cash")
    world.on_phone(rng, phone, lambda: phone.drop(rng))


def end_day(world: World, rng: Random, phone: Phone, risk: float = 0.06) -> None:
    """Count, Z-reading, close."""

    def work() -> None:
        _, head = phone.may_write()
        if head.registry is None:
            return
        if not head.registry.z_done:
            phone.count(rng)
            phone.z_reading()
        phone.close()

    world.on_phone(rng, phone, work, risk)


@step("z", 5)
def z_reading(world: World, rng: Random) -> None:
    """Count, Z-reading and close, with whatever is still unsent; or the Z alone."""
    phone = a_phone(world, rng)
    world.note(f"{phone.name} ends the day")
    if rng.random() < 0.3:
        world.on_phone(rng, phone, phone.z_reading)
    else:
        end_day(world, rng, phone)


@step("next day", 5)
def next_day(world: World, rng: Random) -> None:
    """The night passes; most phones end their day first, some forget."""
    for phone in world.phones:
        if rng.random() < 0.75:
            end_day(world, rng, phone)
    local = world.time.astimezone(MANILA)
    morning = (local + timedelta(days=1)).replace(hour=7, minute=rng.randrange(60))
    world.time = max(world.time, morning.astimezone(world.time.tzinfo))
    world.note(f"it is {local + timedelta(days=1):%d %b}")


@step("restart phone", 12)
def restart(world: World, rng: Random) -> None:
    """A phone is killed and started."""
    phone = a_phone(world, rng)
    world.note(f"{phone.name} restarts")
    world.on_phone(rng, phone, phone.restart, 0.2)


@step("back up phone", 6)
def back_up(world: World, rng: Random) -> None:
    """Somebody keeps a copy of a phone."""
    phone = a_phone(world, rng)
    phone.backup = phone.disk.copy()
    world.note(f"{phone.name} is backed up")


@step("restore phone", 3)
def restore(world: World, rng: Random) -> None:
    """The copy is put back: what came after it is gone from the phone."""
    phone = a_phone(world, rng)
    if phone.backup is None:
        return
    restore_this(world, phone, phone.backup)


def restore_this(world: World, phone: Phone, copy: Disk) -> None:
    """One phone is put back to a copy."""
    world.note(f"{phone.name} is put back to an older copy")
    for code, entries in phone.disk.entries.items():
        kept = copy.entries.get(code, [])
        world.seen.told_to_stop.pop(code, None)
        if len(kept) < len(entries):
            world.seen.forked.add(code)
    with losing(world):
        phone.disk = copy.copy()
    phone.restart()


@contextmanager
def losing(world: World) -> Iterator[None]:
    """What only the store that is put back here held is lost, and nobody's fault; what an older copy brings back is not lost any more."""

    def held() -> set[str]:
        on_phones = {payment for phone in world.phones for payment in phone.disk.payments}
        return on_phones | {row[0] for row in world.portal.rows("SELECT id FROM payments")}

    before = held()
    yield
    after = held()
    world.seen.lost = (world.seen.lost | (before - after)) - after


@step("move clock", 4)
def move_clock(world: World, rng: Random) -> None:
    """A phone's clock is set: hours, days, decades; while the app runs or while it is closed."""
    phone = a_phone(world, rng)
    before = phone.offset
    phone.offset = rng.choice(
        (
            timedelta(0),
            timedelta(0),
            timedelta(hours=-3),
            timedelta(days=1),
            timedelta(days=-1),
            timedelta(minutes=5),
            back_to_1970(world),
            back_to_1970(world),
        )
    )
    seconds = (phone.offset - before).total_seconds()
    world.note(f"{phone.name}'s clock moves by {seconds:.0f} s")
    if abs(seconds) > 120 and rng.random() < 0.6:
        phone.jump += round(seconds)


def back_to_1970(world: World) -> timedelta:
    """A battery that ran empty: the clock starts anew."""
    return datetime(1970, 1, 2, tzinfo=MANILA) - world.time


@step("contact", 20)
def contact(world: World, rng: Random) -> None:
    """A phone speaks to the portal and compares journals."""
    phone = a_phone(world, rng)
    world.note(f"{phone.name} contacts the portal")
    meet(world, rng, phone, 0.06)


def meet(world: World, rng: Random, phone: Phone, risk: float = 0.0) -> None:
    """The comparison of one phone."""

    def work() -> None:
        phone.heard()
        for code in list(phone.disk.terminals):
            theirs = world.web_terminal(phone, code)
            if theirs is None:
                return
            if not theirs:  # the database was put back to a time before this terminal was enrolled
                answer = world.web_enroll(rng, phone, phone.disk.terminals[code].key, code)
                if answer and answer[0] == code:
                    phone.enrolled_again(code)
                continue
            phone.compare(code, theirs["state"], theirs["acknowledged_seq"], theirs["head_hash"], theirs["restored_at"])
            phone.hear_voids(code, theirs["voids"])
            phone.hear_expenses(code, theirs["expenses"])
            # What the world knows better than the phone's own compare(): a terminal of which the portal holds more must write no more.
            if theirs["acknowledged_seq"] > len(phone.disk.entries[code]):
                world.seen.told_to_stop.setdefault(code, len(phone.disk.entries[code]))

    world.on_phone(rng, phone, work, risk)


@step("poison", 3)
def poison(world: World, rng: Random) -> None:
    """A faulty app writes an entry that cannot be right; its neighbours must not suffer."""
    phone = a_phone(world, rng)
    kind, payload = rng.choice(
        (
            ("party", {}),
            ("promise", {"note": "\x00", "soa": 5}),
            ("count", {"registry": uuid4(rng), "denominations": [{"value": 3, "kind": "bill", "count": 1}], "total": 3}),
            ("cash_drop", {"registry": uuid4(rng), "amount": 0}),
            ("expense", {"registry": uuid4(rng), "amount": 5}),
            ("expense_decided", {"registry": uuid4(rng), "expense": uuid4(rng), "amount": 5, "decision": "approved"}),
            ("soa_downloaded", {"snapshot": "x", "as_of": "yesterday", "count": 1, "amount_due": 1}),
            ("registry_closed", {"registry": uuid4(rng), "z_counter": 99}),
            ("reading_z", {"registry": uuid4(rng), "z_counter": 99, "reading": {}}),
        )
    )

    def work() -> None:
        phone.may_write()
        phone.write(kind, {**payload, "poisoned": True})
        world.note(f"{phone.name} writes a poisoned {kind}")

    world.on_phone(rng, phone, work)


# --- uploading ---------------------------------------------------------------------------------------------------------------

UPLOADS = (
    ("whole", 12),
    ("part", 4),
    ("cut before", 2),
    ("answer lost", 4),
    ("repeated", 2),
    ("reordered", 2),
    ("later half first", 2),
    ("twice at once", 2),
    ("captive portal", 1),
    ("server error", 1),
    ("everything again", 1),
    ("damaged", 1),
)


@step("upload", 50)
def upload(world: World, rng: Random) -> None:
    """Upload Payments, in every way a bad line can spoil."""
    phone = a_phone(world, rng)
    how = rng.choices([name for name, _ in UPLOADS], [weight for _, weight in UPLOADS])[0]
    if how == "everything again" and rng.random() < 0.7:
        how = "whole"
    codes = [code for code in phone.disk.terminals if phone.disk.unsent(code) or how == "everything again"]
    world.note(f"{phone.name} uploads: {how}")

    def work() -> None:
        for code in codes:
            send(world, rng, phone, code, how)

    world.on_phone(rng, phone, work)


def send(world: World, rng: Random, phone: Phone, code: str, how: str) -> None:
    """One upload of one terminal."""
    entries = list(phone.disk.entries[code]) if how == "everything again" else phone.to_send(code, 500)
    if not entries:
        return
    if how == "part":
        entries = entries[: rng.randrange(1, len(entries) + 1)]
    if how == "later half first" and len(entries) > 1:
        middle = rng.randrange(1, len(entries))
        one_request(world, rng, phone, code, entries[middle:])
        one_request(world, rng, phone, code, entries[:middle])
        return
    if how == "captive portal":
        phone.take_answer(code, entries, 200, None)
        return
    if how == "server error":
        phone.take_answer(code, entries, 500, {"error": {"code": "server_error", "message": "The portal has a fault."}})
        return
    if how == "cut before":
        return
    body = phone.body(code, entries)
    if how == "reordered":
        rng.shuffle(body["entries"])
    if how == "damaged":
        damage(world, rng, body, entries)
    world.old_uploads = [*world.old_uploads[-9:], (phone.name, body)]
    status, answer = world.web_upload(rng, phone, body)
    if how == "twice at once":
        world.web_upload(rng, phone, body)
    if how == "repeated":
        before = world_figures(world)
        status, answer = world.web_upload(rng, phone, body, 0) if status == 200 else (status, answer)
        if status == 200:
            same_figures(world, before, "the same upload again")
    if how == "answer lost":
        return
    phone.take_answer(code, entries, status, answer)


def damage(world: World, rng: Random, body: dict[str, Any], entries: list[Entry]) -> None:
    """Change the content of one entry on the way; the chain's hashes stay."""
    index = rng.randrange(len(entries))
    sent = copy.deepcopy(body["entries"][index])
    sent["payload"] = {**sent["payload"], "amount": 1, "note": "bent on the way"}
    body["entries"][index] = sent
    world.seen.damaged.add(entries[index].hash)


def one_request(world: World, rng: Random, phone: Phone, code: str, entries: list[Entry], risk: float = 0.12) -> None:
    """One request and its answer."""
    body = phone.body(code, entries)
    world.old_uploads = [*world.old_uploads[-9:], (phone.name, body)]
    status, answer = world.web_upload(rng, phone, body, risk)
    phone.take_answer(code, entries, status, answer)


@step("old upload again", 6)
def replay(world: World, rng: Random) -> None:
    """A request that was under way for long arrives once more; nobody waits for its answer."""
    if not world.old_uploads:
        return
    name, body = rng.choice(world.old_uploads)
    phone = next(phone for phone in world.phones if phone.name == name)
    world.note(f"an old upload of {name} arrives again")
    world.web_upload(rng, phone, body)


FIGURES = (
    "SELECT count(*), sum(amount) FROM payments",
    "SELECT count(*), sum(amount) FROM payment_allocations",
    "SELECT count(*) FROM payment_flags",
    "SELECT count(*), sum(attempts) FROM postings",
    "SELECT count(*) FROM incidents",
    "SELECT count(*), sum(gross) FROM readings",
    "SELECT count(*) FROM registries",
    "SELECT count(*) FROM journal_entries",
    "SELECT count(*) FROM journal_asides",
    "SELECT count(*) FROM audit_log",
    "SELECT count(*), count(decided_at), count(counted_seq) FROM voids",
    "SELECT sum(last_void) FROM terminals",
    "SELECT count(*), sum(amount), count(decided_at), count(counted_seq) FROM expenses",
    "SELECT count(*), sum(amount) FROM cash_drops",
    "SELECT sum(accumulated), sum(z_counter), sum(last_receipt), sum(head_seq) FROM terminals",
)


def world_figures(world: World) -> list[Any]:
    """Everything a repetition must not move."""
    return [world.portal.rows(query) for query in FIGURES]


def same_figures(world: World, before: list[Any], what: str) -> None:
    """Raise when a repetition moved something."""
    after = world_figures(world)
    if after != before:
        moved = [f"{query}: {a} -> {b}" for query, a, b in zip(FIGURES, before, after, strict=True) if a != b]
        raise Violation("I20", f"{what} changed something: {'; '.join(moved)}")


# --- office ------------------------------------------------------------------------------------------------------------------


def by_person(world: World, rng: Random, work: Callable[[], object]) -> bool:
    """Somebody in the office presses a button; True when the portal did it."""
    try:
        world.process(rng, work)
        return True
    except PortalError as error:
        world.note(f"refused: {error}")
    except (Killed, OperationalError):
        world.note("no answer")
    return False


def chosen(world: World, rng: Random, status: str) -> str | None:
    """A payment of that status."""
    found = world.portal.rows("SELECT id FROM payments WHERE status = ? ORDER BY id", status)
    return rng.choice(found)[0] if found else None


@step("office", 14)
def approve(world: World, rng: Random) -> None:
    """Approve one or several pending payments; sometimes by somebody who may not release flagged ones."""
    found = [row[0] for row in world.portal.rows("SELECT id FROM payments WHERE status = 'pending' ORDER BY id")]
    if not found:
        return
    ids = rng.sample(found, k=min(len(found), rng.choice((1, 1, 3))))
    supervisor = rng.random() < 0.8
    world.note(f"{'ramon' if supervisor else 'carla'} approves {', '.join(ids)}")

    def work() -> None:
        payments.approve(ids, "ramon" if supervisor else "carla", supervisor, world.tick())
        doorbell.ring("post_payments")

    flagged = {row[0] for row in world.portal.rows("SELECT payment_id FROM payment_flags")}
    if by_person(world, rng, work) and not supervisor and flagged & set(ids):
        raise Violation("S31", "an office user released a flagged payment", sorted(flagged & set(ids)))


@step("hold", 6)
def hold(world: World, rng: Random) -> None:
    """Take an approved payment back before it is posted."""
    payment_id = chosen(world, rng, rng.choice(("approved", "approved", "processing", "completed")))
    if payment_id:
        world.note(f"ramon holds {payment_id}")
        by_person(world, rng, lambda: payments.hold(payment_id, "ramon", "the customer disputes it", world.tick()))


@step("retry payment", 4)
def retry_payment(world: World, rng: Random) -> None:
    """Try a failed payment again; PSCloud may take it now."""
    payment_id = chosen(world, rng, "failed")
    if payment_id:
        world.note(f"carla retries {payment_id}")
        if rng.random() < 0.5:
            world.pscloud.refused.discard(payment_id)
        by_person(world, rng, lambda: payments.retry(payment_id, "carla", world.tick()))


@step("revoke", 1)
def revoke(world: World, rng: Random) -> None:
    """A terminal is revoked."""
    found = world.portal.rows("SELECT code FROM terminals WHERE state = 'active' ORDER BY id")
    if found:
        code = rng.choice(found)[0]
        world.note(f"{code} is revoked")
        by_person(world, rng, lambda: terminals.revoke(code, "boss", world.tick()))


@step("reassign", 3)
def reassign(world: World, rng: Random) -> None:
    """Collector codes change hands."""
    name = rng.choice(COLLECTORS)
    codes = rng.sample(CODES, k=rng.choice((1, 2, 2)))
    world.note(f"{name} now holds {codes}")
    by_person(world, rng, lambda: users.change(world.portal.ids[name], name, ["collector"], codes, True, "boss", world.tick()))


@step("disable", 2)
def disable(world: World, rng: Random) -> None:
    """A collector is disabled, or allowed in again."""
    name = rng.choice(COLLECTORS)
    active = rng.random() < 0.6
    codes = [
        row[0] for row in world.portal.rows("SELECT code FROM code_holdings WHERE user_id = ? AND until IS NULL", world.portal.ids[name])
    ]
    world.note(f"{name} is {'let in' if active else 'disabled'}")
    by_person(world, rng, lambda: users.change(world.portal.ids[name], name, ["collector"], codes, active, "boss", world.tick()))


@step("back up database", 3)
def back_up_database(world: World, rng: Random) -> None:
    """Somebody runs flask backup."""
    world.note("the database is backed up")
    world.portal.back_up()
    world.seen.database = "backed up"


@step("restore database", 1)
def restore_database(world: World, rng: Random) -> None:
    """The portal is stopped, its database is put back to the backup, and the office says so before it starts again. It keeps codes back
    beyond the highest in use, as docs/backup.md asks for where the same backup is put back twice."""
    if world.portal.copy is None or world.seen.database:
        return
    world.note("the database is put back to the backup")
    # A decision that a phone wrote down and the portal forgot is quarantined, and the Z that counted it differs (docs/backup.md).
    world.seen.forked |= {code for phone in world.phones for code, head in phone.disk.heads.items() if head.void}
    decided = {phone.name for phone in world.phones if set(phone.disk.expenses.values()) - {"requested"}}
    world.seen.forked |= {code for phone in world.phones if phone.name in decided for code in phone.disk.heads}
    with losing(world):
        world.portal.put_back()
    world.seen.database = "put back"
    world.seen.sights.clear()
    disks = [disk for phone in world.phones for disk in (phone.disk, phone.backup) if disk]
    skip = 100 + max((int(code[1:]) for disk in disks for code in disk.terminals), default=0)
    while not by_person(world, rng, lambda: restore_service.note("command line", world.tick(), skip)):
        world.note("once more")


# --- PSCloud and the workers -------------------------------------------------------------------------------------------------


@step("settle", 20)
def change_pscloud(world: World, rng: Random) -> None:
    """PSCloud changes: paid at the office, cancelled, a new penalty or invoice, another collector code, a new SOA, a damaged record."""
    soa = rng.choice(list(world.pscloud.soas.values()))
    what = rng.choice(("paid", "paid", "penalty", "invoice", "code", "new", "new", "cancelled", "reopened", "broken", "mended", "name"))
    world.note(f"PSCloud: {soa.id} {what}")
    match what:
        case "paid":
            for invoice in soa.invoices:
                if rng.random() < 0.6:
                    invoice.balance = rng.randrange(invoice.balance + 1)
                    invoice.penalty = 0
            if soa.amount_due == 0:
                soa.status = "settled"
        case "penalty":
            rng.choice(soa.invoices).penalty += rng.randrange(1, 9999)
        case "invoice":
            soa.invoices.append(world.pscloud.new_invoice(rng, f"I{soa.id}-{len(soa.invoices) + 1}"))
        case "code":
            soa.code = rng.choice((*CODES, None))
        case "new":
            if len(world.pscloud.active()) < 14 and len(world.pscloud.soas) < 40:
                world.pscloud.add_soa(rng)
        case "cancelled":
            soa.status = "cancelled" if rng.random() < 0.3 else soa.status
        case "reopened":
            soa.status = "active"
        case "broken":
            soa.broken = rng.choice(("amount", "date", "customer", "id"))
        case "mended":
            for one in world.pscloud.soas.values():
                one.broken = ""
        case "name":
            soa.name = f"{soa.name[:40]}*"
    world.pscloud.touch(soa)


@step("paid off", 3)
def paid_off(world: World, rng: Random) -> None:
    """A customer pays everything at the office: the statement leaves the list."""
    active = world.pscloud.active()
    if len(active) > 6:
        soa = rng.choice(active)
        for invoice in soa.invoices:
            invoice.balance = invoice.penalty = 0
        soa.status = "settled"
        world.pscloud.touch(soa)
        world.note(f"PSCloud: {soa.id} paid off")


@step("refuse", 2)
def refuse(world: World, rng: Random) -> None:
    """PSCloud will refuse a payment that waits for it."""
    payment_id = chosen(world, rng, "approved")
    if payment_id:
        world.pscloud.refused.add(payment_id)
        world.note(f"PSCloud will refuse {payment_id}")


@step("sync", 10)
def start_sync(world: World, rng: Random) -> None:
    """Sync now."""
    kind = rng.choice(("full", "quick"))
    world.note(f"{kind} sync requested")
    by_person(world, rng, lambda: sync.request_run("manual", "carla", world.tick(), kind))


@step("PSCloud's clock", 1)
def pscloud_clock(world: World, rng: Random) -> None:
    """PSCloud's clock is set: right, ten minutes back, hours ahead (F27)."""
    world.pscloud.offset = rng.choice((timedelta(0), timedelta(0), timedelta(minutes=-10), timedelta(minutes=10), timedelta(hours=3)))
    world.note(f"PSCloud's clock is off by {world.pscloud.offset}")


@step("cancel sync", 2)
def cancel_sync(world: World, rng: Random) -> None:
    """Cancel whatever runs."""
    found = world.portal.rows("SELECT id FROM sync_runs WHERE active_slot = 1")
    if found:
        world.note("sync cancelled")
        by_person(world, rng, lambda: sync.cancel(found[0][0], "carla", world.tick()))


@step("retry records", 4)
def retry_records(world: World, rng: Random) -> None:
    """Retry failed records of the last completed run, or of one made for it, between two downloads of one phone."""
    found = world.portal.rows("SELECT max(id) FROM sync_runs WHERE status = 'completed'")
    if not found or not found[0][0]:
        return
    phone = a_phone(world, rng)
    if rng.random() < 0.5 and world.portal.one("SELECT count(*) FROM sync_runs WHERE active_slot = 1") == 0:
        for soa in rng.sample(world.pscloud.active(), 2):
            soa.broken = rng.choice(("amount", "date", "customer"))
            world.pscloud.touch(soa)
        world.note("a download with bad records")
        world.pscloud.inactive_seen = {soa.id for soa in world.pscloud.soas.values() if soa.status != "active"}
        if by_person(world, rng, lambda: sync.request_run("manual", "carla", world.tick())):
            found = world.portal.rows("SELECT max(id) FROM sync_runs")
            world.work(rng, "download_soas", (found[0][0],), 0)
    download_this(world, rng, phone)
    if rng.random() < 0.7:
        for soa in world.pscloud.soas.values():
            soa.broken = ""
    world.note("retry failed records")
    by_person(world, rng, lambda: sync.request_retry(found[0][0], "carla", world.tick()))
    if rng.random() < 0.7 and world.queue and world.queue[-1][0] == "retry_failed":
        job, args, _ = world.queue.pop()
        world.work(rng, job, args, 0.1)
    download_this(world, rng, phone)


@step("work", 45)
def work(world: World, rng: Random) -> None:
    """A worker takes a job, under any fault of PSCloud's, with others at work meanwhile; it may be killed."""
    if not world.queue or not world.redis:
        return
    job, args, job_id = world.queue.pop(rng.randrange(len(world.queue)))
    before = world.pscloud.faults
    if rng.random() < (0.55 if job == "download_soas" else 0.35):
        world.pscloud.faults = Faults(
            post=rng.choice(
                ("lost answer", "lost answer", "lost request", "half", "silent", "html", "busy", "gone", "auth", "refused", "")
            ),
            find=rng.choice(("", "", "gone", "auth", "refused")),
            read=rng.choice(
                (
                    "shift",
                    "shift",
                    "shift",
                    "shift",
                    "shift",
                    "shift",
                    "twice",
                    "restart",
                    "busy",
                    "gone",
                    "auth",
                    "refused",
                    "summary",
                    "count",
                    "codes",
                    "one",
                )
            ),
            at=rng.randrange(4),
        )
    else:
        world.pscloud.faults = Faults()
    if world.depth == 0:
        world.pscloud.inactive_seen = {soa.id for soa in world.pscloud.soas.values() if soa.status != "active"}
    faults = replace(world.pscloud.faults)
    world.note(f"worker: {job} {args} {faults if faults != Faults() else ''}")
    try:
        shifting = faults.read == "shift" and job == "download_soas"
        with world.meanwhile(nested(world, rng, 0.5, ("settle", "paid off", "paid off")) if shifting else nested(world, rng, 0.2)):
            world.work(rng, job, args, 0.12)
    finally:
        world.pscloud.faults = before
    if rng.random() < 0.05:
        world.queue.append((job, args, job_id))  # the same job is done twice
    if job == "post_payments" and world.pscloud.dedupes and rng.random() < 0.05 and world.pscloud.ledger:
        again = rng.choice(world.pscloud.ledger).record
        world.pscloud.accept([json.loads(json.dumps(again))])  # an old request arrives at PSCloud once more


@step("tick", 30)
def tick(world: World, rng: Random) -> None:
    """The scheduler looks around: the daily download and the sweep."""
    world.pass_time(seconds=rng.choice((15, 15, 100, 200, 1000)))
    world.note("scheduler")
    world.scheduler(rng, rng.randrange(2))


@step("redis", 3)
def redis(world: World, rng: Random) -> None:
    """Redis is emptied, goes away, or comes back empty."""
    world.redis = rng.random() < 0.7
    world.queue.clear()
    world.note(f"Redis is {'emptied' if world.redis else 'away'}")


@step("time", 20)
def time_passes(world: World, rng: Random) -> None:
    """Some time goes by."""
    world.pass_time(seconds=rng.choice((1, 30, 300, 3600)))
