/** The shapes of what the phone keeps and shows (JSDoc types only). Money is integer centavos; instants are ISO 8601 with +08:00. */

/** @typedef {{terminal: string, seq: number, kind: string, at: string, at_trusted: string|null, payload: Record<string, any>, prev: string, hash: string}} Entry One journal entry, docs/journal.md 2. */
/** @typedef {{id: string, invoice_number: string, due_date: string, balance: number, penalty: number, amount: number, vat_amount: number, vat_type: string, invoice_date?: string, description?: string}} Invoice */
/** @typedef {{invoice: string|null, invoice_number: string|null, kind: "penalty"|"principal"|"advance", amount: number}} Allocation */
/** @typedef {{vatable: number, vat_amount: number, vat_exempt: number, zero_rated: number}} Vat */
/** @typedef {{value: number, kind: string, count: number}} Denomination */
/** @typedef {{receipt_number: string|null, amount: number, tender: string, channel: string|null, penalty: number, advance: number, vat: Vat}} Taken */
/** @typedef {{registry: string, business_date: string, terminal: string, collector: string, period_start: string, change_fund: number, payments: Taken[], voids: {void_number: string, amount: number, cash: boolean}[], void_numbers: string[], drops: number[], expenses: number[], counted: Denomination[]|null}} Period */

/** @typedef {{id: string, soa_number: string, version: string, account_number: string, customer_name: string, address: string, contact_number: string, tin: string, issued_on: string, due_date: string, amount_due: number, penalty: number, collector_code: string|null, invoices: Invoice[]}} Soa One SOA of the downloaded list, docs/phone-api.md. */
/** @typedef {{registered_name: string, business_name: string, address: string, tin: string, vat_registered: boolean, min: string, serial: string, ptu: string, receipt_title: string, receipt_phrase: string}} Business */
/** @typedef {{snapshot: string, as_of: string, count: number, amount_due: number, included: Record<string, number>, collector_codes: string[], business: Business, soas: Soa[], etag: string|null}} Snapshot */
/** @typedef {Soa & {days_overdue: number, payments: PaymentRecord[], outdated: boolean}} SoaView An SOA less the payments of this phone that its figures do not hold yet; `outdated` when they still hold one that was voided since. */

/** @typedef {{code: string, name: string, state: string, private_key: CryptoKey, public_key: object, business: Business|null, stopped: {code: string, message: string}|null, acknowledged_seq: number, voids?: Decision[], restored_at?: string|null}} Terminal `voids`: the decisions the portal listed last. `restored_at`: the last restore of the portal's database that this terminal answered by sending everything again. */
/** @typedef {{id: string, business_date: string, change_fund: number, collector: string, opened_at: string, opened_seq: number, z_done: boolean, closed: boolean, last_cash_seq: number, count: {seq: number, at: string, denominations: Denomination[], total: number}|null, reading_x: object|null, reading_z: object|null}} Registry */
/** @typedef {{terminal: string, seq: number, hash: string, at: string|null, receipt: number, void: number, z_counter: number, accumulated: number, reset_counter: number, list_seq: number, registry: Registry|null, last_registry: Registry|null, voids_waiting?: string[], outdated_soas?: string[]}} Head Where the journal stands: what its entries add up to; `list_seq` is the place of the last download of SOAs, `voids_waiting` the payments whose void waits for the office, `outdated_soas` those whose downloaded figures still hold a payment that was voided since. Absent in heads written before there were voids. */

/** @typedef {{terminal: string, seq: number, entry: Entry, unsent?: 1, problem?: 1, status: string|null, reason: string|null}} StoredEntry */
/** @typedef {{payment: string, registry: string, receipt_number: string, soa: string, soa_number: string, account_number: string, customer_name: string, soa_version: string, amount: number, tender: string, channel: string|null, reference: string|null, tendered: number|null, change: number|null, mode: string, directed: string[], allocations: Allocation[], vat: Vat, balance_after: number}} PaymentPayload docs/journal.md, payment. */
/** @typedef {{payment: string, terminal: string, seq: number, at: string, hash: string, payload: PaymentPayload, shown: Record<string, any>, prints: {customer: number, collector: number}, voids?: VoidRecord[]}} PaymentRecord A payment beside its journal entry, with what its receipt shows besides and its voids, the last one last. */
/** @typedef {{intent: string, void_number: string, registry: string, seq: number, at: string, reason: string, state: "requested"|"approved"|"refused", decided_by: string|null, decided_at: string|null, decision_reason: string|null, counted_registry: string|null, counted_seq: number|null}} VoidRecord `registry` and `seq`: where it was asked for; `counted_…`: where the decision was written down. */
/** @typedef {{void_number: string, payment: string, decision: "approved"|"refused", decided_by: string, decided_at: string, reason: string|null}} Decision What the office decided of a void, as the portal lists it. */
/** @typedef {{intent: string, soa: string, amount: number, tender: string, channel?: string|null, reference?: string|null, tendered?: number|null, mode?: "oldest_first"|"directed", directed?: string[]}} Draft */
/** @typedef {{code: string, message: string}} Problem */

export {};
