/**
 * PerfettoExport: the trace in Perfetto's protobuf format, for ui.perfetto.dev: a process for the
 * VM, a track for each vCPU with a slice for each request and its stages, a track for each client,
 * and arrows from the vCPU to the client and back.
 *
 * Use: write the bytes of each `add(move)`, then those of `end()`, to one file.
 * - Good: use one export for each VM, with different process ids, and concatenate the bytes.
 * - Bad: leave out `end()`, which closes the slices that are open.
 *
 * Field numbers: protos/perfetto/trace/{trace,trace_packet}.proto and
 * …/track_event/{track_event,track_descriptor, process_descriptor,debug_annotation}.proto of
 * Perfetto. A file is a sequence of `Trace.packet` fields, so each piece can be written as soon as
 * it is known.
 */

import { PbfWriter } from 'pbf';
import { describe, hex, type IoRequest } from '../../io-request/io-request.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import type { Move } from '../move.js';
import type { TraceExport } from './trace-export.js';

const TRACE_PACKET = 1;
const Packet = { timestamp: 8, sequence: 10, trackEvent: 11, sequenceFlags: 13, trackDescriptor: 60 } as const;
const Descriptor = { uuid: 1, name: 2, process: 3, parent: 5 } as const;
const Process = { pid: 1, name: 6 } as const;
/** Flow ids are fixed64. */
const TrackEvent = { annotation: 4, type: 9, track: 11, name: 23, flow: 47, endOfFlow: 48 } as const;
const Annotation = { uint: 3, text: 6, name: 10 } as const;
const EventType = { BEGIN: 1, END: 2, INSTANT: 3 } as const;
const INCREMENTAL_STATE_CLEARED = 1;
const SEQUENCE = 1;

const PROCESS_TRACK = 1;
const FIRST_VCPU_TRACK = 0x10;
const FIRST_CLIENT_TRACK = 0x100;

interface Event {
  readonly name?: string;
  readonly flow?: number;
  readonly endOfFlow?: number;
  readonly annotations?: Readonly<Record<string, string | number>>;
}

/** The open slices of a slot. */
interface Drawn {
  /** Slices open on the vCPU's track. */
  depth: number;
  client: number | undefined;
  request: number;
  /** Id of the arrow that has started and not ended. */
  flow: number;
}

