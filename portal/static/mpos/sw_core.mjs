/**
 * The service worker: keeps the app's shell for offline use and nothing else. No answer of the API, no page of the office, nothing of a user is ever
 * cached; requests that are not for a file of the shell go to the network as if there were no worker.
 */

const PREFIX = "mpos-shell-";
const SHELL = "/mpos/";

/**
 * Install the worker's events.
 * @param {any} worker the ServiceWorkerGlobalScope
 * @param {{version: string, files: {url: string, sha256: string}[]}} shell the files this version consists of, the shell page among them
 */
export function start(worker, { version, files }) {
  const name = PREFIX + version;
  const known = new Set(files.map(({ url }) => url));

  worker.addEventListener("install", (/** @type {any} */ event) => {
    event.waitUntil(fill(worker, name, files));
  });

  worker.addEventListener("activate", (/** @type {any} */ event) => {
    event.waitUntil(
      worker.caches.keys().then((/** @type {string[]} */ names) =>
        Promise.all(names.filter((other) => other.startsWith(PREFIX) && other !== name).map((other) => worker.caches.delete(other))),
      ),
    );
  });

  worker.addEventListener("message", (/** @type {any} */ event) => {
    if (event.origin !== worker.location.origin || typeof event.data !== "object" || event.data?.type !== "take-over") return;
    event.waitUntil(worker.skipWaiting());
  });

  worker.addEventListener("fetch", (/** @type {any} */ event) => {
    const url = wanted(event.request, worker.location.origin, known);
    if (url) event.respondWith(answer(worker, name, url, event.request));
  });
}

/**
 * Which file of the shell answers a request; null leaves it to the network. Pure.
 * @param {{method: string, mode: string, url: string}} request
 * @param {string} origin
 * @param {Set<string>} known
 * @returns {string|null}
 */
export function wanted(request, origin, known) {
  if (request.method !== "GET") return null;
  const { origin: asked, pathname, search } = new URL(request.url);
  if (asked !== origin || pathname.startsWith("/api/")) return null;
  if (known.has(pathname) && pathname !== SHELL) return search === "" ? pathname : null;
  const ownPage = pathname === SHELL || (pathname.startsWith(SHELL) && !pathname.slice(SHELL.length).includes("."));
  return request.mode === "navigate" && ownPage ? SHELL : null;
}

/**
 * Put every file of the shell into its cache; throws when one is missing or not the one this version was built from, so that half a version
 * never becomes the app.
 * @param {any} worker
 * @param {string} name
 * @param {{url: string, sha256: string}[]} files
 */
export async function fill(worker, name, files) {
  const answers = await Promise.all(
    files.map(async ({ url, sha256 }) => {
      const response = await worker.fetch(new worker.Request(url, { cache: "reload", credentials: "same-origin", redirect: "error" }));
      if (!response.ok) throw new Error(`${url} was answered with ${response.status}.`);
      const digest = await worker.crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer());
      const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
      if (hex !== sha256) throw new Error(`${url} is not the file of this version.`);
      return { url, response };
    }),
  );
  const cache = await worker.caches.open(name);
  await Promise.all(answers.map(({ url, response }) => cache.put(url, response)));
}

/**
 * @param {any} worker
 * @param {string} name
 * @param {string} url
 * @param {Request} request
 */
async function answer(worker, name, url, request) {
  const cache = await worker.caches.open(name);
  const kept = await cache.match(url);
  if (kept) return kept;
  try {
    return await worker.fetch(request);
  } catch {
    return new worker.Response("This part of the app is not on the phone and the portal cannot be reached. Open the app again when there is a connection.", {
      status: 503,
      headers: { "Content-Type": "text/plain; charset=utf-8" },
    });
  }
}
