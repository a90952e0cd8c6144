/**
 * SlotObserver: observer of one slot's transitions. trace/slot-recorder.ts is the one
 * implementation.
 *
 * Called by: Slot, in the thread that makes the transition. `hasMoved` is false if it was refused.
 * Implementations must not throw.
 *
 * One method per transition: dispatching on a kind would cost more than the work. Most transitions
 * are reported after they were made, because the other side is running by then and the record
 * delays no one. `filling` comes before PENDING: a reader that merges the records of both sides
 * then knows that a record is due. `completing` exists for client threads: after COMPLETE the
 * dispatcher may already have reused the slot.
 */
export interface SlotObserver {
  /**
   * The first word is not 0 while recording is enabled. The Service VM's thread changes it, at
   * any time. While it is 0, an observer costs one load per transition.
   */
  readonly enabled: Int32Array;
  /** FREE → PENDING is about to be tried. `filled` follows. */
  filling(): void;
  /**
   * The request as it was filled: the one in the page may be answered by now. The values are int32
   * words. `page` is the whole shared page, in which the slot begins at word `base`.
   */
  filled(
    hasMoved: boolean,
    type: number,
    direction: number,
    addressLow: number,
    addressHigh: number,
    size: number,
    valueLow: number,
    valueHigh: number,
    page: Int32Array,
    base: number,
  ): void;
  /** The slot begins at word `base` of `page`: a getter call per field would cost more. */
  assigned(hasMoved: boolean, page: Int32Array, base: number): void;
  /** `from` → COMPLETE is about to be tried. `completed` follows. */
  completing(from: number, valueLow: number, valueHigh: number): void;
  completed(hasMoved: boolean, from: number, valueLow: number, valueHigh: number): void;
  /** `from` → FREE: the answer was taken (COMPLETE), or the slot was stamped in any state. */
  released(hasMoved: boolean, from: number): void;
}
