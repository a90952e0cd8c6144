/** Breakpoint limits: what the live page and the debugger agree on. The page's browser side imports them too. */

/** Breakpoints of one VM. Each is evaluated for each request. */
export const MAX_BREAKPOINTS = 64;
/** Bounds the depth and the work of an expression. */
export const MAX_EXPRESSION_CHARACTERS = 200;
