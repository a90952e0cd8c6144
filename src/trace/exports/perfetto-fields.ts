/**
 * Perfetto fields: the numbers of the fields of Perfetto's protobuf messages, and the encoding of a
 * track's event.
 *
 * Called by: PerfettoExport.
 *
 * Field numbers: protos/perfetto/trace/{trace,trace_packet}.proto and
 * …/track_event/{track_event,track_descriptor, process_descriptor,debug_annotation}.proto of
 * Perfetto. A file is a sequence of `Trace.packet` fields, so each piece can be written as soon as
 * it is known.
 */

import type { PbfWriter } from 'pbf';

// Field numbers of the messages.
export const TRACE_PACKET = 1;
export const Packet = { timestamp: 8, sequence: 10, trackEvent: 11, sequenceFlags: 13, trackDescriptor: 60 } as const;
export const Descriptor = { uuid: 1, name: 2, process: 3, parent: 5 } as const;
export const Process = { pid: 1, name: 6 } as const;
/** A flow is an arrow from one slice to another. Its ID is a fixed64. */
const TrackEvent = { annotation: 4, type: 9, track: 11, name: 23, flow: 47, endOfFlow: 48 } as const;
const Annotation = { uint: 3, text: 6, name: 10 } as const;
// Values of fields.
export const EventType = { BEGIN: 1, END: 2, INSTANT: 3 } as const;
/** In the first packet of a sequence: it builds on no packet before. */
export const INCREMENTAL_STATE_CLEARED = 1;

export interface Event {
  readonly name?: string;
  /** ID of the flow that starts at this event. */
  readonly flow?: number;
  /** ID of the flow that ends at this event. */
  readonly endOfFlow?: number;
  readonly annotations?: Readonly<Record<string, string | number>>;
}

export function writeEvent(pbf: PbfWriter, track: number, type: number, event: Event): void {
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
