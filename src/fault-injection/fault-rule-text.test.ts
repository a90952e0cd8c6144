import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { UpcallError } from '../io-request/upcall-error.js';
import { expectRule } from './fault-rule-check.js';
import type { FaultRule } from './fault-rule.js';
import { faultRuleText, parseFaultFile, parseFaultRule } from './fault-rule-text.js';

const RULES: readonly (readonly [text: string, rule: FaultRule])[] = [
  [
    'client=uart16550 read after=100 every=3: flip=0x20',
    {
      kind: 'request',
      client: 'uart16550',
      direction: 'read',
      after: 100,
      every: 3,
      effect: { kind: 'flip', mask: 0x20n },
    },
  ],
  [
    'port=0x3f8-0x3ff write p=0.01: drop',
    {
      kind: 'request',
      type: 'port',
      address: { first: 0x3f8, last: 0x3ff },
      direction: 'write',
      probability: 0.01,
      effect: { kind: 'drop' },
    },
  ],
  ['line=4: lose every=5', { kind: 'line', line: 4, every: 5, effect: { kind: 'lose' } }],
  ['line=0 p=.5: duplicate', { kind: 'line', line: 0, probability: 0.5, effect: { kind: 'duplicate', ms: 1 } }],
  ['  : ones', { kind: 'request', effect: { kind: 'ones' } }],
  [
    'mmio=0xd0000000+0x1000 size=8 vcpu=15: value=0xffffffffffffffff times=1',
    {
      kind: 'request',
      type: 'mmio',
      address: { first: 0xd000_0000, last: 0xd000_0fff },
      size: 8,
      vcpu: 15,
      times: 1,
      effect: { kind: 'value', value: 0xffff_ffff_ffff_ffffn },
    },
  ],
  [
    'pci=00:1f.3 register=0x10-0x13: flip',
    {
      kind: 'request',
      type: 'pci',
      bus: 0,
      device: 0x1f,
      function: 3,
      register: { first: 0x10, last: 0x13 },
      effect: { kind: 'flip' },
    },
  ],
  ['register=4: stale', { kind: 'request', type: 'pci', register: { first: 4, last: 4 }, effect: { kind: 'stale' } }],
  [
    'client="read counter" from=1.5s until=2000: slow=200us',
    { kind: 'request', client: 'read counter', fromMs: 1500, untilMs: 2000, effect: { kind: 'slow', ms: 0.2 } },
  ],
  [
    'disk=virtio-blk read sector=0x8-0xf p=0.01: error',
    {
      kind: 'disk',
      disk: 'virtio-blk',
      operation: 'read',
      sectors: { first: 8, last: 15 },
      probability: 0.01,
      effect: { kind: 'error' },
    },
  ],
  [
    'disk="my disk" flush: slow=2s',
    { kind: 'disk', disk: 'my disk', operation: 'flush', effect: { kind: 'slow', ms: 2000 } },
  ],
  [
    'disk=* discard times=1: drop',
    { kind: 'disk', disk: '*', operation: 'discard', times: 1, effect: { kind: 'drop' } },
  ],
  ['net=virtio-net receive: flip', { kind: 'net', net: 'virtio-net', way: 'receive', effect: { kind: 'flip' } }],
  [
    'net=virtio-net every=5: duplicate',
    { kind: 'net', net: 'virtio-net', every: 5, effect: { kind: 'duplicate', ms: 1 } },
  ],
  ['net=v* send: delay=20ms', { kind: 'net', net: 'v*', way: 'send', effect: { kind: 'delay', ms: 20 } }],
];

test('a rule is parsed, and its printed text gives the same rule', () => {
  for (const [text, rule] of RULES) {
    assert.deepEqual(parseFaultRule(text), rule, text);
    assert.deepEqual(parseFaultRule(faultRuleText(rule)), rule, faultRuleText(rule));
  }
});

