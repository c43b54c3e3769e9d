// The page: who is looking, at what, and signing in.

import { byId, h, renew } from "./dom.js";
import { showList } from "./list.js";
import { showRollout } from "./rollout.js";
import { call, close, tell } from "./talk.js";

const main = byId("main");

function refused(said) {
  close();
  if (said.signIn) return signIn(said.said ?? said.message);
  renew(main, h("h1", {}, "Not for you"), h("p", { class: "callout bad" }, said.said ?? said.message), h("p", {}, h("a", { href: "/" }, "All Rollouts")));
}

function signIn(why) {
  byId("sign-out").hidden = true;
  byId("who").textContent = "";
  const field = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "token-help" });
  const said = h("p", { class: "callout", role: "alert" }, why);
  const button = h("button", { type: "submit", class: "main" }, "Sign in");
  const form = h(
    "form",
    {
      class: "sign-in",
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          await call("POST", "/api/session", { token: field.value });
          field.value = "";
          await begin();
        } catch (error) {
          said.textContent = error.message;
          said.classList.add("bad");
          field.focus();
        }
      },
    },
    h("label", { for: "token" }, "Token of the cluster"),
    field,
    h("p", { id: "token-help" }, "You see and do here what this token may. For a service account: ", h("code", {}, "kubectl create token NAME -n NAMESPACE"), ". It is kept in a cookie that no script can read, until you sign out."),
    button,
  );
  if (!window.isSecureContext) {
    button.disabled = true;
    field.disabled = true;
    said.textContent = "This page came over plain HTTP, by which a token would travel in clear. Come by HTTPS, or by `kubectl port-forward` and localhost.";
  }
  document.title = "Sign in - Tidegate";
  renew(main, h("h1", {}, "Sign in"), said, form);
  field.focus();
}

async function begin() {
  let me;
  try {
    me = await call("GET", "/api/me");
  } catch (error) {
    return refused(error);
  }
  byId("who").textContent = `${me.name}${me.namespace ? `, namespace ${me.namespace}` : ""}`;
  byId("sign-out").hidden = me.mode !== "operator" || me.name === "system:anonymous";
  const [, kind, namespace, name] = location.pathname.split("/").map(decodeURIComponent);
  if (kind === "rollouts") showRollout(main, namespace, name, refused);
  else showList(main, refused);
}

byId("sign-out").addEventListener("click", async () => {
  try {
    await call("DELETE", "/api/session");
  } catch (error) {
    return tell(error.message, true);
  }
  close();
  signIn("You have signed out.");
});

addEventListener("pagehide", close);
addEventListener("pageshow", (event) => event.persisted && begin());
begin();
