/**
 * The serial line's format as LCR and the divisor define it: bits of a word, duration of a
 * character. Part of Uart16550.
 */

import { LineControl, UART_CRYSTAL_HZ } from './uart16550-registers.js';

/** Data bits of a character: 5 to 8. */
export function wordBits(lcr: number): number {
  return 5 + (lcr & LineControl.WORD_LENGTH);
}

/**
 * Duration of a character in ms: start bit, data, parity and stop bits, each `16 * divisor` cycles
 * of the crystal. One and a half stop bits count as two. The data sheet forbids the divisor 0,
 * which counts as 1 here.
 */
export function characterMs(lcr: number, divisor: number): number {
  const parityBits = (lcr & LineControl.PARITY) !== 0 ? 1 : 0;
  const stopBits = (lcr & LineControl.TWO_STOP_BITS) !== 0 ? 2 : 1;
  const bits = 1 + wordBits(lcr) + parityBits + stopBits;
  return (bits * 16 * Math.max(1, divisor) * 1000) / UART_CRYSTAL_HZ;
}
