"""Bad moments: several events that must meet at one instant to do harm, each composed as one step that its own random choices vary.

They are part of the ordinary simulation; chance alone brings these events together too seldom to say that a bug would be found."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from portal import doorbell
from portal.services import payments, sync
from tests.simulation.desk import ask_for, decide_void
from tests.simulation.phone import Phone
from tests.simulation.portal import Killed
from tests.simulation.pscloud import Faults, Soa
from tests.simulation.steps import (
    UPLOADS,
    a_phone,
    by_person,
    download_this,
    end_day,
    meet,
    one_request,
    pay,
    reader_looks,
    restore_this,
    send,
    step,
    take_payment,
)
from tests.simulation.world import World


def at_wait(world: World, moment: Callable[[str], bool], happens: Callable[[], None]) -> Callable[[str], None]:
    """What happens once, at the first wait of a job for PSCloud that is the moment."""
    done = False

    def during(what: str) -> None:
        nonlocal done
        reader_looks(world)
        if done or not moment(what):
            return
        done = True
        world.depth += 1
        try:
            happens()
        finally:
            world.depth -= 1

    return during


def the_nth(number: int, *kinds: str) -> Callable[[str], bool]:
    """The moment of the `number`-th wait (from 0) of these kinds, or of any kind."""
    left = number

    def moment(what: str) -> bool:
        nonlocal left
        if kinds and what not in kinds:
            return False
        left -= 1
        return left < 0

    return moment


# --- the phone


@step("phone dies as it saves", 2)
def dies_as_it_saves(world: World, rng: Random) -> None:
    """A phone dies right before or after it stores a payment, or what follows it."""
    take_payment(world, rng, a_phone(world, rng), 1.0)


@step("copy goes on", 0.5)
def copy_goes_on(world: World, rng: Random) -> None:
    """A phone is put back to a copy of before its last payment, takes another and uploads it, soon or later, perhaps after it heard of
    the portal."""
    phone = a_phone(world, rng)
    take_payment(world, rng, phone, 0)
    copy, code = phone.disk.copy(), phone.disk.current
    take_payment(world, rng, phone, 0)
    if code:
        send(world, rng, phone, code, "whole")
    restore_this(world, phone, copy)
    if rng.random() < 0.5:
        meet(world, rng, phone)
    take_payment(world, rng, phone)
    if code and rng.random() < 0.6:
        send(world, rng, phone, code, rng.choice(("whole", "repeated", "later half first")))


@step("bad line", 0.5)
def bad_line(world: World, rng: Random) -> None:
    """Two payments of one phone go over a line that spoils every upload in a way of its own."""
    phone = a_phone(world, rng)
    for _ in range(2):
        take_payment(world, rng, phone)
    for code in phone.disk.terminals:
        for _ in range(2):
            how = rng.choice([name for name, _ in UPLOADS if name != "whole"])
            world.note(f"{phone.name} uploads: {how}")
            send(world, rng, phone, code, how)


@step("payment comes after its Z", 0.5)
def comes_after_its_z(world: World, rng: Random) -> None:
    """A payment is bent on the way, its day ends, and its intact copy comes after the Z-reading; the next day ends too."""
    phone = a_phone(world, rng)
    take_payment(world, rng, phone, 0)
    for code in phone.disk.terminals:
        send(world, rng, phone, code, "whole")
    take_payment(world, rng, phone, 0)
    for code in phone.disk.terminals:
        send(world, rng, phone, code, "damaged")
    for day in range(2):
        end_day(world, rng, phone, 0)
        for code in phone.disk.terminals:
            send(world, rng, phone, code, "whole")
            send(world, rng, phone, code, rng.choice(("everything again", "repeated")) if day else "everything again")
        world.pass_time(days=1)
        take_payment(world, rng, phone, 0)


@step("voided", 0.5)
def voided(world: World, rng: Random) -> None:
    """A void on its way: taken, asked for, decided, heard of and written down, the day ended; uploads and workers in between, or not."""
    phone = a_phone(world, rng)
    take_payment(world, rng, phone, 0)
    code = phone.disk.current
    mine = [one for one, entry in phone.disk.payments.items() if entry.terminal == code]
    if not mine:
        return

    def between(chance: float = 0.7) -> None:
        if rng.random() < chance:
            send(world, rng, phone, code, "whole")
        if rng.random() < 0.5:
            world.pass_time(seconds=1200)
            world.work(rng, "post_payments", (), 0.05)

    between()
    ask_for(world, rng, phone, mine[-1])
    between(1)
    if rng.random() < 0.7:
        decide_void(world, rng)
    between()
    meet(world, rng, phone)
    between()
    if rng.random() < 0.5:
        end_day(world, rng, phone)
        between()


@step("machine fails as it commits an upload", 0.5)
def fails_as_it_commits(world: World, rng: Random) -> None:
    """The web server dies, or its disk fails, right before or after the commit of an upload that carries a payment."""
    phone = a_phone(world, rng)
    take_payment(world, rng, phone, 0)
    for code in phone.disk.terminals:
        entries = phone.to_send(code, 500)
        if entries:
            world.fate = (rng.choice((0, 0, 1, 2)), rng.choice(("kill at commit", "fail at commit")))
            world.note(f"{phone.name} uploads, and the machine fails: {world.fate[1]}")
            one_request(world, rng, phone, code, entries, 0)
    world.fate = None


# --- downloads


def no_download_runs(world: World) -> None:
    """Somebody cancels what runs or waits."""
    found = world.portal.rows("SELECT id FROM sync_runs WHERE active_slot = 1")
    if found:
        world.portal.process(lambda: sync.cancel(found[0][0], "carla", world.tick()))


def request(world: World, rng: Random) -> int | None:
    """Sync now; the run, which no other worker is told of."""
    asked: list[int] = []
    if not by_person(world, rng, lambda: asked.append(sync.request_run("manual", "carla", world.tick()))) or not asked:
        return None
    world.queue = [one for one in world.queue if one[:2] != ("download_soas", (asked[0],))]
    return asked[0]


def read_list(world: World, rng: Random, run_id: int, faults: Faults, during: Callable[[str], None]) -> None:
    """A worker downloads, with these faults of PSCloud's and others at work meanwhile."""
    before, world.pscloud.faults = world.pscloud.faults, faults
    world.pscloud.inactive_seen = {soa.id for soa in world.pscloud.soas.values() if soa.status != "active"}
    try:
        with world.meanwhile(during):
            world.work(rng, "download_soas", (run_id,), 0)
    finally:
        world.pscloud.faults = before


