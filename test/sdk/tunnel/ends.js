'use strict';

// The two ends of a tunnel: a camera on a TCP port, and a remote endpoint on a
// WebSocket. Each keeps all bytes that it has sent and received.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { EventEmitter, once } = require('node:events');
const https = require('node:https');
const net = require('node:net');
const { WebSocketServer } = require('ws');

/** pieces splits a buffer at odd places, because boundaries in the stream mean nothing. */
function* pieces(buffer, size = 10_007) {
  for (let at = 0; at < buffer.length; at += size) yield buffer.subarray(at, at + size);
}

/** End is one end of one tunnel. */
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

  receive(bytes) {
    this.received = Buffer.concat([this.received, bytes]);
    this.#news.emit('bytes');
  }

  /** got waits until this end has received exactly what the other end has sent. */
  async got(other) {
    while (this.received.length < other.sent.length) await once(this.#news, 'bytes');
    assert.ok(this.received.equals(other.sent), 'the bytes are those that the other end has sent');
  }
}

/** video returns what a camera sends after PLAY: about 1 MB of interleaved packets (RFC 2326, 10.12). */
const video = () => Buffer.concat(Array.from({ length: 800 }, () => {
  const packet = randomBytes(1400);
  return Buffer.concat([Buffer.from([0x24, 0, packet.length >> 8, packet.length & 0xff]), packet]);
}));

/** serve answers RTSP requests on end, up to PLAY. It only receives what follows. */
function serve(end, socket) {
  let rest = '';
  let playing = false;
  socket.on('data', (bytes) => {
    end.receive(bytes);
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

/** startCamera returns a camera that ends with test t. next() waits for a connection and returns its End. */
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
 * startRemote returns a remote endpoint that ends with test t. next() waits for a
 * tunnel and returns its End. The endpoint answers the token "wrong" with 401.
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
      socket.on('message', (bytes) => end.receive(bytes));
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
