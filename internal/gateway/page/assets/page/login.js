// The login: by a token, or by the one-time code in the fragment of the address.

import { call } from "./api.js";
import { h, say } from "./dom.js";

/** redeem logs in by #login=CODE, if the address has one. The code leaves the address bar first. */
export async function redeem() {
  const code = new URLSearchParams(location.hash.slice(1)).get("login");
  if (!code) return;
  history.replaceState(null, "", location.pathname + location.search);
  await call("POST", "login", { code });
}

/** login shows the form in place, and returns when the gateway has accepted a token. note is shown above it. */
export function login(place, note = "") {
  return new Promise((done) => {
    const said = h("p", { class: "form-note", role: "alert", text: note });
    const token = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
    const button = h("button", { type: "submit", class: "primary", text: "Log in" });
    const form = h("form", { class: "login" },
      h("h1", { text: "Cameras" }),
      h("label", { for: "token", text: "Token" }), token, button, said,
      h("p", { class: "hint", text: "An operator makes a token with “tunnelgateway token new”. It begins with rtt_." }));
    let counting = 0;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      clearInterval(counting);
      button.disabled = true;
      try {
        await call("POST", "login", { token: token.value.trim() });
        done();
        return;
      } catch (error) {
        button.disabled = false;
        counting = show(said, button, error.failure);
      }
      token.select();
    });
    place.replaceChildren(form);
    token.focus();
  });
}

/** show says why the gateway refused the login, and counts down if it has to wait. It returns the timer. */
function show(said, button, { message, retryAt }) {
  const until = retryAt ? Date.parse(retryAt) : 0;
  const tell = () => {
    const wait = Math.ceil((until - Date.now()) / 1000);
    button.disabled = wait > 0;
    say(said, wait > 0 ? `${message} (${wait} s)` : message);
    if (wait <= 0) clearInterval(timer);
  };
  const timer = setInterval(tell, 1000);
  tell();
  return timer;
}
