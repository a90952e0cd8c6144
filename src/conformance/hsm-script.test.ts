import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { HsmScript } from './hsm-script.js';

const folder = new URL('../../conformance/driver/', import.meta.url);
const scripts = readdirSync(folder).filter((name) => name.endsWith('.script'));

test('there are recorded scripts', () => assert.ok(scripts.length >= 20, `${scripts.length} scripts`));

for (const name of scripts) {
  test(`the HSM answers as Linux' driver did on ${name}`, async () => {
    const script = new HsmScript();
    const expected = lines(name.replace('.script', '.expected.jsonl')).map((line) => JSON.parse(line) as unknown);
    let at = 0;
    for (const line of lines(name)) {
      const answer = await script.command(line);
      if (answer === undefined) continue;
      assert.deepEqual(JSON.parse(JSON.stringify(answer)), expected[at], `command ${at + 1}: ${line}`);
      at++;
    }
    assert.equal(at, expected.length);
  });
}

function lines(name: string): string[] {
  return readFileSync(new URL(name, folder), 'utf8').split('\n').filter(Boolean);
}
