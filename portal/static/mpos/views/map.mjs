// @ts-check
/** The way to a customer: a link that the phone's own map app opens. */
import { h, quiet } from "./dom.mjs";
import { say } from "../words.mjs";

/**
 * Where a map finds an address. Android hands `geo:` to whatever map the collector uses, also one that works offline; others get a page.
 * @param {string} address @param {string} agent the browser's name for itself
 */
export function mapAddress(address, agent) {
  const query = encodeURIComponent(address.trim());
  return /Android/.test(agent) ? `geo:0,0?q=${query}` : `https://www.openstreetmap.org/search?query=${query}`;
}

/** @param {string} address @param {string} whose */
export function mapLink(address, whose) {
  return h("a", { class: "map", href: mapAddress(address, navigator.userAgent), target: "_blank", rel: "noreferrer noopener" }, say("map"), quiet(say("way_to", { whose })));
}
