"""db.mjs against a real IndexedDB in Chromium: strict, all or nothing, open again after the browser closed it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
STATIC = Path(__file__).parents[2] / "portal" / "static"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a log; any page is an empty one."""

    def guess_type(self, path: Any) -> str:
        """Modules are JavaScript, whatever this machine's table says."""
        return "text/javascript" if str(path).endswith(".mjs") else super().guess_type(path)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """A file, or an empty page for `/`."""
        if self.path != "/":
            super().do_GET()
            return
        body = b"<!doctype html><title>db</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server of portal/static."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(STATIC)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def page(address: str, chromium: Browser) -> Iterator[Page]:
    """A tab of Chromium, in storage of its own, with the helpers below loaded."""
    context = chromium.new_context()
    tab = context.new_page()
    tab.goto(address)
    tab.evaluate(HELPERS)
    yield tab
    context.close()


HELPERS = """async () => {
  const { Store, emptyHead } = await import("/mpos/db.mjs");
  const { Cipher, newVault, openWithPin } = await import("/mpos/vault.mjs");
  const lockStore = async (store) => {
    const { vault, key } = await newVault({ crypto, pin_work: 1000 }, "271828", "secret", "phone");
    await store.sealAll(vault, new Cipher(vault.id, key, crypto));
    return vault;
  };
  const opened = async (name, pin = "271828") => {
    const store = new Store(name, from);
    const vault = await store.vault();
    const key = await openWithPin({ crypto }, vault, pin);
    store.use(key && new Cipher(vault.id, key, crypto));
    return store;
  };
  const journal = await import("/mpos/domain/journal.mjs");
  const from = { indexedDB, keyRange: IDBKeyRange };
  const entryAfter = async (head, payload = {}) => journal.append(
    { terminal: "T07", seq: head.seq + 1, kind: "promise",
      at: "2026-11-20T08:00:00.000+08:00", at_trusted: null, payload, prev: head.hash },
    crypto.subtle);
  const append = async (store, more = {}) => {
    const head = await store.head("T07");
    const entry = await entryAfter(head);
    await store.append({ entry, head: { ...head, seq: entry.seq, hash: entry.hash, receipt: head.receipt + 1 }, ...more });
    return entry;
  };
  const prints = { customer: 0, collector: 0 };
  const payment = (id, seq) => ({ payment: id, terminal: "T07", seq, at: "", hash: "", payload: { soa: "S-1" }, shown: {}, prints });
  const failing = async (work) => {
    try { await work(); return null; } catch (error) { return typeof error.code === "string" ? error.code : error.name; }
  };
  Object.assign(window, { lockStore, opened, Store, emptyHead, journal, from, append, entryAfter, payment, failing });
}"""


def run(page: Page, body: str) -> Any:
    """Run JavaScript with a store of its own and answer what it returns."""
    return page.evaluate("async () => { const store = new Store(`t-${crypto.randomUUID()}`, from); " + body + " }")


def test_an_append_writes_entry_head_payment_and_list_together(page: Page) -> None:
    result = run(
        page,
        """await append(store, { payment: payment("p1", 1), snapshot: { snapshot: "s1" } });
        await append(store);
        const again = new Store(store.name, from);
        const head = await again.head("T07");
        const [first, second] = await again.entries("T07", 1);
        const chained = second.entry.prev === first.entry.hash;
        const kept = (await again.payment("p1")).payment;
        const placed = (await again.payments("T07", 1)).length;
        const list = (await again.snapshot()).snapshot;
        return { seq: head.seq, receipt: head.receipt, chained, payment: kept, placed, list, unsent: await again.unsentSummary("T07") };""",
    )
    assert result == {
        "seq": 2,
        "receipt": 2,
        "chained": True,
        "payment": "p1",
        "placed": 1,
        "list": "s1",
        "unsent": {"count": 2, "oldest_at": "2026-11-20T08:00:00.000+08:00"},
    }


