/** The till: the list of SOAs, the registry, payments and receipts, counts and readings. Works without any connection. */

import { day, daysBetween } from "./clock.mjs";
import { closedForPayments, confirm, lessLocal, orKey, preview, unlistedSoa, write } from "./confirm.mjs";
import { isCentavos } from "./domain/money.mjs";
import { byTender, countTotal, DENOMINATIONS, parts, periodOf, xReading, zReading } from "./domain/readings.mjs";
import { factsOf, signReceipt } from "./domain/receipt_code.mjs";
import { isVoided, lastVoid } from "./domain/voids.mjs";
import { PhoneError, registryDone } from "./errors.mjs";
import { Line, SETTLE } from "./line.mjs";
import { askBrowser, CANARY, canaryState, judge } from "./storage.mjs";
import { keepPhoto, sendPhotos, waitingPhotos } from "./photos.mjs";
import { noteCash } from "./cash_out.mjs";
import { noteVisit } from "./visits.mjs";
import { codeFacts, requestVoid } from "./voids.mjs";
import { told } from "./words.mjs";

/** @typedef {import("./records.mjs").Draft} Draft */
/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {import("./records.mjs").PaymentRecord} PaymentRecord */
/** @typedef {import("./records.mjs").Registry} Registry */
/** @typedef {import("./records.mjs").Soa} Soa */
/** @typedef {import("./records.mjs").SoaView} SoaView */
/** @typedef {import("./records.mjs").StoredEntry} StoredEntry */
/** @typedef {import("./records.mjs").Terminal} Terminal */
/** @typedef {import("./session.mjs").Session} Session */

/** Key of the day's route among the settings of this user. */
const ROUTE = "route";
/** How many journal entries before the registry's are looked through for earlier payments. */
const EARLIER = 1000;
/** Where the store keeps the payments whose paper nobody has seen, and how many it keeps at most: a question about an old receipt helps nobody. */
const PAPER_OPEN = "paper_open";
const MOST_OPEN_PAPERS = 200;

/** What a collector does between opening and closing a registry. */
export class Till extends Line {
  /** @param {Session} session @param {import("./search.mjs").SoaList} list @param {number} row @returns {SoaView} */
  _view(session, { table }, row) {
    const today = this._clock.today();
    if (session.viewsOf !== today) {
      session.views.clear();
      session.viewsOf = today;
    }
    const known = session.views.get(row);
    if (known) return known;
    const soa = table.at(row);
    const payments = session.paidBySoa.get(soa.id) ?? [];
    const view = { ...soa, ...(payments.length ? lessLocal(soa, payments) : {}), days_overdue: daysBetween(soa.due_date, today), payments, visit: session.visits.get(soa.id) ?? null,
      outdated: session.head?.outdated_soas?.includes(soa.id) ?? false };
    session.views.set(row, view);
    return view;
  }

  /**
   * The SOAs in which every word of `text` occurs, by due date then name, or by address: how many, what they owe, and `rows(list, from, to)` to look at a few of them.
   * `due`: due today or before, which are the first of all.
   * @param {string} text
   * @param {"due"|"address"} [order]
   * @returns {{all: {count: number, amount: number}, due: {count: number, amount: number}, rows: (list: "due"|"all", from: number, to: number) => SoaView[]}}
   */
  find(text, order = "due") {
    const session = this._session;
    const list = session?.list;
    if (!session || !list) return { all: { count: 0, amount: 0 }, due: { count: 0, amount: 0 }, rows: () => [] };
    const places = list.find(text);
    const due = { count: list.dueBy(places, this._clock.today()), amount: 0 };
    const all = { count: places.length, amount: 0 };
    for (let index = 0; index < places.length; index += 1) {
      if (index === due.count) due.amount = all.amount;
      all.amount += session.owed[list.order[places[index]]];
    }
    if (due.count === all.count) due.amount = all.amount;
    const listed = (/** @type {"due"|"all"} */ which) => {
      const some = places.subarray(0, which === "due" ? due.count : all.count);
      return order === "address" ? list.byAddress(some) : some;
    };
    const rows = (/** @type {"due"|"all"} */ which, /** @type {number} */ from, /** @type {number} */ to) =>
      Array.from(listed(which).subarray(from, to), (place) => this._view(session, list, list.order[place]));
    return { all, due, rows };
  }

