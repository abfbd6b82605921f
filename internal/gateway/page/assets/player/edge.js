// Holding a live picture close behind the newest one.
//
// The measure is the margin: how many seconds of video were left to play when the next picture
// arrived. A network that delivers in bursts has small margins from time to time, so the smallest
// margin of the last seconds says how far the player may go. That needs no setting for a network.

const WINDOW = 10; // seconds for which a small margin counts
const LOW = 0.02, HIGH = 0.05; // seconds; within them the rate stays 1
const JUMP = 1; // seconds of margin above which the player jumps
const SETTLE = 0.5; // seconds after a join or jump in which the newest margin counts alone

/** Edge decides how a player holds the live edge. Times are in seconds of one steady clock. */
export class Edge {
  #margins = []; // {at, margin}, ascending in both: the first one is the smallest of the window
  #since = null;
  #rate = 1;

  /** reset forgets the margins, after a join, a jump or a pause. */
  reset() {
    [this.#margins, this.#since, this.#rate] = [[], null, 1];
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
    if (smallest > JUMP) return 0;
    if (smallest > HIGH) this.#rate = 1 + Math.min(0.25, Math.max(0.02, (smallest - HIGH) * 1.5));
    else if (smallest < LOW) this.#rate = 1 - Math.min(0.06, Math.max(0.02, (LOW - smallest) / 2));
    else this.#rate = 1;
    return Math.round(this.#rate * 50) / 50; // few steps: each change costs the browser work
  }
}
