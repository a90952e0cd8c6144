// @ts-check
/**
 * The modules of upcall that the benchmarks use, from dist/ or from the folder in UPCALL_DIST
 * (relative to the repository's root). They are loaded on demand: listing the rows loads none.
 */

import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * @typedef {{
 *   'index.js': typeof import('../dist/index.js'),
 *   'cli/debian/command-line.js': typeof import('../dist/cli/debian/command-line.js'),
 *   'cli/debian/console-archive.js': typeof import('../dist/cli/debian/console-archive.js'),
 *   'cli/debian/fetch-debian.js': typeof import('../dist/cli/debian/fetch-debian.js'),
 *   'cli/debian/initramfs.js': typeof import('../dist/cli/debian/initramfs.js'),
 *   'cli/debian/module-archive.js': typeof import('../dist/cli/debian/module-archive.js'),
 *   'cli/debian/module-choice.js': typeof import('../dist/cli/debian/module-choice.js'),
 *   'cli/debian/package-modules.js': typeof import('../dist/cli/debian/package-modules.js'),
 *   'dashboard/live-view.js': typeof import('../dist/dashboard/live-view.js'),
 *   'dashboard/protocol.js': typeof import('../dist/dashboard/protocol.js'),
 *   'device-model/clock.js': typeof import('../dist/device-model/clock.js'),
 *   'device-model/default-client.js': typeof import('../dist/device-model/default-client.js'),
 *   'device-model/device-client.js': typeof import('../dist/device-model/device-client.js'),
 *   'device-model/devices/pci/pci-bus.js': typeof import('../dist/device-model/devices/pci/pci-bus.js'),
 *   'device-model/line-owners.js': typeof import('../dist/device-model/line-owners.js'),
 *   'device-model/placement/in-own-thread.js': typeof import('../dist/device-model/placement/in-own-thread.js'),
 *   'device-model/placement/thread-placement.js': typeof import('../dist/device-model/placement/thread-placement.js'),
 *   'host/node/linux/event-fds.js': typeof import('../dist/host/node/linux/event-fds.js'),
 *   'host/node/linux/libc.js': typeof import('../dist/host/node/linux/libc.js'),
 *   'host/node/linux/unix-sockets.js': typeof import('../dist/host/node/linux/unix-sockets.js'),
 *   'hsm/assignments.js': typeof import('../dist/hsm/assignments.js'),
 *   'hsm/request-finisher.js': typeof import('../dist/hsm/request-finisher.js'),
 *   'hsm/service-module.js': typeof import('../dist/hsm/service-module.js'),
 *   'hsm/vm-requests.js': typeof import('../dist/hsm/vm-requests.js'),
 *   'hypervisor/boot/guest-image.js': typeof import('../dist/hypervisor/boot/guest-image.js'),
 *   'hypervisor/guest-memory.js': typeof import('../dist/hypervisor/guest-memory.js'),
 *   'hypervisor/interrupt-lines.js': typeof import('../dist/hypervisor/interrupt-lines.js'),
 *   'hypervisor/threaded-vm.js': typeof import('../dist/hypervisor/threaded-vm.js'),
 *   'hypervisor/upcall.js': typeof import('../dist/hypervisor/upcall.js'),
 *   'hypervisor/v86/core.js': typeof import('../dist/hypervisor/v86/core.js'),
 *   'hypervisor/v86/core-image.js': typeof import('../dist/hypervisor/v86/core-image.js'),
 *   'hypervisor/vcpu-loop.js': typeof import('../dist/hypervisor/vcpu-loop.js'),
 *   'hypervisor/vcpu-thread.js': typeof import('../dist/hypervisor/vcpu-thread.js'),
 *   'sync/doorbell.js': typeof import('../dist/sync/doorbell.js'),
 *   'sync/poll.js': typeof import('../dist/sync/poll.js'),
 *   'sync/shared-words.js': typeof import('../dist/sync/shared-words.js'),
 *   'vm/service-vm.js': typeof import('../dist/vm/service-vm.js'),
 *   'vm/thread-pinning.js': typeof import('../dist/vm/thread-pinning.js'),
 *   'vm/standard-pc.js': typeof import('../dist/vm/standard-pc.js'),
 *   'trace/move-recorder.js': typeof import('../dist/trace/move-recorder.js'),
 *   'trace/trace-ring.js': typeof import('../dist/trace/trace-ring.js'),
 *   'hypervisor/io-handler.js': typeof import('../dist/hypervisor/io-handler.js'),
 *   'hypervisor/mmio-handlers.js': typeof import('../dist/hypervisor/mmio-handlers.js'),
 *   'hypervisor/port-handlers.js': typeof import('../dist/hypervisor/port-handlers.js'),
 *   'hypervisor/v86/handlers-first.js': typeof import('../dist/hypervisor/v86/handlers-first.js'),
 *   'hypervisor/vm-shared-state.js': typeof import('../dist/hypervisor/vm-shared-state.js'),
 * }} Product
 */

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const DIST = pathToFileURL(`${resolve(ROOT, process.env['UPCALL_DIST'] ?? 'dist')}/`);

/** @template {keyof Product} Path @param {Path} path @returns {Promise<Product[Path]>} */
export const product = (path) => import(new URL(path, DIST).href);

/** The file of the command `upcall`. */
export const commandFile = fileURLToPath(new URL('bundle/upcall.js', DIST));