  /** An SOA as it was downloaded. @param {Session} session @param {string} id @returns {Soa|null} */
  _listed({ list }, id) {
    const row = list?.table.rowOf(id) ?? -1;
    return list && row !== -1 ? list.table.at(row) : null;
  }

  /**
   * One SOA less this phone's own payments; null when the list does not hold it.
   * @param {string} id
   * @returns {SoaView|null}
   */
  soa(id) {
    const session = this._session;
    const row = session?.list?.table.rowOf(id) ?? -1;
    return session?.list && row !== -1 ? this._view(session, session.list, row) : null;
  }

  /**
   * Open the registry of today with its change fund (centavos).
   * @param {number} changeFund
   */
  async openRegistry(changeFund) {
    if (this._session?.terminal && this._session.terminal.state !== "active") await this._contact(); // it may have been approved by now
    const { session, terminal } = this._needActive();
    if (!isCentavos(changeFund)) throw new PhoneError("invalid_amount", told("fund_bad"));
    const present = await session.store.head(terminal.code);
    const closed = present.registry || present.last_registry?.business_date === this._clock.today(); // said below, whatever the storage is like
    const refused = closed ? null : (await this.checkStorage()).find(({ level }) => level === "refused");
    if (refused) throw new PhoneError("storage_gate", `${refused.name}: ${refused.words}`);
    const id = this._from.crypto.randomUUID();
    const { head: opened } = await write(this._writing(session, terminal.code), (head, at) => {
      if (head.registry) {
        throw new PhoneError("registry_open", told("registry_open", { date: day(head.registry.business_date) }));
      }
      const business_date = at.slice(0, 10);
      if (head.last_registry?.business_date === business_date) {
        throw new PhoneError("registry_done", registryDone(business_date));
      }
      const collector = session.user.name;
      /** @type {Registry} */
      const registry = {
        id,
        business_date,
        change_fund: changeFund,
        collector,
        opened_at: at,
        opened_seq: head.seq + 1,
        z_done: false,
        closed: false,
        last_cash_seq: 0,
        count: null,
        reading_x: null,
        reading_z: null,
      };
      const { z_counter, accumulated } = head;
      return {
        kind: "registry_opened",
        payload: { registry: id, business_date, change_fund: changeFund, collector, z_counter, accumulated },
        head: { registry },
      };
    });
    await this._leaveMark(session, opened);
    await this._writeDecisions(session, terminal.code); // what the office decided since the last Z-Reading
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
  }

  /**
   * How well this browser keeps what is stored, as asked before each opening; works without a connection.
   * @returns {Promise<import("./storage.mjs").Finding[]>}
   */
  async checkStorage() {
    const session = this._needSession();
    const { store, head, user } = session;
    const list = session.listBytes;
    const asked = await askBrowser(this._from, store, list);
    this._persistent = asked.persisted;
    this._publish();
    const beside = new Map(this._from.memo.like(CANARY)).get(user.name) ?? null;
    const canary = canaryState(beside, (await store.meta("canary")) ?? null, await store.codes(), head);
    const opened_before = Boolean(head?.registry ?? head?.last_registry);
    return judge({ ...asked, canary, before: beside, pin: session.hasPin, opened_before, online: this._online });
  }

  /** Remember an opening in the records, then beside them: whichever is missing later was erased. @param {Session} session @param {Head} head */
  async _leaveMark(session, head) {
    const mark = { terminal: head.terminal, seq: head.seq, date: day(head.registry?.business_date) };
    try {
      await session.store.setMeta("canary", mark);
    } catch (error) {
      if (!(error instanceof PhoneError)) throw error;
      return console.warn("The mark of this opening could not be kept:", error); // the registry is open all the same
    }
    this._from.memo.set(`${CANARY}${session.user.name}`, mark);
    await this._findLost();
  }

