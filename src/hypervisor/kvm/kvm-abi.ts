/**
 * KVM's requests, numbers and layouts, as far as this folder uses them.
 *
 * Called by: the files of this folder.
 *
 * Sources: the kernel's "The Definitive KVM API Documentation" and its header linux/kvm.h, for
 * x86-64. All structures are little-endian.
 */

/** The only version that there has been since 2007. */
export const API_VERSION = 12;

/** Requests of ioctl. */
export const Request = {
  GET_API_VERSION: 0xae00,
  CREATE_VM: 0xae01,
  CHECK_EXTENSION: 0xae03,
  GET_VCPU_MMAP_SIZE: 0xae04,
  GET_SUPPORTED_CPUID: 0xc008_ae05,
  GET_MSR_INDEX_LIST: 0xc004_ae02,
  GET_MSR_FEATURE_INDEX_LIST: 0xc004_ae0a,
  CREATE_VCPU: 0xae41,
  SET_TSS_ADDR: 0xae47,
  SET_IDENTITY_MAP_ADDR: 0x4008_ae48,
  CREATE_IRQCHIP: 0xae60,
  GET_IRQCHIP: 0xc208_ae62,
  SET_IRQCHIP: 0x8208_ae63,
  SIGNAL_MSI: 0x4020_aea5,
  SET_GSI_ROUTING: 0x4008_ae6a,
  SET_CLOCK: 0x4030_ae7b,
  GET_CLOCK: 0x8030_ae7c,
  IOEVENTFD: 0x4040_ae79,
  IRQFD: 0x4020_ae76,
  RUN: 0xae80,
  GET_REGS: 0x8090_ae81,
  SET_REGS: 0x4090_ae82,
  GET_SREGS: 0x8138_ae83,
  SET_SREGS: 0x4138_ae84,
  GET_MSRS: 0xc008_ae88,
  SET_MSRS: 0x4008_ae89,
  SET_TSC_KHZ: 0xaea2,
  GET_TSC_KHZ: 0xaea3,
  GET_XSAVE: 0x9000_aea4,
  SET_XSAVE: 0x5000_aea5,
  GET_XSAVE2: 0x9000_aecf,
  GET_LAPIC: 0x8400_ae8e,
  SET_LAPIC: 0x4400_ae8f,
  SET_CPUID2: 0x4008_ae90,
  GET_MP_STATE: 0x8004_ae98,
  SET_MP_STATE: 0x4004_ae99,
  GET_VCPU_EVENTS: 0x8040_ae9f,
  SET_VCPU_EVENTS: 0x4040_aea0,
  GET_DEBUGREGS: 0x8080_aea1,
  SET_DEBUGREGS: 0x4080_aea2,
  GET_XCRS: 0x8188_aea6,
  SET_XCRS: 0x4188_aea7,
} as const;
export type Request = (typeof Request)[keyof typeof Request];

/** The name of a request, for messages: "KVM_CREATE_VM". */
export function requestName(request: number): string {
  const found = Object.entries(Request).find(([, value]) => value === request);
  return `KVM_${found?.[0] ?? request.toString(16)}`;
}

/** Bytes of the structures. */
export const Bytes = {
  REGS: 144,
  SREGS: 312,
  XSAVE: 4096,
  LAPIC: 1024,
  MP_STATE: 4,
  VCPU_EVENTS: 64,
  DEBUGREGS: 128,
  XCRS: 392,
  IRQCHIP: 520,
  CLOCK: 48,
  MSI: 32,
  IOEVENTFD: 64,
  IRQFD: 32,
  /** Before the routes. */
  IRQ_ROUTING: 8,
  IRQ_ROUTE: 48,
} as const;

/** Of KVM_IOEVENTFD. */
export const IoEventFlag = { DATAMATCH: 1, PIO: 2, DEASSIGN: 4 } as const;

/** Of KVM_IRQFD. */
export const IRQFD_DEASSIGN = 1;
/** Of a route of KVM_SET_GSI_ROUTING. */
export const RouteType = { IRQCHIP: 1, MSI: 2 } as const;
/** The kernel's interrupt controllers. */
export const IrqChip = { FIRST_PIC: 0, SECOND_PIC: 1, IO_APIC: 2 } as const;

/** What a VM of upcall needs of the kernel. */
export const NEEDED_CAPABILITIES = {
  KVM_CAP_IRQCHIP: 0,
  KVM_CAP_USER_MEMORY: 3,
  KVM_CAP_SET_TSS_ADDR: 4,
  KVM_CAP_EXT_CPUID: 7,
  KVM_CAP_MP_STATE: 14,
  KVM_CAP_SET_IDENTITY_MAP_ADDR: 37,
  KVM_CAP_ADJUST_CLOCK: 39,
  KVM_CAP_VCPU_EVENTS: 41,
  KVM_CAP_DEBUGREGS: 50,
  KVM_CAP_XSAVE: 55,
  KVM_CAP_GET_TSC_KHZ: 61,
  KVM_CAP_SIGNAL_MSI: 77,
  KVM_CAP_IMMEDIATE_EXIT: 136,
} as const;
/** How many routes KVM_SET_GSI_ROUTING takes. */
export const CAP_IRQ_ROUTING = 25;
export const CAP_MAX_VCPUS = 66;
export const CAP_TSC_DEADLINE_TIMER = 72;
/** The bytes of a vCPU's FPU state. 0: Bytes.XSAVE. */
export const CAP_GET_MSR_FEATURES = 153;
export const CAP_XSAVE2 = 208;

/** Why KVM_RUN returned. */
export const ExitReason = {
  UNKNOWN: 0,
  EXCEPTION: 1,
  IO: 2,
  HYPERCALL: 3,
  DEBUG: 4,
  HLT: 5,
  MMIO: 6,
  IRQ_WINDOW_OPEN: 7,
  SHUTDOWN: 8,
  FAIL_ENTRY: 9,
  INTR: 10,
  SET_TPR: 11,
  TPR_ACCESS: 12,
  NMI: 16,
  INTERNAL_ERROR: 17,
  SYSTEM_EVENT: 24,
  IOAPIC_EOI: 26,
} as const;

/** Errors of KVM_RUN after which it is called again. */
export const Retry = { EINTR: 4, EAGAIN: 11 } as const;

/** What a vCPU does. HALTED: by HLT. The last two wait for INIT and SIPI. */
export const MpState = { RUNNABLE: 0, UNINITIALIZED: 1, INIT_RECEIVED: 2, HALTED: 3 } as const;

/** Offsets in struct kvm_vcpu_events. */
export const Events = { INJECTED: 0, VECTOR: 1, HAS_ERROR_CODE: 2, ERROR_CODE: 4, NMI_MASKED: 14 } as const;