def test_a_refused_append_leaves_nothing_behind(page: Page) -> None:
    result = run(
        page,
        """await append(store, { payment: payment("p1", 1) });
        const head = await store.head("T07");
        const stale = await entryAfter(emptyHead("T07"));
        const errors = [
          await failing(() => store.append({ entry: stale, head, payment: payment("p2", 1) })),
          await failing(() => append(store, { payment: payment("p1", 2) })),
          await failing(() => append(store, { payment: { ...payment("p3", 2), shown: { f: () => 1 } } })),
          await failing(() => append(store, { snapshot: { f: () => 1 }, payment: payment("p4", 2) })),
        ];
        const left = await Promise.all(["p2", "p3", "p4"].map((id) => store.payment(id)));
        const same = JSON.stringify(await store.head("T07")) === JSON.stringify(head);
        return { errors, left, entries: (await store.entries("T07", 1)).length, same };""",
    )
    assert result == {
        "errors": ["HeadMoved", "IntentTaken", "storage_failed", "storage_failed"],
        "left": [None, None, None],
        "entries": 1,
        "same": True,
    }


def test_money_is_written_with_strict_durability(page: Page) -> None:
    result = run(
        page,
        """const seen = [];
        const original = IDBDatabase.prototype.transaction;
        IDBDatabase.prototype.transaction = function (...args) {
          const transaction = original.apply(this, args);
          seen.push([transaction.mode, transaction.durability]);
          return transaction;
        };
        try { await append(store, { payment: payment("p1", 1) }); } finally { IDBDatabase.prototype.transaction = original; }
        return seen.filter(([mode]) => mode === "readwrite");""",
    )
    assert result == [["readwrite", "strict"]]


def test_a_full_disk_is_told_plainly_and_nothing_is_half_written(page: Page) -> None:
    result = run(
        page,
        """await append(store);
        const original = IDBObjectStore.prototype.put;
        IDBObjectStore.prototype.put = function (...args) {
          if (this.name === "heads") throw new DOMException("no space left", "QuotaExceededError");
          return original.apply(this, args);
        };
        let error;
        try { error = await failing(() => append(store, { payment: payment("p9", 2) })); }
        finally { IDBObjectStore.prototype.put = original; }
        const entries = (await store.entries("T07", 1)).length;
        return { error, payment: await store.payment("p9"), entries, next: (await append(store)).seq };""",
    )
    assert result == {"error": "disk_full", "payment": None, "entries": 1, "next": 2}


def test_two_tabs_racing_keep_one_chain(page: Page) -> None:
    result = run(
        page,
        """const other = new Store(store.name, from);
        const head = await store.head("T07");
        const make = async (name) => ({ entry: await entryAfter(head, { name }), head: { ...head, seq: 1 } });
        const [one, two] = [await make("one"), await make("two")];
        const errors = await Promise.all([failing(() => store.append(one)), failing(() => other.append(two))]);
        return { errors: errors.sort(), entries: (await store.entries("T07", 1)).length };""",
    )
    assert result == {"errors": ["HeadMoved", None], "entries": 1} or result == {"errors": [None, "HeadMoved"], "entries": 1}


def test_the_store_opens_again_after_its_connection_was_closed(page: Page) -> None:
    result = run(
        page,
        """await append(store);
        (await store._opening).close();
        const second = (await append(store)).seq;
        const connection = await store._opening;
        connection.dispatchEvent(new Event("close"));
        connection.close();
        const third = (await append(store)).seq;
        const newer = await new Promise((resolve, reject) => {
          const request = indexedDB.open(store.name, 99);
          request.onblocked = () => reject(new Error("the old connection stands in the way"));
          request.onsuccess = () => resolve(request.result);
        });
        newer.close();
        return { second, third, error: await failing(() => append(store)) };""",
    )
    assert result == {"second": 2, "third": 3, "error": "newer_version"}


def test_marks_go_only_to_the_entry_that_was_sent(page: Page) -> None:
    result = run(
        page,
        """for (let n = 0; n < 4; n += 1) await append(store);
        await store.updateTerminal("T07", { name: "phone" });
        const entries = await store.entries("T07", 1);
        const reason = (status) => (status === "quarantined" ? "why" : null);
        const verdict = (seq, status, hash = entries[seq - 1].entry.hash) => ({ seq, status, hash, reason: reason(status) });
        const count = await store.mark("T07", [verdict(1, "stored"), verdict(2, "quarantined"), verdict(3, "stored", "0")], 2);
        const unsent = (await store.unsent("T07")).map(({ seq }) => seq);
        await store.unmark("T07", 1);
        const after = (await store.unsent("T07", 2)).map(({ seq }) => seq);
        await store.mark("T07", [verdict(2, "repeat")], 2);
        const troubles = (await store.troubles("T07")).map(({ seq, status, reason }) => [seq, status, reason]);
        return { count, unsent, after, troubles, acknowledged: (await store.terminals())[0].acknowledged_seq };""",
    )
    assert result == {"count": 2, "unsent": [3, 4], "after": [2, 3], "troubles": [[2, "quarantined", "why"]], "acknowledged": 2}


