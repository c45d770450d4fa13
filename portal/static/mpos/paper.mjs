// @ts-check
/** What stands on paper: receipts, readings and the collection report as lists of blocks, in the order of DOMAIN 6 and 7. No DOM. */
import { day, dayTime, inWords, show, showPesos, time } from "./views/format.mjs";

/**
 * @typedef {{kind: "text", text: string, align?: "center", look?: "strong" | "small" | "large"}} TextBlock
 * @typedef {{kind: "mark", text: string}} MarkBlock
 * @typedef {{kind: "row", left: string, right: string, look?: "strong" | "large" | "small" | "inner"}} RowBlock
 * @typedef {{kind: "rule"} | {kind: "gap"}} SpaceBlock
 * @typedef {{kind: "sign", text: string}} SignBlock
 * @typedef {{kind: "qr", address: string, title: string, text: string}} QrBlock the words are to read beside the code
 * @typedef {TextBlock | MarkBlock | RowBlock | SpaceBlock | SignBlock | QrBlock} Block
 * @typedef {{title: string, blocks: Block[]}} PaperDocument
 */

/** Paper says everything in the words of the regulation, whatever language the screens speak: the portal prints the same. @type {Record<string, string>} */
const TENDERS = { cash: "Cash", check: "Check", e_wallet: "E-wallet", bank_transfer: "Bank transfer" };

/** @param {string} tender @param {string | null} [channel] */
const tenderName = (tender, channel) => [TENDERS[tender] ?? tender, channel].filter(Boolean).join(" ");

/** Everything that is known of a void. @param {any} item */
function voidWords(item) {
  const sentence = (/** @type {string} */ text) => (/[.!?]$/.test(text) ? text : `${text}.`);
  const { decision, decided_by: by, reason: why } = item.heard ?? { decision: item.state, decided_by: item.decided_by, reason: item.decision_reason };
  if (decision === "refused") return sentence(`Void ${item.void_number} refused by ${by}${why ? `: ${why}` : ""}`);
  const open = !item.by_code ? "waits for the office" : item.status === "saved" ? "approved by a supervisor's code, to be confirmed at upload" : "waits for the office: its code was not taken";
  const asked = sentence(`Void ${item.void_number} ${decision === "approved" ? `approved by ${by}` : open}. Reason: ${item.reason}`);
  return item.status_reason ? `${asked} ${sentence(item.status_reason)}` : asked;
}

const RULE = /** @type {Block} */ ({ kind: "rule" });

/** @param {string} value @param {Partial<TextBlock>} [more] @returns {Block[]} */
const text = (value, more = {}) => (value ? [{ kind: "text", text: value, ...more }] : []);
/** @param {string} value @param {Partial<TextBlock>} [more] */
const centre = (value, more = {}) => text(value, { align: "center", ...more });
/** @param {string} left @param {string} right @param {RowBlock["look"]} [look] @returns {Block[]} */
const row = (left, right, look) => [{ kind: "row", left, right, look }];
/** @param {string} left @param {number} amount @param {RowBlock["look"]} [look] @returns {Block[]} */
const money = (left, amount, look) => row(left, show(amount), look);
/** @param {string} left @param {string | null | undefined} right @returns {Block[]} */
const given = (left, right) => (right ? row(left, right) : []);
/** Lines that the office chose. @param {unknown} chosen @returns {Block[]} */
const lines = (chosen) => (Array.isArray(chosen) ? chosen.flatMap((line) => centre(String(line), { look: "small" })) : []);
/** @param {string} value @returns {Block[]} */
const mark = (value) => [{ kind: "mark", text: value }];

/** Who collects: the letterhead of every paper. @param {any} business @param {boolean} demo @returns {Block[]} */
function letterhead(business, demo) {
  const own = business ?? {};
  return [
    ...(demo ? mark("DEMO - not an official document") : []),
    ...centre(own.business_name || own.registered_name, { look: "strong" }),
    ...(own.registered_name && own.business_name && own.registered_name !== own.business_name ? centre(own.registered_name) : []),
    ...centre(own.address),
    ...centre(own.tin ? `${own.vat_registered ? "VAT" : "NON-VAT"} REG TIN ${own.tin}` : ""),
    ...centre(own.min ? `MIN ${own.min}` : "", { look: "small" }),
    ...centre(own.serial ? `SN ${own.serial}` : "", { look: "small" }),
    ...centre(own.ptu ? `PTU ${own.ptu}` : "", { look: "small" }),
  ];
}

