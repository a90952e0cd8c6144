/**
 * PerfettoExport: the trace in Perfetto's protobuf format, for ui.perfetto.dev: a process for the
 * VM, a track for each vCPU with a slice for each request and its stages (from one move, a change
 * of the slot's state, to the next), a track for each client and vCPU, arrows from the vCPU to the
 * client and back, and a track for each interrupt line and for the messages of each sender.
 *
 * Use: write the bytes of each `add` and `addInterrupt`, then those of `end()`, to one file.
 * - Good: use one export for each VM, with different process ids, and concatenate the bytes. Each
 *   VM's times count from the start of its own trace.
 * - Bad: leave out `end()`, which closes the slices that are open.
 *
 * Called by: the command line, for files named .pftrace; programs that write a trace of their own.
 */

import { PbfWriter } from 'pbf';
import { describe, hex, type IoRequest } from '../../io-request/io-request.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import type { InterruptEvent } from '../interrupt-reader.js';
import type { Move } from '../move.js';
import {
  Descriptor,
  EventType,
  INCREMENTAL_STATE_CLEARED,
  Packet,
  Process,
  TRACE_PACKET,
  writeEvent,
  type Event,
} from './perfetto-fields.js';
import type { TraceExport } from './trace-export.js';

// The IDs of the tracks of process 1. The vCPUs' are consecutive, and so are the clients'.
const PROCESS_TRACK = 1;
const FIRST_VCPU_TRACK = 0x10;
const FIRST_CLIENT_TRACK = 0x100;
const FIRST_INTERRUPT_TRACK = 0x8_0000;
/** IDs are global in a file, so each process has its own: the tracks', and those of flows. */
const TRACKS_PER_PROCESS = 2 ** 20;
const FLOWS_PER_PROCESS = 2 ** 31;

/** The open slices of a slot. */
interface OpenSlices {
  /** How many slices are open on the vCPU's track: the request's, and in it that of its stage. */
  depth: number;
  /** The client's track, if a slice is open there. */
  client: number | undefined;
  /** `Move.requestNumber` of the slot's last move. */
  request: number;
  /** ID of the last flow that started. */
  flow: number;
}