test('an invalid rule gives an error with its position and a remedy', () => {
  const wrong: readonly (readonly [text: string, message: RegExp, remedy: RegExp])[] = [
    ['port=0x3g8: ones', /character 6: "0x3g8" is not a range/, /port=0x3f8-0x3ff/],
    ['port=0x3ff-0x3f8: ones', /character 6: .*ends before it starts/, /port=/],
    ['port=0x10000: ones', /character 6: .*exceeds 0xffff/, /port=/],
    ['port=0x3f8', /character 11: a colon followed by a space is missing/, /port=0x3f8-0x3ff read/],
    ['port=0x3f8:ones', /a colon followed by a space is missing/, /Write it like/],
    ['port=0x3f8: read', /character 13: "read" is on the wrong side/, /wrong side/],
    ['port=0x3f8 ones: drop', /character 12: "ones" is on the wrong side/, /wrong side/],
    ['port=0x3f8:', /character 12: the fault after the colon is missing/, /ones, value, flip/],
    ['prot=0x3f8: ones', /character 1: "prot=0x3f8" is not a word/, /Use one of client, port/],
    ['toString: ones', /character 1: "toString" is not a word/, /Use one of/],
    ['read=1: ones', /"read" takes no value/, /read alone/],
    ['read write: ones', /character 6: "write" conflicts with an earlier word/, /Write it like/],
    ['read: ones drop', /character 12: "drop" conflicts with an earlier word/, /Write it like/],
    ['port=0x3f8 mmio=0x3f8: ones', /character 12: .*conflicts/, /Write it like/],
    ['read p=1.5: ones', /character 8: "1.5" is not a probability/, /p=0.01/],
    ['read p=: ones', /"" is not a probability/, /p=0.01/],
    ['read every=0: ones', /character 12: "0" is not a number from 1/, /every=3/],
    ['vcpu=16: ones', /not a number from 0 to 15/, /vcpu=0/],
    ['size=3: ones', /invalid access size 3/, /1, 2, 4 and 8/],
    ['read: delay=5min', /character 13: "5min" is not a duration/, /delay=5ms/],
    ['read: delay', /"" is not a duration/, /delay=5ms/],
    ['read: flip=0xg', /"0xg" is not a value/, /flip=0x20/],
    ['read: value', /"" is not a value/, /value=0x20/],
    ['client=: ones', /has no name/, /client=uart16550/],
    ['client="a: ones', /a colon .* is missing/, /Write it like/],
    ['pci=0:20.0: ones', /not a PCI address/, /pci=00:1f.0/],
    ['port register=4: ones', /only a PCI configuration access/, /Remove register/],
    ['line=4: ones', /character 9: ones does not apply to a line/, /lose, duplicate, delay/],
    ['line=4 read: lose', /a line has no direction/, /Remove direction/],
    ['line=48: lose', /line 48 does not exist/, /0 to 47/],
    ['read: lose', /lose does not apply to a request/, /line=4/],
    ['disk=vda size=4: error', /a disk has no size/, /Remove size/],
    ['disk=vda read flush: error', /not both read and flush/, /two rules/],
    ['disk=vda flush sector=3: slow=1s', /a flush has no sectors/, /Remove sector/],
    ['disk=vda: ones', /ones does not apply to a disk/, /error, slow, drop, flip/],
    ['disk=vda: flip=1', /a disk has no mask/, /flip alone/],
    ['disk: error', /has no name/, /disk=virtio-blk/],
    ['disk=vda net=eth: drop', /a disk has no net/, /Remove net/],
    ['net=eth read: drop', /a network card has no direction/, /Remove direction/],
    ['net=eth send receive: drop', /conflicts with an earlier word/, /Write it like/],
    ['read: error', /error does not apply to a request/, /disk=virtio-blk/],
    ['sector=4: drop', /a request has no sectors/, /Remove sectors/],
    ['', /character 1: a colon .* is missing/, /Write it like/],
  ];
  for (const [text, message, remedy] of wrong) {
    let error: unknown;
    try {
      parseFaultRule(text);
    } catch (thrown) {
      error = thrown;
    }
    assert.ok(error instanceof UpcallError, text);
    assert.equal(error.code, 'OPTION_INVALID');
    assert.match(error.message, message, text);
    assert.match(error.remedy ?? '', remedy, text);
  }
});

test('a rule that is data is refused if its parts do not fit together', () => {
  for (const [, rule] of RULES) expectRule(rule);
  const wrong: readonly (readonly [rule: unknown, message: RegExp])[] = [
    [{ kind: 'line', line: 99, effect: { kind: 'lose' } }, /line 99 does not exist/],
    [{ kind: 'line', line: 4, effect: { kind: 'ones' } }, /ones does not apply to a line/],
    [{ kind: 'request', effect: { kind: 'value2', value: 1n } }, /value2 does not apply to a request/],
    [{ kind: 'request', line: 4, effect: { kind: 'lose' } }, /its kind is request/],
    [{ kind: 'disk', effect: { kind: 'drop' } }, /its kind is disk/],
    [{ kind: 'request' }, /undefined does not apply/],
    [{ kind: 'request', port: 4, effect: { kind: 'value', value: 5n } }, /a request has no port/],
  ];
  for (const [rule, message] of wrong)
    assert.throws(() => expectRule(rule as FaultRule), { code: 'OPTION_INVALID', message }, JSON.stringify(message));
});

test('a file has one rule per line: comments and empty lines are skipped, and errors name the line', () => {
  const text = '# the serial port\nport=0x3f8-0x3ff: drop   # now and then\r\n\n  line=4: lose\n';
  assert.deepEqual(
    parseFaultFile(text, 'plan').map((rule) => rule.effect.kind),
    ['drop', 'lose'],
  );
  assert.throws(() => parseFaultFile(`${text}read: nothing`, 'plan.txt'), {
    code: 'OPTION_INVALID',
    message: /^plan\.txt:5:7: "nothing" is not a word/,
  });
});

test('any text is parsed or refused with an UpcallError', () => {
  const words = fc.constantFrom(
    'port=0x60',
    'read',
    ':',
    'ones:',
    '"',
    'p=0.5',
    'line=1',
    'lose',
    'disk=a',
    'sector=1',
    'flush',
    'error',
    'net=b',
    'send',
    'flip=',
    '=',
    'a=b',
    '__proto__=1',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(words, fc.string()), { maxLength: 6 }), (parts) => {
      try {
        const rule = parseFaultRule(parts.join(' '));
        assert.deepEqual(parseFaultRule(faultRuleText(rule)), rule);
      } catch (error) {
        assert.ok(error instanceof UpcallError, String(error));
      }
    }),
  );
});
