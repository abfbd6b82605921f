// MSE over one WebSocket: the gateway's messages, and what the browser plays of them.

import { parse, without } from "./boxes.js";
import { Buffer } from "./buffer.js";
import { mediaSource } from "./choose.js";
import { Clock } from "./clock.js";
import { Edge } from "./edge.js";
import { ask, own } from "./failures.js";

const PROTOCOL = "rtsptunnel.mse.v1";
const GAP = 0.3, EARLY = 0.15; // seconds: a long gap; how early sound may be
const NEAR = 0.02; // seconds that a position may be before its target
const SQUEEZED = 0.001; // seconds that each old picture of the first message gets
const SOUND = /^(mp4a|opus|flac)/i;

/**
 * MSE plays one stream. host is the player: its methods opening, media, reopening, skipped,
 * unplayable and ended hear what happens; playing begins by its method play.
 */
export class MSE {
  #video;
  #url;
  #token;
  #host;
  #buffer = null;
  #socket = null;
  #tracks = null;
  #init = null; // the newest message "init"; its bytes come next if #joining
  #joining = false;
  #mute = false; // the sound of this stream is left out
  #kinds = "";
  #newest = new Map(); // decode time and duration of each track's newest sample, in ticks
  #offset = 0; // seconds from the stream's times to the element's
  #over = 0; // nothing before this time of the element is played any more
  #early = 0; // seconds that the sound is early
  #end = 0; // of what has arrived, in the element's time
  #edge = new Edge();
  #clock = new Clock();
  #listening = new AbortController();

  /** bytes that arrived. */
  bytes = 0;

  /** url is the https or http URL of the output. Without sound, the sound is left out. */
  constructor(video, { url, token, sound }, host) {
    [this.#video, this.#url, this.#token, this.#host, this.sound] = [video, url, token, host, sound];
    video.addEventListener("waiting", () => this.#edge.stalled(this.#end - video.currentTime, performance.now() / 1000), { signal: this.#listening.signal });
  }

  /** start opens the WebSocket. It is called again to reconnect: the last picture stays until then. */
  start() {
    this.#buffer ??= this.#newBuffer();
    const socket = new WebSocket(this.#url.replace(/^http/, "ws"), [PROTOCOL, ...(this.#token ? [`token.${this.#token}`] : [])]);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    let opened = false, failure = null;
    socket.onopen = () => { opened = true; };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      try {
        if (typeof data !== "string") return this.#binary(data);
        const message = JSON.parse(data);
        if (message.type === "error") failure = message.failure;
        else this.#text(message);
      } catch (error) {
        this.#fail(own("MEDIA_INVALID", `the stream is not readable: ${error.message}`));
      }
    };
    socket.onclose = ({ code }) => {
      if (socket !== this.#socket) return;
      if (failure || opened) this.#fail(failure ?? own("GATEWAY_LOST", `the connection to the gateway ended with code ${code}`));
      else this.#refused(socket);
    };
  }

  /** suspend closes the WebSocket and keeps the last picture. */
  suspend() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#joining = false;
  }

  /** stop ends everything and frees the element. */
  stop() {
    this.suspend();
    this.#listening.abort();
    this.#buffer?.close();
    this.#buffer = null;
  }

  /** latencyOf returns the latency of the picture that the element shows at its time mediaTime; see Clock. */
  latencyOf(mediaTime, at) {
    return this.#clock.latency(mediaTime - this.#offset, at);
  }

  /** lead is how many milliseconds the gateway's clock is ahead. */
  get lead() {
    return this.#clock.lead;
  }

  /** jump goes to the newest picture, as after a pause. */
  jump() {
    this.#goTo(Math.max(0, this.#over, this.#end - 0.08));
  }

  #goTo(time) {
    this.#video.currentTime = time;
    this.#early = 0;
    this.#edge.reset();
  }

  #newBuffer() {
    [this.#end, this.#over, this.#kinds] = [0, 0, ""];
    return new Buffer(this.#video, (message) => {
      this.#buffer?.close();
      this.#buffer = null;
      this.#fail(own("MEDIA_INVALID", message));
    });
  }

