// @ts-check
/**
 * The toy hypervisor and upcall's conformance suite:
 * `node --test examples/hypervisor/conformance.js`.
 *
 * The suite's guests are lists of steps. A hypervisor under test says how they become programs of
 * its own; for guests of x86 code there is `x86Guests`, which does all of this.
 */

/**
 * @import { GuestProgram, GuestValue } from 'upcall/conformance'
 * @import { Instruction } from './toy-program.js'
 */

import { test } from 'node:test';
import { readsOf, runHypervisorSuite } from 'upcall/conformance';
import ToyHypervisor from './toy-hypervisor.js';
import { assemble, INSTRUCTION_BYTES, Op } from './toy-program.js';

/** Each vCPU has 48 KiB: instructions, and from the middle on the values that it has read. */
const PROGRAM_BYTES = 0xc000;
const VALUES = 0x8000;

runHypervisorSuite(
  {
    name: 'toy',
    create: () => new ToyHypervisor(),
    load: (memory, programs) =>
      programs.map((program, vcpu) => {
        const base = vcpu * PROGRAM_BYTES;
        memory.write(base, assemble(instructions(program, base)));
        return { mode: 'real', ip: base, cs: { selector: 0 }, ds: { selector: 0 } };
      }),
  },
  test,
);

/**
 * @param {GuestProgram} program
 * @param {number} base
 */
function instructions({ steps, forever = false }, base) {
  /** @type {Instruction[]} */
  const code = [];
  let reads = 0;
  /** @param {number} read */
  const valueAddress = (read) => base + VALUES + 8 * read;
  const save = () => code.push([Op.SAVE, valueAddress(reads++)]);
  /** @param {GuestValue} value */
  const set = (value) => {
    if (value === 'faults') code.push([Op.FAULTS]);
    else if (typeof value === 'object') code.push([Op.FETCH, valueAddress(value.read)]);
    else code.push([Op.SET, value]);
  };
  for (const step of steps)
    switch (step.op) {
      case 'in':
        code.push([Op.IN, step.port, step.size]);
        save();
        break;
      case 'out':
        set(step.value);
        code.push([Op.OUT, step.port, step.size]);
        break;
      case 'load':
        code.push([Op.LOAD, step.address, step.size]);
        save();
        break;
      case 'store':
        set(step.value);
        code.push([Op.STORE, step.address, step.size]);
        break;
      case 'add':
        code.push([Op.LOAD, step.address, step.size], [Op.ADD, step.value], [Op.STORE, step.address, step.size]);
        break;
      case 'exchange':
        code.push([Op.LOAD, step.address, step.size]);
        save();
        code.push([Op.SET, step.value], [Op.STORE, step.address, step.size]);
        break;
      case 'ins':
      case 'load-string':
        for (let index = 0; index < readsOf(step); index++) {
          if (step.op === 'ins') code.push([Op.IN, step.port, step.size]);
          else code.push([Op.LOAD, step.address + index * step.size, step.size]);
          save();
        }
        break;
      case 'outs':
      case 'store-string':
        step.values.forEach((value, index) => {
          code.push([Op.SET, value]);
          if (step.op === 'outs') code.push([Op.OUT, step.port, step.size]);
          else code.push([Op.STORE, step.address + index * step.size, step.size]);
        });
        break;
      case 'wait':
        code.push([Op.WAIT, step.line]);
        break;
      case 'shut-down':
        // The toy CPU shuts down at what is no instruction.
        code.push([0xff]);
    }
  code.push(forever ? [Op.JUMP, base] : [Op.HALT]);
  if (code.length * INSTRUCTION_BYTES > VALUES) throw new RangeError(`${code.length} instructions are too many`);
  return code;
}