/**
 * A collection receipt. @param {any} receipt what phone.receipt() answers
 * @param {{copy: "customer" | "collector", reprint: number, origin: string}} which reprint 0 is the first print; `origin` of the portal, for the QR
 * @returns {PaperDocument}
 */
export function receiptPaper(receipt, { copy, reprint, origin }) {
  const business = receipt.business ?? {};
  const cash = receipt.tender === "cash";
  const change = receipt.change ?? 0;
  const vat = receipt.vat;
  return {
    title: receipt.receipt_number,
    blocks: [
      ...letterhead(business, receipt.demo),
      ...lines(business.receipt_header),
      RULE,
      ...centre(business.receipt_title || "COLLECTION RECEIPT", { look: "strong" }),
      ...centre(receipt.receipt_number, { look: "large" }),
      ...(copy === "collector" ? mark("COLLECTOR'S COPY") : []),
      ...(reprint > 0 ? mark(`REPRINT ${reprint}`) : []),
      ...voidMark(receipt.void),
      ...row("Date", dayTime(receipt.at)),
      RULE,
      ...text("Received from", { look: "small" }),
      ...text(receipt.customer_name, { look: "strong" }),
      ...text(receipt.address ?? ""),
      ...given("TIN", receipt.tin),
      ...given("Account", receipt.account_number),
      ...given("SOA", receipt.soa_number),
      RULE,
      ...(receipt.invoices ?? []).flatMap((/** @type {any} */ paid) => [
        ...text(`Invoice ${paid.invoice_number}`),
        ...(paid.penalty > 0 ? money("Penalty", paid.penalty, "inner") : []),
        ...(paid.principal > 0 ? money("Principal", paid.principal, "inner") : []),
      ]),
      ...(receipt.advance > 0 ? money("Advance", receipt.advance) : []),
      RULE,
      ...row("TOTAL", showPesos(receipt.amount), "large"),
      ...text(inWords(receipt.amount), { look: "small" }),
      ...row("Paid by", tenderName(receipt.tender, receipt.channel)),
      ...given("Reference", receipt.reference),
      ...given("Branch", receipt.branch),
      ...given("Date on the check", receipt.check_date && day(receipt.check_date)),
      ...given("Official receipt", receipt.or_number && `${receipt.or_number}, ${day(receipt.or_date)}`),
      ...(cash && receipt.tendered !== null && receipt.tendered !== undefined ? money("Cash tendered", receipt.tendered) : []),
      ...(cash ? money("Change", change, change > 0 ? "strong" : undefined) : []),
      ...(receipt.tender === "check" ? mark("SUBJECT TO CLEARING") : []),
      RULE,
      ...money("Remaining balance", receipt.balance_after, "strong"),
      ...(receipt.as_of ? text(`of the SOA as of ${dayTime(receipt.as_of)}, less payments on this phone`, { look: "small" }) : []),
      ...(vat ? [RULE, ...vatRows(vat), ...(receipt.penalty > 0 ? money("Penalty", receipt.penalty, "small") : []), ...(receipt.advance > 0 ? money("Advance", receipt.advance, "small") : [])] : []),
      RULE,
      ...row("Collector", receipt.collector_name || receipt.collector),
      ...row("Terminal", receipt.terminal),
      ...row("Verification", receipt.verification, "strong"),
      ...qrCode(receipt.code, origin),
      { kind: "gap" },
      ...centre(business.receipt_phrase || "THIS DOCUMENT IS NOT VALID FOR CLAIM OF INPUT TAX", { look: "small" }),
      ...lines(business.receipt_footer),
      ...(copy === "collector" ? [/** @type {Block} */ ({ kind: "sign", text: "Customer's signature" })] : []),
      ...voidMark(receipt.void),
      ...(receipt.demo ? mark("DEMO") : []),
    ],
  };
}

/** The QR that lets anybody check the receipt; none while it could not be signed. @param {string | null | undefined} code @param {string} origin @returns {Block[]} */
function qrCode(code, origin) {
  const text = "Scan it with any phone. The page must show the same number, amount and verification as this paper.";
  return code ? [{ kind: "qr", address: `${origin}/verify/${code}`, title: "Check this receipt", text }] : [];
}

