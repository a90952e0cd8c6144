/**
 * The public names of the package `upcall`, and nothing else. Its other entries have index files of
 * their own: hypervisor/, conformance/hypervisor-suite/, testing/ and exploration/.
 */

// The Service VM and its User VMs.
export { readSnapshot, type Snapshot, type SnapshotParts } from './vm/snapshot/snapshot.js';
export type { SaveOptions } from './vm/snapshot/take-snapshot.js';
export { ServiceVm, type ServiceVmOptions } from './vm/service-vm.js';
export type { Pin } from './vm/thread-pinning.js';
export { DEFAULT_MEMORY_MIB, MAX_MEMORY_MIB, type RestoreOptions, type UserVmOptions } from './vm/user-vm-options.js';
export type { UserVm } from './vm/user-vm.js';
export type { AttachedCard } from './vm/vm-cards.js';
export { describeEvent, type UserVmEvent, type VmEnd } from './vm/user-vm-events.js';
export { standardPc, type StandardPc, type StandardPcOptions } from './vm/standard-pc.js';
export { acpiDsdt, GUEST_NAMES, guestImage, type GuestName } from './vm/guest-library.js';

// Hypervisors, and what one must write to plug one in.
export { KvmHypervisor, type KvmOptions } from './hypervisor/kvm/kvm-hypervisor.js';
export { V86Hypervisor, type V86Options } from './hypervisor/v86/v86-hypervisor.js';
export {
  ScriptedHypervisor,
  type Script,
  type ScriptResult,
  type ScriptStep,
} from './hypervisor/scripted/scripted-hypervisor.js';
export type { Availability, Hypervisor, VmConfig, HypervisorEvent } from './hypervisor/hypervisor.js';
export type { Hypercalls } from './hypervisor/hypercalls.js';
export { GuestMemory } from './hypervisor/guest-memory.js';
export {
  IMAGE_KINDS,
  prepareGuestImage,
  type GuestImage,
  type GuestImageOptions,
  type ImageKind,
} from './hypervisor/boot/guest-image.js';
export type { BootModule } from './hypervisor/boot/multiboot.js';
export type { VcpuRegisters } from './hypervisor/vcpu-registers.js';
export type { VcpuCounters } from './hypervisor/vm-shared-state.js';

// Devices: what most people write.
export {
  allOnes,
  UNCONNECTED,
  type AccessSize,
  type ByteSink,
  type Device,
  type InterruptLine,
  type PowerControl,
} from './device-model/device.js';
export { readBytes, writeBytes, type ByteRegisters } from './device-model/byte-registers.js';
export { ManualClock, SystemClock, type Clock, type ClockTimer } from './device-model/clock.js';
export type {
  BarDescription,
  CardDma,
  CardDoorbell,
  CardHandle,
  PciCapability,
  PciCard,
  PciDescription,
} from './device-model/pci/pci-card.js';
export type { CardCounters } from './device-model/pci/card-function.js';
export type { PciAddress, PciFunction } from './device-model/pci-function.js';
export { inOwnThread, type ThreadPlacement } from './device-model/placement/thread-placement.js';
export { loadCard, loadDevice, type CreateDevice, type DeviceContext } from './device-model/placement/device-module.js';
export type { RegisterMap } from './device-model/register-map.js';

// Virtio devices, and what carries them.
export type { VirtioDevice, VirtioDriver } from './device-model/virtio/virtio-device.js';
export type { UsedBuffer, Virtqueue, VirtqueueBuffer } from './device-model/virtio/virtqueue.js';
export { QueueWorker, type QueueWorkerOptions } from './device-model/virtio/queue-worker.js';
export { virtioPciCard, type VirtioOptions } from './device-model/virtio/virtio-pci-card.js';
export { VIRTIO_MMIO_BYTES, VirtioMmio, type VirtioMmioOptions } from './device-model/virtio/virtio-mmio.js';
export { VirtioBlock, type VirtioBlockOptions } from './device-model/virtio/block/virtio-block.js';
export type { BlockCounters } from './device-model/virtio/block/block-counters.js';
export { openDisk, type DiskFormat, type DiskOptions, type OpenedDisk } from './device-model/disk/open-disk.js';
export { SECTOR_BYTES, type DiskImage } from './device-model/disk/disk-image.js';
export { VirtioNet, type VirtioNetOptions } from './device-model/virtio/net/virtio-net.js';
export type { NetCounters } from './device-model/virtio/net/net-counters.js';
export {
  VirtioConsole,
  type NamedPort,
  type VirtioConsoleOptions,
} from './device-model/virtio/console/virtio-console.js';
export type { ConsoleBackend, ConsolePortHandle } from './device-model/virtio/console/console-backend.js';
export type { ConsoleCounters } from './device-model/virtio/console/console-counters.js';
export { EntropyDevice, type EntropyDeviceOptions } from './device-model/virtio/entropy/entropy-device.js';

