'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Watch, kinds, makeIdentity, overBoth, report } = require('./clients');

/** plain returns a section without the members that the hub and the SDK add. */
const plain = ({ $version, $metadata, update, ...section }) => section;

const odd = { text: "blank, ü, 漢字, 🐢, \"quotes\", it's", list: [1, [2], { three: 3 }], yes: true, no: false, half: 0.5 };

overBoth('a twin', (transport) => {
  for (const kind of kinds) {
    test(`a ${kind} reads its desired properties`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const version = await identity.desire({ odd, deep: { er: { value: 1 } } });
      const twin = await (await identity.open(transport)).getTwin();
      assert.deepEqual(plain(twin.properties.desired), { odd, deep: { er: { value: 1 } } });
      assert.equal(twin.properties.desired.$version, version);
      assert.deepEqual(plain(twin.properties.reported), {});
      assert.equal(twin.properties.reported.$version, 1);
      assert.equal(twin.properties.desired.$metadata, undefined);
    });

    test(`the service reads the reported properties of a ${kind}`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const twin = await (await identity.open(transport)).getTwin();
      await report(twin, { odd, other: { a: 1, b: 2 } });
      await report(twin, { other: { a: null, c: 3 } });
      const { reported } = (await identity.twin()).properties;
      assert.deepEqual(plain(reported), { odd, other: { b: 2, c: 3 } });
      assert.equal(reported.$version, 3);
      assert.ok(!Number.isNaN(Date.parse(reported.$metadata.other.c.$lastUpdated)));
      await twin.get();
      assert.deepEqual(plain(twin.properties.reported), { odd, other: { b: 2, c: 3 } });
      assert.equal(twin.properties.reported.$version, 3);
    });

    test(`of many reports of a ${kind}, none is lost`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const twin = await (await identity.open(transport)).getTwin();
      for (let i = 0; i < 10; i += 1) await report(twin, { last: i, [`p${i}`]: i });
      assert.equal((await identity.twin()).properties.reported.last, 9);
      await Promise.all(Array.from({ length: 10 }, (_, i) => report(twin, { [`q${i}`]: i })));
      const { reported } = (await identity.twin()).properties;
      for (let i = 0; i < 10; i += 1) assert.deepEqual([reported[`p${i}`], reported[`q${i}`]], [i, i]);
      assert.equal(reported.$version, 21);
    });

    test(`a ${kind} gets desired patches in order, none missing, as they were sent`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const watch = await Watch.of(await identity.open(transport));
      for (let i = 0; i < 10; i += 1) await identity.desire({ n: i });
      const numbers = Array.from({ length: 20 }, (_, i) => i);
      const versions = await Promise.all(numbers.map((i) => identity.desire({ [`p${i}`]: { i } })));
      const patches = await watch.has(30);
      assert.deepEqual(patches.map((patch) => patch.$version), Array.from({ length: 30 }, (_, i) => i + 2));
      assert.deepEqual(patches.slice(0, 10).map(plain), Array.from({ length: 10 }, (_, n) => ({ n })));
      for (const [i, version] of versions.entries()) {
        assert.deepEqual(patches[version - 2], { [`p${i}`]: { i }, $version: version });
      }
    });

    test(`null deletes a desired property, and the ${kind} gets a patch`, async (t) => {
      const identity = await makeIdentity(t, kind);
      await identity.desire({ a: { b: 1, c: 2 }, d: 3 });
      const watch = await Watch.of(await identity.open(transport));
      const version = await identity.desire({ a: { b: null }, d: null, e: 4 });
      assert.deepEqual(await watch.has(1), [{ a: { b: null }, d: null, e: 4, $version: version }]);
      assert.deepEqual(plain(watch.twin.properties.desired), { a: { c: 2 }, e: 4 });
      await watch.twin.get();
      assert.deepEqual(plain(watch.twin.properties.desired), { a: { c: 2 }, e: 4 });
    });

    test(`a ${kind} does not get tags`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const watch = await Watch.of(await identity.open(transport));
      await identity.patch({ tags: { site: 1 } });
      const version = await identity.desire({ after: true });
      assert.deepEqual(await watch.has(1), [{ after: true, $version: version }]);
      await watch.twin.get();
      assert.equal(watch.twin.tags, undefined);
    });

    test(`a report of a ${kind} beyond the limits is refused and changes nothing`, async (t) => {
      const identity = await makeIdentity(t, kind);
      const twin = await (await identity.open(transport)).getTwin();
      const kilobytes = (from, to) => Object.fromEntries(
        Array.from({ length: to - from }, (_, i) => [`k${from + i}`, 'x'.repeat(1000)]),
      );
      await report(twin, kilobytes(0, 30));
      await assert.rejects(report(twin, kilobytes(30, 34)), /section would have \d+ bytes/);
      await assert.rejects(report(twin, { text: 'x'.repeat(4097) }), /longer than 4096/);
      await assert.rejects(report(twin, { 'a.b': 1 }), /must not have/);
      await assert.rejects(report(twin, [1]), { name: 'Error' });
      const { reported } = (await identity.twin()).properties;
      assert.deepEqual(plain(reported), kilobytes(0, 30));
      assert.equal(reported.$version, 2);
      await twin.get();
      assert.deepEqual(plain(twin.properties.reported), kilobytes(0, 30));
    });
  }
});
