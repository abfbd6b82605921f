'use strict';

// node pingpong.js NAME ADDRESS PORT CAMERA-ADDRESS CAMERA-PORT STATE: runs a remote
// endpoint with this name, whose certificate is signed by the emulator's CA in STATE, and
// a camera that echoes. The remote endpoint sends numbers through each tunnel. It sends
// the next number when the last one has come back, and prints a line. For .ci/proxy.

const https = require('node:https');
const net = require('node:net');
const path = require('node:path');
const { WebSocketServer } = require('ws');
const { makeCertificate } = require('../device/certificates');

const every = 100; // milliseconds

const [name, address, port, cameraAddress, cameraPort, state] = process.argv.slice(2);
const authority = { certFile: path.join(state, 'ca.pem'), keyFile: path.join(state, 'ca-key.pem') };

const camera = net.createServer((socket) => {
  socket.pipe(socket);
  socket.on('error', () => {});
  socket.on('close', () => console.log('camera: closed'));
});

const server = https.createServer(makeCertificate(name, authority, { server: true }));
new WebSocketServer({ server }).on('connection', (socket) => {
  let n = 0;
  const ping = () => socket.send(`${n}\n`);
  socket.on('message', (text) => {
    if (`${text}` !== `${n}\n`) throw new Error(`${JSON.stringify(`${text}`)} came back for ${n}`);
    console.log(`pong ${n}`);
    n += 1;
    setTimeout(ping, every);
  });
  socket.on('error', () => {});
  socket.on('close', (code) => console.log(`remote: closed with ${code}`));
  ping();
});

camera.listen(cameraPort, cameraAddress, () => server.listen(port, address, () => console.log('ready')));
