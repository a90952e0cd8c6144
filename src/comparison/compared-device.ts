/**
 * ComparedDevice: what the comparison has to know about a device: where it is, how a program begins
 * and goes on within the states that the data sheet defines, and which differences are explained.
 *
 * Implemented by: the files in devices/, one for each device.
 */

import type { CreateBenchDevice } from './bench.js';
import type { Chance } from './chance.js';
import type { Observation } from './device-under-comparison.js';
import type { Action, Program, Step } from './step.js';

export interface ComparedDevice {
  /** As on the command line. */
  readonly name: string;
  /** For people, e.g. `16550 serial port`. */
  readonly title: string;
  /** Port of offset 0 in a PC. */
  readonly port: number;
  /**
   * The interrupt line of the PC, and what of it is compared: the level after each step, or how
   * often it rises in a step (where both sides differ in how long they hold it). Default: no line.
   */
  readonly line?: { readonly number: number; readonly compare: 'level' | 'rises' };
  /** Our model of it. */
  readonly create: CreateBenchDevice;
  /**
   * Brings a device in any state into a defined one, as its driver would. The reference keeps its
   * state from one program to the next.
   */
  readonly prologue: readonly Step[];
  /** A random action whose outcome the data sheet defines after the actions `before`. */
  action(chance: Chance, before: Program): Action;
  /**
   * Whether a program is still defined when actions were removed from it. Default: always. The
   * shrinker asks.
   */
  isDefined?(program: Program): boolean;
  /**
   * Whether any value may be written anywhere, so that the shrinker may clear bits. Otherwise a
   * program with another value may be undefined by the data sheet.
   */
  readonly anyValue: boolean;
  /** The first one that matches decides, also whether the comparison goes on. */
  readonly explained: readonly ExplainedDifference[];
}

/**
 * Which of the two the data sheet confirms. `open`: it is silent. `not-modelled`: neither, as
 * upcall lacks what the sheet describes.
 */
export type RightSide = 'upcall' | 'reference' | 'open' | 'not-modelled';

/** A difference that is no fault: see RightSide. */
export interface ExplainedDifference {
  /** In one line: what differs. */
  readonly what: string;
  readonly right: RightSide;
  /** Document and section. */
  readonly source: string;
  /** What the document says, in our words. */
  readonly because: string;
  /**
   * Whether both devices are in the same state afterwards, so that the comparison can go on.
   * Otherwise the rest of the program is not compared.
   */
  readonly goesOn: boolean;
  /**
   * Whether this explains a difference. One that matches too much hides faults of our device, so it
   * asks for the bits that differ and what the guest did before.
   */
  matches(difference: Difference): boolean;
}

/** Two observations of one step that differ. */
export interface Difference {
  /** The program with its prologue, up to and including the step that differs. */
  readonly steps: readonly Step[];
  readonly step: Step;
  /** Their `rises` count this step only. */
  readonly ours: Observation;
  readonly reference: Observation;
  /** All observations up to here. */
  readonly allOurs: readonly Observation[];
  readonly allReference: readonly Observation[];
  /** What differs: the value that was read, or the interrupt line. */
  readonly of: 'value' | 'line';
  /** The first step of the action to which the step belongs. */
  readonly actionStart: number;
  /**
   * What our device shows at the step if the action to which it belongs comes `ns` later (earlier,
   * if below 0). For differences that are a matter of when exactly something happens.
   */
  oursLater(ns: number): Observation;
}