  /**
   * What a draft would become: allocation, VAT, change, what becomes an advance, what is wrong. Never throws.
   * @param {Draft} draft
   */
  preview(draft) {
    const session = this._session;
    const result = preview(draft, this.soa(draft.soa) ?? unlistedSoa(draft), this._clock.today());
    const closed = session?.head ? closedForPayments(session.head, this._clock.today()) : new PhoneError("no_registry", told("open_first"));
    if (closed) result.problems.push({ field: "registry", message: closed.message });
    return result;
  }

  /**
   * Keep a photo of a stored payment; it is sent after the money.
   * @param {string} paymentId @param {Uint8Array} image
   */
  async addPhoto(paymentId, image) {
    const session = this._needSession();
    await this._payment(paymentId);
    await keepPhoto(session.store, this._from.crypto.subtle, paymentId, image);
    this._background(this._sendPhotos(session));
  }

  /** Keep a photo of the paper of an expense; it is sent as those of payments are. @param {string} expense @param {Uint8Array} image */
  async addExpensePhoto(expense, image) {
    const session = this._needSession();
    await keepPhoto(session.store, this._from.crypto.subtle, expense, image, "expenses");
    this._background(this._sendPhotos(session));
  }

  /**
   * Store an expense or a cash drop of the open registry. The same `intent` again answers the first one.
   * @param {import("./cash_out.mjs").CashDraft} draft
   */
  async noteCash(draft) {
    const { session, terminal } = this._needTerminal();
    const entry = await noteCash(this._writing(session, terminal.code), draft);
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return { ...entry.payload, kind: entry.kind, seq: entry.seq, at: entry.at };
  }

  /**
   * Expenses and cash drops of the open or last registry, and earlier expenses that wait, the latest first. `state` of an expense: requested, approved or
   * refused; `answer` what the office said, noted or only heard.
   * @returns {Promise<any[]>}
   */
  async cashOut() {
    const session = this._needSession();
    const registry = this._registry();
    const { terminal, head } = session;
    if (!terminal || !head || !registry) return [];
    const waiting = head.expenses_waiting ?? [];
    const earlier = await Promise.all(waiting.filter(({ seq }) => seq < registry.opened_seq).map(({ seq }) => session.store.entries(terminal.code, seq, seq)));
    const own = (await session.store.entries(terminal.code, registry.opened_seq)).filter(({ entry }) => ["expense", "cash_drop"].includes(entry.kind));
    return [...earlier.flat(), ...own].reverse().map((stored) => {
      const { kind, payload, seq, at } = stored.entry;
      const answer = head.expense_answers?.find(({ expense }) => expense === payload.expense) ?? null;
      const heard = answer ? null : (terminal.expenses?.find(({ expense }) => expense === payload.expense) ?? null);
      return { ...payload, kind, seq, at, terminal: terminal.code, state: answer?.decision ?? "requested", answer: answer ?? heard, status: whereItIs(stored), why: stored.reason };
    });
  }

  /** Photos of a payment that the portal has not taken so far. @param {string} paymentId */
  async photos(paymentId) {
    return (await waitingPhotos(this._needSession().store)).filter(({ payment }) => payment === paymentId);
  }

  /** Send photos once no money waits: one tab at a time. @param {Session} session */
  async _sendPhotos(session) {
    if (this._session !== session || !session.signedIn || session.unsent.count || !this._from.onLine()) return;
    await this._lock("mpos-photos", () => sendPhotos(session.store, this._api), true);
  }

  /** @override @param {Session} session @param {boolean} byItself */
  async _drainAll(session, byItself) {
    const result = await super._drainAll(session, byItself);
    if (!result.problem) this._background(this._sendPhotos(session));
    return result;
  }

