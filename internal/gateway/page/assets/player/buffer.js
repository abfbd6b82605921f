// A MediaSource with one SourceBuffer, filled by a queue.

import { mediaSource } from "./choose.js";

const KEEP = 5, TRIM = 10; // seconds behind the position: kept, and trimmed from

/** Buffer feeds a video element. It ends by close. Times are seconds of the element. */
export class Buffer {
  #video;
  #source;
  #url;
  #buffer = null;
  #queue = [];
  #keys = []; // times of key frames, ascending
  #listening = new AbortController();
  #failed;

  /** failed is called with a message when the browser refuses data for good. */
  constructor(video, failed) {
    const Source = mediaSource();
    this.#video = video;
    this.#failed = failed;
    this.#source = new Source();
    video.disableRemotePlayback = true; // ManagedMediaSource demands it
    this.#url = URL.createObjectURL(this.#source);
    this.#source.addEventListener("sourceopen", () => this.#drain(), { signal: this.#listening.signal });
    video.src = this.#url;
  }

  /** type begins data of another type: the next bytes are an init segment. */
  type(mime) {
    this.#push(() => {
      if (this.#buffer) {
        this.#buffer.abort();
        this.#buffer.changeType(mime);
        return;
      }
      URL.revokeObjectURL(this.#url);
      this.#source.duration = Infinity;
      this.#buffer = this.#source.addSourceBuffer(mime);
      this.#buffer.mode = "segments";
      this.#buffer.addEventListener("updateend", () => this.#drain(), { signal: this.#listening.signal });
      this.#buffer.addEventListener("error", () => this.#fail("the browser cannot read the stream"), { signal: this.#listening.signal });
    });
  }

  /** shift adds seconds to the times of all bytes that follow. */
  shift(seconds) {
    this.#push(() => { this.#buffer.timestampOffset = seconds; });
  }

  /** append adds bytes, which must stay unchanged. keys are the times of their key frames. */
  append(bytes, keys = []) {
    this.#push(() => this.#buffer.appendBuffer(bytes));
    this.#keys.push(...keys);
  }

  /** then calls f when everything before it is in the buffer. */
  then(f) {
    this.#push(f);
  }

  /**
   * trim removes what is more than 10 s old. The browser removes up to the next key frame, so
   * the cut is at a key frame that is behind the position.
   */
  trim() {
    if (!this.#buffer?.buffered.length || this.#video.currentTime - this.#buffer.buffered.start(0) < TRIM) return;
    if (this.#cut(this.#video.currentTime - KEEP)) this.#drain();
  }

  #cut(before) {
    const old = this.#keys.filter((key) => key <= before);
    if (!old.length || old.at(-1) <= this.#buffer.buffered.start(0) + 0.01) return false;
    const end = old.at(-1) - 0.001;
    this.#keys = this.#keys.slice(old.length - 1);
    this.#queue.unshift(() => this.#buffer.remove(0, end));
    return true;
  }

  #push(step) {
    this.#queue.push(step);
    this.#drain();
  }

  #drain() {
    while (this.#queue.length && this.#source.readyState === "open" && !this.#buffer?.updating) {
      try {
        this.#queue[0]();
        this.#queue.shift();
      } catch (error) {
        const full = error.name === "QuotaExceededError";
        if (!full || !this.#cut(this.#video.currentTime)) this.#fail(error.message);
      }
    }
  }

  #fail(message) {
    this.#queue.length = 0;
    const failed = this.#failed;
    this.#failed = () => {};
    failed(this.#video.error?.message || message);
  }

  /** close detaches the element, which shows nothing then, and frees everything. */
  close() {
    this.#failed = () => {};
    this.#queue.length = 0;
    this.#listening.abort();
    URL.revokeObjectURL(this.#url);
    this.#video.removeAttribute("src");
    this.#video.load();
  }
}
