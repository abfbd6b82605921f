// A still picture every 5 s, for browsers without any way to play live video.

import { bearer, own, problem } from "./failures.js";

const EVERY = 5000; // milliseconds

/** Still shows the newest key frame, a video of one picture. host is the player, as for MSE. */
export class Still {
  #video;
  #url;
  #token;
  #host;
  #ending = null;
  #shown = null; // object URL

  /** bytes that arrived. */
  bytes = 0;

  constructor(video, { url, token }, host) {
    [this.#video, this.#url, this.#token, this.#host] = [video, url, token, host];
  }

  async start() {
    this.#ending = new AbortController();
    const { signal } = this.#ending;
    try {
      while (!signal.aborted) {
        await this.#show(signal);
        await new Promise((resolve) => {
          const timer = setTimeout(resolve, EVERY);
          signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
        });
      }
    } catch (failure) {
      if (signal.aborted) return;
      this.suspend();
      this.#host.ended(failure.reason ? failure : own("GATEWAY_UNREACHABLE", "the gateway cannot be reached: check this device's network"));
    }
  }

  // #show throws a failure, or fetch's error.
  async #show(signal) {
    const answer = await fetch(this.#url, { headers: bearer(this.#token), cache: "no-store", signal });
    if (!answer.ok) throw await problem(answer);
    const picture = await answer.blob();
    if (signal.aborted) return;
    this.bytes += picture.size;
    const before = this.#shown;
    this.#shown = URL.createObjectURL(picture);
    this.#video.src = this.#shown;
    this.#video.addEventListener("loadeddata", () => {
      this.#host.media({ video: { codec: "", width: this.#video.videoWidth, height: this.#video.videoHeight }, audio: null });
      this.#host.shown();
    }, { once: true, signal });
    if (before) URL.revokeObjectURL(before);
  }

  latencyOf() {
    return null;
  }

  get lead() {
    return 0;
  }

  jump() {}

  suspend() {
    this.#ending?.abort();
  }

  stop() {
    this.suspend();
    if (this.#shown) URL.revokeObjectURL(this.#shown);
    this.#shown = null;
    this.#video.removeAttribute("src");
    this.#video.load();
  }
}
