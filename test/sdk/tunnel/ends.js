'use strict';

// The two ends of a tunnel: a camera on a TCP port, and a remote endpoint on a
// WebSocket. Each counts what it has sent and received, as one piece.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { EventEmitter, once } = require('node:events');
const https = require('node:https');
const net = require('node:net');
const { WebSocketServer } = require('ws');

/** pieces is a Buffer's, of odd sizes, for no border in the stream means anything. */
function* pieces(buffer, size = 10_007) {
  for (let at = 0; at < buffer.length; at += size) yield buffer.subarray(at, at + size);
}

/** End is one end of one tunnel, and how it sends. */
class End {
  #news = new EventEmitter();

  #send;

  sent = Buffer.alloc(0);

  received = Buffer.alloc(0);

  constructor(send) {
    this.#send = send;
  }

  send(data) {
    const bytes = Buffer.from(data);
    this.sent = Buffer.concat([this.sent, bytes]);
    for (const piece of pieces(bytes)) this.#send(piece);
  }

  take(bytes) {
    this.received = Buffer.concat([this.received, bytes]);
    this.#news.emit('bytes');
  }

  /** got waits until all that the other end has sent is here, and nothing else. */
  async got(other) {
    while (this.received.length < other.sent.length) await once(this.#news, 'bytes');
    assert.ok(this.received.equals(other.sent), 'byte for byte what the other end has sent');
  }
}

/** What a camera streams after PLAY: interleaved packets (RFC 2326, 10.12), a megabyte of them. */
const video = () => Buffer.concat(Array.from({ length: 800 }, () => {
  const packet = randomBytes(1400);
  return Buffer.concat([Buffer.from([0x24, 0, packet.length >> 8, packet.length & 0xff]), packet]);
}));

/** serve answers RTSP requests on end, up to PLAY; what comes after that it just takes. */
function serve(end, socket) {
  let rest = '';
  let playing = false;
  socket.on('data', (bytes) => {
    end.take(bytes);
    if (playing) return;
    const requests = (rest + bytes.toString('latin1')).split('\r\n\r\n');
    rest = requests.pop();
    for (const request of requests) {
      const [, cseq] = /^CSeq: (\d+)$/m.exec(request);
      end.send(`RTSP/1.0 200 OK\r\nCSeq: ${cseq}\r\nPublic: OPTIONS, PLAY\r\n\r\n`);
      playing = request.startsWith('PLAY ');
      if (playing) end.send(video());
    }
  });
}

/** startCamera returns a camera that ends with test t; next() is the End of its next connection. */
async function startCamera(t) {
  const server = net.createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  const { port } = server.address();
  return {
    port,
    async next() {
      const [socket] = await once(server, 'connection');
      t.after(() => socket.destroy());
      const end = new End((piece) => socket.write(piece));
      end.closed = once(socket, 'end');
      serve(end, socket);
      return end;
    },
  };
}

/**
 * startRemote returns a remote endpoint that ends with test t; next() is the End of
 * its next tunnel. The token "wrong" it answers by 401.
 */
async function startRemote(t, { cert, key }) {
  const server = https.createServer({ cert, key });
  const sockets = new WebSocketServer({
    server, verifyClient: ({ req }) => req.headers.authorization !== 'Bearer wrong',
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  return {
    endpoint: `wss://localhost:${server.address().port}/tunnel?id=1`,
    async next() {
      const [socket, { headers }] = await once(sockets, 'connection');
      t.after(() => socket.terminate());
      const end = new End((piece) => socket.send(piece));
      socket.on('message', (bytes) => end.take(bytes));
      end.headers = headers;
      end.close = async () => {
        socket.close(1000);
        return (await once(socket, 'close'))[0];
      };
      return end;
    },
  };
}

module.exports = { startCamera, startRemote };
