/**
 * The result of a comparison as text for people: what differs, which side is right, and why.
 *
 * Called by: cli/commands/compare.ts.
 */

import type { ComparedDevice, Difference, ExplainedDifference } from './compared-device.js';
import type { ComparisonResult, Finding } from './comparison.js';
import { hex } from '../io-request/io-request.js';
import { programText } from './step.js';

/** Lines of one device. `reference`: the other side's name. `asked`: the programs to play. */
export function resultText(
  { device, programs, observations, explained, finding }: ComparisonResult,
  reference: string,
  asked: number,
): string[] {
  const isInterrupted = programs < asked && finding === undefined;
  if (isInterrupted && programs === 0) return [notPlayedText(device)];
  const played = isInterrupted ? `${programs} of ${asked} programs, interrupted` : `${programs} programs`;
  const lines = [`${device.name}: ${played}, ${observations} observations compared`];
  for (const [explanation, times] of [...explained].sort(([, a], [, b]) => b - a))
    lines.push(`  explained, ${times} times: ${explanation.what}`, `    ${sideText(explanation, reference)}`);
  if (finding === undefined) lines.push(`  no other difference${isInterrupted ? ' until then' : ''}`);
  else lines.push(...findingText(device.name, finding, device.prologue.length, reference));
  return lines;
}

/** The line of a device whose turn did not come. */
export function notPlayedText({ name }: ComparedDevice): string {
  return `${name}: not played`;
}

function sideText({ right, because, source }: ExplainedDifference, reference: string): string {
  const side = {
    open: 'the data sheet is silent',
    'not-modelled': 'upcall does not model them',
    upcall: 'upcall is right',
    reference: `${reference} is right`,
  }[right];
  return `${side}: ${because} (${source})`;
}

function findingText(name: string, { seed, difference }: Finding, prologue: number, reference: string): string[] {
  const { steps } = difference;
  return [
    `  DIFFERENCE: ${programText(steps.slice(prologue))} ${observed(difference, reference)}`,
    `    after ${programText(steps.slice(0, prologue))}`,
    `    again with: upcall compare ${name} --seed ${seed} --programs 1`,
  ];
}

/** Such as `upcall 0xc1, qemu 0xc2`. */
export function observed({ of, ours, reference: other }: Difference, reference: string): string {
  if (of === 'value') return `upcall ${hex(ours.value ?? 0)}, ${reference} ${hex(other.value ?? 0)}`;
  const line = ({ level, rises }: Difference['ours']): string => `${level ? 'high' : 'low'} (rose ${rises} times)`;
  return `interrupt line: upcall ${line(ours)}, ${reference} ${line(other)}`;
}
