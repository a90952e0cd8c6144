import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TracedPage } from './fixtures/traced-page.js';
import { prometheusText } from './prometheus.js';
import type { NamedClient } from './vm-trace.js';

const LINE = /^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$/;

function samples(text: string): { name: string; labels: string; value: number }[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = LINE.exec(line);
      assert.ok(match !== null, line);
      return { name: match[1] as string, labels: match[2] ?? '', value: Number(match[3]) };
    });
}

test('each line is a sample, histograms never fall and end in their count, names are escaped', () => {
  const page = new TracedPage();
  const DEFAULT: NamedClient = { name: 'default' };
  const statistics = page.trace.count<NamedClient>({ rangesOf: () => [], isDefault: (client) => client === DEFAULT });
  const odd: NamedClient = { name: 'a "quoted"\n\\name' };
  for (const client of [odd, odd, DEFAULT]) page.play({}, client, (request) => statistics.dispatched(request, client));
  statistics.countLate('disk');
  const text = prometheusText([{ vm: 'one', statistics: statistics.snapshot(4) }]);
  const all = samples(text);
  const value = (name: string, part: string): number | undefined =>
    all.find((sample) => sample.name === name && sample.labels.includes(part))?.value;
  assert.equal(value('upcall_requests_total', 'range="default: port"'), 1);
  assert.equal(value('upcall_guest_errors_total', 'vm="one"'), 4);
  assert.equal(value('upcall_client_late_total', 'client="disk"'), 1);
  assert.equal(value('upcall_unclaimed_accesses_total', 'address="port 0x060"'), 1);
  const buckets = all.filter(
    ({ name, labels }) => name === 'upcall_request_seconds_bucket' && /client="a .*stage="total"/.test(labels),
  );
  assert.equal(buckets.length, 26);
  for (const [i, bucket] of buckets.entries()) assert.ok(bucket.value >= (buckets[i - 1]?.value ?? 0));
  assert.equal(buckets.at(-1)?.value, 2);
  assert.match(text, /client="a \\"quoted\\"\\n\\\\name"/);
  assert.equal(text.match(/^# TYPE upcall_request_seconds histogram$/gm)?.length, 1);
});
