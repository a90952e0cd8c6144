/**
 * NetCounters: what a network device has sent, received and dropped since it was made.
 *
 * Counted by: VirtioNet and ReceiveQueue. Read by: programs that attach the device, as
 * `VirtioNet.counters`.
 */

export interface NetCounters {
  sentFrames: number;
  sentBytes: number;
  receivedFrames: number;
  receivedBytes: number;
  /** Buffers of the driver that are no packet, no room for one, or no command. */
  malformedBuffers: number;
  /** Commands on the control queue that were answered with an error. */
  refusedCommands: number;
  /** Frames that were sent while the link was down. */
  sentWithoutLink: number;
  /** Received frames for other addresses. */
  filtered: number;
  /** Received frames while the guest had no driver. */
  droppedNoDriver: number;
  /** Received frames beyond those that wait for buffers. */
  droppedNoBuffer: number;
  /** Received frames that are longer than the driver's buffers. */
  droppedTooLong: number;
}

export function newNetCounters(): NetCounters {
  return {
    sentFrames: 0,
    sentBytes: 0,
    receivedFrames: 0,
    receivedBytes: 0,
    malformedBuffers: 0,
    refusedCommands: 0,
    sentWithoutLink: 0,
    filtered: 0,
    droppedNoDriver: 0,
    droppedNoBuffer: 0,
    droppedTooLong: 0,
  };
}