/** What a receipt printed after its void says, so that nobody takes it for good. @param {any} item @returns {Block[]} */
function voidMark(item) {
  if (item?.state === "approved") return mark(`VOID ${item.void_number}`);
  return item?.state === "requested" ? centre(`Void ${item.void_number} ${byCode(item) ? "approved by code, to be confirmed" : "asked for"}`, { look: "small" }) : [];
}

/** Whether a supervisor's code stands for a void that the portal has not seen. @param {any} item */
const byCode = (item) => Boolean(item.by_code && item.state === "requested" && item.status === "saved");

/** The void slip: what was asked for and what became of it. @param {any} receipt what phone.receipt() answers, with its `void` @returns {PaperDocument} */
export function voidPaper(receipt) {
  const item = receipt.void;
  const decided = item.state !== "requested";
  return {
    title: item.void_number,
    blocks: [
      ...letterhead(receipt.business, receipt.demo),
      RULE,
      ...centre("VOID SLIP", { look: "strong" }),
      ...centre(item.void_number, { look: "large" }),
      ...mark({ requested: byCode(item) ? "APPROVED BY CODE, TO BE CONFIRMED AT UPLOAD" : "REQUESTED, NOT YET APPROVED", approved: "APPROVED", refused: "REFUSED" }[/** @type {string} */ (item.state)] ?? item.state),
      ...row("Asked", dayTime(item.at)),
      ...(decided ? [...row("Decided", dayTime(item.decided_at)), ...row("By", item.decided_by)] : []),
      ...given("Answer", item.decision_reason),
      RULE,
      ...row("Receipt", receipt.receipt_number, "strong"),
      ...row("Date", dayTime(receipt.at)),
      ...text("Received from", { look: "small" }),
      ...text(receipt.customer_name, { look: "strong" }),
      ...given("Account", receipt.account_number),
      ...given("SOA", receipt.soa_number),
      ...row("Paid by", tenderName(receipt.tender, receipt.channel)),
      ...given("Reference", receipt.reference),
      RULE,
      ...row("VOID", showPesos(receipt.amount), "large"),
      ...text("Reason", { look: "small" }),
      ...text(item.reason, { look: "strong" }),
      RULE,
      ...row("Collector", receipt.collector_name || receipt.collector),
      ...row("Terminal", receipt.terminal),
      { kind: "sign", text: "Customer's signature" },
      { kind: "sign", text: "Collector" },
      ...(byCode(item) ? [/** @type {Block} */ ({ kind: "sign", text: "Supervisor" })] : []),
      ...(receipt.demo ? mark("DEMO") : []),
    ],
  };
}

/**
 * The slip of an expense or a cash drop; its number is its place in the terminal's journal.
 * @param {any} item one of what phone.cashOut() answers @param {{business: any, demo: boolean, collector: string}} frame @returns {PaperDocument}
 */
export function cashPaper(item, { business, demo, collector }) {
  const spent = item.kind === "expense";
  const answer = spent && item.state !== "requested" ? item.answer : null;
  const number = `${item.terminal}/${item.seq}`;
  return {
    title: `${spent ? "Expense" : "Cash drop"} ${number}`,
    blocks: [
      ...letterhead(business, demo),
      RULE,
      ...centre(spent ? "EXPENSE" : "CASH DROP", { look: "strong" }),
      ...centre(number, { look: "large" }),
      ...(spent ? mark(answer ? item.state : "NOT YET APPROVED") : []),
      ...row("Date", dayTime(item.at)),
      ...(answer ? [...row("Decided", dayTime(answer.decided_at)), ...row("By", answer.decided_by)] : []),
      RULE,
      ...given("Kind", item.category),
      ...given("Given to", item.given_to),
      ...given("Reference", item.reference),
      ...(item.description ? [...text("Note", { look: "small" }), ...text(item.description)] : []),
      ...row("AMOUNT", showPesos(item.amount), "large"),
      ...text(inWords(item.amount), { look: "small" }),
      RULE,
      ...row("Collector", collector),
      ...row("Terminal", item.terminal),
      { kind: "sign", text: "Collector" },
      { kind: "sign", text: spent ? "Supervisor" : "Received by" },
      ...(demo ? mark("DEMO") : []),
    ],
  };
}