  /** Today's route: ids of SOAs in the order to be visited; what a new list no longer holds is left out. @returns {Promise<string[]>} */
  async route() {
    const kept = await this._needSession().store.meta(ROUTE);
    return kept?.day === this._clock.today() ? kept.ids.filter((/** @type {string} */ id) => this.soa(id)) : [];
  }

  /** @param {string[]} ids */
  async setRoute(ids) {
    await this._needSession().store.setMeta(ROUTE, { day: this._clock.today(), ids: [...new Set(ids)] });
  }

  /** The SOA of exactly this account number in the list, or null. @param {string} account @returns {SoaView|null} */
  soaOfAccount(account) {
    const session = this._session;
    const row = session?.list?.table.rowOfAccount(account.trim()) ?? -1;
    return session?.list && row !== -1 ? this._view(session, session.list, row) : null;
  }

  /**
   * The receipt number of a payment on this phone, not voided, that carries this reference already; null when none does.
   * @param {{tender: string, channel?: string|null, reference?: string|null}} given
   * @returns {Promise<string|null>}
   */
  async referenceUsed({ tender, channel, reference }) {
    const { session, terminal } = this._needTerminal();
    const same = (/** @type {string|null|undefined} */ one, /** @type {string|null|undefined} */ other) => (one ?? "").trim().toLowerCase() === (other ?? "").trim().toLowerCase();
    if (tender === "cash" || !reference?.trim()) return null;
    const found = (await session.store.payments(terminal.code, 1)).find((record) =>
      record.payload.tender === tender && same(record.payload.reference, reference) && same(record.payload.channel, channel) && !isVoided(record));
    return found?.payload.receipt_number ?? null;
  }

  /** The receipt number of the payment that carries this booklet number already, or null. @param {string} number @returns {Promise<string|null>} */
  async orUsed(number) {
    const { session, terminal } = this._needTerminal();
    const found = (await session.store.payments(terminal.code, 1)).find(({ payload }) => payload.or_number && orKey(payload.or_number) === orKey(number));
    return found?.payload.receipt_number ?? null;
  }

  /**
   * Store a payment durably. The same `draft.intent` again answers the first payment.
   * @param {Draft} draft
   */
  async confirm(draft) {
    const { session, terminal } = this._needActive();
    const snapshot = session.snapshot;
    const { record, head } = await confirm(this._writing(session, terminal.code), draft, {
      find: (id) => this._listed(session, id),
      includedSeq: this._included(session),
      shown: (soa) => ({
        address: soa.address,
        tin: soa.tin,
        contact_number: soa.contact_number,
        as_of: snapshot?.as_of ?? null,
        business: snapshot?.business ?? terminal.business,
        collector: session.user.name,
        collector_name: session.user.display_name,
        demo: this._demo,
      }),
      code: (entry) => this._receiptCode(session, entry),
    });
    if (!head || !this._took(session, head, record)) await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return { ...record.payload, payment: record.payment, at: record.at, seq: record.seq };
  }

  /**
   * Store a visit without money: Cannot collect with its reason, or Promise to pay with its day. The same `visit` again answers the first one.
   * @param {import("./visits.mjs").VisitDraft} draft
   */
  async noteVisit(draft) {
    const { session, terminal } = this._needActive();
    if (!this.soa(draft.soa)) throw new PhoneError("not_found", told("soa_unknown"));
    const record = await noteVisit(this._writing(session, terminal.code), draft);
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return record;
  }

  /**
   * What this phone knows of an account: its payments and visits of this terminal, the latest first.
   * @param {string} soaId
   */
  async history(soaId) {
    const session = this._needSession();
    if (!session.terminal) return [];
    const { code } = session.terminal;
    const [rows, visits] = await Promise.all([this._rows(session, code, 1, ({ payload }) => payload.soa === soaId), session.store.visits(code, 1)]);
    const noted = await Promise.all(visits.filter(({ soa }) => soa === soaId).map(async (visit) => {
      const [stored] = await session.store.entries(code, visit.seq, visit.seq);
      return { ...visit, status: whereItIs(stored), reason: stored?.reason ?? null };
    }));
    const payments = rows.map((row) => ({ ...row, kind: /** @type {"payment"} */ ("payment") }));
    return [...payments, ...noted].sort((a, b) => b.seq - a.seq);
  }

