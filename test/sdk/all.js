'use strict';

// One process and one after the other: some tests count devices.
require('./registry');
require('./modules');
require('./twins');
require('./query');
require('./methods');
require('./tokens');
