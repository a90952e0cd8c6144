// Changes one thing at a time in the code that decides where a request goes and what becomes of it, and runs the tests
// that should notice. Prints each change that no test noticed; the exit status says whether there was one.
//
//   npm run build && node scripts/mutants.mjs [word…]     only mutants whose file or change contains a word
//
// It works on a copy of the compiled sources in the system's temporary folder; the tree is not touched.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = process.env.UPCALL_DIST ?? join(root, 'dist');
const TEST_TIMEOUT_MS = 60_000;

const SCRIPTS = [
  'conformance/hsm-script.test.js',
  'conformance/hsm-script-edges.test.js',
  'conformance/driver-model.test.js',
];
const LOOKUP = [...SCRIPTS, 'hsm/address-map.test.js', 'hsm/range-index.test.js'];
const FINISH = [...SCRIPTS, 'hsm/request-finisher.test.js', 'hsm/request-finisher-ways.test.js'];
const CONTROL = ['conformance/control-requests.test.js', 'conformance/control-model.test.js'];

/**
 * File, what stands there once, what it becomes, and the tests that have to notice.
 * @type {[file: string, from: string, to: string, tests: string[]][]}
 */
const MUTANTS = [
  // Lookup.
  [
    'hsm/address-map.ts',
    'this.#entries.unshift({ client, ranges: [] })',
    'this.#entries.push({ client, ranges: [] })',
    SCRIPTS,
  ],
  [
    'hsm/address-map.ts',
    'entry.ranges.unshift(range)',
    'entry.ranges.length > 0 || entry.ranges.unshift(range)',
    SCRIPTS,
  ],
  [
    'hsm/address-map.ts',
    'type !== IoRequestType.PORT && type !== IoRequestType.MMIO',
    'type !== IoRequestType.PORT',
    SCRIPTS,
  ],
  ['hsm/address-map.ts', 'sum === 0 ? -1 : 0', '0', SCRIPTS],
  ['hsm/address-map.ts', 'sum > 0x1_0000_0000 ? 1 : 0', '0', SCRIPTS],
  ['hsm/address-map.ts', 'sum > 0x1_0000_0000', 'sum >= 0x1_0000_0000', SCRIPTS],
  ['hsm/address-map.ts', '(sum - 1) >>> 0', 'sum >>> 0', SCRIPTS],
  ['hsm/address-map.ts', '(high + (sizeHigh >>> 0) + carry + borrow) >>> 0', '(high + carry + borrow) >>> 0', SCRIPTS],
  [
    'hsm/address-map.ts',
    '(high + (sizeHigh >>> 0) + carry + borrow) >>> 0',
    'high + (sizeHigh >>> 0) + carry + borrow',
    SCRIPTS,
  ],
  // The walk, which only wrapping, very high and odd accesses come to.
  ['hsm/address-map.ts', 'if (types[i] !== type) continue;', '', LOOKUP],
  ['hsm/address-map.ts', 'high < startHigh ||', '', LOOKUP],
  ['hsm/address-map.ts', 'low < (bounds[at] as number)', 'low <= (bounds[at] as number)', LOOKUP],
  ['hsm/address-map.ts', 'lastHigh > endHigh ||', '', LOOKUP],
  ['hsm/address-map.ts', 'lastLow > (bounds[at + 2] as number)', 'lastLow >= (bounds[at + 2] as number)', LOOKUP],
  ['hsm/address-map.ts', 'ranges.splice(index, 1)', 'ranges.splice(0, 1)', SCRIPTS],
  [
    'hsm/address-map.ts',
    'ranges.splice(index, 1);\n    this.#rangeCount--;\n    this.#isChanged = true;',
    'ranges.splice(index, 1);',
    LOOKUP,
  ],
  ['hsm/address-map.ts', 'this.#rangeCount >= MAX_RANGES', 'this.#rangeCount > MAX_RANGES', LOOKUP],
  // The index.
  ['hsm/range-index.ts', 'if (last < address) return WALK;', '', LOOKUP],
  ['hsm/range-index.ts', 'if (high >>> 0 >= LIMIT_HIGH) return WALK;', '', LOOKUP],
  [
    'hsm/range-index.ts',
    'if (last < (starts[segment + 1] as number))',
    'if (last <= (starts[segment + 1] as number))',
    LOOKUP,
  ],
  [
    'hsm/range-index.ts',
    'if (last < (starts[segment + 2] ?? LIMIT))',
    'if (last <= (starts[segment + 2] ?? LIMIT))',
    LOOKUP,
  ],
  [
    'hsm/range-index.ts',
    'return this.#bridging[segment] as number',
    'return this.#covering[segment] as number',
    LOOKUP,
  ],
  ['hsm/range-index.ts', 'pages[entry] === page ||', '', LOOKUP],
  ['hsm/range-index.ts', 'low >>> 0 <= lastLow >>> 0', 'true as boolean', LOOKUP],
  ['hsm/range-index.ts', 'low >>> PAGE_SHIFT === lastLow >>> PAGE_SHIFT', 'true as boolean', LOOKUP],
  ['hsm/range-index.ts', 'high === lastHigh &&', '', LOOKUP],
  ['hsm/range-index.ts', 'Number(end) + 1;', 'Number(end);', LOOKUP],
  [
    'hsm/range-index.ts',
    'if ((starts[middle] as number) <= address) low',
    'if ((starts[middle] as number) < address) low',
    LOOKUP,
  ],
  ['hsm/range-index.ts', 'if (isOwned) long.push(segment);', '', LOOKUP],
  ['hsm/range-index.ts', 'else known[1] = segment;', '', LOOKUP],
  ['hsm/range-index.ts', 'if ((heap[parent] as number) <= rank) break;', 'break;', LOOKUP],
  ['hsm/range-index.ts', '(heap[child + 1] as number) < (heap[child] as number)', 'false as boolean', LOOKUP],
  // 0xCF8 and 0xCFC.
  ['hsm/pci-config-access.ts', 'if (request.addressHigh !== 0) return PciConfigResult.PASSED;', '', SCRIPTS],
  ['hsm/pci-config-access.ts', 'const CONFIG_ADDRESS = 0xcf8;', 'const CONFIG_ADDRESS = 0xcf9;', SCRIPTS],
  ['hsm/pci-config-access.ts', 'const CONFIG_DATA = 0xcfc;', 'const CONFIG_DATA = 0xcfb;', SCRIPTS],
  ['hsm/pci-config-access.ts', 'const CONFIG_DATA_END = 0xd00;', 'const CONFIG_DATA_END = 0xcff;', SCRIPTS],
  ['hsm/pci-config-access.ts', 'this.#address = request.valueLow', 'this.#address = request.valueLow & 0xff', SCRIPTS],
  ['hsm/pci-config-access.ts', 'slot.setValue(this.#address)', 'slot.setValue(this.#address & ~0x8000_0000)', SCRIPTS],
  ['hsm/pci-config-access.ts', '(address & ENABLE) === 0', '(address & ENABLE) !== 0', SCRIPTS],
  ['hsm/pci-config-access.ts', 'slot.setValue(-1)', 'slot.setValue(0)', SCRIPTS],
  [
    'hsm/pci-config-access.ts',
    'if (request.direction === Direction.READ) slot.setValue(-1)',
    'slot.setValue(-1)',
    SCRIPTS,
  ],
  ['hsm/pci-config-access.ts', '(address >> 16) & 0xff;', '(address >> 16) & 0x7f;', SCRIPTS],
  ['hsm/pci-config-access.ts', '(address >> 11) & 0x1f', '(address >> 11) & 0xf', SCRIPTS],
  ['hsm/pci-config-access.ts', '(address >> 8) & 0x7', '(address >> 8) & 0x3', SCRIPTS],
  ['hsm/pci-config-access.ts', '+ ((address >> 16) & 0xf00)', '', SCRIPTS],
  ['hsm/pci-config-access.ts', ' + (port - CONFIG_DATA)', '', SCRIPTS],
  ['hsm/pci-config-access.ts', '(address & 0xfc)', '(address & 0xff)', SCRIPTS],
  // The slot's moves.
  ['io-request/slot.ts', 'this.#move(PENDING, PROCESSING)', 'this.#move(FREE, PROCESSING)', SCRIPTS],
  ['io-request/slot.ts', 'this.#complete(PROCESSING)', 'this.#complete(FREE)', SCRIPTS],
  ['io-request/slot.ts', 'this.#complete(PENDING)', 'this.#complete(PROCESSING)', SCRIPTS],
  ['io-request/slot.ts', 'this.#move(COMPLETE, FREE)', 'this.#move(PROCESSING, FREE)', SCRIPTS],
  ['io-request/slot.ts', 'kernelHandled ? 1 : 0', 'kernelHandled ? 0 : 1', SCRIPTS],
  ['io-request/slot.ts', 'if (polling) put(words, base + POLLING, 1)', 'put(words, base + POLLING, 0)', SCRIPTS],
  ['io-request/slot.ts', 'if (words[index] !== word)', 'if (words[index] === 0)', SCRIPTS],
  ['io-request/slot.ts', 'words[base + PCI_BUS] = bus', 'words[base + PCI_BUS] = 0', SCRIPTS],
  // Who gets and who finishes a request.
  [
    'hsm/vm-requests.ts',
    'const client = found ?? this.#clients.default',
    'const client = this.#clients.default ?? found',
    SCRIPTS,
  ],
  ['hsm/assignments.ts', 'slot.assign(kernelHandled)', 'slot.assign(true)', SCRIPTS],
  [
    'hsm/vm-requests.ts',
    'if (vcpu >= this.#vcpuCount) return EINVAL',
    'if (vcpu > this.#vcpuCount) return EINVAL',
    CONTROL,
  ],
  ['hsm/assignments.ts', 'this.#owners[vcpu] !== client ||', '', CONTROL],
  ['hsm/vm-requests.ts', 'this.#isClearing = false;\n  }', '}', SCRIPTS],
  ['hsm/vm-requests.ts', 'if (this.#isClearing) {', 'if (false as boolean) {', SCRIPTS],
  ['hsm/clear-wait.ts', 'export const CLEAR_ROUNDS = 10', 'export const CLEAR_ROUNDS = 9', SCRIPTS],
  [
    'hsm/vm-requests.ts',
    'if (slot.completeUnassigned() && !polling) this.#notify',
    'if (slot.completeUnassigned()) this.#notify',
    SCRIPTS,
  ],
  ['hsm/vm-requests.ts', 'if (result < 0) this.#observer', 'if (result > 0) this.#observer', SCRIPTS],
  ['hsm/request-finisher.ts', 'if (!polling) this.#notify(vcpu);', 'this.#notify(vcpu);', FINISH],
  ['hsm/request-finisher.ts', 'this.#tickets.loadRelaxed(vcpu) !== ticket', 'false as boolean', FINISH],
  ['hsm/request-finisher.ts', 'this.#tickets.storeRelaxed(vcpu, 0);', '', FINISH],
  ['hsm/request-finisher.ts', '!this.#tickets.move(vcpu, ticket, -ticket)', 'false as boolean', FINISH],
  ['hsm/request-finisher.ts', 'this.#tickets.move(vcpu, -ticket, 0);', '', FINISH],
  ['hsm/request-finisher.ts', 'if (direction === Direction.READ) {', 'if (true as boolean) {', FINISH],
  ['hsm/request-finisher.ts', 'else slot.setValue(low);', 'else slot.setValue64(low, high);', FINISH],
  ['hsm/request-finisher.ts', 'const polling = slot.completionPolling;', 'const polling = false as boolean;', FINISH],
  ['hsm/service-module.ts', '[vm, ...this.#vms]', '[...this.#vms, vm]', SCRIPTS],
  // The control interface.
  ['acrn-hsm/hsm-file.ts', '& 0xffff)', ')', CONTROL],
  ['acrn-hsm/hsm-file.ts', "notify.number('reserved') !== 0 ? Errno.EINVAL :", '', CONTROL],
  ['acrn-hsm/userspace-client.ts', 'this.#hasPending(this) ||', '', CONTROL],
  ['acrn-hsm/userspace-client.ts', 'this.#wake(Errno.ENODEV)', 'this.#wake(0)', CONTROL],
  ['hsm/ioeventfd.ts', 'entry.length >= request.size', 'entry.length === request.size', ['hsm/ioeventfd.test.js']],
  ['hsm/ioeventfd.ts', 'request.finish(ticket, 0, 0)', 'request.finish(ticket, 1, 0)', ['hsm/ioeventfd.test.js']],
  ['hsm/ioeventfd.ts', 'entry.address === address &&', '', ['hsm/ioeventfd.test.js']],
  ['hsm/ioeventfd.ts', 'isPort ? 0 : request.valueHigh', 'request.valueHigh', ['hsm/ioeventfd.test.js']],
  ['hsm/irqfd.ts', 'if (event.isReadable) this.#inject(message)', '', ['hsm/irqfd.test.js']],
];

