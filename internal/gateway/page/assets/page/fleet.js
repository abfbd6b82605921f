// The cameras as the gateway reports them, by server-sent events.

import { call, url } from "./api.js";

/** Fleet holds the cameras by name. Events: "change" (detail: names), "online", "denied". */
export class Fleet extends EventTarget {
  cameras = new Map();
  online = true;
  #source = null;
  #changed = new Set();
  #poll = 0;

  start() {
    let seen = new Set(); // of a connection's first events, which are all cameras
    this.#source = new EventSource(url("api/events"));
    this.#source.addEventListener("open", () => {
      seen = new Set();
      this.#reach(true);
    });
    this.#source.addEventListener("camera", ({ data }) => {
      const camera = JSON.parse(data);
      this.cameras.set(camera.name, camera);
      seen.add(camera.name);
      this.#note(camera.name);
    });
    this.#source.addEventListener("snapshot", () => {
      for (const name of [...this.cameras.keys()].filter((n) => !seen.has(n))) {
        this.cameras.delete(name);
        this.#note(name);
      }
    });
    this.#source.addEventListener("removed", ({ data }) => {
      const { name } = JSON.parse(data);
      this.cameras.delete(name);
      this.#note(name);
    });
    this.#source.addEventListener("error", () => this.#lost());
  }

  stop() {
    this.#source?.close();
    clearTimeout(this.#poll);
  }

  // An event source does not tell why it ended, so the API is asked.
  async #lost() {
    this.#reach(false);
    if (this.#source.readyState !== EventSource.CLOSED) return; // it connects again
    clearTimeout(this.#poll);
    try {
      await call("GET", "api/me");
    } catch (error) {
      if (error.status === 401) {
        this.dispatchEvent(new Event("denied"));
        return;
      }
    }
    this.#poll = setTimeout(() => this.start(), 3000);
  }

  #reach(online) {
    if (this.online === online) return;
    this.online = online;
    this.dispatchEvent(new Event("online"));
  }

  // Changes are reported once for each picture of the screen.
  #note(name) {
    if (!this.#changed.size) {
      setTimeout(() => {
        const names = [...this.#changed];
        this.#changed.clear();
        this.dispatchEvent(new CustomEvent("change", { detail: names }));
      }, 50);
    }
    this.#changed.add(name);
  }
}

/** label returns what people call a camera. */
export const label = (camera) => camera.title || camera.name;

/** pictured returns the stream that has the newest picture of the camera; undefined if none has one. */
export const pictured = (camera) => (camera.streams ?? []).filter((s) => s.lastPicture).sort((a, b) => Date.parse(b.lastPicture) - Date.parse(a.lastPicture))[0];

/** streams returns the names of the camera's streams that can be opened, the wanted one first. */
export function streams(camera, wanted) {
  const all = (camera.streams ?? []).filter((s) => s.failure?.reason !== "PATH_UNKNOWN").map((s) => s.name);
  return [...all.filter((n) => n === wanted), ...all.filter((n) => n !== wanted)];
}
