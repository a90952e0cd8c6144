/**
 * Explained differences of the 16550 serial port.
 *
 * Called by: uart.ts.
 */

import type { Difference, ExplainedDifference } from '../compared-device.js';
import { UartState } from './uart-state.js';

const SHEET = 'National PC16550D data sheet';
/** MSR's bits that say which modem input has changed. */
const MODEM_CHANGES = 0x0f;
// Bits of the IER.
const ENABLES_RECEIVED_DATA = 0x01;
const ENABLES_THR_EMPTY = 0x02;
const ENABLES_MODEM_STATUS = 0x08;
/** IIR without the bits that say that the FIFOs are on. */
const ID = 0x0f;
// Values of the IIR: no interrupt, and its sources.
const NOTHING = 0x01;
const THR_EMPTY = 0x02;
const MODEM_STATUS = 0x00;
const RECEIVED_DATA = 0x04;
const TIMEOUT = 0x0c;

export const UART_EXPLAINED: readonly ExplainedDifference[] = [
  {
    what: 'the interrupt line while MCR bit 3 (OUT2) is 0, or in loopback',
    right: 'upcall',
    source: 'IBM PC AT Technical Reference, serial adapter; PC16550D, Modem Control Register, bit 4',
    because:
      'a PC lets the interrupt through a gate that OUT2 opens, and loopback holds OUT2 inactive. QEMU has no gate',
    goesOn: true,
    matches: ({ of, steps }) => {
      const state = UartState.after(steps);
      return of === 'line' && (!state.out2 || state.loopback);
    },
  },
  {
    what: 'RBR read while no character waits',
    right: 'open',
    source: `${SHEET}, Receiver Buffer Register`,
    because: 'it says nothing of a read without data',
    goesOn: true,
    matches: valueAt('RBR', ({ characters }) => characters === 0),
  },
  {
    what: 'upper bits of a character received in loopback with a word of less than 8 bits',
    right: 'upcall',
    source: `${SHEET}, Line Control Register, bits 0 and 1`,
    because: 'only the bits of the word are sent, and the others are received as 0. QEMU passes whole bytes',
    goesOn: true,
    matches: valueAt('RBR', ({ sentShort }, { ours, reference }) => sentShort && differsOnlyIn(ours, reference, 0xe0)),
  },
  {
    what: 'MSR bits 0 to 3 after the modem outputs were looped back',
    right: 'upcall',
    source: `${SHEET}, Modem Control Register, bit 4`,
    because: 'in loopback modem status interrupts work, with MCR bits 0 to 3 as their source. QEMU sets no change bits',
    goesOn: true,
    matches: valueAt(
      'MSR',
      ({ loopedSinceMsr }, { ours, reference }) => loopedSinceMsr && differsOnlyIn(ours, reference, MODEM_CHANGES),
    ),
  },
  {
    what: 'the modem status interrupt after the modem outputs were looped back',
    right: 'upcall',
    source: `${SHEET}, Modem Control Register, bit 4`,
    because: 'as for the change bits themselves',
    goesOn: true,
    matches: (difference) => {
      const { loopedSinceMsr, ier, last } = UartState.after(difference.steps);
      if (!loopedSinceMsr || (ier & ENABLES_MODEM_STATUS) === 0) return false;
      if (difference.of === 'line') return difference.ours.level;
      return last === 'IIR' && idOf(difference.ours) === MODEM_STATUS && idOf(difference.reference) === NOTHING;
    },
  },
  {
    what: 'the transmitter interrupt after FCR bit 2 cleared the transmitter FIFO, bit 0 being unchanged',
    right: 'open',
    source: `${SHEET}, FIFO Control Register, bit 2`,
    because: 'it says only that the FIFO is cleared. QEMU raises the interrupt again',
    goesOn: true,
    matches: (difference) => {
      const { clearedTransmitter, ier, last } = UartState.after(difference.steps);
      if (!clearedTransmitter || (ier & ENABLES_THR_EMPTY) === 0) return false;
      if (difference.of === 'line') return difference.reference.level;
      return last === 'IIR' && idOf(difference.reference) === THR_EMPTY;
    },
  },
  {
    what: 'IIR when the trigger level is reached and the character timeout is over as well',
    right: 'open',
    source: `${SHEET}, Interrupt Identification Register, table of interrupts`,
    because: 'both have the same priority. upcall reports the trigger level, QEMU the timeout',
    goesOn: true,
    matches: valueAt('IIR', (_, { ours, reference }) => idOf(ours) === RECEIVED_DATA && idOf(reference) === TIMEOUT),
  },
  {
    what: 'FCR written with bit 1 set and bit 0 clear, while the FIFOs are off',
    right: 'upcall',
    source: `${SHEET}, FIFO Control Register, bit 0`,
    because: 'the other bits are not programmed unless bit 0 is written as 1. QEMU drops the character in RBR',
    goesOn: false,
    matches: ({ steps }) => UartState.after(steps).clearedWithoutFifo,
  },
  {
    what: 'the character timeout after the line format or the divisor changed while a character waited',
    right: 'upcall',
    source: `${SHEET}, FIFO Interrupt Mode Operation`,
    because:
      'the timeout counts character times of the current format. QEMU keeps the duration that it had at the last character',
    goesOn: true,
    matches: (difference) => {
      const { formatChanged, ier, last } = UartState.after(difference.steps);
      if (!formatChanged || (ier & ENABLES_RECEIVED_DATA) === 0) return false;
      if (difference.of === 'line') return true;
      return last === 'IIR' && (idOf(difference.ours) === TIMEOUT || idOf(difference.reference) === TIMEOUT);
    },
  },
];

/** Matches reads of `register` for which `condition` holds. */
function valueAt(
  register: UartState['last'],
  condition: (state: UartState, difference: Difference) => boolean,
): (difference: Difference) => boolean {
  return (difference) => {
    const state = UartState.after(difference.steps);
    return difference.of === 'value' && state.last === register && condition(state, difference);
  };
}

/** Whether the two values agree in all other bits than `bits`. */
function differsOnlyIn(ours: Difference['ours'], reference: Difference['ours'], bits: number): boolean {
  return (((ours.value ?? 0) ^ (reference.value ?? 0)) & ~bits) === 0;
}

/** The source that an IIR value names. */
function idOf({ value }: Difference['ours']): number {
  return (value ?? 0) & ID;
}
