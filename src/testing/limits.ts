/**
 * How much work one access of a guest may make a device do: several times what real devices need.
 * Called by: checkRegisters (access-rules.ts) and the random programs.
 */

/** Timers that wait at the same time. */
export const MAX_TIMERS = 64;
/** Changes of interrupt lines, and messages sent, by one access. */
export const MAX_INTERRUPT_MOVES = 64;
