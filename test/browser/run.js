'use strict';

// node run.js BIN DIR [ONLY]: all checks in headless Chromium. BIN has our programs, DIR the
// clips that .ci/browser has made; logs and screenshots go there. ONLY is a part of the names of
// checks that run. .ci/browser calls it in its own network namespace.

const path = require('node:path');
const { Fake } = require('./fake');
const { faults } = require('./faults');
const { hostile } = require('./hostile');
const { Judge } = require('./judge');
const { outputs } = require('./outputs');
const ava = require('./ava');
const { page } = require('./page');
const { Site } = require('./site');

const assets = path.join(__dirname, '../../internal/gateway/page/assets');

async function main([bin, dir, only]) {
  const judge = await new Judge(path.join(dir, 'screenshots'), only).start();
  try {
    await alone(judge, dir);
    await whole(judge, bin, dir);
  } finally {
    await judge.stop();
  }
  process.exitCode = judge.summary() ? 0 : 1;
}

// alone tests the player without the gateway.
async function alone(judge, dir) {
  const fake = await new Fake(assets, dir).start();
  try {
    await require('./player')(judge, fake);
  } finally {
    await fake.stop();
  }
}

// whole tests the system.
async function whole(judge, bin, dir) {
  const site = new Site(bin, dir);
  try {
    await site.start();
    await outputs(judge, site);
    await ava(judge, site);
    await page(judge, site);
    await hostile(judge, site);
    await faults(judge, site);
  } finally {
    await site.stop();
  }
}

main(process.argv.slice(2));