  /**
   * What the QR of a payment's receipts carries, signed by its terminal. Null when it cannot be signed: money and paper wait for no code.
   * @param {Session} session
   * @param {{terminal: string, seq: number, at: string, hash: string, payload: Record<string, any>}} stored
   */
  async _receiptCode(session, stored) {
    const terminal = session.terminals.find(({ code }) => code === stored.terminal);
    if (!terminal) return null;
    try {
      return await signReceipt(terminal.private_key, factsOf(stored), this._from.crypto.subtle);
    } catch {
      return null; // the next print tries again
    }
  }

  /** @param {string} id */
  async _payment(id) {
    const record = await this._needSession().store.payment(id);
    if (!record) throw new PhoneError("not_found", told("payment_unknown"));
    return record;
  }

  /**
   * Everything a receipt shows.
   * @param {string} paymentId
   */
  async receipt(paymentId) {
    const [record, papers] = await Promise.all([this._payment(paymentId), this._paperUnseen()]);
    const { payload, shown, prints } = record;
    const [stored] = await this._needSession().store.places(record.terminal, record.seq, record.seq);
    /** @type {Map<string, {invoice: string, invoice_number: string|null, penalty: number, principal: number}>} */
    const invoices = new Map();
    for (const { invoice, invoice_number, kind, amount } of payload.allocations) {
      if (invoice === null) continue;
      const line = invoices.get(invoice) ?? { invoice, invoice_number, penalty: 0, principal: 0 };
      line[/** @type {"penalty"|"principal"} */ (kind)] += amount;
      invoices.set(invoice, line);
    }
    return {
      ...shown,
      ...payload,
      ...parts(payload.allocations),
      at: record.at,
      seq: record.seq,
      terminal: record.terminal,
      invoices: [...invoices.values()],
      verification: record.hash.slice(0, 8),
      code: record.code ?? null,
      printed: prints.customer > 0,
      reprints: Math.max(prints.customer - 1, 0),
      unseen: papers.includes(record.payment),
      status: whereItIs(stored),
      reason: stored?.reason ?? null,
      void: await this._void(record),
    };
  }

  /** The last void of a payment, where its request is, and `heard`: what the office decided while no registry could take it. @param {PaymentRecord} record */
  async _void(record) {
    const item = lastVoid(record);
    if (!item) return null;
    const { terminals, store } = this._needSession();
    const [stored] = await store.entries(record.terminal, item.seq, item.seq);
    const known = terminals.find(({ code }) => code === record.terminal)?.voids ?? [];
    const heard = item.state === "requested" ? (known.find(({ void_number }) => void_number === item.void_number) ?? null) : null;
    return { ...item, status: whereItIs(stored), status_reason: stored?.reason ?? null, heard };
  }

  /**
   * Ask the office to void a payment of this terminal. The same `intent` again answers the first request.
   * @param {string} paymentId
   * @param {string} reason
   * @param {string} [intent] the identity of the form
   * @param {{code: string, void_number: string}|null} [given] a supervisor's code, and the void number it was given for
   */
  async requestVoid(paymentId, reason, intent = this._from.crypto.randomUUID(), given = null) {
    const { session, terminal } = this._needActive();
    const item = await requestVoid(this._writing(session, terminal.code), paymentId, reason, intent, given);
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return item;
  }

  /** What a supervisor types to give a code for the next void of this terminal, of this payment. @param {string} paymentId */
  async voidCodeFacts(paymentId) {
    const { session, terminal } = this._needTerminal();
    return codeFacts(this._writing(session, terminal.code), paymentId);
  }