def test_the_signing_key_survives_storage_and_stays_inside(page: Page) -> None:
    result = run(
        page,
        """const keys = await journal.makeKeys(crypto.subtle);
        await store.updateTerminal("T07", { ...keys });
        const [{ private_key }] = await new Store(store.name, from).terminals();
        const signature = await journal.signUpload(private_key, "T07", 1, "ab", crypto.subtle);
        const refused = await failing(() => crypto.subtle.exportKey("jwk", private_key));
        return { length: signature.length, extractable: private_key.extractable, refused };""",
    )
    assert result == {"length": 86, "extractable": False, "refused": "InvalidAccessError"}


def test_settings_are_found_by_how_their_key_begins(page: Page) -> None:
    result = run(
        page,
        """await store.setMeta("user", "nena");
        await store.setMeta("unsent:nena", { count: 3 });
        await store.setMeta("unsent:ben", { count: 1 });
        await store.setMeta("unsent", 7);
        return store.metaLike("unsent:");""",
    )
    assert result == [["ben", {"count": 1}], ["nena", {"count": 3}]]


def test_what_another_user_left_is_counted_from_that_users_own_database(page: Page) -> None:
    result = run(
        page,
        """const { openPhone } = await import("/mpos/phone.mjs");
        const left = new Store("mpos-nena", from);
        await left.updateTerminal("T07", { name: "phone" });
        await append(left);
        await append(left);
        const phone = await openPhone({ automatic: false, serviceWorker: undefined });
        const { user, unsent, others } = phone.state;
        await phone.close();
        const noted = await new Store("mpos", from).meta("unsent:nena");
        return { user, count: unsent.count, others: others.map(({ name, count }) => [name, count]), noted: noted.count };""",
    )
    assert result == {"user": None, "count": 2, "others": [["nena", 2]], "noted": 2}


def test_an_older_phone_keeps_its_unsent_work_and_can_note_visits_after_the_upgrade(page: Page) -> None:
    result = run(
        page,
        """const old = await new Promise((resolve, reject) => {
          const request = indexedDB.open(store.name, 1);
          request.onupgradeneeded = () => {
            const db = request.result;
            for (const name of ["meta", "snapshot"]) db.createObjectStore(name);
            db.createObjectStore("terminals", { keyPath: "code" });
            db.createObjectStore("heads", { keyPath: "terminal" });
            const entries = db.createObjectStore("entries", { keyPath: ["terminal", "seq"] });
            for (const mark of ["unsent", "problem"]) entries.createIndex(mark, ["terminal", mark, "seq"]);
            db.createObjectStore("payments", { keyPath: "payment" }).createIndex("place", ["terminal", "seq"]);
          };
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
        const entry = await entryAfter(emptyHead("T07"));
        await new Promise((resolve) => {
          const transaction = old.transaction(["entries", "heads", "payments"], "readwrite");
          transaction.objectStore("entries").put({ terminal: "T07", seq: 1, entry, unsent: 1, status: null, reason: null });
          transaction.objectStore("heads").put({ ...emptyHead("T07"), seq: 1, hash: entry.hash });
          transaction.objectStore("payments").put(payment("p1", 1));
          transaction.oncomplete = resolve;
        });
        old.close();
        const visit = (name) => ({ visit: name, terminal: "T07", seq: 2, at: "", kind: "promise", soa: "S-1", payload: {} });
        await append(store, { visit: visit("v1") });
        const twice = await (async () => { try { await append(store, { visit: visit("v1") }); } catch (error) { return error.name; } })();
        return { unsent: (await store.unsentSummary("T07")).count, payment: (await store.payment("p1")).seq, twice,
          visits: (await store.visits("T07", 1)).map((item) => item.visit),
          none: await store.visit("v2"), head: (await store.head("T07")).seq };""",
    )
    assert result == {"unsent": 2, "payment": 1, "twice": "IntentTaken", "visits": ["v1"], "none": None, "head": 2}


