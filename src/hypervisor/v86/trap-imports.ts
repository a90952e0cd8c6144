/**
 * The core's trapped accesses as calls of a TrapHandler: every port and MMIO access of the guest
 * with its exact size.
 *
 * Accesses that the core itself splits stay split: those that cross a page, and loads of more than
 * 32 bits (32-bit parts). A 64-bit store is one access, a 128-bit store two of 64 bits.
 *
 * Called by: Core, which gives the functions to the core as its imports. Threads: the vCPU's.
 */

import type { CoreImports, ImportedFunction } from './core-exports.js';
import type { TrappedRam } from './trapped-ram.js';

/**
 * Takes the accesses. IoHandler is one. Values are unsigned and no wider than the access, but the
 * two words of an 8-byte store are int32. A call may block. It throws GeneralProtection to give the
 * guest a #GP instead.
 */
export interface TrapHandler {
  portRead(port: number, size: number): number;
  portWrite(port: number, size: number, value: number): void;
  mmioRead(address: number, size: number): number;
  mmioWrite(address: number, size: number, low: number, high?: number): void;
}

const PORT_COUNT = 0x1_0000;

export type TrapImport = Extract<ImportedFunction, `io_port_${string}` | `mmap_${string}`>;

/**
 * What the edited core asks through its port imports beside accesses. `call` is one of HostCall
 * (interrupt-edits.ts), a number above all ports: `answer` for a read, `notify` for a write.
 */
export interface CoreHost {
  answer(call: number): number;
  notify(call: number, value: number): void;
}

/**
 * `trapped` is called after each access, before the guest goes on. `ram` takes the trapped accesses
 * to RAM. It is a function because the core imports these functions before it has RAM.
 */
export function trapImports(
  handler: TrapHandler,
  host: CoreHost,
  trapped: () => void,
  ram: () => TrappedRam | undefined,
): Pick<CoreImports, TrapImport> {
  // A 16-bit load calls `io_port_read16` with its address (wasm-edit.ts), then `mmap_read8` for the
  // high byte, which is here already.
  let hasHighByte = false;
  let highByteAt = 0;
  let highByte = 0;

  const portRead = (port: number, size: number): number => {
    const value = handler.portRead(port, size);
    trapped();
    return value | 0;
  };
  const portWrite = (port: number, size: number, value: number): void => {
    handler.portWrite(port, size, value);
    trapped();
  };
  const mmioRead = (address: number, size: number): number => {
    const trappedRam = ram();
    if (trappedRam?.has(address >>> 0) === true) return trappedRam.read(address >>> 0, size);
    const value = handler.mmioRead(address >>> 0, size);
    trapped();
    return value | 0;
  };
  const mmioWrite = (address: number, size: number, low: number, high = 0): void => {
    const trappedRam = ram();
    if (trappedRam?.has(address >>> 0) !== true) handler.mmioWrite(address >>> 0, size, low, high);
    else if (!trappedRam.write(address >>> 0, size, low, high)) return;
    trapped();
  };
  return {
    io_port_read8: (port: number) => portRead(port, 1),
    io_port_read16: (port: number) => {
      // The guest's RAM covers the addresses below 64 KiB: no MMIO address looks like a port.
      if (port >= 0 && port < PORT_COUNT) return portRead(port, 2);
      hasHighByte = false;
      const value = mmioRead(port, 2);
      hasHighByte = true;
      highByteAt = (port + 1) | 0;
      highByte = (value >>> 8) & 0xff;
      return value;
    },
    io_port_read32: (port: number) => (port < PORT_COUNT ? portRead(port, 4) : host.answer(port)),
    io_port_write8: (port: number, value: number) => portWrite(port, 1, value & 0xff),
    io_port_write16: (port: number, value: number) => portWrite(port, 2, value & 0xffff),
    io_port_write32: (port: number, value: number) => {
      if (port < PORT_COUNT) portWrite(port, 4, value >>> 0);
      else host.notify(port, value);
    },
    mmap_read8: (address: number) => {
      if (hasHighByte && address === highByteAt) {
        hasHighByte = false;
        return highByte;
      }
      return mmioRead(address, 1);
    },
    mmap_read32: (address: number) => mmioRead(address, 4),
    mmap_write8: (address: number, value: number) => mmioWrite(address, 1, value & 0xff),
    mmap_write16: (address: number, value: number) => mmioWrite(address, 2, value & 0xffff),
    mmap_write32: (address: number, value: number) => mmioWrite(address, 4, value >>> 0),
    mmap_write64: (address: number, low: number, high: number) => mmioWrite(address, 8, low, high),
    mmap_write128: (address: number, w0: number, w1: number, w2: number, w3: number) => {
      mmioWrite(address, 8, w0, w1);
      mmioWrite((address + 8) | 0, 8, w2, w3);
    },
  };
}
