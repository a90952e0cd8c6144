import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_NAMED_PORTS } from '../device-model/virtio/console/virtio-console.js';
import { addPort, type PortOption } from './port-option.js';

test('a port has a name, and a file or a socket at its other end', () => {
  const ports = addPort('org.x.agent_0=unix:/run/a b.sock', addPort('log=out/guest=1.log', []));
  assert.deepEqual(ports, [
    { text: 'log=out/guest=1.log', name: 'log', kind: 'file', path: 'out/guest=1.log' },
    { text: 'org.x.agent_0=unix:/run/a b.sock', name: 'org.x.agent_0', kind: 'socket', path: '/run/a b.sock' },
  ]);
});

test('what is not a port is refused with the reason', () => {
  const refused = (text: string, message: RegExp, given: readonly PortOption[] = []): void =>
    assert.throws(() => addPort(text, given), { code: 'OPTION_INVALID', message }, text);
  refused('', /the name or the other end is missing/);
  refused('log', /the name or the other end is missing/);
  refused('log=', /the file is missing/);
  refused('log=unix:', /the socket is missing/);
  for (const name of ['', '..', 'a/b', 'a b', "a'b", 'x'.repeat(65)]) refused(`${name}=file`, /invalid name of a port/);
  refused(`a=unix:/${'x'.repeat(107)}`, /at most 107 bytes/);
  const one = addPort('a=one', []);
  refused('a=two', /another port has the name a/, one);
  refused('b=./one', /another port has one/, one);
  let all: PortOption[] = [];
  for (let n = 0; n < MAX_NAMED_PORTS; n++) all = addPort(`port${n}=file${n}`, all);
  refused('more=file', /30 ports are given already/, all);
});
