/**
 * Layout of the structures that the ioctls of /dev/acrn_hsm take. StructView (struct-view.ts) reads
 * and writes fields by it. Field names are those of the C header, so that a test can ask a C
 * compiler for each of them. All fields are little-endian.
 *
 * Source: UAPI header `linux/acrn.h`.
 */

export type FieldKind = 'u8' | 'u16' | 'u32' | 'i32' | 'u64';

export interface Field {
  readonly kind: FieldKind;
  /** In bytes from the start of the structure. */
  readonly offset: number;
  /** More than 1 for an array. */
  readonly count: number;
}

export interface StructLayout {
  /** The structure's name in the header. */
  readonly name: string;
  readonly bytes: number;
  readonly fields: Readonly<Record<string, Field>>;
}

/** `u16(8)` is a field at offset 8, `u16(8, 3)` an array of three. */
const field =
  (kind: FieldKind) =>
  (offset: number, count = 1) => ({ kind, offset, count });
const u8 = field('u8');
const u16 = field('u16');
const u32 = field('u32');
const i32 = field('i32');
const u64 = field('u64');

const GENERAL_REGISTERS = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const SELECTORS = 'cs ss ds es fs gs ldt tr'.split(' ');
/** Offset of `vcpu_regs` in `acrn_vcpu_regs`. */
const REGS = 8;
/** Elements of `res` in `acrn_mmiodev`. */
const MMIO_RESOURCES = 3;

export const VM_CREATION = {
  name: 'acrn_vm_creation',
  bytes: 48,
  fields: {
    vmid: u16(0),
    reserved0: u16(2),
    vcpu_num: u16(4),
    reserved1: u16(6),
    /** Bytes of a UUID for Linux; ACRN itself takes them for the VM's name. */
    uuid: u8(8, 16),
    vm_flag: u64(24),
    ioreq_buf: u64(32),
    cpu_affinity: u64(40),
  },
} as const satisfies StructLayout;

export const IOREQ_NOTIFY = {
  name: 'acrn_ioreq_notify',
  bytes: 8,
  fields: { vmid: u16(0), reserved: u16(2), vcpu: u32(4) },
} as const satisfies StructLayout;

export const VCPU_REGS: StructLayout = {
  name: 'acrn_vcpu_regs',
  bytes: 296,
  fields: {
    vcpu_id: u16(0),
    reserved: u16(2, 3),
    ...Object.fromEntries(GENERAL_REGISTERS.map((name, i) => [`vcpu_regs.gprs.${name}`, u64(REGS + i * 8)])),
    'vcpu_regs.gdt.limit': u16(REGS + 128),
    'vcpu_regs.gdt.base': u64(REGS + 130),
    'vcpu_regs.gdt.reserved': u16(REGS + 138, 3),
    'vcpu_regs.idt.limit': u16(REGS + 144),
    'vcpu_regs.idt.base': u64(REGS + 146),
    'vcpu_regs.idt.reserved': u16(REGS + 154, 3),
    'vcpu_regs.rip': u64(REGS + 160),
    'vcpu_regs.cs_base': u64(REGS + 168),
    'vcpu_regs.cr0': u64(REGS + 176),
    'vcpu_regs.cr4': u64(REGS + 184),
    'vcpu_regs.cr3': u64(REGS + 192),
    'vcpu_regs.ia32_efer': u64(REGS + 200),
    'vcpu_regs.rflags': u64(REGS + 208),
    'vcpu_regs.reserved_64': u64(REGS + 216, 4),
    'vcpu_regs.cs_ar': u32(REGS + 248),
    'vcpu_regs.cs_limit': u32(REGS + 252),
    'vcpu_regs.reserved_32': u32(REGS + 256, 3),
    ...Object.fromEntries(SELECTORS.map((name, i) => [`vcpu_regs.${name}_sel`, u16(REGS + 268 + i * 2)])),
  },
};

