/** A portal that keeps docs/phone-api.md and docs/journal.md in memory, and can be told to fail. `fetch` is its front door. */

import { pack } from "../../portal/static/mpos/domain/columns.mjs";
import { canonical, entryHash, FIRST_PREV, signedText } from "../../portal/static/mpos/domain/journal.mjs";

export const BUSINESS = {
  registered_name: "Hardin ng Kapayapaan Memorial Park, Inc.",
  business_name: "Hardin ng Kapayapaan",
  address: "Malolos City, Bulacan",
  tin: "000-000-000-00000",
  vat_registered: true,
  min: "",
  serial: "",
  ptu: "",
  receipt_title: "COLLECTION RECEIPT",
  receipt_phrase: "THIS DOCUMENT IS NOT VALID FOR CLAIM OF INPUT TAX",
};

/** An SOA with invoices given as [balance, penalty] in centavos. */
export function makeSoa(number, open = [[100000, 0]], more = {}) {
  const invoices = open.map(([balance, penalty], index) => ({
    id: `inv-${number}-${index}`,
    invoice_number: `SI-${String(number).padStart(4, "0")}-${index + 1}`,
    invoice_date: "2026-01-05",
    due_date: `2026-${String(index + 1).padStart(2, "0")}-15`,
    description: "Instalment",
    amount: Math.max(balance, 1),
    balance,
    penalty,
    vat_type: "vatable",
    vat_amount: Math.round((balance * 12) / 112),
  }));
  return {
    id: `S-${number}`,
    soa_number: `SOA-${number}`,
    version: `v${number}`,
    account_number: `ACC-${String(number).padStart(5, "0")}`,
    customer_name: `Customer ${number}`,
    address: "Brgy. San Roque, Malolos",
    contact_number: "0917 000 0000",
    tin: "",
    issued_on: "2026-11-01",
    due_date: "2026-11-15",
    amount_due: open.reduce((sum, [balance, penalty]) => sum + balance + penalty, 0),
    penalty: open.reduce((sum, [, penalty]) => sum + penalty, 0),
    collector_code: "A01",
    invoices,
    ...more,
  };
}

const key = (jwk) => crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

export class FakePortal {
  constructor({ now = () => Date.parse("2026-11-20T08:00:00+08:00") } = {}) {
    this.now = now;
    this.users = new Map([
      ["nena", "secret"],
      ["ben", "secret"],
    ]);
    this.sessions = new Map();
    /** The portal's own keys, the present one first. */
    this.keys = ["key-1"];
    /** Who may not log in any more. */
    this.disabled = new Set();
    /** the browser's cookie; one browser talks to this portal */
    this.cookie = null;
    this.csrf = "token-0";
    this.terminals = new Map();
    this.soas = [];
    this.limit = 500;
    this.calls = [];
    /** @type {((call: {method: string, path: string, body: any}) => Response|Error|"lose"|undefined|Promise<any>)[]} one for each coming call; "lose" does it and loses the answer */
    this.faults = [];
    this.down = false;
    /** @type {string|null} when the office said that the database was put back from a backup */
    this.restored_at = null;
    this.verdict = () => null;
    this.state = "active";
    /** @type {Map<string, object>} what the office decided, by void number */
    this.decisions = new Map();
    this.spent = new Map();
    /** @type {Map<string, Uint8Array>} photos by name */
    this.photos = new Map();
  }

  /** The office decides a void that was asked for. */
  decide(void_number, decision, reason = null) {
    const asked = this.held("void_requested").find(({ payload }) => payload.void_number === void_number).payload;
    const { payment, receipt_number, amount } = asked;
    const { tender } = this.held("payment").find(({ payload }) => payload.payment === payment).payload;
    this.decisions.set(void_number, { void_number, payment, receipt_number, amount, tender, decision, decided_by: "sol", decided_at: new Date(this.now()).toISOString(), reason });
  }

  /** The office decides an expense. */
  decideExpense(expense, decision, reason = "") {
    const { amount } = this.held("expense").find(({ payload }) => payload.expense === expense).payload;
    this.spent.set(expense, { expense, amount, decision, decided_by: "sol", decided_at: new Date(this.now()).toISOString(), reason });
  }

  /** Decisions on expenses that a terminal's journal does not hold yet. */
  expenses(code) {
    const own = (this.terminals.get(code)?.entries ?? []).filter(({ kind }) => kind === "expense").map(({ payload }) => payload.expense);
    const written = this.held("expense_decided").map(({ payload }) => payload.expense);
    return [...this.spent.values()].filter(({ expense }) => own.includes(expense) && !written.includes(expense));
  }

