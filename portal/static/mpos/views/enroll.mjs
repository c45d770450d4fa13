// @ts-check
/** Enroll this phone as a terminal, and wait for the office's yes where the office wants to give one. */
import { button, field, h, notice } from "./dom.mjs";
import { messages } from "./errors.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function enrollScreen(ctx) {
  const { state } = ctx.phone;
  if (state.terminal?.state === "waiting") return waiting(ctx, state.terminal);
  if (state.terminal) return refused(ctx, state.terminal);
  const says = messages(ctx);
  const name = field("Name of this phone", {
    hint: "The office sees this name in its list of terminals.",
    value: `Phone of ${state.user?.display_name || state.user?.name || "collector"}`,
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
        says.fail(error);
      }
    },
    { class: "button primary wide" },
  );
  return {
    title: "This phone is new here",
    lead: "It becomes a terminal with its own receipt numbers. This is done once, with a connection.",
    back: null,
    nav: "collection",
    body: [h("div", { class: "stack" }, name.node, says.node, enroll)],
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
            await ctx.phone.enroll(terminal.name);
            if (ctx.phone.state.terminal?.state === "waiting") says.say("info", "Not accepted yet.");
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
  return {
    title: `Terminal ${terminal.code} is ${terminal.state}`,
    lead: null,
    back: null,
    nav: "collection",
    body: [
      notice(
        "danger",
        "The office has taken this terminal out of service, so no new payments can be recorded here. Payments already on it are kept. " +
          "Bring the phone to the office; a rescue file can be saved under Settings.",
        button("Settings", () => ctx.go("settings"), { class: "button small" }),
      ),
    ],
  };
}
