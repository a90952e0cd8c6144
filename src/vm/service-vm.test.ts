import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm, type ServiceVmOptions } from './service-vm.js';

test('a spin time out of range is refused with the range', async () => {
  await new ServiceVm(new ScriptedHypervisor([]), { spinUs: 10_000 }).close();
  for (const spinUs of [-1, 10_001, NaN])
    assert.throws(() => new ServiceVm(new ScriptedHypervisor([]), { spinUs }), {
      code: 'OPTION_INVALID',
      message: `spinUs ${spinUs}: expected microseconds from 0 to 10000`,
    });
});

test('the former name of spinUs is refused with the new one', () => {
  const options: ServiceVmOptions = JSON.parse('{ "lookUs": 50 }') as ServiceVmOptions;
  assert.throws(() => new ServiceVm(new ScriptedHypervisor([]), options), {
    code: 'OPTION_INVALID',
    message: 'lookUs was renamed to spinUs',
  });
});
