import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { acpiDsdt, GUEST_NAMES, guestImage, isGuestName, type GuestName } from './guest-library.js';
import { detectKind } from '../hypervisor/boot/guest-image.js';

test('every guest program is in the package and is an image of the right kind', async () => {
  const kinds = [];
  for (const name of GUEST_NAMES) kinds.push(detectKind(await readFile(guestImage(name))));
  assert.deepEqual(kinds, ['multiboot', 'real', 'multiboot']);
});

test('the ACPI tables are a DSDT', async () => {
  assert.equal((await readFile(acpiDsdt())).subarray(0, 4).toString('latin1'), 'DSDT');
});

test('an unknown name is refused, and the known ones are named', () => {
  assert.equal(isGuestName('toString'), false);
  assert.throws(() => guestImage('moniter' as GuestName), { code: 'IMAGE_NOT_FOUND', remedy: /monitor, hello, smp/ });
});