// Networks: what a card is plugged into.
export type { NetworkPort, NetworkReceiver } from './device-model/network/network-port.js';
export { NetworkHub, type HubCounters } from './device-model/network/network-hub.js';
export { SocketHubPort, type SocketHubOptions } from './device-model/network/socket-hub.js';
export { PasstPort, type PasstOptions } from './device-model/network/passt-port.js';
export { CapturePort } from './device-model/network/capture-port.js';
export { CaptureFile } from './device-model/network/capture-file.js';

// PCI cards for other virtual machine monitors.
export { serveVfioUser, type ServedCard, type ServeOptions } from './vfio-user/serve.js';
export type { CreateServedCard } from './vfio-user/card-server.js';
export type { ClientCounters } from './vfio-user/client-connection.js';

// I/O clients: the document's own level.
export { addressRange, describeRange, mmio, ports, type AddressRange } from './hsm/address-range.js';
export type { AssignedRequest } from './hsm/assigned-request.js';
export type { IoClient } from './hsm/io-client.js';
export type { HsmEvent } from './hsm/hsm-observer.js';

// What goes wrong on purpose.
export type { FaultInjection } from './fault-injection/fault-injection.js';
export type {
  DiskFaultEffect,
  FaultPlan,
  FaultRule,
  LineFaultEffect,
  NetFaultEffect,
  RequestFaultEffect,
} from './fault-injection/fault-rule.js';
export { faultRuleText, parseFaultFile, parseFaultRule } from './fault-injection/fault-rule-text.js';
export type { FaultRecord, FaultReportRow } from './fault-injection/fault-trigger.js';

// Inspection, breakpoints and single steps.
export type { VmInspection, PeekedRegisters } from './vm/vm-inspection.js';
export type { DoorbellState, InterruptState, LineState, MessageState } from './vm/vm-interrupts.js';
export type { BreakpointState } from './debugging/armed-breakpoints.js';
export type { Breakpoint, HoldPoint, RequestBreakpoint } from './debugging/breakpoint.js';
export type { InterruptBreakpoint } from './debugging/interrupt-breakpoint.js';
export type { StoppedRequest } from './debugging/held-request.js';
export type { VmDebugger } from './debugging/vm-debugger.js';

export { openLivePage, type LivePage, type LivePageOptions } from './dashboard/open-live-page.js';

// The shared page and what crosses it.
export { describe, type IoRequest } from './io-request/io-request.js';
export { Direction, IoRequestType, PAGE_BYTES, SLOT_BYTES, SLOT_COUNT } from './io-request/layout.js';
export { IoRequestState } from './io-request/state.js';
export { SharedBuffer } from './io-request/shared-buffer.js';
export { Slot } from './io-request/slot.js';
export { UpcallError, type UpcallErrorCode, type UpcallErrorOptions } from './io-request/upcall-error.js';
export { describeInterrupt, isInterrupt, type InterruptEvent } from './trace/interrupt-reader.js';
export { describeMove, type Move, type MoveState } from './trace/move.js';
export type { MoveFilter } from './trace/move-filter.js';
export { prometheusText, type NamedStatistics } from './trace/prometheus.js';
export { JsonLinesExport } from './trace/exports/json-lines.js';
export { ParquetExport } from './trace/exports/parquet.js';
export { PerfettoExport } from './trace/exports/perfetto.js';
export type { TraceExport } from './trace/exports/trace-export.js';
export { percentileNs, type LatencySnapshot } from './trace/latency-histogram.js';
export {
  diffStatistics,
  mergeStatistics,
  type Stage,
  type StatisticsRow,
  type StatisticsSnapshot,
} from './trace/statistics-snapshot.js';

// /dev/acrn_hsm: the control interface, for programs that know ACRN's.
export { HsmDevice, type HsmDeviceOptions } from './acrn-hsm/hsm-device.js';
export type { HsmFile } from './acrn-hsm/hsm-file.js';
export { ExtensionIoctl, Ioctl } from './acrn-hsm/ioctl-codes.js';
export { MappedMemory, type AddressSpace } from './acrn-hsm/address-space.js';
export {
  createVm,
  IoctlArgument,
  MemoryAccess,
  memoryMap,
  MemoryType,
  REAL_MODE,
  requestNotification,
  vcpuRegs,
  type CreateVmOptions,
  type MemoryMapOptions,
} from './acrn-hsm/ioctl-arguments.js';
export type { StructView } from './acrn-hsm/struct-view.js';
export type { StructLayout } from './acrn-hsm/struct-layout.js';
export { LocalEventTable, type EventTable } from './acrn-hsm/event-table.js';
export { LocalEvent, type EventObject } from './hsm/event-object.js';
