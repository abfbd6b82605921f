// Boxes of fragmented MP4 (ISO/IEC 14496-12), as far as the gateway's live stream has them: an
// init segment, and fragments of one moof and one mdat, each of one track.

/** children yields the boxes of view between at and end: their type and where they are. */
export function* children(view, at, end) {
  while (at + 8 <= end) {
    const size = view.getUint32(at);
    if (size < 8 || at + size > end) throw new RangeError(`a box of ${size} bytes at ${at}`);
    const type = String.fromCharCode(...[4, 5, 6, 7].map((i) => view.getUint8(at + i)));
    yield { type, at, body: at + 8, end: at + size };
    at += size;
  }
}

/** find returns the first box at the path, such as moov, trak. It returns null if there is none. */
function find(view, box, ...path) {
  for (const type of path) {
    let found = null;
    for (const child of children(view, box.body, box.end)) {
      if (child.type === type) {
        found = child;
        break;
      }
    }
    if (!found) return null;
    box = found;
  }
  return box;
}

const get64 = (view, at) => view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);

function set64(view, at, value) {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value % 2 ** 32);
}

/**
 * tracks returns what the box moov has: id, kind ("video" or "audio"), and timescale, the ticks
 * of a second.
 */
function tracks(view, moov) {
  const found = new Map();
  for (const trak of children(view, moov.body, moov.end)) {
    if (trak.type !== "trak") continue;
    const [tkhd, mdhd, hdlr] = [find(view, trak, "tkhd"), find(view, trak, "mdia", "mdhd"), find(view, trak, "mdia", "hdlr")];
    const long = (box) => view.getUint8(box.body) === 1; // the version: times of 64 bits
    const id = view.getUint32(tkhd.body + (long(tkhd) ? 20 : 12));
    const timescale = view.getUint32(mdhd.body + (long(mdhd) ? 20 : 12));
    const kind = view.getUint32(hdlr.body + 8) === 0x76696465 ? "video" : "audio"; // "vide"
    found.set(id, { id, kind, timescale });
  }
  return found;
}

const TFHD_DURATION = 0x8, TFHD_SIZE = 0x10, TFHD_FLAGS = 0x20;
const TRUN_OFFSET = 0x1, TRUN_FIRST = 0x4, TRUN_DURATION = 0x100, TRUN_SIZE = 0x200, TRUN_FLAGS = 0x400, TRUN_SHIFT = 0x800;
const NOT_SYNC = 0x10000;

/** header returns a track's id and its samples' defaults, of the box tfhd. */
function header(view, tfhd) {
  const flags = view.getUint32(tfhd.body);
  let at = tfhd.body + 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
  const take = (bit) => (flags & bit ? [at, view.getUint32(at), (at += 4)] : [0, 0]);
  const [durationAt, duration] = take(TFHD_DURATION);
  take(TFHD_SIZE);
  const [, sampleFlags] = take(TFHD_FLAGS);
  return { id: view.getUint32(tfhd.body + 4), durationAt, duration, sampleFlags };
}

/**
 * Fragment is one moof with its mdat. Its times are ticks of the track: time, the first decode time;
 * duration of all samples; last, the duration of the last one. key tells whether it begins with a key frame.
 */
export class Fragment {
  constructor(view, moof, end, known) {
    this.view = view;
    this.at = moof.at;
    this.end = end; // of the mdat
    const traf = find(view, moof, "traf");
    this.header = header(view, find(view, traf, "tfhd"));
    this.track = known.get(this.header.id);
    this.tfdt = find(view, traf, "tfdt");
    this.trun = find(view, traf, "trun");
    if (!this.track || !this.tfdt || !this.trun) throw new RangeError("a fragment without a track or times");
    this.time = view.getUint8(this.tfdt.body) === 1 ? get64(view, this.tfdt.body + 4) : view.getUint32(this.tfdt.body + 4);
    [this.duration, this.last, this.key] = [0, 0, true];
    this.#read();
  }

  /** samples yields where each sample's own duration, flags and shift are; 0 where it has none. */
  *samples() {
    const { view, trun } = this;
    const flags = view.getUint32(trun.body), count = view.getUint32(trun.body + 4);
    let at = trun.body + 8 + (flags & TRUN_OFFSET ? 4 : 0) + (flags & TRUN_FIRST ? 4 : 0);
    const take = (bit) => (flags & bit ? (at += 4) - 4 : 0);
    for (let i = 0; i < count && at <= trun.end; i++) {
      const duration = take(TRUN_DURATION);
      take(TRUN_SIZE);
      yield { duration, flags: take(TRUN_FLAGS), shift: take(TRUN_SHIFT) };
    }
  }

