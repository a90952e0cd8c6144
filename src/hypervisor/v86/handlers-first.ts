/**
 * HandlersFirst: a TrapHandler that looks into the hypervisor's own handlers before it passes an
 * access on, as IoHandler does, and without its shared page. An access that straddles the edge of a
 * handler's range is passed on, where IoHandler raises a #GP.
 *
 * Called by: the core's self-test (self-test.ts), fuzzing/ and the tests.
 */

import type { HandlerTables } from '../hypervisor.js';
import { MmioHandlerTable, STRADDLES, type MmioHandler } from '../mmio-handlers.js';
import { PortHandlerTable } from '../port-handlers.js';
import type { TrapHandler } from './trap-imports.js';

export class HandlersFirst implements TrapHandler {
  readonly tables: HandlerTables = { ports: new PortHandlerTable(), mmio: new MmioHandlerTable() };
  readonly #next: TrapHandler;

  constructor(next: TrapHandler) {
    this.#next = next;
  }

  portRead(port: number, size: number): number {
    const value = this.tables.ports.find(port)?.read?.(port, size);
    return value === undefined ? this.#next.portRead(port, size) : value;
  }

  portWrite(port: number, size: number, value: number): void {
    if (this.tables.ports.find(port)?.write?.(port, size, value) !== true) this.#next.portWrite(port, size, value);
  }

  mmioRead(address: number, size: number): number {
    const value = this.#find(address, size)?.read(address, size);
    return value === undefined ? this.#next.mmioRead(address, size) : value;
  }

  mmioWrite(address: number, size: number, low: number, high = 0): void {
    if (this.#find(address, size)?.write(address, size, low, high) !== true)
      this.#next.mmioWrite(address, size, low, high);
  }

  #find(address: number, size: number): MmioHandler | undefined {
    const handler = this.tables.mmio.find(address, size);
    return handler === STRADDLES ? undefined : handler;
  }
}
