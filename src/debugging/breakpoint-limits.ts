/** Breakpoint limits, for the debugger and the live page. The browser imports them too. */

/**
 * Limit of the breakpoints of one VM: each request and each interrupt is compared with them until
 * one matches.
 */
export const MAX_BREAKPOINTS = 64;
/** Bounds the depth and the work of an expression. */
export const MAX_EXPRESSION_CHARACTERS = 200;
/** Lines of a VM are 0 to this: the pins of its I/O APIC (INTERRUPT_LINES). */
export const LAST_LINE = 47;
