/**
 * The list of SOAs, one array per field, as it is sent and kept (docs/phone-api.md, the list in columns). Twin: portal/domain/columns.py; both are
 * held to tests/vectors/columns.json. Money is integer centavos; dates are texts such as `2026-11-20` outside, whole days inside.
 */

import { told } from "../words.mjs";

/** @typedef {import("../records.mjs").Soa} Soa */
/** @typedef {import("../records.mjs").Invoice} Invoice */
/** @typedef {[number[], string[]]} Shortened how many characters each text shares with the one before, and the rest of each */
/** @typedef {{id: Shortened, soa_number: string[], version: string[], account_number: string[], customer_name: string[], address: string[], contact_number: string[], tin: string[], collector_code: (string|null)[], due_date: number[], issued_on: number[], amount_due: number[], penalty: number[], invoices: number[]}} SoaColumns */
/** @typedef {{id: Shortened, invoice_number: string[], description: Shortened, due_date: number[], invoice_date: number[], amount: number[], paid: number[], penalty: number[], vat_type: string[], vat_amount: number[]}} InvoiceColumns */
/** @typedef {{soas: SoaColumns, invoices: InvoiceColumns}} Columns */

const DAY = 86_400_000;
const FIRST_DAY = Date.UTC(2000, 0, 1) / DAY;
const SOA_TEXTS = /** @type {const} */ (["soa_number", "version", "account_number", "customer_name", "address", "contact_number", "tin"]);
const SOA_NUMBERS = /** @type {const} */ (["due_date", "issued_on", "amount_due", "penalty", "invoices"]);
const INVOICE_NUMBERS = /** @type {const} */ (["due_date", "invoice_date", "amount", "paid", "penalty", "vat_amount"]);

/** Whole days from 1 January 2000 to a date. @param {string} date */
export function dayNumber(date) {
  return Date.parse(date) / DAY - FIRST_DAY;
}

/** The date so many days after 1 January 2000. @param {number} number */
export function dateOf(number) {
  return new Date((number + FIRST_DAY) * DAY).toISOString().slice(0, 10);
}

/** The VAT of 12 % inside an amount, rounded half up: what the column of VAT differs from. @param {number} amount centavos */
function usualVat(amount) {
  return Number((BigInt(amount) * 24n + 112n) / 224n);
}

/** @param {string[]} texts @returns {Shortened} */
function shortened(texts) {
  let before = "";
  const shared = texts.map((text) => {
    const own = /^[\0-\x7f]*$/.test(text) ? text : "";
    let same = 0;
    while (same < own.length && own[same] === before[same]) same += 1;
    before = own;
    return same;
  });
  return [shared, texts.map((text, index) => text.slice(shared[index]))];
}

/** The whole texts of a shortened column. @param {Shortened} column */
function lengthened([shared, rest]) {
  let before = "";
  return rest.map((text, index) => (before = before.slice(0, shared[index]) + text));
}

/**
 * Columns of SOAs that were kept one by one, as older versions of the app did.
 * @param {Soa[]} soas
 * @returns {Columns}
 */