/** @type {(path: string, text: string) => string} */
const javaScript = (path, text) =>
  ts.transpileModule(text, {
    fileName: path,
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
  }).outputText;

/**
 * @param {string} folder
 * @param {string[]} tests
 */
function run(folder, tests) {
  const started = performance.now();
  const files = tests.map((test) => join(folder, 'dist', test));
  const { status, signal, stdout } = spawnSync(process.execPath, ['--test', ...files], {
    encoding: 'utf8',
    timeout: TEST_TIMEOUT_MS,
  });
  const first = /^\s*not ok \d+ - (?!.*\.test\.js$)(.*)$/m.exec(stdout)?.[1];
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  return { passed: status === 0, by: signal === null ? (first ?? 'the run failed') : 'time', seconds };
}

if (!existsSync(join(dist, 'conformance/hsm-script.test.js'))) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'upcall-mutants-'));
let survivors = 0;
let tried = 0;
try {
  cpSync(dist, join(folder, 'dist'), { recursive: true });
  for (const shared of ['node_modules', 'conformance', 'package.json', 'src'])
    symlinkSync(join(root, shared), join(folder, shared));
  const everyTest = [...new Set(MUTANTS.flatMap(([, , , tests]) => tests))];
  const healthy = run(folder, everyTest);
  if (!healthy.passed) {
    process.stderr.write(`Without a change the tests fail already: ${healthy.by}\n`);
    process.exitCode = 2;
  } else {
    const words = process.argv.slice(2);
    for (const [file, from, to, tests] of MUTANTS) {
      const name = `${file}: ${from.split('\n')[0]} → ${to.split('\n')[0] || '(nothing)'}`;
      if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
      const text = readFileSync(join(root, 'src', file), 'utf8');
      if (text.split(from).length !== 2) {
        process.stdout.write(`GONE      ${name}\n`);
        survivors++;
        continue;
      }
      const target = join(folder, 'dist', file.replace(/\.ts$/, '.js'));
      const before = readFileSync(target, 'utf8');
      writeFileSync(
        target,
        javaScript(
          file,
          text.replace(from, () => to),
        ),
      );
      const { passed, by, seconds } = run(folder, tests);
      writeFileSync(target, before);
      tried++;
      if (passed) survivors++;
      process.stdout.write(`${passed ? 'SURVIVED ' : 'killed   '} ${name}  [${passed ? '' : `${by}, `}${seconds} s]\n`);
    }
    process.stdout.write(`${tried} mutants, ${survivors} survived or could not be made\n`);
    if (survivors > 0) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
