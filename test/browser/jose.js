'use strict';

// jose from npm, a second implementation of JOSE, verifies a content token by the published keys.

const assert = require('node:assert/strict');

/**
 * run mints a content token for a camera at the gateway's base URL, with a static token, and has
 * jose verify it. publicURL is the gateway's, if base is another address of it.
 */
exports.run = async ({ base, token, camera, publicURL = base }) => {
  const { createRemoteJWKSet, calculateJwkThumbprint, decodeProtectedHeader, jwtVerify } = await import('jose');
  const answer = await fetch(`${base}/api/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ camera }),
  });
  assert.ok(answer.ok, `POST /api/tokens: ${answer.status}`);
  const minted = await answer.json();

  const url = new URL(`${base}/.well-known/jwks.json`);
  const { keys } = await (await fetch(url)).json();
  const { kid } = decodeProtectedHeader(minted.token);
  const key = keys.find((one) => one.kid === kid);
  assert.ok(key, 'the key is published');
  assert.equal(await calculateJwkThumbprint(key), kid, 'the id is the thumbprint of RFC 7638');
  assert.ok(!keys.some((one) => 'd' in one), 'no private key is published');

  const published = createRemoteJWKSet(url);
  const expected = { issuer: publicURL, algorithms: ['ES256'], requiredClaims: ['sub', 'aud', 'exp', 'iat', 'jti'] };
  const { payload } = await jwtVerify(minted.token, published, expected);
  assert.equal(payload.camera, camera);
  assert.equal(payload.aud.length, 2);
  const guid = payload.aud[0].slice(`${publicURL}/content/`.length);
  assert.deepEqual(payload.aud, [`${publicURL}/content/${guid}`, `${publicURL.replace(/^http/, 'ws')}/rtsp-tunnel/${guid}`]);
  assert.equal(new Date(minted.expires).getTime(), payload.exp * 1000);
  for (const audience of payload.aud) await jwtVerify(minted.token, published, { ...expected, audience });

  const [header, claims, signature] = minted.token.split('.');
  const changed = Buffer.from(JSON.stringify({ ...payload, camera: 'other/camera' })).toString('base64url');
  await assert.rejects(jwtVerify(`${header}.${changed}.${signature}`, published, expected), { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' });
  await assert.rejects(jwtVerify(minted.token, published, { ...expected, audience: 'https://other.example.com' }), { claim: 'aud' });
  const late = new Date((payload.exp + 1) * 1000);
  await assert.rejects(jwtVerify(`${header}.${claims}.${signature}`, published, { ...expected, currentDate: late }), { code: 'ERR_JWT_EXPIRED' });
};
