// One camera: its picture, what the player does and why, links, shares, and why there is no picture.

import { Player } from "../player.js";
import { call, url } from "./api.js";
import { copyButton, h, path, rate, say } from "./dom.js";
import { label, streams } from "./fleet.js";
import { diagnosis, WhyNot } from "./whynot.js";
import { shareForm } from "./shares.js";

const OUTPUTS = [["auto", "Automatic"], ["mse", "MSE"], ["hls", "LL-HLS"], ["still", "Still pictures"]];

/** CameraView is the page of one camera. It ends by end. */
export class CameraView {
  #name;
  #me;
  #fleet;
  #player = null;
  #stream;
  #timer = 0;
  #details = null;
  #ending = new AbortController();
  #video = h("video", { class: "picture", playsinline: true, tabindex: "0" });
  #title = h("h1");
  #why = new WhyNot();
  #chosen = h("p", { class: "hint" });
  #facts = h("dl", { class: "facts" });
  #mute = h("button", { type: "button", text: "Sound on" });
  #output = h("select", { id: "output" }, OUTPUTS.map(([value, text]) => h("option", { value, text })));
  #streams = h("select", { id: "stream" });
  #found = h("div", { role: "status" });
  href; // of this page, as links to it have it
  element;

  constructor(name, { fleet, me }) {
    [this.#name, this.#fleet, this.#me] = [name, fleet, me];
    this.href = `cameras/${path(name)}`;
    const full = h("button", { type: "button", text: "Full screen", on: { click: () => this.#full() } });
    const diagnose = me.role === "admin" ? h("button", { type: "button", text: "Diagnose", on: { click: () => this.#diagnose(diagnose) } }) : null;
    this.element = h("main", { class: "camera", id: "main" },
      h("div", { class: "head" }, h("a", { href: "./", class: "back", text: "All cameras" }), this.#title),
      h("div", { class: "stage" }, this.#video),
      h("div", { class: "tools" }, this.#mute, full,
        h("label", { for: "output", text: "Output" }), this.#output, h("label", { for: "stream", text: "Stream" }), this.#streams,
        h("a", { class: "button", href: `live/${path(name)}/still.mp4`, download: `${name.replaceAll("/", "-")}.mp4`, text: "Save picture" }), diagnose),
      this.#chosen, this.#why.element, this.#found, this.#facts, this.#links(), me.shares ? shareForm(name) : null);
    const { signal } = this.#ending;
    this.#mute.addEventListener("click", () => { this.#player.muted = !this.#player.muted; });
    this.#output.addEventListener("change", () => this.#play());
    this.#streams.addEventListener("change", () => { this.#stream = this.#streams.value; this.#play(); });
    this.#video.addEventListener("dblclick", () => this.#full());
    fleet.addEventListener("change", ({ detail }) => { if (detail.includes(name)) this.#update(); }, { signal });
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.#update();
    this.#play();
    this.#timer = setInterval(() => this.#tick(), 1000);
    this.#ask();
  }

  end() {
    clearInterval(this.#timer);
    this.#ending.abort();
    this.#player?.stop();
  }

  get #camera() {
    return this.#fleet.cameras.get(this.#name) ?? { name: this.#name, streams: [] };
  }

  #update() {
    const camera = this.#camera;
    say(this.#title, label(camera));
    document.title = label(camera);
    const names = streams(camera, "main");
    if (names.join() !== [...this.#streams.options].map(({ value }) => value).join()) {
      this.#streams.replaceChildren(...(names.length ? names : ["main"]).map((value) => h("option", { value, text: value })));
    }
    this.#stream ??= names[0];
    if (this.#stream) this.#streams.value = this.#stream;
    this.#show();
  }

  #play() {
    this.#player?.stop();
    const names = streams(this.#camera, this.#stream ?? "main");
    this.#player = new Player(this.#video, {
      camera: this.#name, stream: this.#stream ?? names[0] ?? "main", streams: names, output: this.#output.value, muted: this.#video.muted || !this.#video.src,
    });
    for (const event of ["state", "stats", "muted"]) this.#player.addEventListener(event, () => this.#show());
    this.#player.start();
  }

  #tick() {
    this.#show();
    if (Date.now() - this.#askedAt > 5000) this.#ask();
  }

  #askedAt = 0;

  // #ask gets what events do not have: rates, key-frame interval, viewers.
  async #ask() {
    this.#askedAt = Date.now();
    try {
      this.#details = await call("GET", `api/cameras/${path(this.#name)}`);
    } catch { /* the player's state says why */ }
    this.#show();
  }

  #show() {
    if (!this.#player) return;
    const now = this.#player.state;
    this.#why.update(now);
    say(this.#chosen, now.why ? `Output: ${now.why}.` : "");
    say(this.#mute, now.muted ? "Sound on" : "Sound off");
    this.#mute.disabled = !now.audio && now.phase === "playing";
    const stream = this.#details?.streams?.find(({ name }) => name === now.stream) ?? {};
    const facts = {
      Latency: now.latencyMs === null ? "–" : `${now.latencyMs} ms`,
      "First picture": now.firstPictureMs === null ? "–" : `${now.firstPictureMs} ms`,
      "Bit rate": rate(now.bitsPerSecond || stream.bitsPerSecond),
      "Frame rate": now.framesPerSecond ? `${now.framesPerSecond} fps` : "–",
      "Key frames": stream.keyFrameIntervalMs ? `each ${(stream.keyFrameIntervalMs / 1000).toFixed(1)} s` : "–",
      Codec: [now.codec, now.audio].filter(Boolean).join(", ") || "–",
      Size: now.width ? `${now.width} × ${now.height}` : "–",
      Viewers: String(this.#details?.viewers ?? "–"),
    };
    if (!this.#facts.children.length) this.#facts.append(...Object.keys(facts).map((key) => h("div", {}, h("dt", { text: key }), h("dd"))));
    Object.values(facts).forEach((value, i) => say(this.#facts.children[i].lastChild, value));
  }

  #links() {
    const token = async () => call("POST", "api/tokens", { camera: this.#name });
    const base = () => `${url(`live/${path(this.#name)}`)}`;
    const note = h("p", { class: "hint", role: "status" });
    const link = (text, make) => copyButton(text, async () => {
      const made = await token();
      say(note, `Copied with a token that is valid until ${new Date(made.expires).toLocaleString()}.`);
      return make(made);
    });
    const embed = ({ token: t }) => `<iframe src="${url(`embed/${path(this.#name)}`)}#token=${t}" width="640" height="360" allow="fullscreen; autoplay" style="border:0"></iframe>`;
    return h("section", { class: "links", "aria-label": "Links" }, h("h2", { text: "Links" }),
      h("div", { class: "tools" },
        link("Copy RTSP URL", (made) => made.links?.rtsp ?? made.links?.rtsps ?? ""),
        link("Copy HLS URL", (made) => `${base()}/hls/index.m3u8?token=${made.token}`),
        link("Copy page for a frame", embed)), note);
  }

  async #diagnose(button) {
    button.disabled = true;
    this.#found.replaceChildren(h("p", { text: "Asking each hop…" }));
    try {
      this.#found.replaceChildren(diagnosis(await call("POST", `api/cameras/${path(this.#name)}:diagnose`, {})));
    } catch (error) {
      this.#found.replaceChildren(h("p", { text: error.message }));
    }
    button.disabled = false;
  }

  #full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.#video.requestFullscreen?.();
  }

  #key(event) {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "f") this.#full();
    if (event.key === "m") this.#mute.click();
    if (event.key === "Escape" && !document.fullscreenElement) this.element.querySelector(".back").click();
  }
}