@step("cancelled in mid-download", 0.5)
def cancelled_in_mid_download(world: World, rng: Random) -> None:
    """A download is cancelled while its worker waits for PSCloud, as late as for the last answer; or its machine slept, and the sweep gave
    it up. Sometimes the next download runs before the first worker is back."""
    no_download_runs(world)
    run_id = request(world, rng)
    if run_id is None:
        return
    slept, another, number = rng.random() < 0.3, rng.random() < 0.3, rng.choice((0, 1, 2, 3, 4, 4))
    second = Random(rng.getrandbits(48))

    def happens() -> None:
        world.note(f"[at wait {number}: {'given up by the sweep' if slept else 'cancelled'}{', another runs' if another else ''}]")
        if slept:
            world.pass_time(seconds=100)
            world.portal.process(lambda: sync.fail_stalled(world.tick()))
        else:
            by_person(world, second, lambda: sync.cancel(run_id, "carla", world.tick()))
        other = request(world, second) if another else None
        if other is not None:
            world.work(second, "download_soas", (other,), 0.1)

    read_list(world, rng, run_id, Faults(), at_wait(world, the_nth(number), happens))


@step("worker dies in mid-download", 0.5)
def dies_in_mid_download(world: World, rng: Random) -> None:
    """The worker of a download is killed right before or after any of its commits; the next download finds what it left."""
    no_download_runs(world)
    run_id = request(world, rng)
    if run_id is None:
        return
    world.fate = (rng.randrange(14), "kill at commit")
    world.note(f"killed around commit {world.fate[0] // 2}")
    read_list(world, rng, run_id, Faults(), lambda _what: reader_looks(world))
    world.fate = None


