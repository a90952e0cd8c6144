/**
 * The layout of the CPU's state in the core's linear memory, as byte offsets. They are part of
 * v86@0.5.462, found in its source and checked at start-up by the self-test.
 *
 * Called by: the files of this folder that read the CPU's state or edit the core.
 */

/**
 * Everything below that has a smaller offset: registers, and what upcall adds. The core's other
 * variables and its heap lie above.
 */
export const CPU_STATE_BYTES = 4096;

export const CoreOffset = {
  /** EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI: eight 32-bit words. */
  generalRegisters: 64,
  flags: 120,
  /** One byte for each segment register, in the order of `SegmentIndex`. */
  segmentAccess: 512,
  /** Byte: the guest's IA32_APIC_BASE enables its local APIC. */
  apicEnabled: 548,
  /** Byte: the machine has APICs. */
  acpiEnabled: 552,
  /** Linear: the CS base is part of it. */
  instructionPointer: 556,
  previousInstructionPointer: 560,
  idtLimit: 564,
  idtBase: 568,
  gdtLimit: 572,
  gdtBase: 576,
  cr0: 580,
  cpl: 612,
  /** Byte. */
  isHalted: 616,
  /** Word: the page whose physical address the core remembers for fetches; -1 for none. */
  fetchPage: 620,
  /** The prefixes of the instruction that is being interpreted; 0 between two instructions. */
  prefixes: 648,
  /**
   * 32-bit count of instructions; the core polls for interrupts after each `INSTRUCTIONS_PER_POLL`.
   */
  instructionCounter: 664,
  /** 16-bit selectors. */
  segmentSelectors: 668,
  /** Bytes. */
  segmentIsNull: 724,
  segmentBases: 736,
  segmentLimits: 768,
  /** Bytes. */
  protectedMode: 800,
  codeIs32: 804,
  stackIs32: 808,
  memorySize: 812,
  fpuStackEmpty: 816,
  /** Four of 64 bits: the page-directory pointers of PAE paging, as CR3's load read them. */
  pagePointers: 968,
  fpuControlWord: 1036,
  /** Byte that the core does not use: the edited core asks for an interrupt while it is set. */
  interruptRequested: 1064,
  /** Another one: an NMI's handler runs, and IRET is to be reported. */
  nmiBlocked: 1068,
  /** Byte: TR holds a 32-bit task. */
  taskIs32: 1128,
  /**
   * Byte: the interpreter returns to the core's main loop after this instruction. Jumps to other
   * pages set it, too.
   */
  blockBoundary: 37376,
  /** Byte: 1 after `set_jit_config` turned the compiler off. */
  compilerDisabled: 49_177,
  /** Word: the address of the guest's RAM. */
  ramPointer: 8_478_052,
  /** Byte: 1 while the compiler or its tables are in use. */
  compilerLock: 4_243_488,
} as const;

/** The end of a PC's window for graphics memory, which is never RAM to the core. */
export const SCREEN_END = 0xc_0000;

/**
 * Words that upcall's edits add where the core's state has a gap of zeros. The edits write them,
 * exception-delivery.ts reads them, and Core sets `ramEnd` and `ramAboveScreen`.
 */
export const AddedOffset = {
  /** The state that `SAVED_STATE` names, from before the delivery that is under way. */
  savedState: 2048,
  /** Word: 1 while an exception or interrupt is delivered. */
  delivering: 3584,
  /** Words: the exception or interrupt that is delivered, as `call_interrupt_vector` got it. */
  vector: 3588,
  isSoftware: 3592,
  hasErrorCode: 3596,
  /** Words: an exception that occurred meanwhile; its vector is NO_VECTOR if none did. */
  nestedVector: 3600,
  nestedErrorCode: 3604,
  /** Word: the last selector whose descriptor was looked up; NO_SELECTOR since a delivery began. */
  selector: 3608,
  /** Word: address of the source position of the core's last panic; 0 if it did not panic. */
  panicPosition: 3612,
  /** Word: the first address above the guest's RAM, whatever pages of it are trapped. */
  ramEnd: 3616,
  /** Word: bytes of RAM above SCREEN_END, where almost all code is. */
  ramAboveScreen: 3684,
  /** Word: why the last task switch was made, one of TaskSwitch. */
  taskSwitch: 3620,
  /** The result of `lookup_segment_selector` for control-edits.ts: LookupResult describes it. */
  lookup: 3624,
  /** Word: 1 while a task switch changes the CPU's state, with everything checked before. */
  switching: 3648,
  /** Words of segment-checks.ts: the last result, the descriptor's address and access byte. */
  found: 3652,
  foundAddress: 3656,
  foundAccess: 3660,
  /** Words: the LDT that `find` uses. */
  localTableBase: 3664,
  localTableLimit: 3668,
  /** Words: base and limit of a TSS or LDT that a task switch is to load. */
  taskBase: 3672,
  taskLimit: 3676,
  /** Word: 8 while a page fault is raised for a reserved bit, which is its error code's bit 3. */
  reservedBit: 3680,
} as const;
export const TaskSwitch = { JUMP: 0, CALL_OR_INTERRUPT: 1, IRET: 2 } as const;

/** Byte offsets in a result of `lookup_segment_selector`. */
export const LookupResult = {
  /** 0: the descriptor follows; 1: the selector is unusable; 2: a page fault was raised. */
  outcome: 0,
  /** The descriptor's 8 bytes: of a gate, the selector; of all, the access rights. */
  gateSelector: 10,
  access: 13,
} as const;
// In AddedOffset.nestedVector and AddedOffset.selector.
export const NO_VECTOR = -1;
export const NO_SELECTOR = -1;

/**
 * What a delivery may change before it fails: general registers and lazy flags, segments, EIP,
 * privilege level. The control registers are in between, and a page fault's CR2 stays.
 */
export const SAVED_STATE = { start: 64, end: 812, except: { start: 580, end: 612 } } as const;

/** The order of segment registers in the core's arrays. */
export const SegmentIndex = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5 } as const;
/** The entries after them. The arrays of access rights and null selectors have none of these. */
export const SystemSegmentIndex = { TASK: 6, LOCAL_TABLE: 7 } as const;

export const GeneralRegister = { EAX: 0, ECX: 1, EDX: 2, EBX: 3, ESP: 4, EBP: 5, ESI: 6, EDI: 7 } as const;

/** Of the core's main loop. Core adds it to the counter to make the core poll at once. */
export const INSTRUCTIONS_PER_POLL = 100_003;

/**
 * The first entry of the function table that translations may take, and how many the core hands
 * out.
 */
export const FIRST_TRANSLATION = 1024;
export const TRANSLATION_COUNT = 900;
