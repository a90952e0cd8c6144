/**
 * Registers of the National PC16550D UART: the map as data, and the bits that the device model
 * (uart16550.ts) uses. Twelve registers share eight ports: LCR's DLAB and the direction of the
 * access select one.
 *
 * Read by: Uart16550 and its parts; tools that show registers.
 */

import type { RegisterMap } from '../register-map.js';

export const InterruptEnable = { RECEIVED_DATA: 0x01, THR_EMPTY: 0x02, LINE_STATUS: 0x04, MODEM_STATUS: 0x08 } as const;

/** IIR bits 3 to 0, highest priority first. The two receiver ones have the same priority. */
export const InterruptId = {
  LINE_STATUS: 0x06,
  RECEIVED_DATA: 0x04,
  CHARACTER_TIMEOUT: 0x0c,
  THR_EMPTY: 0x02,
  MODEM_STATUS: 0x00,
  NONE: 0x01,
} as const;

export const FifoControl = { ENABLE: 0x01, CLEAR_RECEIVER: 0x02, CLEAR_TRANSMITTER: 0x04 } as const;

/** Characters in the receiver FIFO that raise the interrupt, by FCR bits 7 and 6. */
export const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

/** Characters that each FIFO holds. */
export const FIFO_DEPTH = 16;

export const LineControl = { WORD_LENGTH: 0x03, TWO_STOP_BITS: 0x04, PARITY: 0x08, DLAB: 0x80 } as const;

export const ModemControl = { DTR: 0x01, RTS: 0x02, OUT1: 0x04, OUT2: 0x08, LOOPBACK: 0x10 } as const;

export const LineStatus = {
  DATA_READY: 0x01,
  OVERRUN: 0x02,
  PARITY: 0x04,
  FRAMING: 0x08,
  BREAK: 0x10,
  THR_EMPTY: 0x20,
  TRANSMITTER_EMPTY: 0x40,
  FIFO_ERROR: 0x80,
} as const;

export const ModemStatus = { CTS: 0x10, DSR: 0x20, RI: 0x40, DCD: 0x80 } as const;

/** The crystal of a PC's serial port. The divisor divides a sixteenth of it. */
export const UART_CRYSTAL_HZ = 1_843_200;

/**
 * 9600 baud, as PC firmware leaves it. The data sheet leaves it undefined, but guests divide by the
 * value that they read.
 */
export const POWER_ON_DIVISOR = 12;

