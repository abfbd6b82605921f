'use strict';

// Fragmented MP4 files, as ffmpeg writes them, for the stand-in of the gateway.

const fs = require('node:fs');

/** boxes returns the boxes of bytes, whose type and bytes they have. */
function boxes(bytes) {
  const found = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const size = bytes.readUInt32BE(at);
    found.push({ type: bytes.toString('latin1', at + 4, at + 8), bytes: bytes.subarray(at, at + size) });
    at += size;
  }
  return found;
}

/** read returns the init segment and the fragments of a file: one moof and one mdat each. */
function read(file) {
  const init = [], fragments = [];
  let moof;
  for (const box of boxes(fs.readFileSync(file))) {
    if (box.type === 'ftyp' || box.type === 'moov') init.push(box.bytes);
    else if (box.type === 'moof') moof = box.bytes;
    else if (box.type === 'mdat') fragments.push(fragment(moof, box.bytes));
  }
  const moov = init.at(-1);
  // A track's header has its timescale behind two times of 4 bytes.
  const scales = [...moov.toString('latin1').matchAll(/mdhd/g)].map(({ index }) => moov.readUInt32BE(index + 16));
  return { init: Buffer.concat(init), fragments, scales };
}

function fragment(moof, mdat) {
  const tfdt = moof.indexOf('tfdt'), tfhd = moof.indexOf('tfhd'), trun = moof.indexOf('trun');
  // ffmpeg writes decode times of 64 bits, and the flags of a first sample in trun if they differ.
  const first = moof.readUInt32BE(trun + 4) & 4;
  return {
    track: moof.readUInt32BE(tfhd + 8), time: Number(moof.readBigUInt64BE(tfdt + 8)), timeAt: tfdt + 8,
    key: Boolean(first) && !(moof.readUInt32BE(trun + 16) & 0x10000),
    bytes: Buffer.concat([moof, mdat]),
  };
}

/** moved returns the bytes of a fragment at another decode time. */
function moved({ bytes, timeAt }, time) {
  const copy = Buffer.from(bytes);
  copy.writeBigUInt64BE(BigInt(time), timeAt);
  return copy;
}

module.exports = { read, moved };