OLD = """async (name) => {
  const old = await new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 2);
    request.onupgradeneeded = () => {
      const db = request.result;
      for (const store of ["meta", "snapshot"]) db.createObjectStore(store);
      db.createObjectStore("terminals", { keyPath: "code" });
      db.createObjectStore("heads", { keyPath: "terminal" });
      const entries = db.createObjectStore("entries", { keyPath: ["terminal", "seq"] });
      for (const mark of ["unsent", "problem"]) entries.createIndex(mark, ["terminal", mark, "seq"]);
      for (const [store, key] of [["payments", "payment"], ["visits", "visit"]]) {
        db.createObjectStore(store, { keyPath: key }).createIndex("place", ["terminal", "seq"]);
      }
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const keys = await journal.makeKeys(crypto.subtle);
  const made = { entries: [], payments: [], visits: [] };
  let head = emptyHead("T07");
  for (let seq = 1; seq <= 40; seq += 1) {
    const entry = await entryAfter(head, { customer: `Customer ${seq}` });
    head = { ...head, seq, hash: entry.hash, receipt: seq };
    const mark = seq > 30 ? { unsent: 1, status: null, reason: null } : { status: "stored", reason: null };
    const trouble = seq === 7 ? { problem: 1, status: "quarantined", reason: "Customer 7 is unknown." } : mark;
    made.entries.push({ terminal: "T07", seq, entry, ...trouble });
    if (seq % 2) made.payments.push({ ...payment(`p${seq}`, seq), code: null });
    else {
      const payload = { note: "secret note" };
      made.visits.push({ visit: `v${seq}`, terminal: "T07", seq, at: "", kind: "promise", soa: "S-1", payload });
    }
  }
  const body = new TextEncoder().encode("the list of Customer 1");
  await new Promise((resolve, reject) => {
    const transaction = old.transaction([...old.objectStoreNames], "readwrite");
    transaction.objectStore("meta").put("T07", "terminal");
    transaction.objectStore("meta").put({ of: "list T07 2", order: Int32Array.from([2, 0, 1]), keys: "customer 1" }, "prepared");
    const terminal = { code: "T07", name: "Nena's phone", state: "active", business: null, stopped: null, acknowledged_seq: 30 };
    transaction.objectStore("terminals").put({ ...terminal, ...keys });
    transaction.objectStore("heads").put(head);
    for (const [store, records] of Object.entries(made)) for (const record of records) transaction.objectStore(store).put(record);
    transaction.objectStore("snapshot").put({ snapshot: "s1", count: 1, body }, "current");
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  old.close();
}"""
"""A database as the version before left it in Chromium: forty entries, ten of them unsent, one held by the office."""

TOLD = """const told = async (store) => JSON.stringify([
  await store.entries("T07", 1), await store.payments("T07", 1), await store.visits("T07", 1),
  await store.head("T07"), await store.troubles("T07"),
  (await store.terminals()).map(({ private_key, ...rest }) => [rest, private_key.type]),
  new TextDecoder().decode((await store.snapshot()).body),
  await store.meta("terminal"), Array.from((await store.meta("prepared")).order), await store.unsentSummary("T07"),
  (await store.unsent("T07", 3)).map(({ seq }) => seq),
], (_key, value) => (value && value.constructor === Object ? Object.fromEntries(Object.entries(value).sort()) : value));"""


def test_a_phone_of_the_version_before_is_sealed_in_place_and_not_a_row_is_lost(page: Page) -> None:
    result = run(
        page,
        f"""await ({OLD})(store.name);
        {TOLD}
        const before = await told(store);
        await lockStore(store);
        const after = await told(store);
        await store.close();
        const again = await told(await opened(store.name));
        const locked = new Store(store.name, from);
        const refused = [
          await failing(() => locked.entries("T07", 1)), await failing(() => locked.head("T07")), await failing(() => locked.snapshot()),
          await failing(() => append(locked)), await failing(() => locked.setMeta("terminal2", "T08")),
        ];
        const wrong = (await opened(store.name, "314159")).cipher;
        const open = [await locked.codes(), await locked.unsentSummary("T07"), await locked.meta("terminal")];
        const raw = await new Promise((resolve) => {{
          const request = indexedDB.open(store.name);
          request.onsuccess = () => {{
            const db = request.result;
            const transaction = db.transaction([...db.objectStoreNames]);
            const texts = [];
            for (const name of db.objectStoreNames) {{
              transaction.objectStore(name).getAll().onsuccess = (event) => texts.push(JSON.stringify(event.target.result));
            }}
            transaction.oncomplete = () => {{ db.close(); resolve(texts.join()); }};
          }};
        }});
        return {{ same: before === after && after === again, rows: JSON.parse(before)[0].length, refused, wrong, open,
          leaks: ["Customer", "secret note", "S-1", "Nena"].filter((text) => raw.includes(text)) }};""",
    )
    assert result == {
        "same": True,
        "rows": 40,
        "refused": ["locked"] * 5,
        "wrong": None,
        "open": [["T07"], {"count": 10, "oldest_at": "2026-11-20T08:00:00.000+08:00"}, "T07"],
        "leaks": [],
    }


