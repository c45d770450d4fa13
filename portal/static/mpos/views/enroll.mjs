// @ts-check
/** Enroll this phone as a terminal, and wait for the office's yes where the office wants to give one. */
import { button, field, h, notice } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { pinCard } from "./pin.mjs";
import { lostNotices } from "./storage.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function enrollScreen(ctx) {
  const { state } = ctx.phone;
  if (state.terminal?.state === "waiting") return waiting(ctx, state.terminal);
  if (state.terminal) return refused(ctx, state.terminal);
  return {
    title: "This phone is new here",
    lead: "It becomes a terminal with its own receipt numbers. This is done once, with a connection.",
    back: null,
    nav: "collection",
    body: [...lostNotices(state), ...enrollForm(ctx, "button primary wide"), pinCard(ctx)],
  };
}

/** @param {import("../app.mjs").Context} ctx @param {{code: string, name: string}} terminal @returns {import("../app.mjs").Screen} */
function waiting(ctx, terminal) {
  const says = messages(ctx);
  return {
    title: `Terminal ${terminal.code} waits for the office`,
    lead: "An administrator has to accept this phone under Terminals. Then check again.",
    back: null,
    nav: "collection",
    body: [
      says.node,
      button(
        "Check again",
        async () => {
          try {
            await ctx.phone.upload();
            if (ctx.phone.state.terminal?.state === "waiting") says.say("info", ctx.phone.state.online ? "Not accepted yet." : "The portal cannot be reached; try again with a connection.");
          } catch (error) {
            says.fail(error);
          }
        },
        { class: "button primary wide" },
      ),
    ],
  };
}

/** @param {import("../app.mjs").Context} ctx @param {{code: string, state: string}} terminal @returns {import("../app.mjs").Screen} */
function refused(ctx, terminal) {
  const words = terminal.state === "revoked"
    ? "The office has taken this terminal out of service, so no new payments can be recorded with it. Payments already on this phone are kept. Bring the phone to the office."
    : (ctx.phone.state.problem ?? "This terminal cannot go on. Payments already on this phone are kept. Bring the phone to the office.");
  return {
    title: `Terminal ${terminal.code} is ${terminal.state}`,
    lead: null,
    back: null,
    nav: "collection",
    body: [
      notice("danger", words, button("Settings", () => ctx.go("settings"), { class: "button small" })),
      h("h2", {}, "A new terminal number"),
      h("p", { class: "hint" }, "Only when the office told you to: this phone then starts a new series of receipt numbers."),
      ...enrollForm(ctx, "button wide"),
    ],
  };
}

/** @param {import("../app.mjs").Context} ctx @param {string} look of the button */
function enrollForm(ctx, look) {
  const says = messages(ctx);
  const name = field("Name of this phone", {
    hint: "The office sees this name in its list of terminals.",
    value: `Phone of ${ctx.phone.state.user?.display_name || ctx.phone.state.user?.name || "collector"}`,
    maxlength: 60,
  });
  const enroll = button(
    "Enroll this phone",
    async () => {
      const chosen = name.input.value.trim();
      name.wrong(chosen ? "" : "Give this phone a name.");
      if (!chosen) return name.input.focus();
      says.say("info", "Asking the portal for a terminal number …");
      try {
        await ctx.phone.enroll(chosen);
        says.clear();
      } catch (error) {
        if (/** @type {any} */ (error)?.code === "offline") says.say("person", "The portal cannot be reached. A terminal number needs a connection, this once; try again when there is one.");
        else says.fail(error);
      }
    },
    { class: look },
  );
  return [h("div", { class: "stack" }, name.node, says.node, enroll)];
}
