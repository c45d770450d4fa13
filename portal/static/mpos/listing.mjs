/** The downloaded list as the phone shows it, less its own payments; found, looked at, put in the order of the route. Works without any connection. */

import { daysBetween } from "./clock.mjs";
import { lessLocal } from "./confirm.mjs";
import { Line } from "./line.mjs";

/** @typedef {import("./records.mjs").Soa} Soa */
/** @typedef {import("./records.mjs").SoaView} SoaView */
/** @typedef {import("./session.mjs").Session} Session */

/** Key of the day's route among the settings of this user. */
const ROUTE = "route";

/** What a collector looks at: the SOAs as they stand on this phone. */
export class Listing extends Line {
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

  /** The SOA of exactly this account number in the list, or null. @param {string} account @returns {SoaView|null} */
  soaOfAccount(account) {
    const session = this._session;
    const row = session?.list?.table.rowOfAccount(account.trim()) ?? -1;
    return session?.list && row !== -1 ? this._view(session, session.list, row) : null;
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
}
