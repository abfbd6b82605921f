// Holding a live picture close behind the newest one.
//
// The measure is the margin: how many seconds of video were left to play when the next picture
// arrived. A network that delivers in bursts has small margins from time to time, so the smallest
// margin of the last seconds says how far the player may go. That needs no setting for a network.

const WINDOW = 10; // seconds for which a small margin counts
const LOW = 0.02, LOW_SOUND = 0.16; // seconds of margin to keep at first; browsers buffer sound
const BAND = 0.03; // seconds above it in which the rate stays 1
const MORE = 0.04, MOST = 0.6; // seconds: what a stall adds, and the greatest margin to keep
const JUMP = 1; // seconds of margin above which the player jumps
const FRAME = 0.04; // seconds: with less video left, the network is late, and not the browser
const SETTLE = 0.5; // seconds after a join or jump in which the newest margin counts alone

/** Edge decides how a player holds the live edge. Times are in seconds of one steady clock. */
export class Edge {
  #margins = []; // {at, margin}, ascending in both: the first one is the smallest of the window
  #since = null;
  #low = LOW;

  /** begin prepares for a stream with or without sound. */
  begin(sound) {
    this.#low = sound ? LOW_SOUND : LOW;
    this.reset();
  }

  /**
   * stalled notes that the browser waits at the time `at` though it has `left` seconds of video.
   * It needs a greater margin, which is kept from now on. Waiting after a join counts not.
   */
  stalled(left, at) {
    if (left < FRAME || this.#since === null || at - this.#since < SETTLE) return;
    this.#low = Math.min(MOST, this.#low + MORE);
    this.reset();
  }

  /** reset forgets the margins, after a join, a jump or a pause. */
  reset() {
    [this.#margins, this.#since] = [[], null];
  }

  /** margin is the smallest margin of the last seconds; null if there is none. */
  get margin() {
    return this.#margins.length ? this.#margins[0].margin : null;
  }

  /**
   * arrived notes the margin at which a picture arrived at the time `at`. It returns the rate at
   * which to play from now on, or 0 to jump to the edge.
   */
  arrived(margin, at) {
    this.#since ??= at;
    const settling = at - this.#since < SETTLE;
    while (this.#margins.length && (settling || this.#margins.at(-1).margin >= margin)) this.#margins.pop();
    this.#margins.push({ at, margin });
    while (this.#margins[0].at < at - WINDOW) this.#margins.shift();
    return this.#decide(this.#margins[0].margin);
  }

  #decide(smallest) {
    const excess = smallest - this.#low;
    let rate = 1;
    if (excess > JUMP) return 0;
    if (excess > BAND) rate += Math.min(0.25, Math.max(0.02, (excess - BAND) * 1.5));
    else if (excess < 0) rate -= Math.min(0.06, Math.max(0.02, -excess / 2));
    return Math.round(rate * 50) / 50; // few steps: each change costs the browser work
  }
}