export class PerfettoExport implements TraceExport {
  readonly #vm: string;
  readonly #pid: number;
  readonly #clientTracks = new Map<string, number>();
  readonly #knownVcpus = new Set<number>();
  readonly #drawn: readonly Drawn[] = Array.from({ length: SLOT_COUNT }, () => ({
    depth: 0,
    client: undefined,
    request: -1,
    flow: 0,
  }));
  #pbf = new PbfWriter();
  #flows = 0;
  #lastNs = 0;
  #hasBegun = false;

  /** `pid`: the process id that the viewer displays. Use one for each VM. */
  constructor(vm: string, pid = 1) {
    this.#vm = vm;
    this.#pid = pid;
  }

  add(move: Move): Uint8Array {
    this.#begin();
    const { vcpu, timeNs, to } = move;
    const drawn = this.#drawn[vcpu] as Drawn;
    this.#lastNs = Math.max(this.#lastNs, timeNs);
    this.#vcpu(vcpu);
    if (move.isRefused) {
      this.#event(timeNs, vcpuTrack(vcpu), EventType.INSTANT, { name: `refused: ${move.from} → ${to}` });
      return this.#taken();
    }
    if (to === 'PENDING' || move.lost > 0 || move.requestNumber !== drawn.request) this.#close(timeNs, vcpu);
    drawn.request = move.requestNumber;
    if (to === 'PENDING') this.#pending(move, drawn);
    else if (to === 'FREE') this.#close(timeNs, vcpu);
    else if (drawn.depth > 0) this.#stage(move, drawn);
    return this.#taken();
  }

  end(): Uint8Array {
    this.#begin();
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) this.#close(this.#lastNs, vcpu);
    return this.#taken();
  }

  #pending({ timeNs, vcpu, request }: Move, drawn: Drawn): void {
    const track = vcpuTrack(vcpu);
    const name = request === undefined ? 'request' : nameOf(request);
    this.#event(timeNs, track, EventType.BEGIN, { name, annotations: annotationsOf(request) });
    drawn.flow = ++this.#flows;
    this.#event(timeNs, track, EventType.BEGIN, { name: 'wait', flow: drawn.flow });
    drawn.depth = 2;
  }

  /** PROCESSING and COMPLETE: one stage ends and the next begins. */
  #stage({ timeNs, isTimed, vcpu, to, client, request }: Move, drawn: Drawn): void {
    const track = vcpuTrack(vcpu);
    this.#event(timeNs, track, EventType.END, {});
    if (to === 'PROCESSING') {
      // Without a time for the move, wait and work cannot be separated: `timeNs` is that of
      // PENDING.
      this.#event(timeNs, track, EventType.BEGIN, { name: isTimed ? 'work' : 'wait and work' });
      drawn.client = this.#client(client ?? 'client', vcpu);
      const name = request === undefined ? 'request' : nameOf(request);
      const endOfFlow = drawn.flow;
      drawn.flow = ++this.#flows;
      this.#event(timeNs, drawn.client, EventType.BEGIN, {
        name,
        endOfFlow,
        flow: drawn.flow,
        annotations: { vcpu, ...annotationsOf(request) },
      });
    } else {
      const annotations = request?.direction === 'read' ? { answer: hex(request.value) } : {};
      const back = drawn.client === undefined ? {} : { endOfFlow: drawn.flow };
      if (drawn.client !== undefined) this.#event(timeNs, drawn.client, EventType.END, {});
      drawn.client = undefined;
      this.#event(timeNs, track, EventType.BEGIN, { name: 'wake', annotations, ...back });
    }
  }

  /** Ends all open slices of the slot. */
  #close(timeNs: number, vcpu: number): void {
    const drawn = this.#drawn[vcpu] as Drawn;
    for (; drawn.depth > 0; drawn.depth--) this.#event(timeNs, vcpuTrack(vcpu), EventType.END, {});
    if (drawn.client !== undefined) this.#event(timeNs, drawn.client, EventType.END, {});
    drawn.client = undefined;
  }

  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#packet((packet) => {
      packet.writeVarintField(Packet.sequenceFlags, INCREMENTAL_STATE_CLEARED);
      packet.writeMessage(
        Packet.trackDescriptor,
        (_, track) => {
          track.writeVarintField(Descriptor.uuid, PROCESS_TRACK);
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

  #vcpu(vcpu: number): void {
    if (this.#knownVcpus.has(vcpu)) return;
    this.#knownVcpus.add(vcpu);
    this.#track(vcpuTrack(vcpu), `vCPU ${vcpu}`);
  }

  /**
   * A client may have requests of two vCPUs at once, so each vCPU has its own track. The viewer
   * merges tracks of one name.
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

  #track(uuid: number, name: string): void {
    this.#packet((packet) =>
      packet.writeMessage(
        Packet.trackDescriptor,
        (_, track) => {
          track.writeVarintField(Descriptor.uuid, uuid);
          track.writeStringField(Descriptor.name, name);
          track.writeVarintField(Descriptor.parent, PROCESS_TRACK);
        },
        undefined,
      ),
    );
  }

  #event(timeNs: number, track: number, type: number, event: Event): void {
    this.#packet((packet) => {
      packet.writeVarintField(Packet.timestamp, Math.max(0, timeNs));
      packet.writeMessage(Packet.trackEvent, (_, pbf) => writeEvent(pbf, track, type, event), undefined);
    });
  }

  #packet(write: (packet: PbfWriter) => void): void {
    this.#pbf.writeMessage(
      TRACE_PACKET,
      (_, packet) => {
        packet.writeVarintField(Packet.sequence, SEQUENCE);
        write(packet);
      },
      undefined,
    );
  }

  #taken(): Uint8Array {
    const bytes = this.#pbf.finish();
    this.#pbf = new PbfWriter();
    return bytes;
  }
}

function writeEvent(pbf: PbfWriter, track: number, type: number, event: Event): void {
  for (const [name, value] of Object.entries(event.annotations ?? {}))
    pbf.writeMessage(
      TrackEvent.annotation,
      (_, annotation) => {
        annotation.writeStringField(Annotation.name, name);
        if (typeof value === 'number') annotation.writeVarintField(Annotation.uint, value);
        else annotation.writeStringField(Annotation.text, value);
      },
      undefined,
    );
  pbf.writeVarintField(TrackEvent.type, type);
  pbf.writeVarintField(TrackEvent.track, track);
  if (event.name !== undefined) pbf.writeStringField(TrackEvent.name, event.name);
  if (event.flow !== undefined) pbf.writeFixed64Field(TrackEvent.flow, event.flow);
  if (event.endOfFlow !== undefined) pbf.writeFixed64Field(TrackEvent.endOfFlow, event.endOfFlow);
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