/** @param {any} vat @returns {Block[]} */
function vatRows(vat) {
  return [
    ...money("VATable", vat.vatable, "small"),
    ...money("VAT amount", vat.vat_amount, "small"),
    ...money("VAT-exempt", vat.vat_exempt, "small"),
    ...money("Zero-rated", vat.zero_rated, "small"),
  ];
}

/**
 * An X- or Z-reading in the order of DOMAIN 6. An X made before the first count keeps the expected cash to itself: the count is blind.
 * @param {"x" | "z"} kind @param {any} reading @param {{business: any, demo: boolean, collector: string}} frame @returns {PaperDocument}
 */
export function readingPaper(kind, reading, { business, demo, collector }) {
  const closing = kind === "z";
  const wasCounted = reading.counted_cash !== null && reading.counted_cash !== undefined;
  return {
    title: closing ? `Z-Reading ${reading.z_counter}` : "X-Reading",
    blocks: [
      ...letterhead(business, demo),
      RULE,
      ...centre(closing ? "Z-READING" : "X-READING", { look: "large" }),
      ...(closing ? [] : centre("Interim. This is not a closing report.", { look: "small" })),
      ...row("Report", dayTime(reading.period_end)),
      ...row("Business date", day(reading.business_date)),
      ...row("From", dayTime(reading.period_start)),
      ...row("To", dayTime(reading.period_end)),
      ...row("Terminal", reading.terminal),
      ...row("Collector", collector || reading.collector),
      RULE,
      ...row("First receipt", reading.first_receipt ?? "none"),
      ...row("Last receipt", reading.last_receipt ?? "none"),
      ...row("First void", reading.first_void ?? "none"),
      ...row("Last void", reading.last_void ?? "none"),
      ...row("Transactions", String(reading.transaction_count)),
      ...(closing
        ? [
            RULE,
            ...row("Reset counter", String(reading.reset_counter)),
            ...row("Z counter", String(reading.z_counter), "strong"),
            ...money("Present accumulated", reading.present_accumulated),
            ...money("Previous accumulated", reading.previous_accumulated),
            ...money("Collection for the day", reading.gross, "strong"),
          ]
        : []),
      RULE,
      ...money("VATable", reading.vatable),
      ...money("VAT amount", reading.vat_amount),
      ...money("VAT-exempt", reading.vat_exempt),
      ...money("Zero-rated", reading.zero_rated),
      ...money("Penalty", reading.penalty),
      ...money("Advances", reading.advance),
      RULE,
      ...money("Gross", reading.gross),
      ...money("Less void", reading.less_void),
      ...row("NET", showPesos(reading.net), "large"),
      RULE,
      ...tenderRows(reading.tenders),
      RULE,
      ...money("Change fund", reading.change_fund),
      ...money("Cash collected", reading.cash_collected),
      ...money("Less voided cash", reading.less_voided_cash),
      ...money("Less cash drops", reading.less_drops),
      ...money("Less expenses", reading.less_expenses),
      ...(wasCounted
        ? [
            ...money("Expected cash", reading.expected_cash, "strong"),
            ...(reading.counted ?? []).filter((/** @type {any} */ line) => line.count > 0).flatMap((/** @type {any} */ line) =>
              row(`${show(line.value)} ${line.kind} x ${line.count}`, show(line.value * line.count), "inner")),
            ...money("Counted cash", reading.counted_cash, "strong"),
            ...row(shortOver(reading.short_over), show(Math.abs(reading.short_over)), "strong"),
          ]
        : text("Expected cash is shown after Count cash.", { look: "small" })),
      RULE,
      ...row("Unsent entries", String(reading.unsent)),
      ...text(`Journal ${String(reading.head_hash).replace(/(.{8})(?=.)/g, "$1 ")}`, { look: "small" }),
      ...(closing ? [/** @type {Block} */ ({ kind: "sign", text: "Collector" }), /** @type {Block} */ ({ kind: "sign", text: "Cashier" })] : []),
      ...(demo ? mark("DEMO") : []),
    ],
  };
}

/** The name of the line that holds the difference. @param {number} difference */
function shortOver(difference) {
  if (difference < 0) return "Short";
  return difference > 0 ? "Over" : "Short/over";
}

/** @param {any[]} tenders @returns {Block[]} */
function tenderRows(tenders) {
  if (tenders.length === 0) return text("No payments", { look: "small" });
  return tenders.flatMap((line) => money(`${tenderName(line.tender, line.channel)} (${line.count})`, line.amount));
}

