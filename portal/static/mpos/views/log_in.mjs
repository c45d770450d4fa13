// @ts-check
/** Log in: the only screen before a collector is known; also renews the portal session during the day. */
import { button, field, h, quiet } from "./dom.mjs";
import { messages, othersNotice } from "./errors.mjs";
import { languageChoice } from "./language.mjs";
import { lostNotices } from "./storage.mjs";
import { say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function logInScreen(ctx) {
  const known = ctx.phone.state.user;
  const says = messages(ctx);
  const others = othersNotice(ctx);
  const username = field(say("username"), { name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", value: known?.name ?? "" });
  const password = field(say("password"), { name: "password", type: "password", autocomplete: "current-password" });
  const reveal = h("button", { type: "button", class: "button plain small reveal", "aria-pressed": "false" }, say("show"), quiet(say("the_password")));
  reveal.addEventListener("click", () => {
    const shown = password.input.type === "text";
    password.input.type = shown ? "password" : "text";
    reveal.setAttribute("aria-pressed", String(!shown));
    reveal.firstChild.textContent = shown ? say("show") : say("hide");
  });
  password.node.append(reveal);
  password.node.classList.add("with-reveal");

  const withPin = h("button", { type: "button", class: "button wide" }, say("use_my_pin"));
  withPin.addEventListener("click", () => submit(true));

  let busy = false;
  /** @param {boolean} byPin */
  async function submit(byPin) {
    if (busy) return;
    const name = username.input.value.trim();
    username.wrong(name ? "" : say("type_username"));
    password.wrong(password.input.value ? "" : byPin ? say("type_pin_here") : say("type_password"));
    if (!name) return username.input.focus();
    if (!password.input.value) return password.input.focus();
    busy = true;
    says.say("info", byPin ? say("opening") : say("checking_portal"));
    try {
      if (byPin) await ctx.phone.logInWithPin(name, password.input.value);
      else await ctx.phone.logIn(name, password.input.value);
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

  const again = ctx.route.name === "log-in" && known;
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); submit(false); } },
    username.node,
    password.node,
    says.node,
    h("button", { type: "submit", class: "button primary wide" }, say("log_in")),
    again ? null : withPin,
  );
  return {
    title: again ? say("renew_session") : say("app_name"),
    lead: again
      ? say("renew_lead")
      : say("login_lead"),
    back: again ? { name: "readings", text: say("back") } : null,
    nav: again ? "readings" : null,
    body: [...lostNotices(ctx.phone.state), others.node, form, again ? button(say("not_now"), () => ctx.back("collection"), { class: "button plain wide" }) : languageChoice(ctx)],
    update: others.draw,
  };
}
