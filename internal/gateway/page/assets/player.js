// The player of live video: it chooses an output, holds the live edge, says why there is no
// picture, and recovers. A page gives it a <video> and shows its state.

import { abilities, choose } from "./player/choose.js";
import { delay, lasts, own } from "./player/failures.js";
import { MSE } from "./player/mse.js";

const HIDDEN = 10_000; // milliseconds after which a hidden or paused player closes its connection
const STALL = 2000; // milliseconds without a decoded picture: stalled
const STUCK = 8000; // milliseconds: a stalled player connects again
const ASLEEP = 5000; // milliseconds that a tick is late after the device has slept
const LATE = { mse: 5000, hls: 30_000, "native-hls": 60_000 }, LATE_FOR = 3; // milliseconds of latency, and seconds of it: the player connects again
const AGAIN = 60_000; // milliseconds between two reconnects for lateness
const STEADY = 10_000; // milliseconds of play after which the backoff begins anew

/**
 * Player plays one stream of one camera in a <video>.
 *
 * Options: camera (its name, such as edge1/front), stream ("main"; empty if the name has it), streams (names of all streams
 * of the camera: another one plays if the browser cannot decode this one), token (a text, or an
 * async function that returns one; without it, the cookie of the page counts), base (the
 * gateway's URL), output ("auto", "mse", "hls", "native-hls", "still") and muted (true).
 *
 * Events: "state" when a member of state changes, but those of stats; "stats" each second while it
 * plays; "muted" if the browser denied sound. All carry the state in detail.
 */
export class Player extends EventTarget {
  #video;
  #options;
  #state;
  #choices = [];
  #output = null;
  #stream;
  #tried = new Set(); // streams that the browser cannot decode
  #running = false;
  #token;
  #attempt = 0;
  #retry = 0;
  #listening = null;
  #ticks = 0;
  #lateAt = -Infinity;
  #watch = {};

