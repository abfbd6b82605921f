'use strict';

// The server's end of a WebSocket (RFC 6455) that sends text and binary messages, and reads close frames alone.

const crypto = require('node:crypto');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 1, BINARY = 2, CLOSE = 8;

class WebSocketEnd {
  /** request is of an upgrade, and socket its connection. The first offered protocol is selected. */
  constructor(request, socket) {
    this.socket = socket;
    this.protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((text) => text.trim());
    const accept = crypto.createHash('sha1').update(request.headers['sec-websocket-key'] + GUID).digest('base64');
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (bytes) => { if ((bytes[0] & 15) === CLOSE) socket.end(); });
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`
      + `Sec-WebSocket-Protocol: ${this.protocols[0]}\r\n\r\n`);
  }

  text(value) {
    this.#frame(TEXT, Buffer.from(JSON.stringify(value)));
  }

  binary(bytes) {
    this.#frame(BINARY, bytes);
  }

  /** close sends a close frame. The client ends the connection. */
  close(code) {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16BE(code);
    this.#frame(CLOSE, bytes);
    this.socket.end();
  }

  #frame(kind, bytes) {
    const long = bytes.length > 0xffff, medium = bytes.length > 125;
    const head = Buffer.alloc(long ? 10 : medium ? 4 : 2);
    head[0] = 0x80 | kind;
    head[1] = long ? 127 : medium ? 126 : bytes.length;
    if (long) head.writeBigUInt64BE(BigInt(bytes.length), 2);
    else if (medium) head.writeUInt16BE(bytes.length, 2);
    if (this.socket.writable) this.socket.write(Buffer.concat([head, bytes]));
  }
}

module.exports = { WebSocketEnd };
