/** A stand-in for phone.mjs: the same facade over plain memory, so that screens can be looked at and tested without portal or storage. */
import { allocate, lessPayments, splitVat } from "./domain/allocation.mjs";
import { PhoneError } from "./errors.mjs";
import { problemsOf as cashProblems } from "./cash_out.mjs";
import { problemsOf } from "./visits.mjs";
import { challenge } from "./domain/void_codes.mjs";
import { isVoided } from "./domain/voids.mjs";
import { DENOMINATIONS, countTotal, parts, xReading, zReading } from "./domain/readings.mjs";

import { judge } from "./storage.mjs";
import { flawOfPin, MOST_TRIES } from "./vault.mjs";

export { PhoneError };

const NAMES = [
  "Dela Cruz, Juan Miguel", "Santos, Maria Lourdes", "Reyes, Ana", "Bautista-Villanueva, Ma. Consolacion Immaculada de los Santos y Mercado", "Ocampo, José",
  "Garcia, Peregrina", "Mendoza, Rolando", "Torres, Niño Emmanuel", "Castillo, Teresita", "Aquino, Bienvenido", "Ramos, Luzviminda", "Flores, Dionisio",
];
const STREETS = ["12 Mabini St., Brgy. San Roque, Marikina", "Blk 4 Lot 18 Sampaguita St., Cainta, Rizal", "77 Rizal Ave. Ext., Malabon", "9 P. Burgos, Pasig"];
/** The first one of tests/vectors/receipt_code.json. */
const CODE = "EAd7yAO6xAfL2ruynzQLf3xSajpMN5oODYw_ChssABEiM0RVZneImaq7zN3u_zIwMjYtMDktMDAwMTIzzElwLD7wVcVz99ByulQVhA64C_0b-UTQ4RIJFoU4HUl3tfgdRvTG7aW0mtPArkKLphZ26Gb6j0eZ8hga68B3vA";

const BUSINESS = {
  registered_name: "Hardin ng Kapayapaan Memorial Park, Inc.", business_name: "Hardin ng Kapayapaan", address: "Km 21 Ortigas Ave. Ext., Taytay, Rizal", tin: "004-512-873-00000",
  vat_registered: true, min: "DEMO00000000007", serial: "MPOS-T07", ptu: "DEMO-PTU-0001", receipt_title: "COLLECTION RECEIPT", receipt_phrase: "THIS DOCUMENT IS NOT VALID FOR CLAIM OF INPUT TAX",
};

const day = (offset) => new Date(Date.now() + 8 * 3600000 + offset * 86400000).toISOString().slice(0, 10);
const instant = (date = new Date()) => new Date(date.getTime() + 8 * 3600000).toISOString().replace("Z", "+08:00");

function makeSoa(n) {
  const late = n % 3 === 2 ? -(n % 20) : (n * 7) % 90;
  const big = n % 41 === 3 ? 100 : 1;
  const invoices = [0, 1, 2].slice(0, 1 + (n % 3)).map((k) => ({
    id: `I${n}-${k}`, invoice_number: `INV-${String(10000 + n)}-${k + 1}`, invoice_date: day(-late - 30 + 30 * k), due_date: day(-late + 30 * k), description: "Lawn lot, monthly instalment",
    amount: (345000 + (n % 50) * 1250) * big, balance: (345000 + (n % 50) * 1250) * big, penalty: late - 30 * k > 0 ? 6900 * big : 0, vat_type: "vatable", vat_amount: Math.round(((345000 + (n % 50) * 1250) * big * 12) / 112),
  }));
  const name = n % 100 < NAMES.length ? NAMES[n % 100] : `${NAMES[n % NAMES.length]} ${n}`;
  return {
    id: `S${n}`, soa_number: `SOA-2026-${String(n).padStart(5, "0")}`, version: "1", account_number: `ACC-${String(100000 + n)}`, customer_name: name, address: STREETS[n % STREETS.length],
    contact_number: n % 4 ? `+63 917 555 ${String(1000 + n)}` : "", tin: n % 5 ? "" : "123-456-789-000", due_date: invoices[0].due_date, days_overdue: Math.max(late, 0), collector_code: "A01",
    amount_due: invoices.reduce((sum, one) => sum + one.balance + one.penalty, 0), penalty: invoices.reduce((sum, one) => sum + one.penalty, 0), invoices,
  };
}