  constructor(video, options) {
    super();
    this.#video = video;
    this.#options = { stream: "main", streams: [], base: document.baseURI, output: "auto", muted: true, ...options };
    this.#stream = this.#options.stream;
    this.#state = {
      phase: "idle", hop: null, failure: null, retryAt: null, output: null, why: "", stream: this.#stream, codec: null, audio: null,
      width: 0, height: 0, muted: this.#options.muted, firstPictureMs: null,
      latencyMs: null, bitsPerSecond: 0, framesPerSecond: 0, dropped: 0, skipped: 0,
    };
    video.muted = this.#options.muted;
    video.playsInline = true;
    video.autoplay = false;
  }

  /**
   * state is a copy of what a page shows. phase is idle, opening, playing, stalled, reopening or
   * failed. hop is where an opening stream is. retryAt is the time of the next try in
   * milliseconds since 1970, null if there is none. why tells how output was chosen.
   */
  get state() {
    return { ...this.#state };
  }

  /** start begins to play. It does nothing if the player runs. */
  start() {
    if (this.#running) return;
    this.#running = true;
    this.#choices = choose(this.#options.output, abilities(this.#video));
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    document.addEventListener("visibilitychange", () => this.#seen(), { signal });
    addEventListener("online", () => this.#again(0), { signal });
    this.#video.addEventListener("play", () => this.#seen(), { signal });
    this.#video.addEventListener("pause", () => { this.#watch.unseen ??= Date.now(); }, { signal });
    this.#ticks = setInterval(() => this.#tick(), 1000);
    this.#tickAt = performance.now();
    this.#open();
  }

  #tickAt = 0;

  /** stop ends everything: the connection, timers and listeners. The element is empty then. */
  stop() {
    if (!this.#running) return;
    this.#running = false;
    clearInterval(this.#ticks);
    clearTimeout(this.#retry);
    this.#listening.abort();
    this.#output?.stop();
    this.#output = null;
    [this.#attempt, this.#retry] = [0, 0];
    this.#set({ phase: "idle", hop: null, failure: null, retryAt: null, latencyMs: null, bitsPerSecond: 0, framesPerSecond: 0 });
  }

  /** muted tells whether the sound is off. Setting it to false needs a gesture of the user. */
  get muted() {
    return this.#video.muted;
  }

  set muted(muted) {
    this.#video.muted = muted;
    this.#set({ muted });
    if (!muted && this.#output && !this.#output.sound && this.#state.audio && this.#output instanceof MSE) this.#renew();
  }

  /** latencyOf returns the milliseconds from the gateway's reception of the picture at mediaTime to `at`; null if unknown. */
  latencyOf(mediaTime, at) {
    return this.#output?.latencyOf(mediaTime, at) ?? null;
  }

  #set(change) {
    Object.assign(this.#state, change);
    this.dispatchEvent(new CustomEvent("state", { detail: this.state }));
  }

  #url(tail) {
    const name = `${this.#options.camera}/${this.#stream}`.split("/").filter(Boolean).map(encodeURIComponent).join("/");
    return new URL(`live/${name}/${tail}`, this.#options.base).href;
  }

  // #open connects, with a new output if there is none.
  async #open() {
    clearTimeout(this.#retry);
    this.#retry = 0;
    const { output, why } = this.#choices[0] ?? {};
    if (!output) {
      this.#set({ phase: "failed", failure: own("OUTPUT_NOT_SUPPORTED", `this browser cannot play the output ${this.#options.output}`) });
      return;
    }
    this.#watch = { since: performance.now() };
    this.#set({ phase: this.#output ? "reopening" : "opening", output, why, stream: this.#stream, retryAt: null, firstPictureMs: null });
    const { token } = this.#options;
    if (typeof token === "function") {
      try {
        this.#token = await token();
      } catch (error) {
        this.#host.ended(error.reason ? error : own("GATEWAY_UNREACHABLE", `there is no token: ${error.message}`));
        return;
      }
      if (!this.#running) return;
    } else this.#token = token;
    if (this.#output && (this.#output.kind !== output || this.#output.token !== this.#token)) this.#drop();
    this.#output ??= await this.#make(output);
    if (this.#running) this.#output.start();
  }

  async #make(output) {
    const options = { token: this.#token, sound: !this.#video.muted };
    let made;
    if (output === "mse") made = new MSE(this.#video, { ...options, url: this.#url("mse") }, this.#host);
    else if (output === "still") made = new (await import("./player/still.js")).Still(this.#video, { ...options, url: this.#url("still.mp4") }, this.#host);
    else {
      const { HLS, NativeHLS } = await import("./player/hls.js");
      made = new (output === "hls" ? HLS : NativeHLS)(this.#video, { ...options, url: this.#url("hls/index.m3u8") }, this.#host);
    }
    return Object.assign(made, { kind: output, token: this.#token });
  }

  #drop() {
    this.#output?.stop();
    this.#output = null;
  }

  // #renew plays again from the newest picture, at once and with a new output.
  #renew() {
    this.#drop();
    this.#open();
  }

  // #again connects after milliseconds, if the player does not play.
  #again(milliseconds) {
    if (!this.#running || !["reopening", "failed"].includes(this.#state.phase) || !this.#retry) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), milliseconds);
  }

  // What the outputs report.
  #host = {
    opening: ({ hop, message }) => this.#set({ phase: "opening", hop, message }),
    media: ({ video, audio }) => this.#set({
      codec: video?.codec ?? null, width: video?.width ?? 0, height: video?.height ?? 0, audio: audio?.codec ?? null,
    }),
    reopening: (failure) => this.#set({ phase: "reopening", failure, hop: failure?.hop ?? null }),
    skipped: (groups) => { this.#state.skipped += groups; },
    play: () => this.#play(),
    shown: () => this.#playing(),
    unplayable: (init) => this.#unplayable(init),
    ended: (failure) => this.#ended(failure),
  };

  async #play() {
    const output = this.#output;
    this.#video.requestVideoFrameCallback?.(() => this.#playing());
    if (!this.#video.requestVideoFrameCallback) this.#video.addEventListener("timeupdate", () => this.#playing(), { once: true, signal: this.#listening.signal });
    try {
      await this.#video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || output !== this.#output) return;
      if (this.#video.muted) {
        this.#set({ failure: own("AUTOPLAY_DENIED", "this browser plays after a click on the picture") });
        return;
      }
      this.#video.muted = true;
      this.#set({ muted: true });
      this.dispatchEvent(new CustomEvent("muted", { detail: this.state }));
      await this.#play();
    }
  }

  // #playing notes a shown picture.
  #playing() {
    if (!this.#running || !this.#output) return;
    const first = this.#state.firstPictureMs ?? Math.round(performance.now() - this.#watch.since);
    Object.assign(this.#watch, { playingSince: performance.now(), frameAt: performance.now() });
    this.#set({
      phase: "playing", hop: null, failure: null, retryAt: null, firstPictureMs: first,
      width: this.#video.videoWidth || this.#state.width, height: this.#video.videoHeight || this.#state.height,
    });
  }

  // #unplayable chooses another stream of the camera, if the browser cannot decode this one.
  #unplayable({ mime, video }) {
    this.#tried.add(this.#stream);
    const other = this.#options.streams.find((name) => !this.#tried.has(name));
    const codec = video?.codec ?? "this codec";
    if (other) {
      this.#stream = other;
      this.#choices = this.#choices.map((choice) => ({ ...choice, why: `${choice.why}; stream ${other}, because this browser cannot decode ${codec}` }));
      this.#renew();
      return;
    }
    const native = this.#choices.filter(({ output }) => output === "native-hls" && this.#video.canPlayType(mime));
    if (native.length && this.#state.output === "mse") {
      this.#choices = native;
      this.#renew();
      return;
    }
    this.#ended(own("CODEC_NOT_FOR_OUTPUT", `this browser cannot decode ${codec}: use another browser, or set the camera to H.264`));
  }

  #ended(failure) {
    if (!this.#running) return;
    if (failure.reason === "WEBSOCKET_REFUSED" && this.#choices.length > 1) {
      this.#choices = this.#choices.slice(1).map((choice) => ({ ...choice, why: `${choice.why}; WebSockets do not pass this network` }));
      this.#renew();
      return;
    }
    const played = this.#watch.playingSince;
    if (played && performance.now() - played > STEADY) this.#attempt = 0;
    const lasting = lasts(failure) && !(failure.reason === "CAM_UNKNOWN" && played);
    const now = Date.now() + (this.#output?.lead ?? 0);
    const wait = lasting && !failure.retryAt ? null : delay(this.#attempt++, failure.retryAt, now);
    if (wait !== null) this.#retry = setTimeout(() => this.#open(), wait);
    this.#set({
      phase: lasting || !this.#output ? "failed" : "reopening", failure, hop: failure.hop, retryAt: wait === null ? null : Date.now() + wait,
      latencyMs: null, bitsPerSecond: 0, framesPerSecond: 0,
    });
  }

  get #hidden() {
    return (document.hidden && document.pictureInPictureElement !== this.#video);
  }

  // #seen resumes after the page was hidden, or the video paused.
  #seen() {
    if (this.#hidden) {
      this.#watch.unseen ??= Date.now();
      return;
    }
    const slept = this.#state.phase === "idle";
    const away = this.#watch.unseen ? Date.now() - this.#watch.unseen : 0;
    this.#watch.unseen = null;
    this.#watch.frameAt = performance.now();
    if (slept && this.#running) this.#open();
    else if (away > 1000 && this.#state.phase === "playing") this.#output.jump();
  }

  #tick() {
    const now = performance.now(), late = now - this.#tickAt - 1000;
    this.#tickAt = now;
    if (this.#hidden || this.#video.paused) this.#watch.unseen ??= Date.now();
    if (this.#watch.unseen && !this.#hidden && !this.#video.paused) this.#seen();
    if (this.#watch.unseen && Date.now() - this.#watch.unseen > HIDDEN) {
      this.#sleep();
      return;
    }
    if (this.#hidden) return;
    if (late > ASLEEP) {
      this.#reconnect(own("DEVICE_SLEPT", "this device has slept"));
      return;
    }
    this.#measure(now);
  }

  #sleep() {
    if (!["playing", "stalled"].includes(this.#state.phase) && !(this.#hidden && this.#state.phase !== "idle")) return;
    clearTimeout(this.#retry);
    this.#output?.suspend();
    this.#set({ phase: "idle", hop: null, retryAt: null, latencyMs: null, bitsPerSecond: 0, framesPerSecond: 0 });
  }

  #reconnect(failure) {
    this.#output?.suspend();
    this.#attempt = 0;
    this.#ended(failure);
  }

  // #measure makes the figures of one second, and finds a picture that stands still.
  #measure(now) {
    const { phase } = this.#state;
    if (phase !== "playing" && phase !== "stalled") return;
    const watch = this.#watch, seconds = (now - (watch.at ?? now - 1000)) / 1000;
    const { totalVideoFrames: frames = 0, droppedVideoFrames: dropped = 0 } = this.#video.getVideoPlaybackQuality?.() ?? {};
    const { bytes } = this.#output;
    if (frames !== watch.frames) watch.frameAt = now;
    const latency = this.#latency();
    watch.lateFor = latency > LATE[this.#output.kind] ? (watch.lateFor ?? 0) + 1 : 0;
    Object.assign(this.#state, {
      latencyMs: latency === null ? null : Math.round(latency),
      bitsPerSecond: Math.round(((bytes - (watch.bytes ?? bytes)) * 8) / seconds),
      framesPerSecond: Math.round((Math.max(0, frames - (watch.frames ?? frames)) / seconds) * 10) / 10,
      dropped,
    });
    const silent = bytes === watch.bytes;
    Object.assign(watch, { at: now, frames, bytes });
    this.dispatchEvent(new CustomEvent("stats", { detail: this.state }));
    if (this.#output.kind === "still") return;
    this.#judge(now - watch.frameAt, silent);
  }

  #judge(still, silent) {
    const failure = silent ? own("PICTURE_STALLED", "no video arrives from the gateway") : own("PICTURE_STALLED", "video arrives, but this browser shows no new picture");
    const now = performance.now();
    if (this.#watch.lateFor >= LATE_FOR && now - this.#lateAt > AGAIN) { // not on each slow link: it would never show more than the first pictures
      this.#lateAt = now;
      this.#reconnect(own("PICTURE_LATE", "the picture is too late"));
    } else if (still > STUCK) this.#reconnect(failure);
    else if (still > STALL && this.#state.phase === "playing") this.#set({ phase: "stalled", failure });
    else if (still < STALL && this.#state.phase === "stalled") this.#playing();
  }

  #latency() {
    return this.latencyOf(this.#video.currentTime, Date.now());
  }
}
