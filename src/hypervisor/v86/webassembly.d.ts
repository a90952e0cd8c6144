/**
 * The part of the WebAssembly namespace that hosting the core needs, and memory that files can back
 * (host/node/linux/memory-files.ts). Neither the ES library of TypeScript nor @types/node 20
 * declares it, and the DOM library would let browser globals into all of the code.
 */
declare namespace WebAssembly {
  type ValueType = 'i32' | 'i64' | 'f32' | 'f64';
  type ExportKind = 'function' | 'table' | 'memory' | 'global';

  interface Module {
    /** Distinguishes the type from others: without a member, each object would be a Module. */
    readonly __webAssemblyModule?: never;
  }
  const Module: {
    new (bytes: Uint8Array<ArrayBuffer>): Module;
    exports(module: Module): { readonly name: string; readonly kind: ExportKind }[];
    imports(module: Module): { readonly module: string; readonly name: string; readonly kind: ExportKind }[];
  };
  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;

  type Imports = Record<string, Record<string, unknown>>;
  interface Instance {
    readonly exports: Readonly<Record<string, unknown>>;
  }
  const Instance: new (module: Module, imports: Imports) => Instance;

  interface Memory {
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
    /** Returns the size before, in pages. */
    grow(pages: number): number;
  }
  const Memory: new (descriptor: { initial: number; maximum?: number; shared?: boolean }) => Memory;

  interface Table {
    readonly length: number;
    set(index: number, value: unknown): void;
  }
  const Table: new (descriptor: { element: 'anyfunc'; initial: number }) => Table;

  interface Global {
    value: number;
  }
  const Global: new (descriptor: { value: ValueType; mutable?: boolean }, value: number) => Global;

  interface RuntimeError extends Error {
    readonly name: 'RuntimeError';
  }
  const RuntimeError: new (message?: string) => RuntimeError;
}
