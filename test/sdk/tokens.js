'use strict';

const assert = require('node:assert/strict');
const { createHmac } = require('node:crypto');
const { test } = require('node:test');
const { Client, Registry } = require('azure-iothub');
const { parts, refused } = require('./hub');

const wrongKey = Buffer.alloc(32, 1).toString('base64');

const connect = (changes) => {
  const all = { ...parts, ...changes };
  return Object.entries(all).map(([name, value]) => `${name}=${value}`).join(';');
};

/** sign returns a token in the SDK's form, with these changes. */
function sign(changes) {
  const { key, life, policy } = {
    key: parts.SharedAccessKey, life: 3600, policy: parts.SharedAccessKeyName, ...changes,
  };
  const sr = encodeURIComponent(parts.HostName);
  const se = Math.floor(Date.now() / 1000) + life;
  const sig = encodeURIComponent(createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64'));
  return `SharedAccessSignature sr=${sr}&sig=${sig}&skn=${policy}&se=${se}`;
}

test('a wrong key or policy is refused', async () => {
  for (const changes of [{ SharedAccessKey: wrongKey }, { SharedAccessKeyName: 'unknown' }]) {
    const err = await refused(Registry.fromConnectionString(connect(changes)).list(), 'UnauthorizedError', 401);
    assert.equal(err.response.headers['iothub-errorcode'], 'IotHubUnauthorizedAccess');
    const client = Client.fromConnectionString(connect(changes));
    await refused(client.invokeDeviceMethod('d', { methodName: 'm' }), 'UnauthorizedError', 401);
  }
});

test('a token is accepted until it expires', async () => {
  const list = (changes) => Registry.fromSharedAccessSignature(sign(changes)).list();
  await list({});
  await refused(list({ life: -1 }), 'UnauthorizedError', 401);
  await refused(list({ key: wrongKey }), 'UnauthorizedError', 401);
  await refused(list({ policy: 'unknown' }), 'UnauthorizedError', 401);
});
