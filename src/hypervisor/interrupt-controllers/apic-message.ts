/**
 * Interrupt messages between APICs. A redirection entry of an I/O APIC, an interrupt command of a
 * local APIC and the data of a message-signalled interrupt have these bits at the same places, so
 * one word stands for all of them. Only IS_LOGICAL is not in the data of a message-signalled
 * interrupt, but in its address.
 *
 * Called by: InterruptControllers and the APICs' files of this folder.
 */

export const MessageBit = {
  VECTOR: 0xff,
  DELIVERY_SHIFT: 8,
  IS_LOGICAL: 1 << 11,
  LEVEL: 1 << 15,
} as const;

/** What `deliveryOf` returns. 3 is reserved. */
export const Delivery = {
  FIXED: 0,
  LOWEST_PRIORITY: 1,
  SMI: 2,
  NMI: 4,
  INIT: 5,
  STARTUP: 6,
  EXT_INT: 7,
} as const;

export function deliveryOf(message: number): number {
  return (message >>> MessageBit.DELIVERY_SHIFT) & 7;
}

/** Whether the message carries a vector for the local APIC's request register. */
export function hasVector(message: number): boolean {
  return deliveryOf(message) <= Delivery.LOWEST_PRIORITY;
}