export class PerfettoExport implements TraceExport {
  readonly #vm: string;
  readonly #pid: number;
  readonly #clientTracks = new Map<string, number>();
  readonly #interruptTracks = new Map<string, number>();
  /** Tracks of lines with an open slice. */
  readonly #highTracks = new Set<number>();
  readonly #knownVcpus = new Set<number>();
  readonly #slots: readonly OpenSlices[] = Array.from({ length: SLOT_COUNT }, () => ({
    depth: 0,
    client: undefined,
    request: -1,
    flow: 0,
  }));
  /** Has the bytes that were not returned yet. */
  #pbf = new PbfWriter();
  /** What to add to the IDs of process 1's tracks. */
  readonly #firstTrack: number;
  /** ID of the last flow. */
  #flows: number;
  #lastNs = 0;
  #hasBegun = false;

  /**
   * `pid`: the process id that the viewer displays, from 1 to 2^22 − 1 as Linux has them. Use one
   * for each VM.
   */
  constructor(vm: string, pid = 1) {
    this.#vm = vm;
    this.#pid = pid;
    this.#firstTrack = (pid - 1) * TRACKS_PER_PROCESS;
    this.#flows = (pid - 1) * FLOWS_PER_PROCESS;
  }

  add(move: Move): Uint8Array {
    this.#begin();
    const { vcpu, timeNs, to } = move;
    const open = this.#slots[vcpu] as OpenSlices;
    this.#lastNs = Math.max(this.#lastNs, timeNs);
    this.#vcpu(vcpu);
    if (move.isRefused) {
      this.#event(timeNs, vcpuTrack(vcpu), EventType.INSTANT, { name: `refused: ${move.from} → ${to}` });
      return this.#takeBytes();
    }
    if (to === 'PENDING' || move.lost > 0 || move.requestNumber !== open.request) this.#close(timeNs, vcpu);
    open.request = move.requestNumber;
    if (to === 'PENDING') this.#pending(move, open);
    else if (to === 'FREE') this.#close(timeNs, vcpu);
    else if (open.depth > 0) this.#stage(move, open);
    return this.#takeBytes();
  }

  /** A line is a track with a slice for each time that it is high. Messages are instants. */
  addInterrupt({ timeNs, interrupt, line, vector = 0, message, by }: InterruptEvent): Uint8Array {
    this.#begin();
    this.#lastNs = Math.max(this.#lastNs, timeNs);
    if (line === undefined) {
      const name = `${interrupt === 'sent' ? '' : 'refused '}vector 0x${vector.toString(16)}`;
      const annotations = message === undefined ? {} : { message };
      const track = this.#interruptTrack(`messages of ${by ?? 'others'}`);
      this.#event(timeNs, track, EventType.INSTANT, { name, annotations });
      return this.#takeBytes();
    }
    const track = this.#interruptTrack(`line ${line}`);
    const isHigh = this.#highTracks.has(track);
    if (interrupt === 'ended') this.#event(timeNs, track, EventType.INSTANT, { name: 'EOI' });
    else if (interrupt === 'raised' && !isHigh) {
      this.#highTracks.add(track);
      this.#event(timeNs, track, EventType.BEGIN, { name: by ?? 'high' });
    } else if (interrupt === 'lowered' && this.#highTracks.delete(track)) this.#event(timeNs, track, EventType.END, {});
    return this.#takeBytes();
  }

  end(): Uint8Array {
    this.#begin();
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) this.#close(this.#lastNs, vcpu);
    for (const track of this.#highTracks) this.#event(this.#lastNs, track, EventType.END, {});
    this.#highTracks.clear();
    return this.#takeBytes();
  }

  /** PENDING: the slices of the request and of its first stage begin. */
  #pending({ timeNs, vcpu, request }: Move, open: OpenSlices): void {
    const track = vcpuTrack(vcpu);
    const name = request === undefined ? 'request' : nameOf(request);
    this.#event(timeNs, track, EventType.BEGIN, { name, annotations: annotationsOf(request) });
    open.flow = ++this.#flows;
    this.#event(timeNs, track, EventType.BEGIN, { name: 'wait', flow: open.flow });
    open.depth = 2;
  }

  /** PROCESSING and COMPLETE: one stage ends and the next begins. */
  #stage({ timeNs, isTimed, vcpu, to, client, request }: Move, open: OpenSlices): void {
    const track = vcpuTrack(vcpu);
    this.#event(timeNs, track, EventType.END, {});
    if (to === 'PROCESSING') {
      // Without a time for the move, wait and work cannot be separated: `timeNs` is that of
      // PENDING.
      this.#event(timeNs, track, EventType.BEGIN, { name: isTimed ? 'work' : 'wait and work' });
      open.client = this.#client(client ?? 'client', vcpu);
      const name = request === undefined ? 'request' : nameOf(request);
      const endOfFlow = open.flow;
      open.flow = ++this.#flows;
      this.#event(timeNs, open.client, EventType.BEGIN, {
        name,
        endOfFlow,
        flow: open.flow,
        annotations: { vcpu, ...annotationsOf(request) },
      });
    } else {
      const annotations = request?.direction === 'read' ? { answer: hex(request.value) } : {};
      const back = open.client === undefined ? {} : { endOfFlow: open.flow };
      if (open.client !== undefined) this.#event(timeNs, open.client, EventType.END, {});
      open.client = undefined;
      this.#event(timeNs, track, EventType.BEGIN, { name: 'wake', annotations, ...back });
    }
  }

  /** Ends all open slices of the slot. */
  #close(timeNs: number, vcpu: number): void {
    const open = this.#slots[vcpu] as OpenSlices;
    for (; open.depth > 0; open.depth--) this.#event(timeNs, vcpuTrack(vcpu), EventType.END, {});
    if (open.client !== undefined) this.#event(timeNs, open.client, EventType.END, {});
    open.client = undefined;
  }

  /** Describes the process track, at the start of the file. */
  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#packet((packet) => {
      packet.writeVarintField(Packet.sequenceFlags, INCREMENTAL_STATE_CLEARED);
      packet.writeMessage(
        Packet.trackDescriptor,
        (_, track) => {
          track.writeVarintField(Descriptor.uuid, this.#firstTrack + PROCESS_TRACK);
          track.writeMessage(
            Descriptor.process,
            (__, described) => {
              described.writeVarintField(Process.pid, this.#pid);
              described.writeStringField(Process.name, this.#vm);
            },
            undefined,
          );
        },
        undefined,
      );
    });
  }

  /** Describes the vCPU's track at its first move. */
  #vcpu(vcpu: number): void {
    if (this.#knownVcpus.has(vcpu)) return;
    this.#knownVcpus.add(vcpu);
    this.#track(vcpuTrack(vcpu), `vCPU ${vcpu}`);
  }

  /**
   * The track of a client for one vCPU. A client may have requests of two vCPUs at once, so it has
   * a track for each. The viewer merges tracks of the same name.
   */
  #client(name: string, vcpu: number): number {
    const key = `${vcpu} ${name}`;
    const known = this.#clientTracks.get(key);
    if (known !== undefined) return known;
    const track = FIRST_CLIENT_TRACK + this.#clientTracks.size;
    this.#clientTracks.set(key, track);
    this.#track(track, name);
    return track;
  }

  #interruptTrack(name: string): number {
    const known = this.#interruptTracks.get(name);
    if (known !== undefined) return known;
    const track = FIRST_INTERRUPT_TRACK + this.#interruptTracks.size;
    this.#interruptTracks.set(name, track);
    this.#track(track, name);
    return track;
  }

  #track(uuid: number, name: string): void {
    this.#packet((packet) =>
      packet.writeMessage(
        Packet.trackDescriptor,
        (_, track) => {
          track.writeVarintField(Descriptor.uuid, this.#firstTrack + uuid);
          track.writeStringField(Descriptor.name, name);
          track.writeVarintField(Descriptor.parent, this.#firstTrack + PROCESS_TRACK);
        },
        undefined,
      ),
    );
  }

  #event(timeNs: number, track: number, type: number, event: Event): void {
    this.#packet((packet) => {
      packet.writeVarintField(Packet.timestamp, Math.max(0, timeNs));
      packet.writeMessage(
        Packet.trackEvent,
        (_, pbf) => writeEvent(pbf, this.#firstTrack + track, type, event),
        undefined,
      );
    });
  }

  /**
   * Appends a packet. In pbf, writeMessage's last argument is an object for its callback. The
   * callbacks here need none: they use what surrounds them.
   */
  #packet(write: (packet: PbfWriter) => void): void {
    this.#pbf.writeMessage(
      TRACE_PACKET,
      (_, packet) => {
        // A file has one sequence of packets for each process.
        packet.writeVarintField(Packet.sequence, this.#pid);
        write(packet);
      },
      undefined,
    );
  }

  #takeBytes(): Uint8Array {
    const bytes = this.#pbf.finish();
    this.#pbf = new PbfWriter();
    return bytes;
  }
}

function vcpuTrack(vcpu: number): number {
  return FIRST_VCPU_TRACK + vcpu;
}

/** Without the value, so that the viewer groups accesses to the same register. */
function nameOf(request: IoRequest): string {
  return describe(request).replace(/ = .*/, '');
}

function annotationsOf(request: IoRequest | undefined): Readonly<Record<string, string | number>> {
  if (request === undefined) return {};
  const written = request.direction === 'write' ? { written: hex(request.value) } : {};
  return { ...(request.type === 'pci' ? {} : { address: hex(request.address) }), size: request.size, ...written };
}