  #fail(failure) {
    this.suspend();
    this.#host.ended(failure);
  }

  // A refused WebSocket has no reason, so the gateway is asked over HTTP.
  async #refused(socket) {
    const failure = await ask(this.#url, this.#token);
    if (socket !== this.#socket) return;
    this.#fail(failure ?? own("WEBSOCKET_REFUSED", "this network, or a proxy in it, does not let WebSockets pass"));
  }

  #text(message) {
    if (message.type === "clock") this.#clock.note(message);
    else if (message.type === "init") this.#begin(message);
    else if (message.type === "opening") this.#host.opening(message);
    else if (message.type === "reopening") this.#host.reopening(message.failure);
    else if (message.type === "skipped") this.#host.skipped(message.groups);
  }

  #begin(init) {
    const Source = mediaSource();
    const [, type, list = ""] = /^(.*?codecs=")([^"]*)/.exec(init.mime) ?? [];
    const silent = `${type}${list.split(",").filter((codec) => !SOUND.test(codec.trim())).join(",")}"`;
    const playable = Source.isTypeSupported(init.mime);
    this.#mute = Boolean(init.video && init.audio && (!this.sound || !playable));
    const mime = this.#mute ? silent : init.mime;
    if (!playable && !(this.#mute && Source.isTypeSupported(mime))) {
      this.suspend();
      this.#host.unplayable(init);
      return;
    }
    [this.#init, this.#joining] = [{ ...init, mime }, true];
    this.#host.media(init);
  }

  #binary(message) {
    this.bytes += message.byteLength;
    const parsed = parse(message, this.#tracks);
    this.#tracks = parsed.tracks;
    const wanted = parsed.fragments.filter(({ track }) => !this.#mute || track.kind === "video");
    if (this.#joining) this.#newest.clear();
    for (const fragment of wanted) this.#bridge(fragment);
    if (this.#joining) this.#join(parsed.init, wanted);
    else if (wanted.length) this.#arrived(wanted);
  }

  /**
   * #join begins an epoch with its init segment and all kept pictures. Old pictures are squeezed
   * to 1 ms each, so that the decoder runs through them and the newest one is live. Old sound is
   * left out.
   */
  #join(init, fragments) {
    this.#joining = false;
    const kinds = [...this.#tracks.values()].map(({ kind }) => kind).filter((kind) => kind === "video" || !this.#mute).join();
    if (this.#kinds && this.#kinds !== kinds) { // a MediaSource cannot change its tracks
      this.#buffer.close();
      this.#buffer = this.#newBuffer();
    }
    this.#kinds = kinds;
    const { pictures, rest } = squeezed(fragments);
    const first = pictures[0] ?? rest[0];
    const start = this.#over = this.#end;
    this.#offset = first ? start - first.seconds : 0;
    this.#buffer.type(this.#init.mime);
    this.#buffer.shift(this.#offset);
    this.#buffer.append(this.#mute ? without(init, "audio") : init);
    this.#put([...pictures, ...rest]);
    this.#clock.reset();
    this.#edge.begin(kinds.includes("audio"));
    this.#buffer.then(() => {
      if (this.#video.currentTime < start - NEAR) this.#goTo(start);
      this.#host.play();
    });
  }

  // #bridge finds a gap before the fragment, as of lost or skipped pictures. It closes a short
  // one. A long one is left, if the browser can begin after it, and the position goes over it.
  // Chromium plays sound after a closed gap too early, so that sums up to a jump.
  #bridge(fragment) {
    const { track, key, time } = fragment, before = this.#newest.get(track.id);
    const gap = before ? time - before.time - before.last : 0;
    if (gap > before?.last) {
      const seconds = gap / track.timescale, audio = track.kind === "audio";
      if (audio) this.#early += seconds;
      if (seconds > GAP || this.#early > EARLY) this.#over = Math.max(this.#over, time / track.timescale + this.#offset);
      if (seconds < GAP || !key) fragment.bridge(before.time + Math.floor(1.9 * before.last));
    }
    this.#newest.set(track.id, { time: fragment.time + fragment.duration - fragment.last, last: fragment.last });
  }

  #arrived(fragments) {
    const { currentTime, paused, seeking, readyState } = this.#video;
    const picture = fragments.find(({ track }) => track.kind === "video");
    if (picture && !paused && !seeking && readyState > 1) this.#hold(this.#end - currentTime);
    const over = this.#over;
    this.#put(fragments);
    if (currentTime < over - NEAR) this.#buffer.then(() => { if (this.#video.currentTime < over - NEAR) this.#goTo(over); });
    this.#buffer.trim();
  }

  #put(fragments) {
    if (!fragments.length) return;
    const keys = fragments.filter(({ key, track }) => key && track.kind === "video").map(({ seconds }) => seconds + this.#offset);
    const video = this.#kinds.includes("video");
    for (const { track, seconds, duration } of fragments) {
      if (!video || track.kind === "video") this.#end = Math.max(this.#end, seconds + duration / track.timescale + this.#offset);
    }
    this.#buffer.append(joined(fragments), keys);
  }

  #hold(margin) {
    const rate = this.#edge.arrived(margin, performance.now() / 1000);
    if (rate === 0) this.jump();
    else if (this.#video.playbackRate !== rate) this.#video.playbackRate = rate;
  }
}

/** squeezed returns the pictures, whose times it changes, and the sound beside the newest one. */
function squeezed(fragments) {
  const pictures = fragments.filter(({ track }) => track.kind === "video");
  if (!pictures.length) return { pictures, rest: fragments };
  const newest = pictures.at(-1), [anchor, live] = [newest.time, newest.seconds];
  const factor = (SQUEEZED * (pictures.length - 1)) / (live - pictures[0].seconds);
  if (factor < 1) for (const picture of pictures.slice(0, -1)) picture.squeeze(anchor, factor);
  return { pictures, rest: fragments.filter(({ track, seconds }) => track.kind !== "video" && seconds >= live) };
}

/** joined returns the bytes of the fragments, one after the other. */
function joined(fragments) {
  if (fragments.length === 1) return fragments[0].bytes;
  const all = new Uint8Array(fragments.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let at = 0;
  for (const { bytes } of fragments) {
    all.set(bytes, at);
    at += bytes.length;
  }
  return all;
}