export const UART16550_REGISTERS: RegisterMap = {
  source: 'National Semiconductor PC16550D data sheet, June 1995',
  registers: [
    { offset: 0, size: 1, name: 'RBR', access: 'r', meaning: 'oldest received character (DLAB 0)' },
    { offset: 0, size: 1, name: 'THR', access: 'w', meaning: 'character to send (DLAB 0)' },
    { offset: 0, size: 1, name: 'DLL', access: 'rw', meaning: 'divisor, low byte (DLAB 1)' },
    {
      offset: 1,
      size: 1,
      name: 'IER',
      access: 'rw',
      meaning: 'interrupts enabled (DLAB 0)',
      reset: 0,
      fields: [
        { bits: [0, 0], name: 'ERBFI', meaning: 'received data available, and character timeout', access: 'rw' },
        { bits: [1, 1], name: 'ETBEI', meaning: 'transmitter holding register empty', access: 'rw' },
        { bits: [2, 2], name: 'ELSI', meaning: 'receiver line status', access: 'rw' },
        { bits: [3, 3], name: 'EDSSI', meaning: 'modem status', access: 'rw' },
      ],
    },
    { offset: 1, size: 1, name: 'DLM', access: 'rw', meaning: 'divisor, high byte (DLAB 1)' },
    {
      offset: 2,
      size: 1,
      name: 'IIR',
      access: 'r',
      meaning: 'pending interrupt of the highest priority',
      reset: 0x01,
      fields: [
        { bits: [0, 0], name: 'NONE', meaning: '1: no interrupt is pending' },
        { bits: [1, 3], name: 'ID', meaning: '3 line status, 2 received data, 6 timeout, 1 THR empty, 0 modem status' },
        { bits: [6, 7], name: 'FIFO', meaning: '3 while the FIFOs are enabled' },
      ],
    },
    {
      offset: 2,
      size: 1,
      name: 'FCR',
      access: 'w',
      meaning: 'FIFO control; the other bits count only when bit 0 is written as 1',
      fields: [
        { bits: [0, 0], name: 'ENABLE', meaning: 'enables both FIFOs; a change clears them' },
        { bits: [1, 1], name: 'RXCLR', meaning: 'clears the receiver FIFO' },
        { bits: [2, 2], name: 'TXCLR', meaning: 'clears the transmitter FIFO' },
        { bits: [3, 3], name: 'DMA', meaning: 'DMA mode of the RXRDY and TXRDY pins, which a PC leaves open' },
        { bits: [6, 7], name: 'TRIGGER', meaning: 'receiver trigger level: 1, 4, 8 or 14 characters' },
      ],
    },
    {
      offset: 3,
      size: 1,
      name: 'LCR',
      access: 'rw',
      meaning: 'line control',
      reset: 0,
      fields: [
        { bits: [0, 1], name: 'WLS', meaning: 'word length minus 5', access: 'rw' },
        { bits: [2, 2], name: 'STB', meaning: 'two stop bits (one and a half for words of 5 bits)', access: 'rw' },
        { bits: [3, 5], name: 'PARITY', meaning: 'enable, even, stick', access: 'rw' },
        { bits: [6, 6], name: 'BREAK', meaning: 'holds the line at break; the terminal does not see it', access: 'rw' },
        { bits: [7, 7], name: 'DLAB', meaning: 'ports 0 and 1 are the divisor', access: 'rw' },
      ],
    },
    {
      offset: 4,
      size: 1,
      name: 'MCR',
      access: 'rw',
      meaning: 'modem control',
      reset: 0,
      fields: [
        { bits: [0, 0], name: 'DTR', meaning: 'data terminal ready', access: 'rw' },
        { bits: [1, 1], name: 'RTS', meaning: 'request to send', access: 'rw' },
        { bits: [2, 2], name: 'OUT1', meaning: 'not connected in a PC', access: 'rw' },
        { bits: [3, 3], name: 'OUT2', meaning: 'lets the interrupt through in a PC', access: 'rw' },
        {
          bits: [4, 4],
          name: 'LOOP',
          meaning: 'sent characters are received, outputs become the modem inputs',
          access: 'rw',
        },
      ],
    },
    {
      offset: 5,
      size: 1,
      name: 'LSR',
      access: 'r',
      meaning: 'line status; reading clears bits 1 to 4 and 7',
      reset: 0x60,
      fields: [
        { bits: [0, 0], name: 'DR', meaning: 'a received character waits' },
        { bits: [1, 1], name: 'OE', meaning: 'a received character was lost' },
        { bits: [2, 2], name: 'PE', meaning: 'parity error of the oldest character' },
        { bits: [3, 3], name: 'FE', meaning: 'framing error of the oldest character' },
        { bits: [4, 4], name: 'BI', meaning: 'the oldest character is a break' },
        { bits: [5, 5], name: 'THRE', meaning: 'THR, or the transmitter FIFO, is empty' },
        { bits: [6, 6], name: 'TEMT', meaning: 'and so is the shift register' },
        { bits: [7, 7], name: 'FIFOERR', meaning: 'a character in the FIFO has an error' },
      ],
    },
    {
      offset: 6,
      size: 1,
      name: 'MSR',
      access: 'r',
      meaning: 'modem status; reading clears bits 0 to 3',
      fields: [
        { bits: [0, 0], name: 'DCTS', meaning: 'CTS changed' },
        { bits: [1, 1], name: 'DDSR', meaning: 'DSR changed' },
        { bits: [2, 2], name: 'TERI', meaning: 'RI ended' },
        { bits: [3, 3], name: 'DDCD', meaning: 'DCD changed' },
        { bits: [4, 4], name: 'CTS', meaning: 'clear to send' },
        { bits: [5, 5], name: 'DSR', meaning: 'data set ready' },
        { bits: [6, 6], name: 'RI', meaning: 'ring indicator' },
        { bits: [7, 7], name: 'DCD', meaning: 'data carrier detect' },
      ],
    },
    { offset: 7, size: 1, name: 'SCR', access: 'rw', meaning: 'scratch: a byte for the guest' },
  ],
};
