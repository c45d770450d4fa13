/** The end of the day: counts, readings, the Collection Report, Close Registry. Works without any connection. */

import { write } from "./confirm.mjs";
import { byTender, countTotal, DENOMINATIONS, parts, periodOf, xReading, zReading } from "./domain/readings.mjs";
import { PhoneError } from "./errors.mjs";
import { SETTLE } from "./line.mjs";
import { Till } from "./till.mjs";
import { told } from "./words.mjs";

/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {import("./records.mjs").Registry} Registry */
/** @typedef {import("./records.mjs").Terminal} Terminal */
/** @typedef {import("./session.mjs").Session} Session */

/** What ends a collector's day: counts, readings, the report, closing the registry. */
export class Closing extends Till {
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