/** The Collection Report: every payment in receipt order, gaps, totals, signatures. @param {any} report @returns {PaperDocument} */
export function reportPaper(report) {
  const gaps = missingNumbers(report.rows.map((/** @type {any} */ one) => one.receipt_number));
  return {
    title: `Collection Report ${report.registry?.business_date ?? ""}`,
    blocks: [
      ...letterhead(report.business, report.demo),
      RULE,
      ...centre("COLLECTION REPORT", { look: "strong" }),
      ...row("Business date", day(report.registry?.business_date)),
      ...row("Terminal", textOf(report.terminal)),
      ...row("Collector", report.collector_name || textOf(report.collector)),
      ...given("Report", dayTime(report.made_at)),
      RULE,
      ...report.rows.flatMap((/** @type {any} */ one) => [
        ...row(one.receipt_number, show(one.amount), "strong"),
        ...text(`${time(one.at)}  ${one.account_number}  ${one.customer_name}`),
        ...text(invoiceNumbers(one), { look: "small" }),
        ...(one.penalty > 0 ? money("Penalty", one.penalty, "inner") : []),
        ...(one.principal > 0 ? money("Principal", one.principal, "inner") : []),
        ...(one.advance > 0 ? money("Advance", one.advance, "inner") : []),
        ...row(tenderName(one.tender, one.channel), one.reference ?? "", "inner"),
        ...text(one.status && one.status !== "uploaded" && one.status !== "saved" ? `Held: ${one.reason ?? "the office must check"}` : "", { look: "small" }),
        ...voidRows(one.void),
      ]),
      ...(report.rows.length === 0 ? text("No payments in this registry.") : []),
      RULE,
      ...money("Penalty", report.totals.penalty),
      ...money("Principal", report.totals.principal),
      ...money("Advances", report.totals.advance),
      ...row("TOTAL", showPesos(report.totals.amount), "large"),
      ...text(`${report.rows.length.toLocaleString("en-US")} ${report.rows.length === 1 ? "payment" : "payments"}`),
      ...(report.totals.less_void > 0 ? [...money("Less void", report.totals.less_void), ...money("NET", report.totals.net, "strong")] : []),
      RULE,
      ...tenderRows(report.by_tender),
      ...(report.earlier.length > 0 ? [RULE, ...text("Voids of earlier receipts", { look: "strong" })] : []),
      ...report.earlier.flatMap((/** @type {any} */ one) => [
        ...row(one.receipt_number, show(one.amount), "strong"),
        ...text(`${dayTime(one.at)}  ${one.customer_name}`),
        ...voidRows(one.void),
      ]),
      ...(gaps.length > 0 ? [RULE, ...text(`Numbers missing: ${gaps.join(", ")}`, { look: "strong" })] : []),
      { kind: "sign", text: "Collector" },
      { kind: "sign", text: "Cashier" },
      ...(report.demo ? mark("DEMO") : []),
    ],
  };
}

/** A void in its place, with reason and approver. @param {any} item @returns {Block[]} */
function voidRows(item) {
  if (!item) return [];
  return [...(item.state === "approved" ? mark("VOID") : []), ...text(voidWords(item), { look: "small" })];
}

/** @param {any} one */
function invoiceNumbers(one) {
  const numbers = new Set((one.allocations ?? []).map((/** @type {any} */ part) => part.invoice_number).filter(Boolean));
  return numbers.size > 0 ? [...numbers].join(", ") : "";
}

/** @param {any} value a name, or an object that has one */
function textOf(value) {
  if (value && typeof value === "object") return value.display_name || value.code || value.name || "";
  return value ?? "";
}

/** Receipt numbers left out between the first and the last of a list in order. @param {string[]} numbers @returns {string[]} */
export function missingNumbers(numbers) {
  /** @type {string[]} */ const missing = [];
  for (let index = 1; index < numbers.length; index += 1) {
    const [terminal, before] = numbers[index - 1].split("-");
    const next = Number(numbers[index].split("-")[1]);
    if (next - Number(before) <= 1) continue;
    const first = `${terminal}-${String(Number(before) + 1).padStart(8, "0")}`;
    const last = `${terminal}-${String(next - 1).padStart(8, "0")}`;
    missing.push(first === last ? first : `${first} to ${last}`);
  }
  return missing;
}
