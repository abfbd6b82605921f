// One camera on the wall: its last picture, its state in words, and live video while it is in view.

import { Player } from "../player.js";
import { url } from "./api.js";
import { ago, h, path, say } from "./dom.js";
import { label, pictured, streams } from "./fleet.js";
import { words } from "./whynot.js";

const STILL_EVERY = 30_000; // milliseconds between requests for a newer picture

/** Tile is a link to the camera's page. */
export class Tile {
  #camera;
  #player = null;
  #visible = false;
  #live = true;
  #asked = 0;
  #still = h("video", { class: "still", muted: true, playsinline: true, preload: "auto", tabindex: "-1", "aria-hidden": "true" });
  #video = h("video", { class: "live", muted: true, playsinline: true, tabindex: "-1", "aria-hidden": "true" });
  #title = h("span", { class: "tile-title" });
  #age = h("span", { class: "tile-age" });
  #dot = h("span", { class: "dot off", "aria-hidden": "true" });
  #state = h("span", { class: "tile-state" });
  element;

  constructor(camera) {
    this.#camera = camera;
    this.element = h("a", { class: "tile", href: `cameras/${path(camera.name)}` },
      h("span", { class: "screen" }, this.#still, this.#video),
      h("span", { class: "tile-bar" }, this.#title, this.#age),
      h("span", { class: "tile-line" }, this.#dot, this.#state));
    this.#still.addEventListener("error", () => this.#still.classList.remove("there"));
    this.#still.addEventListener("loadeddata", () => this.#still.classList.add("there"));
    this.update(camera);
  }

  get name() {
    return this.#camera.name;
  }

  get live() {
    return Boolean(this.#player);
  }

  /** update takes the camera as the gateway reports it now. */
  update(camera) {
    this.#camera = camera;
    say(this.#title, label(camera));
    this.#title.title = camera.name;
    if (this.#visible && !this.#asked) this.#picture();
    this.#show();
  }

  /** see says whether the tile is in view; play whether it may play live video. */
  see(visible, live) {
    [this.#visible, this.#live] = [visible, live];
    if (visible) this.#picture();
    if (visible && live && !this.#player && !this.#lasting()) this.#start();
    if (!(visible && live) && this.#player) this.#stop();
    this.#show();
  }

  /** tick is called each second. */
  tick() {
    if (this.#visible && !this.#player && Date.now() - this.#asked > STILL_EVERY) this.#picture();
    this.#show();
  }

  end() {
    this.#stop();
    this.#still.removeAttribute("src");
    this.#still.load();
  }

  // A camera that cannot be reached for a reason that lasts is not opened for the wall.
  #lasting() {
    const reason = this.#camera.failure?.reason;
    return reason === "MODULE_OFFLINE" || reason === "CAM_DISABLED" || reason === "PATH_UNKNOWN";
  }

  #picture() {
    const stream = pictured(this.#camera);
    if (!stream) return; // the gateway would have to refuse
    this.#asked = Date.now();
    this.#still.src = url(`live/${path(this.#camera.name)}/${path(stream.name)}/still.mp4`);
  }

  #start() {
    const names = streams(this.#camera, "sub");
    this.#player = new Player(this.#video, { camera: this.#camera.name, stream: names[0] ?? "main", streams: names, muted: true });
    this.#player.addEventListener("state", () => this.#show());
    this.#player.start();
  }

  #stop() {
    this.#player?.stop();
    this.#player = null;
    this.#video.classList.remove("there");
  }

  #show() {
    const playing = this.#player?.state;
    const shown = playing && playing.phase !== "idle" ? playing : { state: this.#camera.state, failure: this.#camera.failure };
    const { mark, text, next } = words(shown);
    this.#dot.className = `dot ${mark}`;
    say(this.#state, text + next);
    if (this.#state.title !== text) this.#state.title = text;
    this.#video.classList.toggle("there", playing?.phase === "playing" || playing?.phase === "stalled");
    const old = pictured(this.#camera);
    say(this.#age, playing?.phase === "playing" ? "live" : old ? ago(old.lastPicture) : "");
  }
}