/** `service_vm_pa` (MMIO) and `vma_base` (RAM) are a union. */
export const VM_MEMMAP = {
  name: 'acrn_vm_memmap',
  bytes: 32,
  fields: { type: u32(0), attr: u32(4), user_vm_pa: u64(8), service_vm_pa: u64(16), vma_base: u64(16), len: u64(24) },
} as const satisfies StructLayout;

export const PTDEV_IRQ = {
  name: 'acrn_ptdev_irq',
  bytes: 20,
  fields: {
    type: u32(0),
    virt_bdf: u16(4),
    phys_bdf: u16(6),
    'intx.virt_pin': u32(8),
    'intx.phys_pin': u32(12),
    'intx.is_pic_pin': u32(16),
  },
} as const satisfies StructLayout;

export const PCIDEV = {
  name: 'acrn_pcidev',
  bytes: 36,
  fields: {
    type: u32(0),
    virt_bdf: u16(4),
    phys_bdf: u16(6),
    intr_line: u8(8),
    intr_pin: u8(9),
    bar: u32(12, 6),
  },
} as const satisfies StructLayout;

export const MMIODEV: StructLayout = {
  name: 'acrn_mmiodev',
  bytes: 104,
  fields: {
    name: u8(0, 8),
    ...Object.fromEntries(
      Array.from({ length: MMIO_RESOURCES }, (_, i) =>
        ['user_vm_pa', 'service_vm_pa', 'size', 'mem_type'].map(
          (name, j) => [`res[${i}].${name}`, u64(8 + i * 32 + j * 8)] as const,
        ),
      ).flat(),
    ),
  },
};

export const VDEV = {
  name: 'acrn_vdev',
  bytes: 192,
  fields: {
    'id.value': u64(0),
    'id.fields.vendor': u16(0),
    'id.fields.device': u16(2),
    'id.fields.legacy_id': u32(4),
    slot: u64(8),
    io_addr: u32(16, 6),
    io_size: u32(40, 6),
    args: u8(64, 128),
  },
} as const satisfies StructLayout;

export const MSI_ENTRY = {
  name: 'acrn_msi_entry',
  bytes: 16,
  fields: { msi_addr: u64(0), msi_data: u64(8) },
} as const satisfies StructLayout;

export const IOEVENTFD = {
  name: 'acrn_ioeventfd',
  bytes: 32,
  fields: { fd: i32(0), flags: u32(4), addr: u64(8), len: u32(16), reserved: u32(20), data: u64(24) },
} as const satisfies StructLayout;

export const IRQFD = {
  name: 'acrn_irqfd',
  bytes: 24,
  fields: { fd: i32(0), flags: u32(4), 'msi.msi_addr': u64(8), 'msi.msi_data': u64(16) },
} as const satisfies StructLayout;

export const CSTATE_DATA = {
  name: 'acrn_cstate_data',
  bytes: 32,
  fields: {
    'cx_reg.space_id': u8(0),
    'cx_reg.bit_width': u8(1),
    'cx_reg.bit_offset': u8(2),
    'cx_reg.access_size': u8(3),
    'cx_reg.address': u64(4),
    type: u8(12),
    latency: u32(16),
    power: u64(24),
  },
} as const satisfies StructLayout;

export const PSTATE_DATA = {
  name: 'acrn_pstate_data',
  bytes: 48,
  fields: {
    core_frequency: u64(0),
    power: u64(8),
    transition_latency: u64(16),
    bus_master_latency: u64(24),
    control: u64(32),
    status: u64(40),
  },
} as const satisfies StructLayout;

/**
 * Every structure of the control interface. The request page's own layout is in
 * io-request/layout.ts.
 */
export const STRUCT_LAYOUTS: readonly StructLayout[] = [
  VM_CREATION,
  IOREQ_NOTIFY,
  VCPU_REGS,
  VM_MEMMAP,
  PTDEV_IRQ,
  PCIDEV,
  MMIODEV,
  VDEV,
  MSI_ENTRY,
  IOEVENTFD,
  IRQFD,
  CSTATE_DATA,
  PSTATE_DATA,
];