  #read() {
    const { view, trun, header: defaults } = this;
    const flags = view.getUint32(trun.body);
    let first = true;
    for (const sample of this.samples()) {
      this.last = sample.duration ? view.getUint32(sample.duration) : defaults.duration;
      this.duration += this.last;
      if (!first) continue;
      first = false;
      const own = flags & TRUN_FIRST ? trun.body + 8 + (flags & TRUN_OFFSET ? 4 : 0) : sample.flags;
      this.key = !((own ? view.getUint32(own) : defaults.sampleFlags) & NOT_SYNC);
    }
  }

  /** seconds is the decode time in seconds. */
  get seconds() {
    return this.time / this.track.timescale;
  }

  /**
   * bridge moves the first sample to an earlier time and makes the last one longer, so that the end stays.
   *
   * Browsers follow Media Source Extensions, "Coded Frame Processing": after a gap of more than
   * two durations they drop all pictures until the next key frame.
   */
  bridge(time) {
    const more = this.time - time;
    let at = this.header.durationAt;
    for (const { duration } of this.samples()) at = duration || at;
    if (!at) return;
    this.#begin(time);
    [this.duration, this.last] = [this.duration + more, this.last + more];
    this.view.setUint32(at, this.last);
  }

  #begin(time) {
    const { view, tfdt } = this;
    this.time = time;
    if (view.getUint8(tfdt.body) === 1) set64(view, tfdt.body + 4, time);
    else view.setUint32(tfdt.body + 4, time);
  }

  /**
   * squeeze multiplies the distance of all times to `anchor`, in ticks, by factor. It writes to
   * the buffer that view shows.
   */
  squeeze(anchor, factor) {
    const { view, header: defaults } = this;
    const shorter = (at) => at && view.setInt32(at, Math.round(view.getInt32(at) * factor));
    this.#begin(Math.round(anchor - (anchor - this.time) * factor));
    [this.duration, this.last] = [this.duration * factor, this.last * factor];
    shorter(defaults.durationAt);
    for (const { duration, shift } of this.samples()) {
      shorter(duration);
      shorter(shift);
    }
  }

  get bytes() {
    return new Uint8Array(this.view.buffer, this.view.byteOffset + this.at, this.end - this.at);
  }
}

/**
 * parse returns what message, an ArrayBuffer, has: `init`, the bytes before the first fragment
 * (null if none), the tracks, and the fragments in order. known are the tracks of an earlier init.
 */
export function parse(message, known) {
  const view = new DataView(message);
  const fragments = [];
  let moof = null, init = 0;
  for (const box of children(view, 0, view.byteLength)) {
    if (box.type === "moov") [known, init] = [tracks(view, box), box.end];
    else if (box.type === "moof") moof = box;
    else if (box.type === "mdat" && moof) {
      fragments.push(new Fragment(view, moof, box.end, known));
      moof = null;
    }
  }
  return { init: init ? new Uint8Array(message, 0, init) : null, tracks: known, fragments };
}

/**
 * without returns the init segment without the tracks of one kind. Their ids go out of the box
 * mvex, too.
 */
export function without(init, kind) {
  const view = new DataView(init.buffer, init.byteOffset, init.byteLength);
  const drop = [];
  let moov = null, mvex = null;
  for (const box of children(view, 0, view.byteLength)) if (box.type === "moov") moov = box;
  const known = tracks(view, moov);
  for (const box of children(view, moov.body, moov.end)) {
    if (box.type === "trak" && known.get(view.getUint32(find(view, box, "tkhd").body + 12 + 8 * view.getUint8(find(view, box, "tkhd").body))).kind === kind) drop.push(box);
    if (box.type === "mvex") mvex = box;
  }
  for (const box of mvex ? children(view, mvex.body, mvex.end) : []) {
    if (box.type === "trex" && known.get(view.getUint32(box.body + 4))?.kind === kind) drop.push(box);
  }
  return cut(init, drop, [moov, mvex]);
}

/** cut returns bytes without the boxes of drop, and corrects the sizes of the boxes around them. */
function cut(bytes, drop, around) {
  const rest = new Uint8Array(bytes.length - drop.reduce((sum, box) => sum + box.end - box.at, 0));
  const view = new DataView(rest.buffer);
  let from = 0, to = 0;
  for (const { at, end } of [...drop, { at: bytes.length, end: bytes.length }].sort((a, b) => a.at - b.at)) {
    rest.set(bytes.subarray(from, at), to);
    to += at - from;
    from = end;
  }
  const within = (box, outer) => box.at >= outer.body && box.end <= outer.end;
  for (const outer of around.filter(Boolean)) {
    const before = drop.filter((box) => box.end <= outer.at).reduce((sum, box) => sum + box.end - box.at, 0);
    const inside = drop.filter((box) => within(box, outer)).reduce((sum, box) => sum + box.end - box.at, 0);
    view.setUint32(outer.at - before, outer.end - outer.at - inside);
  }
  return rest;
}