  /** All entries of a kind that the portal holds. */
  held(kind) {
    return [...this.terminals.values()].flatMap((terminal) => terminal.entries).filter((entry) => entry.kind === kind);
  }

  /** Decisions that a terminal's journal does not hold yet. */
  voids(code) {
    const written = this.held("void_decided").map(({ payload }) => payload.void_number);
    return [...this.decisions.values()].filter(({ void_number }) => void_number.startsWith(`${code}-`) && !written.includes(void_number));
  }

  get fetch() {
    return async (path, options = {}) => this.answer(String(path), options);
  }

  json(status, body, headers = {}) {
    return new Response(body === null ? null : JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
  }

  error(status, code, more = {}, headers = {}) {
    return this.json(status, { error: { code, message: `It is ${code}.`, ...more } }, headers);
  }

  async answer(path, options) {
    const call = { method: options.method ?? "GET", path, body: options.body instanceof Uint8Array ? options.body : options.body ? JSON.parse(options.body) : null, headers: options.headers ?? {} };
    this.calls.push(call);
    if (this.down) throw new TypeError("Failed to fetch");
    const fault = this.faults.shift()?.(call);
    if (fault instanceof Error) throw fault;
    if (fault instanceof Response) return fault;
    const response = await this.handle(call);
    if (fault === "lose") throw new TypeError("Failed to fetch");
    return response;
  }

  get user() {
    return this.sessions.get(this.cookie) ?? null;
  }

  /** What opens this user's records on this phone without the PIN, as portal/services/phone_lock.py makes it. */
  secretsFor({ username, phone }) {
    const terminals = [...this.terminals.values()].filter(({ user, state }) => user === username && state !== "revoked");
    const known = terminals.map(({ code, name, entries }) => ({ terminal: code, name, entries: entries.length, last_contact_at: new Date(this.now()).toISOString() }));
    return phone ? { recovery: this.keys.map((key) => `${key} ${username} ${phone}`.padEnd(43, "=")), terminals: known } : {};
  }

  greeting(more = {}) {
    return this.json(200, {
      ...more,
      portal: "ok",
      time: new Date(this.now()).toISOString(),
      user: this.user,
      display_name: this.user && this.user.toUpperCase(),
      csrf_token: this.csrf,
      demo: false,
      version: "1",
    });
  }

  async handle({ method, path, body, headers }) {
    if (path === "/api/v1/ping") return this.greeting();
    if (method !== "GET" && headers["X-CSRFToken"] !== this.csrf) return this.error(403, "csrf");
    if (path === "/api/v1/session" && method === "POST") {
      if (this.users.get(body.username) !== body.password) return this.error(401, "wrong_login");
      this.cookie = `cookie-${this.sessions.size + 1}`;
      this.sessions.set(this.cookie, body.username);
      this.csrf = `token-${this.sessions.size}`;
      return this.greeting(this.secretsFor(body));
    }
    if (path === "/api/v1/journal/disabled") {
      const { user } = this.terminals.get(body.terminal) ?? {};
      return this.disabled.has(user) ? this.journal(body, user) : this.error(401, "signed_out");
    }
    if (!this.user) return this.error(401, "signed_out");
    if (path === "/api/v1/session") {
      this.sessions.delete(this.cookie);
      return this.json(204, null);
    }
    if (path === "/api/v1/terminals") return this.enroll(body);
    if (path.startsWith("/api/v1/terminals/")) return this.show(path.split("/").pop());
    if (path === "/api/v1/soas") return this.list(headers);
    if (path === "/api/v1/journal") return this.journal(body);
    const photo = /^\/api\/v1\/(payment|expense)s\/([^/]+)\/photos\/([^/]+)$/.exec(path);
    if (photo) {
      if (!this.held(photo[1]).some(({ payload }) => payload[photo[1]] === photo[2])) return this.error(404, "not_found");
      this.photos.set(photo[3], body);
      return this.json(201, { photo: photo[3], status: "stored" });
    }
    return this.error(404, "not_found");
  }

  enroll({ name, public_key, terminal: own }) {
    for (const terminal of this.terminals.values()) {
      if (terminal.public_key.x === public_key.x) return this.json(201, { terminal: terminal.code, name, state: terminal.state, business: BUSINESS });
    }
    if (own && (!this.restored_at || this.terminals.has(own))) return this.error(409, "conflict");
    const code = own ?? `T${String(this.terminals.size + 7).padStart(2, "0")}`;
    this.terminals.set(code, { code, name, user: this.user, public_key, state: this.state, entries: [], held: new Map() });
    return this.json(201, { terminal: code, name, state: this.state, business: BUSINESS });
  }

  show(code) {
    const terminal = this.terminals.get(code);
    if (!terminal || terminal.user !== this.user) return this.error(404, "not_found");
    return this.json(200, {
      terminal: code,
      name: terminal.name,
      state: terminal.state,
      acknowledged_seq: terminal.entries.length,
      head_hash: terminal.entries.at(-1)?.hash ?? FIRST_PREV,
      last_receipt_number: 0,
      last_void_number: 0,
      z_counter: 0,
      accumulated: 0,
      registry: null,
      orders: { revoked: terminal.state === "revoked", upload_now: false },
      restored_at: this.restored_at,
      business: BUSINESS,
      voids: this.voids(code),
      expenses: this.expenses(code),
    });
  }

  /** The list, less every payment held that is not voided (nothing reaches PSCloud here). */
  list(headers) {
    const voided = [...this.decisions.values()].filter(({ decision }) => decision === "approved").map(({ payment }) => payment);
    const paid = this.held("payment").filter(({ payload }) => !voided.includes(payload.payment));
    const soas = this.soas.map((soa) => {
      const mine = paid.filter(({ payload }) => payload.soa === soa.id).flatMap(({ payload }) => payload.allocations);
      const taken = (kind, invoice) =>
        mine.filter((part) => (kind === null || part.kind === kind) && (invoice === null || part.invoice === invoice)).reduce((sum, part) => sum + part.amount, 0);
      return {
        ...soa,
        amount_due: Math.max(soa.amount_due - taken(null, null), 0),
        penalty: Math.max(soa.penalty - taken("penalty", null), 0),
        invoices: soa.invoices.map((invoice) => ({
          ...invoice,
          balance: Math.max(invoice.balance - taken("principal", invoice.id), 0),
          penalty: Math.max(invoice.penalty - taken("penalty", invoice.id), 0),
        })),
      };
    });
    const included = Object.fromEntries([...this.terminals.values()].map((terminal) => [terminal.code, terminal.entries.length]));
    const etag = `"${soas.length}-${JSON.stringify(included)}-${soas.reduce((sum, soa) => sum + soa.amount_due, 0)}"`;
    if (headers["If-None-Match"] === etag) return new Response(null, { status: 304, headers: { ETag: etag } });
    const amount_due = soas.reduce((sum, soa) => sum + soa.amount_due, 0);
    const answer = { snapshot: "1-1", as_of: "2026-11-20T05:00:00+08:00", count: soas.length, amount_due, included, collector_codes: ["A01"], business: BUSINESS, columns: pack(soas) };
    return this.json(200, answer, { ETag: etag, "Content-Type": headers.Accept.split(",")[0] });
  }

  async journal({ terminal: code, entries, signature }, user = this.user) {
    const terminal = this.terminals.get(code);
    if (!terminal || terminal.user !== user) return this.error(403, "wrong_terminal");
    if (entries.length > this.limit) return this.error(413, "too_large", { limit: this.limit });
    const last = entries.at(-1);
    const good = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, await key(terminal.public_key), bytes(signature), signedText(code, last.seq, last.hash));
    if (!good) return this.error(403, "bad_signature");
    const verdicts = [];
    for (const entry of entries) {
      const { hash, ...content } = entry;
      if ((await entryHash(content, crypto.subtle)) !== hash) throw new Error(`entry ${entry.seq} has a wrong hash`);
      canonical(entry.payload);
      const own = this.verdict(entry);
      const mine = terminal.entries[entry.seq - 1];
      const next = terminal.entries.length + 1;
      const prev = terminal.entries.at(-1)?.hash ?? FIRST_PREV;
      let status;
      if (own?.status === "unnamed") continue;
      if (mine?.hash === hash) status = "repeat";
      else if (entry.seq < next || (entry.seq === next && entry.prev !== prev)) status = "conflict";
      else if (entry.seq > next) status = "held";
      else {
        terminal.entries.push(entry);
        status = own?.status ?? "stored";
      }
      verdicts.push({ seq: entry.seq, status, reason: own?.reason ?? null });
    }
    return this.json(200, { acknowledged_seq: terminal.entries.length, verdicts, voids: this.voids(code), expenses: this.expenses(code) });
  }
}
