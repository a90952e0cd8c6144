/** Times of the real-time clock, in ms. Called by: CmosRtc. */

/**
 * At 32.768 kHz UIP is set 244 us before an update, which takes 1984 us. Here the update ends on
 * the second.
 */
export const UIP_MS = 0.244 + 1.984;
/** From the end of the divider's reset to the first update (data sheet, register A). */
export const FIRST_UPDATE_MS = 500;
export const SECOND_MS = 1000;
