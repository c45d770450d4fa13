// @ts-check
/** Enroll this phone as a terminal, and wait for the office's yes where the office wants to give one. */
import { button, field, h, notice } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { pinCard } from "./pin.mjs";
import { lostNotices } from "./storage.mjs";
import { say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function enrollScreen(ctx) {
  const { state } = ctx.phone;
  if (state.terminal?.state === "waiting") return waiting(ctx, state.terminal);
  if (state.terminal) return refused(ctx, state.terminal);
  return {
    title: say("phone_new"),
    lead: say("becomes_terminal"),
    back: null,
    nav: "collection",
    body: [...lostNotices(state), ...enrollForm(ctx, "button primary wide"), pinCard(ctx)],
  };
}

/** @param {import("../app.mjs").Context} ctx @param {{code: string, name: string}} terminal @returns {import("../app.mjs").Screen} */
function waiting(ctx, terminal) {
  const says = messages(ctx);
  return {
    title: say("waits_title", { code: terminal.code }),
    lead: say("waits_lead"),
    back: null,
    nav: "collection",
    body: [
      says.node,
      button(
        say("check_again"),
        async () => {
          try {
            await ctx.phone.upload();
            if (ctx.phone.state.terminal?.state === "waiting") says.say("info", ctx.phone.state.online ? say("not_accepted") : say("try_connected"));
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
    ? say("revoked_lead")
    : (ctx.phone.state.problem ?? say("stopped_lead"));
  return {
    title: say(terminal.state === "revoked" ? "terminal_revoked" : "terminal_stopped", { code: terminal.code }),
    lead: null,
    back: null,
    nav: "collection",
    body: [
      notice("danger", words, button(say("settings"), () => ctx.go("settings"), { class: "button small" })),
      h("h2", {}, say("new_terminal")),
      h("p", { class: "hint" }, say("only_when")),
      ...enrollForm(ctx, "button wide"),
    ],
  };
}

/** @param {import("../app.mjs").Context} ctx @param {string} look of the button */
function enrollForm(ctx, look) {
  const says = messages(ctx);
  const name = field(say("name_phone"), {
    hint: say("office_sees"),
    value: say("phone_of", { name: ctx.phone.state.user?.display_name || ctx.phone.state.user?.name }),
    maxlength: 60,
  });
  const enroll = button(
    say("enroll_phone"),
    async () => {
      const chosen = name.input.value.trim();
      name.wrong(chosen ? "" : say("give_phone"));
      if (!chosen) return name.input.focus();
      says.say("info", say("asking_portal_terminal"));
      try {
        await ctx.phone.enroll(chosen);
        says.clear();
      } catch (error) {
        if (/** @type {any} */ (error)?.code === "offline") says.say("person", say("enroll_offline"));
        else says.fail(error);
      }
    },
    { class: look },
  );
  return [h("div", { class: "stack" }, name.node, says.node, enroll)];
}
