import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { PAGE_BYTES, SLOT_BYTES, SLOT_OFFSET } from '../io-request/layout.js';
import { Ioctl } from './ioctl-codes.js';
import { STRUCT_LAYOUTS } from './struct-layout.js';

/** The header's names of the slot's offsets. */
const SLOT_FIELDS: Readonly<Record<string, number>> = {
  type: SLOT_OFFSET.type,
  completion_polling: SLOT_OFFSET.completionPolling,
  'reqs.pio_request.direction': SLOT_OFFSET.direction,
  'reqs.pio_request.address': SLOT_OFFSET.address,
  'reqs.pio_request.size': SLOT_OFFSET.size,
  'reqs.pio_request.value': SLOT_OFFSET.value,
  'reqs.mmio_request.address': SLOT_OFFSET.address,
  'reqs.mmio_request.value': SLOT_OFFSET.value,
  'reqs.pci_request.size': SLOT_OFFSET.size,
  'reqs.pci_request.value': SLOT_OFFSET.value,
  'reqs.pci_request.bus': SLOT_OFFSET.pciBus,
  'reqs.pci_request.dev': SLOT_OFFSET.pciDevice,
  'reqs.pci_request.func': SLOT_OFFSET.pciFunction,
  'reqs.pci_request.reg': SLOT_OFFSET.pciRegister,
  kernel_handled: SLOT_OFFSET.kernelHandled,
  processed: SLOT_OFFSET.state,
};

const FIELD_BYTES = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8 } as const;

/** What this project says: every number under the C expression that gives it. */
function ours(): Record<string, number> {
  const numbers: Record<string, number> = {
    'sizeof(struct acrn_io_request)': SLOT_BYTES,
    'sizeof(struct acrn_io_request_buffer)': PAGE_BYTES,
  };
  for (const [field, offset] of Object.entries(SLOT_FIELDS))
    numbers[`offsetof(struct acrn_io_request, ${field})`] = offset;
  for (const { name, bytes, fields } of STRUCT_LAYOUTS) {
    numbers[`sizeof(struct ${name})`] = bytes;
    for (const [field, { kind, offset, count }] of Object.entries(fields)) {
      numbers[`offsetof(struct ${name}, ${field})`] = offset;
      numbers[`sizeof(((struct ${name} *)0)->${field})`] = FIELD_BYTES[kind] * count;
    }
  }
  for (const [name, code] of Object.entries(Ioctl)) numbers[`ACRN_IOCTL_${name}`] = code;
  return numbers;
}

const recordedFile = new URL('../../conformance/abi/acrn-h.json', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'upcall-abi-'));
after(() => rmSync(folder, { recursive: true }));

/** What the header on this machine says; undefined where there is no compiler or no header. */
function measured(expressions: readonly string[]): Record<string, number> | undefined {
  if (!existsSync('/usr/include/linux/acrn.h')) return undefined;
  const source = join(folder, 'abi.c');
  const program = join(folder, 'abi');
  const lines = expressions.map((expression) => `printf("%llu\\n", (unsigned long long)(${expression}));`);
  writeFileSync(
    source,
    `#include <stddef.h>\n#include <stdio.h>\n#include <sys/ioctl.h>\n#include <linux/acrn.h>\nint main(void) {\n${lines.join('\n')}\nreturn 0;\n}\n`,
  );
  const compiled = spawnSync('cc', ['-o', program, source], { encoding: 'utf8' });
  if (compiled.error !== undefined) return undefined;
  assert.equal(compiled.status, 0, compiled.stderr);
  const output = spawnSync(program, { encoding: 'utf8' }).stdout.trimEnd().split('\n');
  return Object.fromEntries(expressions.map((expression, i) => [expression, Number(output[i])]));
}

describe('the binary interface', () => {
  const numbers = ours();
  const recorded = JSON.parse(readFileSync(recordedFile, 'utf8')) as Record<string, number>;

  test('is that of the recorded header, every size, offset and ioctl', () => {
    assert.deepEqual(numbers, recorded);
  });

  test("is that of this machine's <linux/acrn.h>", (context) => {
    const header = measured(Object.keys(numbers));
    if (header === undefined) {
      context.diagnostic('no C compiler or no <linux/acrn.h> here: only the recorded table was compared');
      return;
    }
    context.diagnostic(`compared ${Object.keys(header).length} numbers with this machine's <linux/acrn.h>`);
    assert.deepEqual(numbers, header);
  });

  test('knows every ioctl and every structure of the header', (context) => {
    if (!existsSync('/usr/include/linux/acrn.h')) {
      context.diagnostic('no <linux/acrn.h> here');
      return;
    }
    const header = readFileSync('/usr/include/linux/acrn.h', 'utf8');
    const ioctls = [...header.matchAll(/#define ACRN_IOCTL_(\w+)\s*\\/g)].map((match) => match[1] ?? '');
    assert.deepEqual(ioctls.sort(), Object.keys(Ioctl).sort());
    const known = new Set(STRUCT_LAYOUTS.map(({ name }) => name));
    // Parts of others, whose fields are compared there, and the page, which layout.ts has.
    const parts = ['acrn_gp_regs', 'acrn_descriptor_ptr', 'acrn_regs', 'acrn_acpi_generic_address'];
    const page = /^acrn_(io|mmio|pio|pci)_request/;
    const structs = [...header.matchAll(/^struct (acrn_\w+) \{/gm)].map((match) => match[1] ?? '');
    const unknown = structs.filter((name) => !known.has(name) && !parts.includes(name) && !page.test(name));
    assert.deepEqual(unknown, []);
  });
});
