'use strict';

// node run.js BIN DIR [ONLY]: all checks in headless Chromium. BIN has our programs, DIR the
// clips that .ci/browser has made; logs and screenshots go there. ONLY is a part of the names of
// checks that run. .ci/browser calls it in its own network namespace.

const path = require('node:path');
const { Fake } = require('./fake');
const { Judge } = require('./judge');

const assets = path.join(__dirname, '../../internal/gateway/page/assets');

async function main([, dir, only]) {
  const judge = await new Judge(path.join(dir, 'screenshots'), only).start();
  const fake = await new Fake(assets, dir).start();
  try {
    await require('./player')(judge, fake);
  } finally {
    await fake.stop();
    await judge.stop();
  }
  process.exitCode = judge.summary() ? 0 : 1;
}

main(process.argv.slice(2));
