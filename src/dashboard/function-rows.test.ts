import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Incrementer } from '../device-model/virtio/fixtures/incrementer.js';
import { virtioPciCard } from '../device-model/virtio/virtio-pci-card.js';
import { withBench } from './fixtures/live-bench.js';
import type { Registers } from './protocol.js';

test('a page gets the function of a virtio card with features and queues, and all functions of the default client', async () => {
  await withBench({ steps: [] }, async ({ vm, page }) => {
    const card = virtioPciCard(new Incrementer());
    vm.attachCard(card, { bus: 0, device: 3, function: 0 });
    const client = await page();
    const { clients } = await client.message('clients');
    const peek = async (name: string, id: number): Promise<Registers> => {
      const number = clients.findIndex((one) => one.name === name);
      await client.send({ kind: 'peek', id, client: number });
      return client.message('registers', (message) => message.id === id);
    };
    const [own] = (await peek('incrementer', 1)).functions;
    assert.deepEqual([own?.address, own?.ids, own?.class], ['00:03.0', '1af4:106a', 'ff 00 00']);
    // All queues and descriptors of a guest that has not come yet.
    assert.deepEqual(
      own?.virtio?.features.map(({ name, isSet }) => `${name} ${isSet}`),
      ['bit 5 false', 'INDIRECT_DESC false', 'EVENT_IDX false', 'VERSION_1 false'],
    );
    assert.deepEqual(
      own.virtio.queues.map(({ size, isEnabled, shown }) => [size, isEnabled, shown.length]),
      [
        [4, false, 0],
        [2, false, 0],
      ],
    );
    const virtio = own.capabilities.filter(({ name }) => name === 'virtio').map(({ fields }) => fields[0]?.[1]);
    assert.deepEqual(virtio, ['common', 'ISR', 'device', 'notify', 'PCI access']);
    const all = (await peek('default', 2)).functions.map(({ address }) => address);
    assert.deepEqual(all, ['00:03.0']);
  });
});
