// Latency: from the gateway's reception of a picture to its display.

const FORGET = 60_000; // milliseconds after which an old comparison of clocks no longer counts

/** Clock compares the media's times with the gateway's clock, and that one with ours. */
export class Clock {
  #origin = null; // gateway's milliseconds at media time 0
  #leads = []; // {at, lead}: how far the gateway's clock was ahead when a message arrived

  /** note takes one message "clock" that arrived at `at`, in milliseconds since 1970. */
  note({ media, wall, now }, at = Date.now()) {
    this.#origin = wall - media * 1000;
    this.#leads = this.#leads.filter((old) => Math.abs(at - old.at) < FORGET);
    this.#leads.push({ at, lead: now - at });
  }

  /** reset forgets everything, as for a new epoch of the stream. */
  reset() {
    [this.#origin, this.#leads] = [null, []];
  }

  /**
   * lead is how many milliseconds the gateway's clock is ahead, at least: the message that was in
   * flight for the shortest time has the greatest lead.
   */
  get lead() {
    return this.#leads.length ? Math.max(...this.#leads.map((l) => l.lead)) : 0;
  }

  /**
   * latency returns the milliseconds between the gateway's reception of the picture at `media`
   * seconds and our time `at`, without the shortest time in flight. It returns null before the
   * first message.
   */
  latency(media, at = Date.now()) {
    return this.#origin === null ? null : at + this.lead - (this.#origin + media * 1000);
  }
}
