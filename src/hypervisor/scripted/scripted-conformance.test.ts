/** The suite of all hypervisors with the scripted one. */

import { test } from 'node:test';
import { SCRIPTED } from '../../conformance/fixtures/scripted-guests.js';
import { runHypervisorSuite } from '../../conformance/hypervisor-suite/index.js';

runHypervisorSuite(SCRIPTED, test);
