/**
 * The devices that can be compared, by the name that the command line uses.
 *
 * Called by: `upcall compare`.
 */

import type { ComparedDevice } from './compared-device.js';
import { HOST_BRIDGE } from './devices/host-bridge.js';
import { KEYBOARD } from './devices/keyboard.js';
import { PIT } from './devices/pit.js';
import { RTC } from './devices/rtc.js';
import { UART } from './devices/uart.js';

export const COMPARED_DEVICES: readonly ComparedDevice[] = [UART, RTC, PIT, KEYBOARD, HOST_BRIDGE];