@step("list moves while it is read", 0.5)
def list_moves(world: World, rng: Random) -> None:
    """SOAs leave pages that were read already, so that others slip past the reader; as many new ones may come, and then all counts agree.
    Every record can be read, and who leaves owes another sum than who is missed: otherwise nothing that PSCloud says could tell."""
    for soa in world.pscloud.soas.values():
        if soa.broken:
            soa.broken = ""
            world.pscloud.touch(soa)
    no_download_runs(world)
    first = request(world, rng)
    if first is None:
        return
    read_list(world, rng, first, Faults(), lambda _what: reader_looks(world))
    run_id = request(world, rng)
    if run_id is None:
        return
    page = rng.choice((1, 1, 2))
    leave = rng.choice((1, 1, 2))
    come = rng.choice((leave, leave, leave, 0)) if len(world.pscloud.soas) < 60 else 0

    def happens() -> None:
        listed = world.pscloud.active()
        missed = listed[5 * page : 5 * page + leave]
        going = rng.sample(listed[: 5 * page], k=leave)
        if len(missed) < leave or total(going) == total(missed):
            return
        world.note(f"[{', '.join(soa.id for soa in going)} leave, {come} come; {', '.join(soa.id for soa in missed)} will be missed]")
        for soa in going:
            pay_off(world, soa)
        for _ in range(come):
            world.pass_time(seconds=1)
            world.pscloud.add_soa(rng)

    read_list(world, rng, run_id, Faults(read="shift"), at_wait(world, the_nth(page, "page"), happens))


@step("record mended by a retry", 0.5)
def mended_by_a_retry(world: World, rng: Random) -> None:
    """A new or changed SOA of this phone's collector cannot be read; the phone downloads; the record is mended and asked for again."""
    phone = a_phone(world, rng)
    mine = [row[0] for row in world.portal.rows("SELECT code FROM code_holdings WHERE user_id = ? AND until IS NULL", owner(world, phone))]
    no_download_runs(world)
    theirs = [soa for soa in world.pscloud.active() if soa.code in mine]
    if not theirs:
        return
    soa = rng.choice(theirs)
    soa.invoices.append(world.pscloud.new_invoice(rng, f"I{soa.id}-{len(soa.invoices) + 1}"))
    soa.broken = rng.choice(("amount", "date", "customer"))
    world.pscloud.touch(soa)
    run_id = request(world, rng)
    if run_id is None:
        return
    read_list(world, rng, run_id, Faults(), lambda _what: reader_looks(world))
    download_this(world, rng, phone)
    soa.broken = ""
    world.pscloud.touch(soa)
    world.note(f"{soa.id} could not be read; it is mended and asked for again")
    if by_person(world, rng, lambda: sync.request_retry(run_id, "carla", world.tick())):
        world.queue = [one for one in world.queue if one[:2] != ("retry_failed", (run_id, "carla"))]
        world.work(rng, "retry_failed", (run_id, "carla"), 0)
    download_this(world, rng, phone)


def owner(world: World, phone: Phone) -> int:
    """The user of a phone, by id."""
    return world.portal.ids[phone.user]


def total(soas: list[Soa]) -> int:
    """What they owe together, in centavos."""
    return sum(soa.amount_due for soa in soas)


def pay_off(world: World, soa: Soa) -> None:
    """Everything is paid at the office."""
    for invoice in soa.invoices:
        invoice.balance = invoice.penalty = 0
    soa.status = "settled"
    world.pscloud.touch(soa)


# --- posting


