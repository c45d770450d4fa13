// @ts-check
/** Where the app is: addresses behind the `#`, and a history in which Back never leads into a finished payment. */

/** @typedef {{name: string, id: string}} Route */
/** @typedef {{idx: number, list: number, done?: boolean, draft?: unknown}} Place  idx: depth in this tab; list: depth of the list to go back to */

const NAMES = new Set([
  "collection", "soa", "pay", "receipt", "transactions", "readings", "count", "x-reading", "z-reading", "report", "cash-out", "expense", "cash-drop", "cash-slip", "void", "no-collection", "promise", "history", "or-entry", "or-pay", "route", "settings", "pin", "log-in", "log-out",
]);
const LISTS = new Set(["collection", "transactions", "readings", "settings"]);

/** The route of an address such as `#/soa/123`; anything unknown is the collection list. @param {string} hash @returns {Route} */
export function parseRoute(hash) {
  const [name, id = ""] = hash.replace(/^#\/?/, "").split("/");
  if (!NAMES.has(name)) return { name: "collection", id: "" };
  try {
    return { name, id: decodeURIComponent(id) };
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return { name: "collection", id: "" };
  }
}

/** The address of a route. @param {string} name @param {string} [id] @returns {string} */
export function address(name, id = "") {
  return id ? `#/${name}/${encodeURIComponent(id)}` : `#/${name}`;
}

/**
 * Starts routing; `show(route, place)` is called at every change of screen.
 * @param {{history: History, location: Location, addEventListener: Function}} host the window, or a stand-in in tests
 * @param {(route: Route, place: Place) => void} show
 */
export function startRouting(host, show) {
  const { history, location } = host;
  /** @type {Route} */ let route = parseRoute(location.hash);
  /** @type {Place} */ let place = placeOf(history.state) ?? { idx: 0, list: 0 };
  history.replaceState(place, "", location.hash || address("collection"));

  /** @param {Route} next @param {Place} at */
  function arrive(next, at) {
    route = next;
    place = at;
    show(route, place);
  }

  host.addEventListener("popstate", (/** @type {PopStateEvent} */ event) => {
    const next = parseRoute(location.hash);
    const known = placeOf(event.state);
    if (!known) {
      // An address typed or tapped outside our own navigation: it is one step deeper than where we were.
      const at = { idx: place.idx + 1, list: LISTS.has(next.name) ? place.idx + 1 : place.list };
      history.replaceState(at, "", location.hash);
      arrive(next, at);
      return;
    }
    const leavesStored = place.done && known.idx < place.idx && ["soa", "pay", "no-collection", "promise", "or-entry", "or-pay"].includes(next.name);
    if (leavesStored) {
      // Back from a stored receipt goes to the list: the payment form and its SOA are behind us.
      place = { ...known };
      toList();
      return;
    }
    arrive(next, known);
  });

  /** Goes back to the nearest list of this screen. */
  function toList() {
    if (place.list < place.idx) history.go(place.list - place.idx);
    else replace("collection");
  }

  /** @param {string} name @param {string} [id] */
  function go(name, id = "") {
    const next = { name, id };
    if (route.name === name && route.id === id) return show(route, place);
    // Like every Android app: from one tab to another is no step deeper, except from the first one.
    const sideways = LISTS.has(name) && LISTS.has(route.name) && place.idx > 0;
    if (sideways) return replace(name, id);
    const idx = place.idx + 1;
    const at = { idx, list: LISTS.has(name) ? idx : place.list };
    history.pushState(at, "", address(name, id));
    arrive(next, at);
  }

  /** @param {string} name @param {string} [id] @param {{done?: boolean}} [mark] done: what was begun here is stored, never offer it again */
  function replace(name, id = "", mark = {}) {
    const at = { idx: place.idx, list: LISTS.has(name) ? place.idx : place.list, ...mark };
    history.replaceState(at, "", address(name, id));
    arrive({ name, id }, at);
  }

  /** One screen back, or `name` when this is the first. @param {string} name @param {string} [id] */
  function back(name, id = "") {
    if (place.idx > 0) history.back();
    else replace(name, id);
  }

  /** Keeps an unfinished form in this history entry: it survives a reload or a killed tab and nothing else. @param {unknown} draft */
  function keep(draft) {
    place = { ...place, draft };
    history.replaceState(place, "", location.hash);
  }

  arrive(route, place);
  return { go, replace, back, toList, keep, again: () => show(route, place), current: () => ({ route, place }) };
}

/** @param {unknown} state @returns {Place | null} */
function placeOf(state) {
  const place = /** @type {any} */ (state);
  return place && Number.isInteger(place.idx) && Number.isInteger(place.list) ? place : null;
}
