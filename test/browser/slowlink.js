'use strict';

// A TCP relay that lets through so many bits a second from the server to its clients, as a slow
// link does. The kernel's queues need modules that not every machine has.

const net = require('node:net');

const STEP = 20; // milliseconds

class SlowLink {
  kilobits = Infinity; // a second, for each connection
  #server;
  #sockets = new Set();

  /** start relays from one port of this machine to another one. */
  async start(from, to) {
    this.#server = net.createServer((client) => this.#relay(client, net.connect(to, '127.0.0.1')));
    await new Promise((resolve) => { this.#server.listen(from, '127.0.0.1', resolve); });
    return this;
  }

  #relay(client, server) {
    for (const [socket, other] of [[client, server], [server, client]]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => { this.#sockets.delete(socket); other.destroy(); });
    }
    client.on('data', (bytes) => server.write(bytes));
    // The server's bytes stay in the kernel's buffers, so that it notices the link.
    const timer = setInterval(() => {
      const step = this.kilobits === Infinity ? Infinity : Math.floor((this.kilobits * STEP) / 8);
      for (let left = step; left > 0 && server.readableLength > 0;) {
        const bytes = server.read(Math.min(left, server.readableLength));
        if (!bytes) break;
        left -= bytes.length;
        client.write(bytes);
      }
    }, STEP);
    server.on('readable', () => {}); // without a listener, the socket reads nothing
    server.on('close', () => clearInterval(timer));
  }

  stop() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

module.exports = { SlowLink };
