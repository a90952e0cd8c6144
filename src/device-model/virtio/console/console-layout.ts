/**
 * The numbers of a virtio console: features, queues, configuration, control messages.
 *
 * Read by: the other files of this folder.
 *
 * Source: virtio 1.2, section 5.3.
 */

export const CONSOLE_DEVICE_TYPE = 3;
/** PCI's class of another communication controller: a console is no serial port. */
export const COMMUNICATION_CONTROLLER = 0x07_8000;

/** Feature bits: section 5.3.3. */
export const ConsoleFeature = { SIZE: 0, MULTIPORT: 1, EMERG_WRITE: 2 } as const;

/** The queues of port 0, and those of control messages: section 5.3.2. */
export const ConsoleQueue = { RECEIVE: 0, TRANSMIT: 1, CONTROL_RECEIVE: 2, CONTROL_TRANSMIT: 3 } as const;

/** The port's queue of what it receives. The next one is that of what it transmits. */
export function receiveQueueOf(port: number): number {
  return port === 0 ? ConsoleQueue.RECEIVE : 2 * port + 2;
}

/** The port that has queue `queue`, which is not one of control messages. */
export function portOf(queue: number): number {
  return queue <= ConsoleQueue.TRANSMIT ? 0 : (queue >> 1) - 1;
}

/** Offsets in the configuration: section 5.3.4. */
export const ConsoleConfig = { COLUMNS: 0, ROWS: 2, MAX_PORTS: 4, EMERGENCY_WRITE: 8, BYTES: 12 } as const;

/** Offsets in a control message: section 5.3.6.2. Some have more behind it. */
export const ControlMessage = { PORT: 0, EVENT: 4, VALUE: 6, BYTES: 8 } as const;

export const ControlEvent = {
  DEVICE_READY: 0,
  PORT_ADD: 1,
  PORT_REMOVE: 2,
  PORT_READY: 3,
  CONSOLE_PORT: 4,
  RESIZE: 5,
  PORT_OPEN: 6,
  PORT_NAME: 7,
} as const;
export type ControlEvent = (typeof ControlEvent)[keyof typeof ControlEvent];