export function pack(soas) {
  const pairs = soas.flatMap((soa) => soa.invoices.map((invoice) => ({ soa, invoice })));
  const sum = (/** @type {Soa} */ soa, /** @type {(invoice: Invoice) => number} */ of) => soa.invoices.reduce((total, invoice) => total + of(invoice), 0);
  /** @type {any} */
  const texts = Object.fromEntries(SOA_TEXTS.map((name) => [name, soas.map((soa) => soa[name] ?? "")]));
  return {
    soas: {
      id: shortened(soas.map(({ id }) => id)),
      ...texts,
      collector_code: soas.map(({ collector_code }) => collector_code ?? null),
      due_date: soas.map(({ due_date }) => dayNumber(due_date)),
      issued_on: soas.map(({ due_date, issued_on }) => dayNumber(due_date) - dayNumber(issued_on ?? due_date)),
      amount_due: soas.map((soa) => soa.amount_due - sum(soa, ({ balance, penalty }) => balance + penalty)),
      penalty: soas.map((soa) => soa.penalty - sum(soa, ({ penalty }) => penalty)),
      invoices: soas.map(({ invoices }) => invoices.length),
    },
    invoices: {
      id: shortened(pairs.map(({ invoice }) => invoice.id)),
      invoice_number: pairs.map(({ invoice }) => invoice.invoice_number),
      description: shortened(pairs.map(({ invoice }) => invoice.description ?? "")),
      due_date: pairs.map(({ soa, invoice }) => dayNumber(soa.due_date) - dayNumber(invoice.due_date)),
      invoice_date: pairs.map(({ invoice }) => dayNumber(invoice.due_date) - dayNumber(invoice.invoice_date ?? invoice.due_date)),
      amount: pairs.map(({ invoice }) => invoice.amount),
      paid: pairs.map(({ invoice }) => invoice.amount - invoice.balance),
      penalty: pairs.map(({ invoice }) => invoice.penalty),
      vat_type: pairs.map(({ invoice }) => invoice.vat_type),
      vat_amount: pairs.map(({ invoice }) => invoice.vat_amount - (invoice.vat_type === "vatable" ? usualVat(invoice.amount) : 0)),
    },
  };
}

/**
 * What is wrong with columns that came from outside, in a few words; null when all is right. `count` is how many SOAs there should be.
 * @param {any} columns
 * @param {number} count
 * @returns {string|null}
 */
export function flaw(columns, count) {
  const { soas, invoices } = columns ?? {};
  if (!isTexts(soas?.soa_number, soas?.soa_number?.length)) return told("list_no_soas");
  if (soas.soa_number.length !== count) return told("list_count", { count, held: soas.soa_number.length });
  const damaged = (/** @type {string} */ name) => told("list_column", { name: name.replaceAll("_", " ") });
  for (const name of SOA_TEXTS) if (!isTexts(soas[name], count)) return damaged(name);
  for (const name of SOA_NUMBERS) if (!isNumbers(soas[name], count)) return damaged(name);
  if (!isShortened(soas.id, count)) return damaged("ids");
  if (!isList(soas.collector_code, count) || !soas.collector_code.every((/** @type {any} */ code) => code === null || typeof code === "string")) return damaged("collector codes");
  if (!soas.invoices.every((/** @type {number} */ many) => many >= 0)) return damaged("invoices");
  if (!soas.due_date.every(isDay) || !soas.issued_on.every(isDay)) return damaged("dates");
  const many = soas.invoices.reduce((/** @type {number} */ sum, /** @type {number} */ own) => sum + own, 0);
  for (const name of /** @type {const} */ (["invoice_number", "vat_type"])) if (!isTexts(invoices?.[name], many)) return damaged(name);
  for (const name of INVOICE_NUMBERS) if (!isNumbers(invoices[name], many)) return damaged(`invoices' ${name}`);
  if (!isShortened(invoices.id, many) || !isShortened(invoices.description, many)) return damaged("invoices");
  if (!invoices.due_date.every(isDay) || !invoices.invoice_date.every(isDay)) return damaged("invoices' dates");
  const owed = invoices.amount.every((/** @type {number} */ amount, /** @type {number} */ place) => amount >= 0 && amount >= invoices.paid[place] && invoices.penalty[place] >= 0);
  if (!owed) return damaged("invoices' amounts");
  return null;
}

/** @param {any} list @param {number} count @returns {list is any[]} */
const isList = (list, count) => Array.isArray(list) && list.length === count;
/** @param {any} list @param {number} count */
const isTexts = (list, count) => isList(list, count) && list.every((item) => typeof item === "string");
/** @param {any} list @param {number} count */
const isNumbers = (list, count) => isList(list, count) && list.every(Number.isSafeInteger);

/** Within the years 1 to 9999, as a place or as a distance. @param {number} number */
const isDay = (number) => Math.abs(number) <= 3_000_000;