  /**
   * Journal that a receipt was printed; answers which reprint it was (0 for the first print) and the code for its QR, the same on each print.
   * @param {string} paymentId
   * @param {"customer"|"collector"} copy
   * @returns {Promise<{reprint: number, code: string|null}>}
   */
  async recordPrint(paymentId, copy) {
    const { session, terminal } = this._needTerminal();
    const which = copy === "collector" ? "collector" : "customer";
    let reprint = 0;
    /** @type {string|null} */
    let code = null;
    await this._paperOpen(paymentId, true); // before the entry: killed in between, the question is asked once too often and never once too little
    await write(this._writing(session, terminal.code), async () => {
      const record = await this._payment(paymentId);
      reprint = record.prints[which];
      code = record.code ?? (await this._receiptCode(session, record)); // a payment of an earlier version of the app has none yet
      return {
        kind: "receipt_printed",
        payload: { payment: record.payment, receipt_number: record.payload.receipt_number, copy: which, reprint },
        update: { ...record, code, prints: { ...record.prints, [which]: reprint + 1 } },
      };
    });
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return { reprint, code };
  }

  /** The printer, or whoever looked, says that the paper of a payment came out. @param {string} paymentId */
  async paperCame(paymentId) {
    await this._paperOpen(paymentId, false);
    await this._changed();
  }

  /** Payments whose last paper nobody has seen. @returns {Promise<string[]>} */
  async _paperUnseen() {
    return (await this._needSession().store.meta(PAPER_OPEN)) ?? [];
  }

  /** @param {string} paymentId @param {boolean} open */
  async _paperOpen(paymentId, open) {
    const before = await this._paperUnseen();
    if (before.includes(paymentId) === open) return;
    const others = before.filter((id) => id !== paymentId);
    await this._needSession().store.setMeta(PAPER_OPEN, open ? [...others, paymentId].slice(-MOST_OPEN_PAPERS) : others);
  }

  /** The open registry, or the last one. @returns {Registry|null} */
  _registry() {
    const head = this._session?.head;
    return head?.registry ?? head?.last_registry ?? null;
  }

  /** Payments of the open or last registry with where each is, in receipt order. */
  async _registryPayments() {
    const session = this._needSession();
    const registry = this._registry();
    if (!session.terminal || !registry) return [];
    return this._rows(session, session.terminal.code, registry.opened_seq, (record) => record.payload.registry === registry.id);
  }

  /**
   * Stored payments from a journal place on, with where each is, in receipt order.
   * @param {Session} session
   * @param {string} code
   * @param {number} from
   * @param {(record: PaymentRecord) => boolean} wanted
   */
  async _rows(session, code, from, wanted) {
    const [records, entries, unseen] = await Promise.all([session.store.payments(code, from), session.store.places(code, from), this._paperUnseen()]);
    const bySeq = new Map(entries.map((stored) => [stored.seq, stored]));
    return Promise.all(records.filter(wanted).map(async (record) => {
      const stored = bySeq.get(record.seq);
      return {
        ...record.payload,
        payment: record.payment,
        at: record.at,
        seq: record.seq,
        status: whereItIs(stored),
        reason: stored?.reason ?? null,
        printed: record.prints.customer > 0,
        reprints: Math.max(record.prints.customer - 1, 0),
        unseen: unseen.includes(record.payment),
        void: await this._void(record),
      };
    }));
  }

  /** Payments of the open or last registry, newest first. */
  async transactions() {
    return (await this._registryPayments()).reverse();
  }

  /** Payments of the registries before the open or last one, newest first: those of this terminal's last thousand journal entries. */
  async earlierTransactions() {
    const session = this._needSession();
    const registry = this._registry();
    if (!session.terminal || !registry) return [];
    const from = Math.max(registry.opened_seq - EARLIER, 1);
    return (await this._rows(session, session.terminal.code, from, ({ seq }) => seq < registry.opened_seq)).reverse();
  }

  /** @param {Head} head @returns {Registry} */
  _openRegistryOf(head) {
    if (!head.registry) throw new PhoneError("no_registry", told("open_registry_1st"));
    if (head.registry.z_done) throw new PhoneError("z_done", told("z_fixed"));
    return head.registry;
  }

