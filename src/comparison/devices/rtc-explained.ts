/**
 * Explained differences of the real-time clock.
 *
 * Called by: rtc.ts.
 */

import type { Difference, ExplainedDifference } from '../compared-device.js';

const SHEET = 'Motorola MC146818A data sheet';
const [DAY_OF_WEEK, A, B, C] = [6, 0x0a, 0x0b, 0x0c] as const;
/** PIE in register B, PF in register C. */
const PERIODIC = 0x40;
/** IRQF in register C: some enabled flag is set. */
const ANY_FLAG = 0x80;
/** In register A: an update is in progress, or about to begin. */
const UIP = 0x80;

export const RTC_EXPLAINED: readonly ExplainedDifference[] = [
  {
    what: 'PF in register C while the periodic interrupt is disabled',
    right: 'upcall',
    source: `${SHEET}, Register C, PF`,
    because: 'the flag is set at each period, whatever PIE is. QEMU counts periods only while PIE is set',
    goesOn: true,
    matches: readOf(C, ({ ours, reference }) => differing(ours, reference) === PERIODIC),
  },
  {
    what: 'the periodic interrupt from when PIE is set until the next period',
    right: 'upcall',
    source: `${SHEET}, Register C, PF and IRQF`,
    because: 'a flag that is set already raises the interrupt as soon as it is enabled. As above, QEMU has not set it',
    goesOn: true,
    matches: (difference) => {
      if ((register(difference, B) & PERIODIC) === 0) return false;
      if (difference.of === 'line') return difference.ours.level;
      return readOf(
        C,
        ({ ours, reference }) => (differing(ours, reference) & ~(PERIODIC | ANY_FLAG)) === 0,
      )(difference);
    },
  },
  {
    what: 'the next periodic interrupt after its rate changed while it was enabled',
    right: 'open',
    source: `${SHEET}, Register A, rate selection`,
    because: 'it does not say when the first period of a new rate ends. QEMU makes up for the time since the last one',
    goesOn: false,
    matches: (difference) =>
      rateChangedWhileEnabled(difference) &&
      (difference.of === 'line' ||
        readOf(C, ({ ours, reference }) => (differing(ours, reference) & ~(PERIODIC | ANY_FLAG)) === 0)(difference)),
  },
  {
    what: 'the day of the week',
    right: 'upcall',
    source: `${SHEET}, Time, Calendar and Alarm Locations`,
    because: 'it is a counter that software sets. QEMU computes it from the date',
    goesOn: true,
    matches: readOf(DAY_OF_WEEK, () => true),
  },
  {
    what: 'UIP in register A within 2.3 ms before an update',
    right: 'upcall',
    source: `${SHEET}, Update Cycle`,
    because:
      'at 32.768 kHz UIP leads the update cycle by 244 us, and the cycle takes 1984 us. QEMU has the 244 us only',
    goesOn: true,
    matches: readOf(A, ({ ours, reference }) => differing(ours, reference) === UIP && ((ours.value ?? 0) & UIP) !== 0),
  },
];

/** Matches reads of the register `index` for which `condition` holds. */
function readOf(index: number, condition: (difference: Difference) => boolean): (difference: Difference) => boolean {
  return (difference) => difference.of === 'value' && indexOf(difference) === index && condition(difference);
}

/** The register that the index port selects. */
function indexOf({ steps }: Difference): number {
  const select = steps.findLast((step) => step.kind === 'write' && step.offset === 0);
  return select?.kind === 'write' ? select.value : -1;
}

/** The last value written to a register. 0 if none was. */
function register({ steps }: Difference, index: number): number {
  let selected = -1;
  let value = 0;
  for (const step of steps) {
    if (step.kind !== 'write') continue;
    if (step.offset === 0) selected = step.value;
    else if (selected === index) value = step.value;
  }
  return value;
}

/**
 * At any time before: the rest of the program is not compared after the first difference anyway.
 */
function rateChangedWhileEnabled({ steps }: Difference): boolean {
  let selected = -1;
  let modes = 0;
  let changed = false;
  for (const step of steps) {
    if (step.kind !== 'write') continue;
    if (step.offset === 0) selected = step.value;
    else if (selected === B) modes = step.value;
    else if (selected === A && (modes & PERIODIC) !== 0) changed = true;
  }
  return changed;
}

function differing(ours: Difference['ours'], reference: Difference['ours']): number {
  return (ours.value ?? 0) ^ (reference.value ?? 0);
}