def something_due(world: World, rng: Random, number: int) -> bool:
    """Payments are taken, uploaded and approved until so many can be posted now; says whether that was reached."""
    for _ in range(4 * number):
        if world.portal.one("SELECT count(*) FROM postings WHERE status = 'due'") >= number:
            break
        pay(world, rng)
        for phone in world.phones:
            for code in phone.disk.terminals:
                entries = phone.to_send(code, 500)
                if entries:
                    one_request(world, rng, phone, code, entries, 0)
        waiting = [
            row[0]
            for row in world.portal.rows(
                "SELECT id FROM payments p WHERE status = 'pending' AND NOT EXISTS (SELECT 1 FROM payment_flags WHERE payment_id = p.id) "
                "ORDER BY id"
            )
        ]
        if waiting and world.approval == "manual":
            approve_all(world, rng, waiting)
    world.pass_time(seconds=1200)  # longer than any pause before the next attempt
    doorbell.ring("post_payments")
    return bool(world.portal.one("SELECT count(*) FROM postings WHERE status = 'due'") >= number)


def approve_all(world: World, rng: Random, ids: list[str]) -> None:
    """A supervisor approves these."""
    by_person(world, rng, lambda: payments.approve(ids, "ramon", True, world.tick()))


@step("two workers on one payment", 0.5)
def two_workers(world: World, rng: Random) -> None:
    """While one worker waits for PSCloud, another one comes for the same payments: at once, within the lease, or after the first machine
    slept past it. (Who sleeps between the last look at the lease and the request may post twice where PSCloud does not know a reference
    again: that is not promised, so it does not happen here.)"""
    if not something_due(world, rng, 1):
        return
    what = rng.choice(("find", "post", "post", "answer"))
    sleeps = rng.choice((0, 0, 30, 300))
    if what == "post" and not world.pscloud.dedupes:
        sleeps = min(sleeps, 30)
    post(world, rng, what, sleeps, Faults(post=rng.choice(("", "", "lost answer", "silent"))))


@step("worker sleeps between two requests", 0.5)
def worker_sleeps(world: World, rng: Random) -> None:
    """PSCloud refuses a request for one line of it, so it is halved; the worker sleeps past its lease while it waits for the answer to the
    first half, and another one takes all that is left."""
    if not something_due(world, rng, 2):
        return
    post(world, rng, "answer", 300, Faults(post="refused"))


@step("posted without an answer", 0.5)
def posted_without_an_answer(world: World, rng: Random) -> None:
    """PSCloud takes a payment and the portal does not hear of it: the answer is lost, half of the request arrives, or the worker dies.
    Later others try again."""
    if not something_due(world, rng, 1):
        return
    how = rng.choice(("lost answer", "html", "half", "worker dies", "worker dies"))
    before, world.pscloud.faults = world.pscloud.faults, Faults(post="" if how == "worker dies" else how)
    world.note(f"worker posts: {how}")
    with world.meanwhile(at_wait(world, the_nth(0, "answer"), lambda: dies(how == "worker dies"))):
        world.work(rng, "post_payments", (), 0)
    world.pscloud.faults = before
    world.pass_time(seconds=1200)
    world.work(rng, "post_payments", (), 0.1)


def dies(really: bool) -> None:
    """The process that waits for PSCloud is killed now."""
    if really:
        raise Killed("while it waited for an answer")


def post(world: World, rng: Random, what: str, sleeps: int, faults: Faults) -> None:
    """A worker posts; at its first wait of that kind another one comes, so many seconds later."""
    second = Random(rng.getrandbits(48))

    def happens() -> None:
        world.note(f"[while waiting for {what}: {sleeps} s later a second worker]")
        world.pass_time(seconds=sleeps)
        world.work(second, "post_payments", (), 0.1)

    before, world.pscloud.faults = world.pscloud.faults, faults
    try:
        with world.meanwhile(at_wait(world, the_nth(0, what), happens)):
            world.work(rng, "post_payments", (), 0.05)
    finally:
        world.pscloud.faults = before
