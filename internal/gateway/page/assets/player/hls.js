// Low-Latency HLS: by hls.js, which is loaded here and nowhere else, or by the browser alone.

import { ask, bearer, lasts, own } from "./failures.js";

const BEHIND = 3; // seconds behind the aim, above which the player jumps
const LIBRARY = new URL("../vendor/hls.min.mjs", import.meta.url);

/** HLS plays by hls.js. host is the player, as for MSE. */
export class HLS {
  #video;
  #url;
  #token;
  #host;
  #hls = null;
  #ended = false;

  /** bytes that arrived. */
  bytes = 0;

  constructor(video, { url, token }, host) {
    [this.#video, this.#url, this.#token, this.#host] = [video, url, token, host];
  }

  async start() {
    this.#ended = false;
    let Hls;
    try {
      ({ default: Hls } = await import(LIBRARY));
    } catch {
      this.#fail(own("GATEWAY_UNREACHABLE", "hls.js cannot be loaded from the gateway"));
      return;
    }
    if (this.#ended) return;
    const hls = new Hls({
      lowLatencyMode: true, enableWorker: false, backBufferLength: 10, maxLiveSyncPlaybackRate: 1.25, liveSyncMode: "edge",
      manifestLoadPolicy: once(), // the player itself retries
      xhrSetup: (xhr, url) => {
        // The playlist's URLs hold a query for this playback, and outlive the token.
        if (url === this.#url && this.#token) xhr.setRequestHeader("Authorization", bearer(this.#token).Authorization);
      },
    });
    this.#hls = hls;
    const { Events } = Hls;
    hls.on(Events.MANIFEST_PARSED, () => this.#host.play());
    hls.on(Events.LEVEL_SWITCHED, () => this.#media());
    hls.on(Events.LEVEL_UPDATED, () => { if (hls.latency - hls.targetLatency > BEHIND) this.jump(); });
    hls.on(Events.FRAG_LOADED, (_, { part, frag }) => { this.bytes += (part ?? frag).stats.total; });
    hls.on(Events.ERROR, (_, error) => this.#error(Hls, error));
    hls.loadSource(this.#url);
    hls.attachMedia(this.#video);
  }

  #media() {
    const level = this.#hls.levels[this.#hls.currentLevel] ?? this.#hls.levels[0];
    const audio = level?.audioCodec || this.#hls.audioTracks[0]?.audioCodec;
    this.#host.media({
      video: level?.videoCodec ? { codec: level.videoCodec, width: level.width, height: level.height } : null,
      audio: audio ? { codec: audio } : this.#hls.audioTracks.length ? { codec: "" } : null,
    });
  }

  async #error(Hls, { fatal, type, details, response }) {
    if (!fatal || this.#ended) return;
    if (type === Hls.ErrorTypes.MEDIA_ERROR && /Append|Buffer|buffer/.test(details) === false) {
      this.#fail(own("MEDIA_INVALID", `the browser cannot play the stream: ${details}`));
      return;
    }
    const failure = await ask(this.#url, this.#token);
    this.#fail(failure ?? own("GATEWAY_LOST", `HLS ended: ${details}${response?.code ? `, status ${response.code}` : ""}`));
  }

  #fail(failure) {
    if (this.#ended) return;
    this.suspend();
    this.#host.ended(failure);
  }

  /** latencyOf returns the latency by the playlist's times; null if it has none. mediaTime is not used. */
  latencyOf(_, at = Date.now()) {
    const date = this.#hls?.playingDate;
    return date ? at - date.getTime() : null;
  }

  get lead() {
    return 0;
  }

  /** jump goes to the aim of hls.js, if that is buffered. */
  jump() {
    const edge = this.#hls?.liveSyncPosition, { buffered } = this.#video;
    const there = edge && buffered.length && buffered.start(buffered.length - 1) <= edge && buffered.end(buffered.length - 1) > edge;
    if (there) this.#video.currentTime = edge;
  }

  suspend() {
    this.#ended = true;
    this.#hls?.destroy();
    this.#hls = null;
  }

  stop() {
    this.suspend();
    this.#video.removeAttribute("src");
    this.#video.load();
  }
}

/** once is hls.js' policy for a load without retries. */
function once() {
  return { default: { maxTimeToFirstByteMs: 40_000, maxLoadTimeMs: 60_000, timeoutRetry: null, errorRetry: null } };
}

/** NativeHLS plays by the browser itself, which takes the token in the URL alone. */
export class NativeHLS {
  #video;
  #url;
  #token;
  #host;
  #listening = null;

  /** bytes that arrived are not known. */
  bytes = 0;

  constructor(video, { url, token }, host) {
    [this.#video, this.#url, this.#token, this.#host] = [video, url, token, host];
  }

  async start() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.#video.addEventListener("error", () => this.#failed(signal), { signal });
    this.#video.addEventListener("loadedmetadata", () => {
      this.#host.media({ video: { codec: "", width: this.#video.videoWidth, height: this.#video.videoHeight }, audio: null });
    }, { signal });
    this.#video.src = this.#url + (this.#token ? `?token=${encodeURIComponent(this.#token)}` : "");
    this.#host.play();
  }

  async #failed(signal) {
    const failure = await ask(this.#url, this.#token);
    if (signal.aborted) return;
    this.suspend();
    this.#host.ended(failure ?? own("MEDIA_INVALID", `the browser cannot play the stream: ${this.#video.error?.message ?? ""}`));
  }

  latencyOf(_, at = Date.now()) {
    const start = this.#video.getStartDate?.().getTime();
    return start ? at - start - this.#video.currentTime * 1000 : null;
  }

  get lead() {
    return 0;
  }

  jump() {
    const ranges = this.#video.seekable;
    if (ranges.length) this.#video.currentTime = ranges.end(ranges.length - 1);
  }

  suspend() {
    this.#listening?.abort();
  }

  stop() {
    this.suspend();
    this.#video.removeAttribute("src");
    this.#video.load();
  }
}
