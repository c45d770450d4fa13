// @ts-check
/** Log in: the only screen before a collector is known; also renews the portal session during the day. */
import { button, field, h, quiet } from "./dom.mjs";
import { messages, othersNotice } from "./errors.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function logInScreen(ctx) {
  const known = ctx.phone.state.user;
  const says = messages(ctx);
  const others = othersNotice(ctx);
  const username = field("Username", { name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", value: known?.name ?? "" });
  const password = field("Password", { name: "password", type: "password", autocomplete: "current-password" });
  const reveal = h("button", { type: "button", class: "button plain small reveal", "aria-pressed": "false" }, "Show", quiet(" password"));
  reveal.addEventListener("click", () => {
    const shown = password.input.type === "text";
    password.input.type = shown ? "password" : "text";
    reveal.setAttribute("aria-pressed", String(!shown));
    reveal.firstChild.textContent = shown ? "Show" : "Hide";
  });
  password.node.append(reveal);
  password.node.classList.add("with-reveal");

  let busy = false;
  async function submit() {
    if (busy) return;
    const name = username.input.value.trim();
    username.wrong(name ? "" : "Type your username.");
    password.wrong(password.input.value ? "" : "Type your password.");
    if (!name) return username.input.focus();
    if (!password.input.value) return password.input.focus();
    busy = true;
    says.say("info", "Checking with the portal …");
    try {
      await ctx.phone.logIn(name, password.input.value);
      says.clear();
      if (ctx.route.name === "log-in") ctx.back("collection");
      else ctx.refresh();
    } catch (error) {
      says.fail(error);
      if (/** @type {any} */ (error)?.code === "wrong_login") password.input.value = "";
      password.input.focus();
    } finally {
      busy = false;
    }
  }

  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); submit(); } },
    username.node,
    password.node,
    says.node,
    h("button", { type: "submit", class: "button primary wide" }, "Log in"),
  );
  const again = ctx.route.name === "log-in" && known;
  return {
    title: again ? "Renew your session" : "Mobile Collection",
    lead: again
      ? "The portal asks who you are before it takes more payments. Everything on this phone is kept."
      : "Log in once while connected; after that this phone works all day without a connection.",
    back: again ? { name: "readings", text: "Back" } : null,
    nav: again ? "readings" : null,
    body: [others.node, form, again ? button("Not now", () => ctx.back("collection"), { class: "button plain wide" }) : null],
    update: others.draw,
  };
}
