/** Cash that leaves the hand before the remittance: an expense, which waits for the office, or a cash drop. Each is one journal entry. */

import { LARGEST_PAYMENT, write } from "./confirm.mjs";
import { wellFormed } from "./domain/journal.mjs";
import { isCentavos, show } from "./domain/money.mjs";
import { IntentTaken, PhoneError } from "./errors.mjs";
import { say, told } from "./words.mjs";

/** @typedef {import("./confirm.mjs").Writing} Writing */
/** @typedef {import("./records.mjs").Entry} Entry */
/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {{intent: string, kind: "expense"|"cash_drop", amount: number, category?: string, given_to?: string, reference?: string, note?: string}} CashDraft `intent` is the identity of the form */
/** @typedef {{expense: string, amount: number, decision: "approved"|"refused", decided_by: string, decided_at: string, reason: string|null}} ExpenseDecision What the office decided, as the portal lists it. */

/** How many answers of the office are kept to be read. */
const KEPT = 30;

/** Most characters of each text. @type {Record<string, number>} */
export const LONGEST = Object.freeze({ category: 60, given_to: 100, reference: 60, note: 500 });

/** @param {string|null|undefined} text */
const cleaned = (text) => wellFormed(String(text ?? "")).replaceAll("\0", "").trim() || null;

/** What is wrong with a draft; empty when nothing is. Pure. @param {CashDraft} draft @returns {{field: string, message: string}[]} */
export function problemsOf(draft) {
  const problems = [];
  if (!isCentavos(draft.amount) || draft.amount === 0) problems.push({ field: "amount", message: say("type_amount") });
  else if (draft.amount > LARGEST_PAYMENT) problems.push({ field: "amount", message: say("payment_most", { most: show(LARGEST_PAYMENT) }) });
  if (draft.kind === "expense" && !cleaned(draft.category)) problems.push({ field: "category", message: say("choose_kind") });
  if (draft.kind === "cash_drop" && !cleaned(draft.given_to)) problems.push({ field: "given_to", message: say("say_to_whom") });
  for (const [field, most] of Object.entries(LONGEST)) {
    if ((cleaned(/** @type {any} */ (draft)[field]) ?? "").length > most) problems.push({ field, message: say("at_most", { most }) });
  }
  return problems;
}

/** The identity of the form that an entry came from. @param {Entry} entry */
const intentOf = ({ payload }) => payload.expense ?? payload.drop;

/**
 * Store an expense or a cash drop durably. The same `intent` again answers the first one. Throws PhoneError (with `fields`) and then nothing was stored.
 * @param {Writing} writing
 * @param {CashDraft} draft
 * @returns {Promise<Entry>}
 */
export async function noteCash(writing, draft) {
  const { store, terminal } = writing;
  const { intent, kind, amount } = draft;
  const stored = async () => {
    const { registry, last_registry: last } = await store.head(terminal);
    const from = (registry ?? last)?.opened_seq;
    return (from ? await store.entries(terminal, from) : []).find(({ entry }) => entry.kind === kind && intentOf(entry) === intent)?.entry;
  };
  try {
    await write(writing, async (head) => {
      if (await stored()) throw new IntentTaken();
      const { registry } = head;
      if (!registry) throw new PhoneError("no_registry", told("open_registry_1st"));
      if (registry.z_done) throw new PhoneError("z_done", told("z_fixed"));
      const problems = problemsOf(draft);
      if (problems.length) throw new PhoneError("invalid", problems.map(({ message }) => message).join(" "), { fields: problems });
      const facts = { registry: registry.id, amount, description: cleaned(draft.note) };
      const cash = { last_cash_seq: head.seq + 1 };
      if (kind === "cash_drop") return { kind, payload: { ...facts, drop: intent, given_to: cleaned(draft.given_to), reference: cleaned(draft.reference) }, registry: cash };
      const waiting = [...(head.expenses_waiting ?? []), { expense: intent, amount, seq: head.seq + 1 }];
      return { kind, payload: { ...facts, expense: intent, category: cleaned(draft.category) }, registry: cash, head: { expenses_waiting: waiting } };
    });
  } catch (error) {
    // The connection may have died after the commit: what is on disk decides, not what we heard of it.
    const known = error instanceof PhoneError && error.code !== "storage_failed" ? undefined : await stored();
    if (known) return known;
    throw error;
  }
  const known = await stored();
  if (!known) throw new PhoneError("storage_failed", told("cash_unread"));
  return known;
}

/**
 * The decisions in an answer's `expenses` (docs/journal.md, Expenses and cash drops), those that can be used; null when the answer has no such list.
 * @param {unknown} list
 * @returns {ExpenseDecision[]|null}
 */
export function readExpenseDecisions(list) {
  if (!Array.isArray(list)) return null;
  const usable = (/** @type {any} */ one) => typeof one?.expense === "string" && typeof one.decided_by === "string" && typeof one.decided_at === "string"
    && isCentavos(one.amount) && ["approved", "refused"].includes(one.decision) && Number.isFinite(Date.parse(one.decided_at));
  return list.filter(usable).map(({ expense, amount, decision, decided_by, decided_at, reason }) =>
    ({ expense, amount, decision, decided_by: wellFormed(decided_by), decided_at, reason: typeof reason === "string" && reason ? reason : null }));
}

/**
 * Write down one decision of the office, once, in an open registry before its Z-Reading; answers whether an entry was written.
 * @param {Writing} writing
 * @param {ExpenseDecision} told
 * @returns {Promise<boolean>}
 */
export async function writeExpenseDecision(writing, { expense, amount, decision, decided_by, decided_at, reason }) {
  const { store, terminal } = writing;
  const nothing = new Error("nothing to write");
  const waits = (/** @type {Head} */ { registry, expenses_waiting: list }) => registry && !registry.z_done && list?.some((one) => one.expense === expense && one.amount === amount);
  if (!waits(await store.head(terminal))) return false;
  try {
    await write(writing, (head) => {
      if (!waits(head) || !head.registry) throw nothing;
      const expenses_waiting = (head.expenses_waiting ?? []).filter((one) => one.expense !== expense);
      const expense_answers = [...(head.expense_answers ?? []), { expense, decision, decided_by, decided_at, reason }].slice(-KEPT);
      return { kind: "expense_decided", payload: { registry: head.registry.id, expense, amount, decision, decided_by, decided_at }, head: { expenses_waiting, expense_answers } };
    });
  } catch (error) {
    if (error !== nothing) throw error;
    return false;
  }
  return true;
}
