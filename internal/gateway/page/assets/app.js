// The page: login, and the view that the address names.

import { call } from "./page/api.js";
import { CameraView } from "./page/camera.js";
import { h, say } from "./page/dom.js";
import { Fleet } from "./page/fleet.js";
import { login, redeem } from "./page/login.js";
import { SharesView, WatchView } from "./page/shares.js";
import { Wall } from "./page/wall.js";

const place = h("div", { id: "place" });
const banner = h("p", { class: "banner", role: "status", hidden: true });
const state = { me: null, fleet: null, view: null };

/** route returns the path below the gateway's address, decoded. */
function route() {
  const base = new URL(document.baseURI).pathname;
  return location.pathname.slice(base.length).split("/").map(decoded).join("/");
}

function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // a "%" that is no escape
  }
}

function show() {
  const before = state.view;
  before?.end();
  const at = route();
  document.title = "Cameras";
  if (at.startsWith("cameras/")) state.view = new CameraView(at.slice("cameras/".length), state);
  else if (at === "shares") state.view = new SharesView();
  else state.view = new Wall(state.fleet);
  place.replaceChildren(state.view.element);
  if (before) arrive(before);
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// arrive puts the focus where a reader goes on: on the tile of the camera that was left, else on the title.
function arrive(before) {
  const tile = before.href && state.view.element.querySelector(`a.tile[href="${CSS.escape(before.href)}"]`);
  const title = state.view.element.querySelector("h1");
  title?.setAttribute("tabindex", "-1");
  (tile || title)?.focus({ preventScroll: !tile });
}

// Links to the page's own addresses do not load it again.
function follow(event) {
  const link = event.target.closest("a[href]");
  if (!link || link.download || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const to = new URL(link.href), base = new URL(document.baseURI);
  if (to.origin !== base.origin || !/^(cameras\/.*|shares|)$/.test(to.pathname.slice(base.pathname.length))) return;
  event.preventDefault();
  history.pushState(null, "", to);
  scrollTo(0, 0);
  show();
}

function header(me) {
  const out = h("button", { type: "button", class: "small", text: "Log out", on: { click: async () => {
    await call("POST", "logout", {}).catch(() => {});
    location.assign(document.baseURI);
  } } });
  return h("header", {}, h("a", { class: "skip", href: "#main", text: "To the content" }), h("a", { class: "brand", href: "./", text: "Cameras" }),
    h("nav", { "aria-label": "Pages" }, h("a", { href: "./", text: "Wall" }), me.shares ? h("a", { href: "shares", text: "Shares" }) : null),
    h("span", { class: "who", text: me.name }), out);
}

const KEYS = [["Arrow keys", "move between cameras"], ["Enter", "open a camera"], ["Esc", "back to all cameras"], ["f", "full screen"], ["m", "sound"], ["/", "search"], ["?", "these keys"]];

function help() {
  if (document.querySelector("dialog")) return;
  const dialog = h("dialog", { "aria-label": "Keys" }, h("h2", { text: "Keys" }),
    h("dl", {}, KEYS.map(([key, text]) => [h("dt", {}, h("kbd", { text: key })), h("dd", { text })])),
    h("form", { method: "dialog" }, h("button", { text: "Close" })));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// who returns the account; it shows the login until there is one.
async function who(note = "") {
  for (;;) {
    try {
      return await call("GET", "api/me");
    } catch (error) {
      if (error.status === 401) await login(place, note);
      else {
        place.replaceChildren(h("p", { class: "empty", role: "alert", text: `${error.message}. The page tries again.` }));
        await new Promise((resolve) => { setTimeout(resolve, 3000); });
      }
    }
  }
}

async function begin(note) {
  state.me = await who(note);
  state.fleet = new Fleet();
  state.fleet.addEventListener("online", () => {
    banner.hidden = state.fleet.online;
    say(banner, state.fleet.online ? "" : "No connection to the gateway. The states may be old; the page connects again.");
  });
  state.fleet.addEventListener("denied", () => {
    state.view?.end();
    state.view = null;
    state.fleet.stop();
    document.querySelector("header")?.remove();
    begin("Your login has ended. Log in again to go on.");
  });
  state.fleet.start();
  document.body.prepend(header(state.me));
  show();
}

async function main() {
  document.body.append(banner, place);
  document.addEventListener("click", follow);
  addEventListener("popstate", () => { if (state.fleet) show(); });
  document.addEventListener("keydown", (event) => { if (event.key === "?" && !event.target.matches("input, select, textarea")) help(); });
  if (route() === "watch") {
    state.view = new WatchView();
    place.replaceChildren(state.view.element);
    return;
  }
  let note = "";
  try {
    await redeem();
  } catch (error) {
    note = `The link does not work any more: ${error.message}.`;
  }
  await begin(note);
}

main();
