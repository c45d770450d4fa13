// @ts-check
/** The PIN: the card that offers to choose one, the screen that does, and the lock before everything a user has on this phone. */
import { button, field, h, notice } from "./dom.mjs";
import { messages, othersNotice } from "./errors.mjs";
import { counted } from "./format.mjs";
import { languageChoice } from "./language.mjs";

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
  const present = set && field("Present PIN", { ...DIGITS, autocomplete: "off" });
  const pin = field("New PIN", { ...DIGITS, autocomplete: "new-password", hint: "At least 6 digits that nobody guesses." });
  const again = field("New PIN again", { ...DIGITS, autocomplete: "new-password" });
  return form([present?.node, pin.node, again.node, says.node], set ? "Change PIN" : "Set PIN", async () => {
    const same = pin.input.value === again.input.value;
    pin.wrong(pin.input.value ? "" : "Type a PIN of at least 6 digits.");
    again.wrong(same ? "" : "This is not the same PIN. Type it once more.");
    if (!pin.input.value) return pin.input.focus();
    if (!same) return again.input.focus();
    says.say("info", "Sealing what is stored …");
    try {
      if (set) await set(present?.input.value ?? "");
      else await ctx.phone.setPin(pin.input.value);
      says.clear();
      done(says);
    } catch (error) {
      const about = /** @type {any} */ (error)?.fields?.find((/** @type {any} */ one) => one.field === "pin");
      says.clear();
      if (about) pin.wrong(about.message);
      else says.fail(error, /** @type {any} */ (error)?.code === "password_first" && button("Log in again", () => ctx.go("log-in"), { class: "button small" }));
      if (about) pin.input.focus();
    }
  }, look);
}

/** What a PIN is for, while there is none. @param {import("../app.mjs").Context} ctx */
export function pinCard(ctx) {
  const { state } = ctx.phone;
  if (state.has_pin) return null;
  return h("section", { class: "card pin-card" },
    h("h2", {}, "Choose a PIN"),
    h("p", { class: "hint" }, "With it you log in without a connection, and nobody who finds this phone can read your customers and payments. If you forget it, your password opens everything."),
    state.pin_can_be_set
      ? pinForm(ctx, "button wide", () => ctx.refresh())
      : button("Enter your password first", () => ctx.go("log-in"), { class: "button wide" }));
}

/** After a forgotten PIN, and to change a known one. @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function pinScreen(ctx) {
  const { phone } = ctx;
  if (phone.state.new_pin) {
    return {
      title: "Choose a new PIN",
      lead: "Everything on this phone is kept. The old PIN opens nothing any more.",
      back: null,
      nav: null,
      alone: true,
      body: [pinForm(ctx, "button primary wide", () => ctx.replace("collection"))],
    };
  }
  const says = messages(ctx);
  return {
    title: phone.state.has_pin ? "Change PIN" : "Choose a PIN",
    lead: null,
    back: { name: "settings", text: "Settings" },
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
    says.say("safe", "The PIN is changed. From now on only the new one opens this phone.");
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
  const leave = button("Somebody else", async () => {
    await phone.logOut({ force: true });
    if (ctx.isCurrent()) ctx.replace("collection");
  }, { class: "button plain wide" });

  function pinPart() {
    const pin = field("PIN", { ...DIGITS, autocomplete: "off", enterkeyhint: "go" });
    ctx.later(() => pin.input.focus());
    const enter = form([pin.node, says.node], "Unlock", async () => {
      pin.wrong(pin.input.value ? "" : "Type your PIN.");
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
    return [enter, button("Forgotten PIN", () => { ctx.memory.forgotten = true; ctx.again(); }, { class: "button wide" })];
  }

  function passwordPart() {
    const password = field("Password", { name: "password", type: "password", autocomplete: "current-password" });
    const enter = form([password.node, says.node], "Log in", async () => {
      password.wrong(password.input.value ? "" : "Type your password.");
      if (!password.input.value) return password.input.focus();
      says.say("info", "Checking with the portal …");
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
        ? "Ten wrong PINs in a row: only your password opens this phone now. That needs a connection. Nothing is lost: everything you collected is still here."
        : "Your password opens this phone; that needs a connection. Then you choose a new PIN. Nothing is lost."),
      enter,
      blocked ? null : button("Use the PIN", () => { ctx.memory.forgotten = false; ctx.again(); }, { class: "button wide" }),
    ];
  }

  return {
    title: `Locked: ${who}`,
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
  if (!count) return byPassword ? "" : "Enter your PIN to go on where you were.";
  const waits = `${counted(count, "entry", "entries")} on this phone ${count === 1 ? "waits" : "wait"} to be uploaded.`;
  return byPassword ? waits : `${waits} Enter your PIN: then ${count === 1 ? "it goes" : "they go"} up by ${count === 1 ? "itself" : "themselves"}.`;
}
