// @ts-check
/** The PIN: the card that offers to choose one, the screen that does, and the lock before everything a user has on this phone. */
import { button, field, h, notice } from "./dom.mjs";
import { messages, othersNotice } from "./errors.mjs";
import { languageChoice } from "./language.mjs";
import { say } from "../words.mjs";

const DIGITS = { inputmode: "numeric", type: "password", maxlength: 32, spellcheck: "false" };

/** A form of labelled fields that is sent by its button or the keyboard's, once at a time. @param {any[]} parts @param {string} name @param {() => Promise<unknown>} work @param {string} look */
function form(parts, name, work, look) {
  let busy = false;
  return h("form", { class: "stack", novalidate: true, onsubmit: async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    try {
      await work();
    } finally {
      busy = false;
    }
  } }, parts, h("button", { type: "submit", class: look }, name));
}

/**
 * Two fields and a button that set a PIN.
 * @param {import("../app.mjs").Context} ctx @param {string} look of the button @param {(says: ReturnType<typeof messages>) => void} done
 * @param {((pin: string) => Promise<void>) | null} [set] what sets it, when a present PIN has to be known
 */
function pinForm(ctx, look, done, set = null) {
  const says = messages(ctx);
  const present = set && field(say("present_pin"), { ...DIGITS, autocomplete: "off" });
  const pin = field(say("new_pin"), { ...DIGITS, autocomplete: "new-password", hint: say("pin_hint") });
  const again = field(say("new_pin_again"), { ...DIGITS, autocomplete: "new-password" });
  return form([present?.node, pin.node, again.node, says.node], set ? say("change_pin") : say("set_pin"), async () => {
    const same = pin.input.value === again.input.value;
    pin.wrong(pin.input.value ? "" : say("type_pin_least"));
    again.wrong(same ? "" : say("not_same_pin"));
    if (!pin.input.value) return pin.input.focus();
    if (!same) return again.input.focus();
    says.say("info", say("sealing_what"));
    try {
      if (set) await set(present?.input.value ?? "");
      else await ctx.phone.setPin(pin.input.value);
      says.clear();
      done(says);
    } catch (error) {
      const about = /** @type {any} */ (error)?.fields?.find((/** @type {any} */ one) => one.field === "pin");
      says.clear();
      if (about) pin.wrong(about.message);
      else says.fail(error, /** @type {any} */ (error)?.code === "password_first" && button(say("log_in_again"), () => ctx.go("log-in"), { class: "button small" }));
      if (about) pin.input.focus();
    }
  }, look);
}

/** What a PIN is for, while there is none. @param {import("../app.mjs").Context} ctx */
export function pinCard(ctx) {
  const { state } = ctx.phone;
  if (state.has_pin) return null;
  return h("section", { class: "card pin-card" },
    h("h2", {}, say("choose_pin")),
    h("p", { class: "hint" }, say("pin_why")),
    state.pin_can_be_set
      ? pinForm(ctx, "button wide", () => ctx.refresh())
      : button(say("enter_password"), () => ctx.go("log-in"), { class: "button wide" }));
}

/** After a forgotten PIN, and to change a known one. @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function pinScreen(ctx) {
  const { phone } = ctx;
  if (phone.state.new_pin) {
    return {
      title: say("choose_new"),
      lead: say("new_pin_lead"),
      back: null,
      nav: null,
      alone: true,
      body: [pinForm(ctx, "button primary wide", () => ctx.replace("collection"))],
    };
  }
  const says = messages(ctx);
  return {
    title: phone.state.has_pin ? say("change_pin") : say("choose_pin"),
    lead: null,
    back: { name: "settings", text: say("settings") },
    nav: "settings",
    body: [
      phone.state.has_pin
        ? changeForm(ctx, says)
        : pinCard(ctx),
      says.node,
    ],
  };
}

/** @param {import("../app.mjs").Context} ctx @param {ReturnType<typeof messages>} says */
function changeForm(ctx, says) {
  /** @type {any} */ let made = null;
  const change = async (/** @type {string} */ present) => {
    const [, pin] = made.querySelectorAll("input");
    await ctx.phone.changePin(present, pin.value);
  };
  made = pinForm(ctx, "button primary wide", () => {
    made.reset();
    says.say("safe", say("pin_changed"));
  }, change);
  return made;
}

/** The lock: PIN, or the password for who forgot it. @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function unlockScreen(ctx) {
  const { phone } = ctx;
  const user = phone.state.locked;
  const says = messages(ctx);
  const others = othersNotice(ctx);
  const { blocked } = await phone.pinState();
  const byPassword = blocked || ctx.memory.forgotten;
  const who = user.display_name || user.name;
  const waiting = h("p", { class: "lead" }, unsentWords(phone.state.unsent.count, byPassword));
  const leave = button(say("somebody_else"), async () => {
    await phone.logOut({ force: true });
    if (ctx.isCurrent()) ctx.replace("collection");
  }, { class: "button plain wide" });

  function pinPart() {
    const pin = field(say("pin"), { ...DIGITS, autocomplete: "off", enterkeyhint: "go" });
    ctx.later(() => pin.input.focus());
    const enter = form([pin.node, says.node], say("unlock"), async () => {
      pin.wrong(pin.input.value ? "" : say("type_pin"));
      if (!pin.input.value) return pin.input.focus();
      says.clear();
      try {
        await phone.unlock(pin.input.value);
      } catch (error) {
        pin.input.value = "";
        if (/** @type {any} */ (error)?.code === "pin_blocked") return ctx.refresh();
        says.fail(error);
        pin.input.focus();
      }
    }, "button primary wide");
    return [enter, button(say("forgotten"), () => { ctx.memory.forgotten = true; ctx.again(); }, { class: "button wide" })];
  }

  function passwordPart() {
    const password = field(say("password"), { name: "password", type: "password", autocomplete: "current-password" });
    const enter = form([password.node, says.node], say("log_in"), async () => {
      password.wrong(password.input.value ? "" : say("type_password"));
      if (!password.input.value) return password.input.focus();
      says.say("info", say("checking_portal"));
      try {
        await phone.logIn(user.name, password.input.value, { forgotten: true });
      } catch (error) {
        says.fail(error);
        password.input.value = "";
        password.input.focus();
      }
    }, "button primary wide");
    return [
      notice(blocked ? "person" : "info", blocked
        ? say("ten_wrong")
        : say("password_opens")),
      enter,
      blocked ? null : button(say("use_pin"), () => { ctx.memory.forgotten = false; ctx.again(); }, { class: "button wide" }),
    ];
  }

  return {
    title: say("locked_who", { who }),
    lead: null,
    back: null,
    nav: null,
    alone: true,
    body: [waiting, ...(byPassword ? passwordPart() : pinPart()), leave, languageChoice(ctx), others.node],
    update() {
      others.draw();
      waiting.textContent = unsentWords(phone.state.unsent.count, byPassword);
    },
  };
}

/** @param {number} count @param {boolean} byPassword the PIN is not what is asked for */
function unsentWords(count, byPassword) {
  if (!count) return byPassword ? "" : say("enter_pin");
  return say(byPassword ? "entries_wait" : "entries_wait_pin", { count });
}