/** @param {any} column @param {number} count */
function isShortened(column, count) {
  if (!isList(column, 2) || !isNumbers(column[0], count) || !isTexts(column[1], count)) return false;
  let before = 0;
  return column[1].every((text, index) => {
    const shared = column[0][index];
    const fits = shared >= 0 && shared <= before;
    before = shared + text.length;
    return fits;
  });
}

/** The columns in memory; an SOA is put together only when it is looked at. */
export class SoaTable {
  /** @param {Columns} columns without a flaw */
  constructor({ soas, invoices }) {
    this._soas = soas;
    this._invoices = invoices;
    this.count = soas.soa_number.length;
    this.ids = lengthened(soas.id);
    /** Where the invoices of each SOA begin; one more for the end. */
    this._starts = new Int32Array(this.count + 1);
    /** What is due of each SOA, in centavos. */
    this.amounts = new Float64Array(this.count);
    for (let row = 0; row < this.count; row += 1) {
      const end = this._starts[row] + soas.invoices[row];
      this._starts[row + 1] = end;
      let owed = soas.amount_due[row];
      for (let place = this._starts[row]; place < end; place += 1) owed += invoices.amount[place] - invoices.paid[place] + invoices.penalty[place];
      this.amounts[row] = owed;
    }
    /** @type {string[]|null} */
    this._invoiceIds = null;
    /** @type {string[]|null} */
    this._descriptions = null;
    /** @type {Map<string, number>|null} */
    this._rows = null;
  }

  /** When an SOA is due, in days since 1 January 2000. @param {number} row */
  due(row) {
    return this._soas.due_date[row];
  }

  /** What a search looks in. @param {number} row */
  texts(row) {
    const { customer_name, account_number, soa_number, address, contact_number } = this._soas;
    return [customer_name[row], account_number[row], soa_number[row], address[row], contact_number[row]];
  }

  /** The row of an SOA; -1 when the list does not hold it. @param {string} id */
  rowOf(id) {
    this._rows ??= new Map(this.ids.map((own, row) => [own, row]));
    return this._rows.get(id) ?? -1;
  }

  /** The row of the only SOA with this account number; -1 when none or several have it. @param {string} account */
  rowOfAccount(account) {
    const row = this._soas.account_number.indexOf(account);
    return row !== -1 && account !== "" && this._soas.account_number.indexOf(account, row + 1) === -1 ? row : -1;
  }

  /** Where the customer of a row lives. @param {number} row */
  address(row) {
    return this._soas.address[row];
  }

  /** The SOA in a row. @param {number} row @returns {Soa} */
  at(row) {
    const { _soas: soas, _invoices: of } = this;
    this._invoiceIds ??= lengthened(of.id);
    this._descriptions ??= lengthened(of.description);
    /** @type {Invoice[]} */
    const invoices = [];
    let penalty = soas.penalty[row];
    for (let place = this._starts[row]; place < this._starts[row + 1]; place += 1) {
      const due = soas.due_date[row] - of.due_date[place];
      invoices.push({
        id: this._invoiceIds[place],
        invoice_number: of.invoice_number[place],
        invoice_date: dateOf(due - of.invoice_date[place]),
        due_date: dateOf(due),
        description: this._descriptions[place],
        amount: of.amount[place],
        balance: of.amount[place] - of.paid[place],
        penalty: of.penalty[place],
        vat_type: of.vat_type[place],
        vat_amount: of.vat_amount[place] + (of.vat_type[place] === "vatable" ? usualVat(of.amount[place]) : 0),
      });
      penalty += of.penalty[place];
    }
    return {
      id: this.ids[row],
      soa_number: soas.soa_number[row],
      version: soas.version[row],
      account_number: soas.account_number[row],
      customer_name: soas.customer_name[row],
      address: soas.address[row],
      contact_number: soas.contact_number[row],
      tin: soas.tin[row],
      issued_on: dateOf(soas.due_date[row] - soas.issued_on[row]),
      due_date: dateOf(soas.due_date[row]),
      amount_due: this.amounts[row],
      penalty,
      collector_code: soas.collector_code[row],
      invoices,
    };
  }
}