/** Opens the fake; `?soas=n`, `?start=open`, `?opened=-1` (the registry is yesterday's) and `?offline=1` in the page's own address belong to this file only. */
export async function openPhone() {
  const asked = new URLSearchParams(location.search);
  const listeners = new Set();
  const saved = JSON.parse(sessionStorage.getItem("fake-phone") ?? "null");
  const data = saved ?? { soas: [], payments: [], visits: [], counts: [], readings: {}, last: null, entries: 0, holds: {}, z: 0, accumulated: 0 };
  let state = saved?.state ?? {
    user: null, signed_in: false, online: !asked.has("offline"), demo: true, terminal: null, registry: null, unsent: { count: 0, oldest_at: null }, uploading: false, problem: asked.get("problem"),
    snapshot: null, business: BUSINESS, update_ready: asked.has("update"), others: [], last_registry: null, voids_waiting: 0, expenses_waiting: 0, today: day(0), storage_persistent: true, problems: [],
    locked: null, has_pin: false, pin_can_be_set: false, new_pin: false, lock_after: 5, lost: asked.has("lost") ? [{ user: "nena", terminal: "T03", date: "19 Nov 2026" }] : [], known_terminals: [], version: "test",
  };
  window.addEventListener("online", () => set({ online: true }));
  window.addEventListener("offline", () => set({ online: false }));
  function set(more) {
    state = Object.freeze({ ...state, ...more });
    sessionStorage.setItem("fake-phone", JSON.stringify({ ...data, state }));
    for (const fn of listeners) fn();
  }
  const entry = (more = {}) => set({ ...more, unsent: { count: state.unsent.count + 1, oldest_at: state.unsent.oldest_at ?? instant() } });
  const unsentFor = (name) => {
    const others = Object.entries(data.holds).filter(([who, { count }]) => who !== name && count > 0).map(([who, unsent]) => ({ name: who, ...unsent }));
    const none = { count: 0, oldest_at: null };
    return { others, unsent: name === null ? others.reduce((sum, { count, oldest_at }) => ({ count: sum.count + count, oldest_at }), none) : (data.holds[name] ?? none) };
  };
  const registry = () => state.registry ?? data.last;
  const mine = () => data.payments.filter((one) => one.registry === registry()?.id);
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const period = () => ({
    registry: registry().id, business_date: registry().business_date, terminal: "T07", collector: state.user.name, period_start: registry().opened_at, change_fund: registry().change_fund,
    payments: mine().map((one) => ({ ...one, ...parts(one.allocations) })), voids: data.payments.filter((one) => one.void?.counted_registry === registry().id && one.void.state === "approved").map((one) => ({ void_number: one.void.void_number, amount: one.amount, cash: one.tender === "cash" })),
    void_numbers: data.payments.filter((one) => one.void?.registry === registry().id).map((one) => one.void.void_number).sort(), drops: (data.cash ?? []).filter((one) => one.kind === "cash_drop").map((one) => one.amount), expenses: (data.cash ?? []).filter((one) => one.state === "approved").map((one) => one.amount), counted: data.counts.at(-1)?.denominations ?? null,
  });
  const view = (soa) => {
    const payments = data.payments.filter((one) => one.soa === soa.id).map((one) => ({ payment: one.payment, at: one.at, payload: one, voids: one.void ? [one.void] : [] }));
    const invoices = lessPayments(soa.invoices, payments.filter((one) => !isVoided(one)).flatMap((one) => one.payload.allocations)).map((one, k) => ({ ...soa.invoices[k], ...one }));
    const visit = data.visits.filter((one) => one.soa === soa.id).at(-1) ?? null;
    return { ...soa, visit, invoices, payments, amount_due: invoices.reduce((sum, one) => sum + one.balance + one.penalty, 0), penalty: invoices.reduce((sum, one) => sum + one.penalty, 0) };
  };
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const phone = {
    get state() { return state; },
    subscribe(fn) { listeners.add(fn); return () => listeners.delete(fn); },
    async logIn(username, password, { forgotten = false } = {}) {
      await pause(50);
      if (!state.online) throw new PhoneError("offline", "There is no connection, and nobody has logged in on this phone before. Connect once, then log in.");
      if (password !== "secret") throw new PhoneError("wrong_login", "User name or password is wrong. Check both and try again; ask the office for a new password if you forgot it.");
      set({ user: { name: username, display_name: username === "nena" ? "Nena Salazar" : username }, signed_in: true, locked: null, pin_can_be_set: true, has_pin: Boolean(data.pin), new_pin: forgotten && Boolean(data.pin), ...unsentFor(username) });
    },
    async setPin(pin) {
      const flaw = flawOfPin(pin);
      if (flaw) throw new PhoneError("invalid", flaw, { fields: [{ field: "pin", message: flaw }] });
      data.pin = pin;
      data.tries = 0;
      set({ has_pin: true, new_pin: false, pin_can_be_set: false });
    },
    async changePin(present, pin) {
      if (present !== data.pin) throw new PhoneError("wrong_pin", "That is not the PIN.");
      await phone.setPin(pin);
    },
    async lockAfter(minutes) { set({ lock_after: minutes }); },
    async lock() {
      data.holds[state.user.name] = state.unsent;
      set({ user: null, locked: state.user });
    },
    async pinState() { return { tries: data.tries ?? 0, wait: 0, blocked: (data.tries ?? 0) >= MOST_TRIES }; },
    async unlock(pin) {
      if (pin !== data.pin) {
        data.tries = (data.tries ?? 0) + 1;
        throw new PhoneError(data.tries >= MOST_TRIES ? "pin_blocked" : "wrong_pin", "That is not the PIN.");
      }
      data.tries = 0;
      set({ user: state.locked, locked: null });
    },
    async logInWithPin(username, pin) {
      if (!data.pin || pin !== data.pin) throw new PhoneError("wrong_pin", "That is not the PIN.");
      set({ user: { name: username, display_name: username }, signed_in: false, ...unsentFor(username) });
    },
    async checkStorage() {
      const full = asked.has("full");
      return judge({ persisted: !asked.has("weak"), installed: !asked.has("weak"), worker: true, quota: 5e9, usage: full ? 4.999e9 : 1e6, needed: 2e7, writes: null, canary: state.last_registry ? "intact" : "new", before: null, pin: state.has_pin, opened_before: false, online: state.online });
    },
    sealDraft(draft) { return draft; },
    async openDraft(draft) { return draft; },
    async logOut({ force } = {}) {
      if (state.unsent.count && !force) throw new PhoneError("unsent_entries", "There are unsent entries.");
      if (state.user) data.holds[state.user.name] = state.unsent;
      set({ user: null, locked: null, signed_in: false, ...unsentFor(null) });
    },
    async enroll(name) { entry({ terminal: { code: "T07", name, state: "active" } }); },
    async openRegistry(fund) { entry({ registry: { id: crypto.randomUUID(), business_date: day(Number(asked.get("opened") ?? 0)), change_fund: fund, opened_at: instant(), z_done: false } }); data.counts = []; },
    async download(onProgress) {
      const count = Number(asked.get("soas") ?? 240);
      for (let k = 1; k <= 4; k += 1) { onProgress({ received: k * 90000, total: 360000, stage: "receiving" }); await pause(30); }
      data.soas = Array.from({ length: count }, (_, n) => makeSoa(n));
      entry({ snapshot: { as_of: instant(), count, amount_due: data.soas.reduce((sum, one) => sum + one.amount_due, 0) } });
    },
    find(text, order = "due") {
      const words = plain(text).split(/\s+/).filter(Boolean);
      const every = data.soas.filter((soa) => words.every((word) => plain(Object.values(soa).filter((value) => typeof value === "string").join(" ")).includes(word)))
        .map(view).sort((a, b) => (a.due_date + a.customer_name < b.due_date + b.customer_name ? -1 : 1));
      const due = every.filter((soa) => soa.due_date <= day(0));
      const sum = (list) => ({ count: list.length, amount: list.reduce((total, soa) => total + soa.amount_due, 0) });
      const ordered = (list) => (order === "address" ? [...list].sort((a, b) => (a.address < b.address ? -1 : 1)) : list);
      return { all: sum(every), due: sum(due), rows: (which, from, to) => ordered(which === "due" ? due : every).slice(from, to) };
    },
    async choice(key) { return data.choices?.[key] ?? null; },
    async setChoice(key, value) { data.choices = { ...data.choices, [key]: value }; },
    async route() { return data.route ?? []; },
    async setRoute(ids) { data.route = ids; },
    soaOfAccount(account) { const soa = data.soas.find((one) => one.account_number === account.trim()); return soa ? view(soa) : null; },
    async referenceUsed({ tender, reference }) { return data.payments.find((one) => tender !== "cash" && one.tender === tender && one.reference === reference)?.receipt_number ?? null; },
    async orUsed(number) { return data.payments.find((one) => one.or?.number === number)?.receipt_number ?? null; },
    async photos(payment) { return (data.photos ?? []).filter((one) => one.payment === payment); },
    async addPhoto(payment, image) { data.photos = [...(data.photos ?? []), { payment, name: `${image.byteLength}`, refused: null }]; },
    soa(id) { const soa = data.soas.find((one) => one.id === id); return soa ? view(soa) : null; },
    preview(draft) {
      const soa = phone.soa(draft.soa);
      const allocations = allocate(draft.amount, soa.invoices, draft.mode, draft.directed);
      const problems = [];
      if (draft.tender !== "cash" && !draft.reference) problems.push({ field: "reference", message: "Type the reference number." });
      if (draft.tender === "cash" && draft.tendered < draft.amount) problems.push({ field: "tendered", message: "The cash is less than the amount. Take more, or lower the amount." });
      const { advance } = parts(allocations);
      return { allocations, vat: splitVat(allocations, soa.invoices), change: draft.tender === "cash" ? draft.tendered - draft.amount : null, balance_after: Math.max(0, soa.amount_due - draft.amount + advance), over: advance, problems };
    },
    async confirm(draft) {
      const before = data.payments.find((one) => one.payment === draft.intent);
      if (before) return before;
      const soa = phone.soa(draft.soa);
      const { allocations, vat, change, balance_after } = phone.preview(draft);
      const { intent, ...rest } = draft;
      const payment = { payment: intent, registry: state.registry.id, receipt_number: `T07-${String(data.payments.length + 123).padStart(8, "0")}`, soa_number: soa.soa_number, account_number: soa.account_number, customer_name: soa.customer_name, soa_version: "1", ...rest, change, allocations, vat, balance_after, at: instant(), seq: data.payments.length + 5, prints: 0, status: "saved", void: null, tries: 0 };
      data.payments.push(payment);
      entry();
      return payment;
    },
    async receipt(id) {
      const one = data.payments.find((payment) => payment.payment === id);
      if (!one) throw new PhoneError("not_found", "This payment is not saved on this phone.");
      const soa = data.soas.find((row) => row.id === one.soa);
      const invoices = new Map();
      for (const part of one.allocations) if (part.invoice) invoices.set(part.invoice, { penalty: 0, principal: 0, ...invoices.get(part.invoice), invoice_number: part.invoice_number, [part.kind]: part.amount });
      return { ...one, ...parts(one.allocations), business: BUSINESS, demo: true, terminal: "T07", collector: state.user.name, collector_name: "Nena Salazar", verification: "7f3a91c2", code: CODE, reprints: Math.max(0, one.prints - 1), printed: one.prints > 0, address: soa.address, tin: soa.tin, as_of: state.snapshot.as_of, invoices: [...invoices.values()] };
    },
    async noteVisit(draft) {
      const before = data.visits.find((one) => one.visit === draft.visit);
      if (before) return before;
      const problems = problemsOf(draft, day(0));
      if (problems.length) throw new PhoneError("invalid", problems.map(({ message }) => message).join(" "), { fields: problems });
      const { visit, kind, soa, ...payload } = draft;
      data.visits.push({ visit, kind, soa, payload, at: instant(), status: "saved" });
      entry();
      return data.visits.at(-1);
    },
    async noteCash(draft) {
      const problems = cashProblems(draft);
      if (problems.length) throw new PhoneError("invalid", problems.map(({ message }) => message).join(" "), { fields: problems });
      data.cash ??= [];
      const { intent, kind, note, ...rest } = draft;
      if (!data.cash.some((one) => one.intent === intent)) data.cash.push({ ...rest, intent, kind, expense: kind === "expense" ? intent : null, description: note, seq: data.entries + 1, at: instant(), terminal: "T07", state: "requested", answer: null, status: "saved", why: null });
      entry({ expenses_waiting: data.cash.filter((one) => one.kind === "expense" && one.state === "requested").length });
      return data.cash.find((one) => one.intent === intent);
    },
    async cashOut() { return [...(data.cash ?? [])].reverse(); },
    async addExpensePhoto(payment, image) { data.photos = [...(data.photos ?? []), { payment, name: `${image.byteLength}`, refused: null }]; },
    /** What the real phone does when the portal's answer holds a decision on an expense; tests call it. */
    decideExpense(decision, reason) {
      const one = data.cash.find((item) => item.kind === "expense" && item.state === "requested");
      Object.assign(one, { state: decision, answer: { decided_by: "sol", decided_at: instant(), reason } });
      entry({ expenses_waiting: state.expenses_waiting - 1 });
    },
    async history(id) {
      const payments = data.payments.filter((one) => one.soa === id).map((one) => ({ ...one, kind: "payment" }));
      return [...payments, ...data.visits.filter((one) => one.soa === id)].sort((a, b) => (a.at < b.at ? 1 : -1));
    },
    async recordPrint(id, copy) {
      const one = data.payments.find((payment) => payment.payment === id);
      if (copy === "customer") one.prints += 1;
      one.unseen = true;
      entry();
      return { reprint: copy === "customer" ? one.prints - 1 : 0, code: CODE };
    },
    async paperCame(id) {
      data.payments.find((payment) => payment.payment === id).unseen = false;
      set({});
    },
    async voidCodeFacts(id) {
      const one = data.payments.find((payment) => payment.payment === id);
      const void_number = `T07-V${String(data.payments.reduce((count, payment) => count + payment.tries, 0) + 1).padStart(6, "0")}`;
      return { void_number, amount: one.amount, challenge: await challenge({ terminal: "T07", payment: id, void_number, amount: one.amount }, crypto.subtle) };
    },
    async requestVoid(id, reason, intent, given) {
      const one = data.payments.find((payment) => payment.payment === id);
      if (one.void?.intent === intent) return one.void;
      const number = data.payments.reduce((count, payment) => count + payment.tries, 0) + 1;
      one.tries += 1;
      one.void = { intent, void_number: `T07-V${String(number).padStart(6, "0")}`, registry: state.registry.id, at: instant(), reason, state: "requested", decided_by: null, decided_at: null, decision_reason: null, counted_registry: null, status: "saved", status_reason: null, heard: null, by_code: Boolean(given) };
      entry({ voids_waiting: state.voids_waiting + 1 });
      return one.void;
    },
    /** What the real phone does when the portal's answer holds a decision; tests call it. */
    decide(number, decision, decision_reason) {
      const one = data.payments.find((payment) => payment.void?.void_number === number);
      one.void = { ...one.void, state: decision, decided_by: "sol", decided_at: instant(), decision_reason, counted_registry: state.registry.id };
      entry({ voids_waiting: state.voids_waiting - 1 });
    },
    async earlierTransactions() { return []; },
    async transactions() { return mine().map((one) => ({ ...one, printed: one.prints > 0, reason: null })).reverse(); },
    async upload() {
      set({ uploading: true });
      await pause(80);
      set({ uploading: false });
      if (!state.online) return { sent: 0, acknowledged: 0, problems: [], problem: { code: "offline", message: "There is no connection, so nothing was uploaded. Everything stays on this phone; try again with a connection." } };
      const sent = state.unsent.count;
      for (const one of data.payments) one.status = "uploaded";
      set({ unsent: { count: 0, oldest_at: null } });
      return { sent, acknowledged: sent, problems: [], problem: null };
    },
    async saveCount(denominations) {
      data.counts.push({ denominations, total: countTotal(denominations), at: instant() });
      const { expected_cash, short_over } = xReading(period(), "", "", 0);
      entry();
      return { total: countTotal(denominations), expected_cash, short_over };
    },
    async lastCount() {
      const last = data.counts.at(-1);
      return last ? { ...last, outdated: mine().some((one) => one.tender === "cash" && one.at > last.at) } : null;
    },
    async xReading() { data.readings.x = xReading(period(), instant(), "ab".repeat(32), state.unsent.count); entry(); return data.readings.x; },
    async zReading() {
      data.readings.z = zReading(period(), { z_counter: data.z, accumulated: data.accumulated, reset_counter: 0 }, instant(), "ab".repeat(32), state.unsent.count);
      data.z += 1;
      data.accumulated = data.readings.z.present_accumulated;
      entry({ registry: { ...state.registry, z_done: true } });
      return data.readings.z;
    },
    reading(kind) { return data.readings[kind] ?? null; },
    async closeRegistry() { data.last = state.registry; entry({ registry: null, last_registry: { business_date: data.last.business_date } }); },
    async collectionReport() {
      if (!registry()) return null;
      const rows = mine().map((one) => ({ ...one, ...parts(one.allocations) }));
      const total = (key) => rows.reduce((sum, one) => sum + one[key], 0);
      return { business: BUSINESS, terminal: "T07", collector: state.user.name, registry: registry(), rows, totals: { penalty: total("penalty"), principal: total("principal"), advance: total("advance"), amount: total("amount"), less_void: xReading(period(), "", "", 0).less_void, net: xReading(period(), "", "", 0).net }, earlier: [], by_tender: xReading({ ...period(), payments: rows }, "", "", 0).tenders, demo: true };
    },
    async rescueFile() { return new Blob([JSON.stringify(data.payments)], { type: "application/json" }); },
    async applyUpdate() { location.reload(); },
  };
  if (asked.get("start") === "open" && !saved) {
    await phone.logIn("nena", "secret");
    await phone.enroll("Phone of Nena");
    await phone.openRegistry(100000);
    await phone.download(() => {});
  }
  window.phone = phone;
  if (DENOMINATIONS.length !== 14) throw new Error("The denominations changed: look at Count cash.");
  return phone;
}