def test_a_phone_killed_while_it_is_sealed_is_wholly_open_or_wholly_sealed(page: Page) -> None:
    result = run(
        page,
        f"""await ({OLD})(store.name);
        {TOLD}
        const before = await told(store);
        const original = IDBObjectStore.prototype.put;
        let writes = 0;
        IDBObjectStore.prototype.put = function (...args) {{
          writes += 1;
          if (writes === 30) throw new DOMException("no space left", "QuotaExceededError");
          return original.apply(this, args);
        }};
        let error;
        try {{ error = await failing(() => lockStore(store)); }} finally {{ IDBObjectStore.prototype.put = original; }}
        const fresh = new Store(store.name, from);
        return {{ error, vault: await fresh.vault(), same: before === (await told(fresh)), next: (await append(fresh)).seq }};""",
    )
    assert result == {"error": "disk_full", "vault": None, "same": True, "next": 41}


def test_what_is_written_under_a_pin_is_sealed_and_marked_as_before(page: Page) -> None:
    result = run(
        page,
        f"""await ({OLD})(store.name);
        await lockStore(store);
        const snapshot = {{ snapshot: "s2", body: new Uint8Array([1, 2, 3]) }};
        const entry = await append(store, {{ payment: payment("p41", 41), snapshot }});
        const again = await opened(store.name);
        await again.updateTerminal("T07", {{ name: "another name", voids: [{{ payment: "p1" }}] }});
        const [held] = await again.entries("T07", 31, 31);
        const verdicts = [{{ seq: 31, hash: held.entry.hash, status: "quarantined", reason: "Customer 31 is closed." }},
          {{ seq: 41, hash: entry.hash, status: "stored", reason: null }}];
        const marked = await again.mark("T07", verdicts, 41);
        await again.mark("T07", [{{ ...verdicts[0], status: "repeat", reason: null }}], 41);
        const troubles = (await again.troubles("T07")).map(({{ seq, reason }}) => [seq, reason]);
        const places = (await again.places("T07", 31)).map(({{ seq, unsent, status, reason }}) => [seq, unsent ?? 0, status, reason]);
        const [terminal] = await again.terminals();
        const body = Array.from((await again.snapshot()).body);
        return {{ marked, troubles, places: [places[0], places[1], places[10]], body, name: terminal.name,
          acknowledged: terminal.acknowledged_seq, twice: await failing(() => append(again, {{ payment: payment("p41", 42) }})),
          stale: await failing(async () => again.append({{ entry: await entryAfter(emptyHead("T07")), head: await again.head("T07") }})),
          payment: (await again.payment("p41")).payload.soa }};""",
    )
    assert result == {
        "marked": 2,
        "troubles": [[7, "Customer 7 is unknown."], [31, "Customer 31 is closed."]],
        "places": [[31, 0, "quarantined", "Customer 31 is closed."], [32, 1, None, None], [41, 0, "stored", None]],
        "body": [1, 2, 3],
        "name": "another name",
        "acknowledged": 41,
        "twice": "IntentTaken",
        "stale": "HeadMoved",
        "payment": "S-1",
    }


def test_an_old_tab_in_the_way_of_the_upgrade_is_told(page: Page) -> None:
    result = run(
        page,
        f"""await ({OLD})(store.name);
        const stubborn = await new Promise((resolve) => {{
          const request = indexedDB.open(store.name, 2);
          request.onsuccess = () => resolve(request.result);
        }});
        const blocked = await failing(() => store.head("T07"));
        stubborn.close();
        const seq = (await store.head("T07")).seq;
        const old = await new Promise((resolve) => {{
          const request = indexedDB.open(store.name, 2);
          request.onerror = () => resolve(request.error.name);
          request.onsuccess = () => resolve("opened");
        }});
        return {{ blocked, seq, old }};""",
    )
    assert result == {"blocked": "blocked", "seq": 40, "old": "VersionError"}
