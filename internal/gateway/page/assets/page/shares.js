// Shares: links that show one camera to people without a token, until a time.

import { call, url } from "./api.js";
import { clock, copyButton, h, say } from "./dom.js";
import { Player } from "../player.js";

const LENGTHS = [[1, "1 hour"], [24, "1 day"], [168, "7 days"], [720, "30 days"], [2160, "90 days"]];

const link = (made) => made.link ?? `${url("watch")}#${made.secret}`;

/** shareForm returns a form that makes a share of the camera. */
export function shareForm(camera) {
  const hours = h("select", { id: "share-end" }, LENGTHS.map(([value, text]) => h("option", { value, text })));
  const note = h("input", { id: "share-note", maxlength: 200, placeholder: "for whom", autocomplete: "off" });
  const made = h("div", { role: "status" });
  const form = h("form", { class: "share" }, h("h2", { text: "Share" }),
    h("p", { class: "hint", text: "Who has the link sees this camera, live, until then. You can revoke it at any time." }),
    h("div", { class: "tools" }, h("label", { for: "share-end", text: "for" }), hours, h("label", { for: "share-note", text: "Note" }), note,
      h("button", { type: "submit", text: "Make a link" })), made);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const share = await call("POST", "api/shares", { camera, end: new Date(Date.now() + hours.value * 3.6e6).toISOString(), note: note.value });
      const text = link(share);
      made.replaceChildren(h("p", { text: `The link works until ${clock(share.end)}. It is shown once.` }),
        h("input", { readonly: true, value: text, "aria-label": "Link", on: { focus: ({ target }) => target.select() } }), copyButton("Copy", () => text));
    } catch (error) {
      made.replaceChildren(h("p", { class: "bad", text: error.message }));
    }
  });
  return form;
}

/** SharesView lists the shares. */
export class SharesView {
  element = h("main", { class: "shares", id: "main" }, h("h1", { text: "Shares" }));
  #list = h("div");

  constructor() {
    this.element.append(h("p", { class: "hint", text: "Make a share on the page of a camera." }), this.#list);
    this.#load();
  }

  end() { /* nothing runs */ }

  async #load() {
    try {
      const answer = await call("GET", "api/shares");
      const shares = answer.shares ?? answer;
      this.#list.replaceChildren(shares.length ? this.#table(shares) : h("p", { class: "empty", text: "There is no share." }));
    } catch (error) {
      this.#list.replaceChildren(h("p", { class: "bad", role: "alert", text: error.message }));
    }
  }

  #table(shares) {
    const head = ["Camera", "Until", "Note", "By", ""].map((text) => h("th", { scope: "col", text }));
    return h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, shares.map((share) => h("tr", {},
      h("td", { text: share.camera }), h("td", { text: clock(share.end) }), h("td", { text: share.note ?? "" }), h("td", { text: share.by ?? "" }),
      h("td", {}, h("button", { type: "button", class: "small", text: "Revoke", "aria-label": `Revoke the share of ${share.camera}`, on: { click: () => this.#revoke(share) } }))))));
  }

  async #revoke(share) {
    try {
      await call("DELETE", `api/shares/${encodeURIComponent(share.id)}`);
    } finally {
      this.#load();
    }
  }
}

/** WatchView shows the camera of a share's link. The secret leaves the address bar, but a reload needs it: the tab keeps it. */
export class WatchView {
  #video = h("video", { class: "picture", playsinline: true, tabindex: "0" });
  #title = h("h1", { text: "Shared camera" });
  #state = h("p", { class: "why-text", role: "status", "aria-live": "polite" });
  #player = null;
  element = h("main", { class: "camera", id: "main" }, this.#title, h("div", { class: "stage" }, this.#video), this.#state);

  constructor() {
    const secret = location.hash.slice(1) || sessionStorage.getItem("share") || "";
    sessionStorage.setItem("share", secret);
    history.replaceState(null, "", location.pathname);
    this.#open(secret);
  }

  end() {
    this.#player?.stop();
  }

  async #open(secret) {
    let share;
    const mint = async () => {
      try {
        share = await call("POST", "share", { secret });
      } catch (error) {
        throw error.failure; // the player shows it
      }
      return share.token;
    };
    try {
      await mint();
    } catch (failure) {
      say(this.#state, `This link does not work: ${failure.message}.`);
      return;
    }
    say(this.#title, share.title || share.camera);
    document.title = share.title || share.camera;
    this.#player = new Player(this.#video, { camera: share.camera, stream: share.stream || "main", token: mint, muted: true });
    this.#player.addEventListener("state", ({ detail }) => {
      say(this.#state, detail.phase === "playing" ? "" : detail.failure?.message ?? detail.phase);
    });
    this.#player.start();
  }
}
