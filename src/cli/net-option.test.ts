import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserVm } from '../vm/user-vm.js';
import { netCards } from './net-card.js';
import { addNet, parseNet } from './net-option.js';

test('a network has words behind it in any order', () => {
  assert.deepEqual(parseNet('passt'), {
    text: 'passt',
    network: { kind: 'passt', loopback: false },
    inOwnThread: false,
  });
  assert.deepEqual(parseNet('passt,loopback').network, { kind: 'passt', loopback: true });
  assert.equal(parseNet('hub:lab,thread').inOwnThread, true);
  const text = 'hub:my_lab-1.2,pcap=a=b.pcapng,mac=52:54:00:AB:CD:EF';
  assert.deepEqual(parseNet(text), {
    text,
    network: { kind: 'hub', name: 'my_lab-1.2' },
    inOwnThread: false,
    mac: '52:54:00:ab:cd:ef',
    pcap: 'a=b.pcapng',
  });
});

test('what is not a network is refused with the reason and an example', () => {
  for (const [text, message] of [
    ['', /the network is missing/],
    [',mac=52:54:00:00:00:01', /the network is missing/],
    ['slirp', /unknown network "slirp"/],
    ['PASST', /unknown network "PASST"/],
    ['hub', /unknown network "hub"/],
    ['hub:', /invalid name of a hub: ""/],
    ['hub:a/b', /invalid name of a hub: "a\/b"/],
    ['hub:a b', /invalid name/],
    [`hub:${'x'.repeat(33)}`, /invalid name/],
    ['hub:lab,loopback', /a hub has no loopback/],
    ['hub:lab,thread,pcap=a', /cannot be captured/],
    ['passt,thread=1', /unknown word "thread=1"/],
    ['passt,', /unknown word ""/],
    ['passt,loopback=1', /unknown word "loopback=1"/],
    ['passt,mac', /unknown word "mac"/],
    ['passt,__proto__=1', /unknown word "__proto__=1"/],
    ['passt,pcap=', /file of pcap= is missing/],
    ['passt,mac=', /is not a MAC address/],
    ['passt,mac=01:00:5e:00:00:01', /address of a group/],
    ['passt,pcap=a,pcap=b', /pcap is given twice/],
    ['passt,loopback,loopback', /loopback is given twice/],
  ] as const)
    assert.throws(() => parseNet(text), { code: 'OPTION_INVALID', message, remedy: /./ }, text);
});

test('two cards have two addresses and two files', () => {
  const first = parseNet('hub:lab,mac=52:54:00:00:00:01,pcap=./x.pcapng');
  assert.equal(addNet('hub:lab', [first]).length, 2);
  assert.equal(addNet('hub:lab,mac=52:54:00:00:00:02,pcap=y.pcapng', [first]).length, 2);
  assert.throws(() => addNet('passt,mac=52:54:00:00:00:01', [first]), { message: /another card has the address/ });
  assert.throws(() => addNet('passt,pcap=x.pcapng', [first]), { message: /packets of another card go to/ });
});

test('a card with a thread of its own is opened there, and takes no fault rules', async () => {
  const [source] = netCards([parseNet('hub:lab,thread')], undefined as never);
  assert.ok(source);
  const vm = (hasRule: boolean): UserVm => ({ faults: { hasRuleFor: () => hasRule } }) as unknown as UserVm;
  assert.ok('module' in (await source.create(vm(false))));
  await assert.rejects(source.create(vm(true)), { code: 'OPTION_INVALID', message: /a thread of its own/ });
});
