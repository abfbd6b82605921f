// Why there is no picture: the hops between viewer and camera as a row, the broken one marked.

import { h, say } from "./dom.js";

const HOPS = [
  ["viewer", "this browser"], ["gateway", "the gateway"], ["hub", "IoT Hub"], ["module", "the edge module"],
  ["camera", "the camera's network"], ["rtsp", "the camera's RTSP server"], ["media", "the camera's video"],
];

/** words returns a player's or a stream's state as a sentence, how it is marked (ok, busy, bad or off), and the countdown to the next try. */
export function words({ phase, state, hop, failure, retryAt }) {
  const is = phase ?? state;
  const wait = retryAt ? Math.ceil((new Date(retryAt) - Date.now()) / 1000) : 0;
  const next = wait > 0 ? `; next try in ${wait} s` : "";
  const told = (mark, text) => ({ mark, text, next });
  if (failure) return told("bad", failure.message ?? failure.reason);
  if (is === "playing" || is === "live") return { mark: "ok", text: "live", next: "" };
  if (is === "opening") return told("busy", hop ? `opening: ${hop}` : "opening");
  if (is === "reopening") return told("busy", "connecting again");
  if (is === "stalled") return told("bad", "no new picture");
  return told("off", is === "closing" ? "closing" : "not open");
}

/** WhyNot is the row. update takes what words takes. */
export class WhyNot {
  #items = new Map();
  #text = h("p", { class: "why-text", role: "status", "aria-live": "polite" });
  #next = h("span", { class: "why-next" }); // outside of the live region, which is read out at each change
  #code = h("p", { class: "why-code" });
  element;

  constructor() {
    const row = h("ol", { class: "hops", "aria-label": "The way to the picture" });
    for (const [name, title] of HOPS) {
      const state = h("span", { class: "hop-state", text: "–" });
      const item = h("li", { title }, h("span", { class: "hop-mark", "aria-hidden": "true" }), h("span", { text: name }), state);
      this.#items.set(name, { item, state });
      row.append(item);
    }
    this.element = h("section", { class: "why", "aria-label": "State" }, row, this.#text, this.#next, this.#code);
  }

  update(now) {
    const { mark, text, next } = words(now);
    const at = now.failure?.hop ?? now.hop;
    const index = HOPS.findIndex(([name]) => name === at);
    HOPS.forEach(([name], i) => {
      const { item, state } = this.#items.get(name);
      let is = mark === "ok" ? "ok" : "off";
      if (mark !== "ok" && index >= 0) is = i < index ? "ok" : i === index ? mark : "off";
      item.className = is;
      say(state, { ok: "works", busy: "in progress", bad: "fails here", off: "–" }[is]);
    });
    say(this.#text, mark === "ok" ? "The picture is live." : text.charAt(0).toUpperCase() + text.slice(1) + ".");
    say(this.#next, next && `Next try ${next.slice("; next try ".length)}.`);
    const since = now.failure?.since ? ` since ${new Date(now.failure.since).toLocaleTimeString()}` : "";
    say(this.#code, now.failure ? `${now.failure.reason} at ${now.failure.hop}${since}` : "");
  }
}

/** diagnosis returns a table of what a diagnosis found at each hop. */
export function diagnosis({ steps = [] }) {
  const rows = steps.map(({ hop, ok, ms, message, advice }) => h("tr", { class: ok ? "ok" : "bad" },
    h("th", { scope: "row", text: hop }),
    h("td", { text: ok ? "works" : "fails" }),
    h("td", { text: `${Math.round(ms ?? 0)} ms` }),
    h("td", { text: [message, advice].filter(Boolean).join(". ") })));
  return h("table", { class: "diagnosis" }, h("caption", { text: "Diagnosis" }), h("tbody", {}, rows));
}
