/**
 * ConsoleCounters: what a console has carried, dropped and refused since it was made.
 *
 * Counted by: VirtioConsole and its parts. Read by: programs that attach the device, as
 * `VirtioConsole.counters`.
 */

export interface ConsoleCounters {
  /** Bytes of the guest that the host took. */
  outputBytes: number;
  /** Bytes for the guest that its driver got. */
  inputBytes: number;
  /** Bytes of the guest for a port with nothing at its other end, which are dropped. */
  droppedBytes: number;
  /** Characters of the emergency write. The host may have dropped some of them. */
  emergencyCharacters: number;
  /** Buffers without bytes or with too little room, and messages that are too short. */
  malformedBuffers: number;
  /** Control messages of an unknown event or port. */
  refusedMessages: number;
}

export function newConsoleCounters(): ConsoleCounters {
  return {
    outputBytes: 0,
    inputBytes: 0,
    droppedBytes: 0,
    emergencyCharacters: 0,
    malformedBuffers: 0,
    refusedMessages: 0,
  };
}
