/**
 * watchedCard: a card that is served to another monitor, whose module is loaded anew when one of
 * its files changes (`upcall serve --watch`). The monitor keeps the card: its configuration space,
 * its interrupts and its memory stay as they are.
 *
 * Called by: commands/serve.ts. Threads: the Service VM's. The results are events of the VM.
 */

import { basename } from 'node:path';
import type { PciCard } from '../../device-model/pci/pci-card.js';
import { reloadableCard } from '../../device-model/reload/reload-device.js';
import { errorText } from '../../io-request/error-text.js';
import type { UserVm } from '../../vm/user-vm.js';
import type { DeviceOption } from '../device-option.js';
import { FileWatch } from './file-watch.js';

/** Rejects as `loadCard`. */
export async function watchedCard(vm: UserVm, { module, options }: DeviceOption): Promise<PciCard> {
  const { clock, memory } = vm;
  let name = basename(module.pathname);
  let isOver = false;
  /** When the last change came, on the VM's clock. */
  let changedMs: number | undefined;
  /** Until the card is created: nothing. A change until then reloads it afterwards. */
  let reload = (): void => undefined;
  const watch = new FileWatch({
    clock,
    onChanged: (sinceMs) => {
      changedMs = sinceMs;
      reload();
    },
    onFailed: (message) => vm.emit({ kind: 'device-report', device: name, message }),
  });
  const end = (): void => {
    isOver = true;
    watch.close();
  };
  void vm.ended.then(end);
  const loading = reloadableCard({
    module: module.href,
    options,
    context: { interruptLine: (gsi) => vm.interruptLine(gsi, { name }), memory, clock },
    observer: {
      onFiles: (files, isComplete) => {
        if (!isOver) watch.setFiles(files, isComplete);
      },
      onOutcome: (outcome) => {
        const ms = clock.now() - (changedMs ?? clock.now());
        if (outcome.kind === 'reloaded') vm.emit({ ...outcome, kind: 'device-reloaded', device: name, ms });
        else vm.emit({ ...outcome, kind: 'reload-failed', device: name });
      },
    },
    onCloseError: (error) => vm.emit({ kind: 'device-error', device: name, during: 'close', ...errorText(error) }),
  });
  const created = await loading.catch((error: unknown) => {
    watch.close();
    throw error;
  });
  name = created.device.name;
  reload = created.reload;
  if (changedMs !== undefined) reload();
  const { device } = created;
  const close = device.close?.bind(device);
  // A card that was removed is created again for the next monitor, with a watch of its own.
  device.close = () => {
    end();
    return close?.();
  };
  return device;
}