  /** @param {Session} session @param {string} code @param {Registry} registry @param {number} [to] */
  async _period(session, code, registry, to = Infinity) {
    const stored = await session.store.entries(code, registry.opened_seq, to);
    return periodOf(stored.map(({ entry }) => entry));
  }

  /**
   * Keep a count of bills and coins; only its answer tells what was expected.
   * @param {{value: number, kind: string, count: number}[]} denominations those left out count as none
   * @returns {Promise<{total: number, expected_cash: number, short_over: number}>}
   */
  async saveCount(denominations) {
    const { session, terminal } = this._needTerminal();
    const given = new Map(denominations.map((line) => [`${line.kind} ${line.value}`, line.count]));
    const lines = DENOMINATIONS.map(({ value, kind }) => ({ value, kind, count: given.get(`${kind} ${value}`) ?? 0 }));
    const known = new Set(DENOMINATIONS.map(({ value, kind }) => `${kind} ${value}`));
    if (given.size !== denominations.length || [...given.keys()].some((key) => !known.has(key))) {
      throw new PhoneError("invalid", told("count_unknown"));
    }
    if (lines.some(({ count }) => !Number.isSafeInteger(count) || count < 0 || count > 1_000_000)) {
      throw new PhoneError("invalid", told("count_whole"));
    }
    const total = countTotal(lines);
    const { head } = await write(this._writing(session, terminal.code), (before, at) => {
      const registry = this._openRegistryOf(before);
      return {
        kind: "count",
        payload: { registry: registry.id, denominations: lines, total },
        registry: { count: { seq: before.seq + 1, at, denominations: lines, total } },
      };
    });
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    const { expected_cash } = xReading(await this._period(session, terminal.code, /** @type {Registry} */ (head.registry)), "", "", 0);
    return { total, expected_cash, short_over: total - expected_cash };
  }

  /** The last count of the open registry, held against the cash expected now; `outdated` when cash was taken or voided after it, null when there is none. */
  async lastCount() {
    const session = this._needSession();
    const registry = session.head?.registry;
    if (!session.terminal || !registry?.count) return null;
    const { total, denominations, at, seq } = registry.count;
    const { expected_cash } = xReading(await this._period(session, session.terminal.code, registry), "", "", 0);
    return { total, denominations, at, outdated: registry.last_cash_seq > seq, expected_cash, short_over: total - expected_cash };
  }

  /** Make an X-Reading: interim, repeatable, moves nothing. */
  async xReading() {
    const { session, terminal } = this._needTerminal();
    let reading = {};
    await write(this._writing(session, terminal.code), async (head, at) => {
      const registry = this._openRegistryOf(head);
      const period = await this._period(session, terminal.code, registry, head.seq);
      reading = xReading(period, at, head.hash, (await session.store.unsentSummary(terminal.code)).count);
      return { kind: "reading_x", payload: { registry: registry.id, reading }, registry: { reading_x: reading } };
    });
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return reading;
  }

  /** Make the Z-Reading, which closes the registry for payments; made already, it answers the one that was made. */
  async zReading() {
    const { session, terminal } = this._needTerminal();
    /** @type {object|null} */
    let reading = null;
    await this._lockedUnless(
      session,
      terminal,
      (head) => (head.registry?.z_done ? head.registry.reading_z : null),
      async (head, at) => {
        const registry = this._openRegistryOf(head);
        if (!registry.count) throw new PhoneError("no_count", told("count_before_z"));
        if (registry.last_cash_seq > registry.count.seq) {
          throw new PhoneError("count_outdated", told("count_again_z"));
        }
        const period = await this._period(session, terminal.code, registry, head.seq);
        const { count } = await session.store.unsentSummary(terminal.code);
        const made = zReading(period, head, at, head.hash, count);
        reading = made;
        return {
          kind: "reading_z",
          payload: { registry: registry.id, z_counter: made.z_counter, reading: made },
          head: { z_counter: made.z_counter, accumulated: made.present_accumulated },
          registry: { z_done: true, reading_z: made },
        };
      },
      (stored) => {
        reading = stored;
      },
    );
    await this._changed();
    this._background(this._uploadSoon(0));
    return /** @type {any} */ (reading);
  }

