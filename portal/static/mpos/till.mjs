/** The till: the registry, payments and visits, receipts and voids. Works without any connection. */

import { noteCash } from "./cash_out.mjs";
import { day } from "./clock.mjs";
import { closedForPayments, confirm, orKey, preview, unlistedSoa, write } from "./confirm.mjs";
import { isCentavos } from "./domain/money.mjs";
import { parts } from "./domain/readings.mjs";
import { factsOf, signReceipt } from "./domain/receipt_code.mjs";
import { isVoided, lastVoid } from "./domain/voids.mjs";
import { PhoneError, registryDone } from "./errors.mjs";
import { SETTLE } from "./line.mjs";
import { Listing } from "./listing.mjs";
import { keepPhoto, sendPhotos, waitingPhotos } from "./photos.mjs";
import { askBrowser, CANARY, canaryState, judge } from "./storage.mjs";
import { noteVisit } from "./visits.mjs";
import { codeFacts, requestVoid } from "./voids.mjs";
import { told } from "./words.mjs";

/** @typedef {import("./records.mjs").Draft} Draft */
/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {import("./records.mjs").PaymentRecord} PaymentRecord */
/** @typedef {import("./records.mjs").Registry} Registry */
/** @typedef {import("./records.mjs").StoredEntry} StoredEntry */
/** @typedef {import("./session.mjs").Session} Session */

/** How many journal entries before the registry's are looked through for earlier payments. */
const EARLIER = 1000;
/** Where the store keeps the payments whose paper nobody has seen, and how many it keeps at most: a question about an old receipt helps nobody. */
const PAPER_OPEN = "paper_open";
const MOST_OPEN_PAPERS = 200;

/** What a collector does at the door, from opening a registry on. */
export class Till extends Listing {
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
}

/** Where a payment is, in the words of docs/phone.md. @param {Omit<StoredEntry, "entry">|undefined} stored */
function whereItIs(stored) {
  if (!stored || stored.unsent) return "saved";
  return stored.problem ? /** @type {string} */ (stored.status) : "uploaded";
}