  /**
   * Write unless `already` finds that it was done.
   * @param {Session} session
   * @param {Terminal} terminal
   * @param {(head: Head) => object|null} already
   * @param {(head: Head, at: string) => Promise<import("./confirm.mjs").Step>} plan
   * @param {(found: object) => void} onFound
   */
  async _lockedUnless(session, terminal, already, plan, onFound) {
    const done = new Error("done already");
    try {
      await write(this._writing(session, terminal.code), (head, at) => {
        const found = already(head);
        if (!found) return plan(head, at);
        onFound(found);
        throw done;
      });
    } catch (error) {
      if (error !== done) throw error;
    }
  }

  /**
   * The last reading of the open or last registry; null when there is none.
   * @param {"x"|"z"} kind
   * @returns {any}
   */
  reading(kind) {
    const registry = this._registry();
    return (kind === "z" ? registry?.reading_z : registry?.reading_x) ?? null;
  }

  /** Close the registry after its Z-Reading. */
  async closeRegistry() {
    const { session, terminal } = this._needTerminal();
    await write(this._writing(session, terminal.code), (head) => {
      const { registry } = head;
      if (!registry) throw new PhoneError("no_registry", told("no_registry"));
      if (!registry.z_done) throw new PhoneError("no_z", told("z_first"));
      return {
        kind: "registry_closed",
        payload: { registry: registry.id, z_counter: head.z_counter },
        head: { registry: null, last_registry: { ...registry, closed: true } },
      };
    });
    await this._changed();
    this._background(this._uploadSoon(0));
  }

  /**
   * The approved voids that a registry counts, and the payments of earlier registries whose void was asked for or decided in it.
   * @param {Session} session
   * @param {Registry} registry
   */
  async _registryVoids(session, registry) {
    const code = session.terminal?.code ?? "";
    const entries = (await session.store.entries(code, registry.opened_seq)).map(({ entry }) => entry);
    const voided = entries.filter(({ kind, payload }) => ["void_requested", "void_decided"].includes(kind) && payload.registry === registry.id);
    const earlier = [];
    for (const id of new Set(voided.map(({ payload }) => payload.payment))) {
      const record = await this._payment(id);
      if (record.payload.registry === registry.id) continue;
      earlier.push({ ...record.payload, payment: id, at: record.at, void: await this._void(record) });
    }
    return { voids: periodOf(entries).voids, earlier };
  }

  /** The Collection Report of the open or last registry; null when there never was one. */
  async collectionReport() {
    const session = this._needSession();
    const registry = this._registry();
    if (!registry) return null;
    const rows = (await this._registryPayments()).map((row) => ({ ...row, ...parts(row.allocations) }));
    const { voids, earlier } = await this._registryVoids(session, registry);
    const less_void = voids.reduce((sum, item) => sum + item.amount, 0);
    const total = (/** @type {"penalty"|"principal"|"advance"|"amount"} */ name) => rows.reduce((sum, row) => sum + row[name], 0);
    const { id, business_date, change_fund, opened_at, z_done, closed } = registry;
    return {
      business: this.state.business,
      terminal: session.terminal?.code ?? null,
      collector: session.user.name,
      collector_name: session.user.display_name,
      registry: { id, business_date, change_fund, opened_at, z_done, closed },
      made_at: this._clock.at(),
      rows,
      totals: { penalty: total("penalty"), principal: total("principal"), advance: total("advance"), amount: total("amount"), less_void, net: total("amount") - less_void },
      by_tender: byTender(rows),
      earlier,
      demo: this._demo,
    };
  }
}

/** Where a payment is, in the words of docs/phone.md. @param {Omit<StoredEntry, "entry">|undefined} stored */
function whereItIs(stored) {
  if (!stored || stored.unsent) return "saved";
  return stored.problem ? /** @type {string} */ (stored.status) : "uploaded";
}
