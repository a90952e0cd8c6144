import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import { RequestFinisher } from '../hsm/request-finisher.js';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { SharedWords } from '../io-request/shared-words.js';
import { ClientRelay } from './client-relay.js';

interface Relayed {
  readonly relay: ClientRelay;
  /** Tickets of the relay's own page, as the client got them. */
  readonly got: number[];
  readonly client: IoClient;
  readonly tickets: SharedWords;
  /** `answer vCPU TICKET LOW` and `line N LEVEL`, in order. */
  readonly seen: string[];
  /** What the client's thread does: finishes in the page that it was connected to. */
  readonly finish: (vcpu: number, ticket: number, low: number) => boolean;
  readonly shared: VmSharedState;
}

function relayed(): Relayed {
  const seen: string[] = [];
  const relay = new ClientRelay(
    (vcpu, ticket, low) => seen.push(`answer ${vcpu} ${ticket} ${low}`),
    (gsi, high) => seen.push(`line ${gsi} ${high}`),
  );
  const { page, tickets: ticketBuffer, shared: handle } = relay.finisher;
  const tickets = new SharedWords(ticketBuffer);
  const shared = new VmSharedState(handle);
  const finisher = new RequestFinisher(new SharedBuffer(page), tickets, (vcpu) => {
    shared.doorbell(vcpu).ring();
    return 0;
  });
  const got: number[] = [];
  return {
    relay,
    got,
    client: { name: 'in a thread', notify: (request) => got.push(request.ticket), connect: () => undefined },
    tickets,
    seen,
    finish: (vcpu, ticket, low) => finisher.finish(vcpu, ticket, IoRequestType.PORT, Direction.READ, low, 0),
    shared,
  };
}

function request(vcpu: number, ticket: number): AssignedRequest {
  return Object.assign(new AssignedRequest(vcpu, () => false), { ticket, size: 1, addressLow: 0x500 });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('a client that is relayed', { timeout: 20_000 }, () => {
  test('answers with the HSM’s ticket, whichever it was given itself', async () => {
    const { relay, client, got, finish, seen } = relayed();
    relay.post(client, request(0, 77));
    relay.post(client, request(15, 78));
    assert.equal(finish(15, got[1] ?? 0, 2), true);
    assert.equal(finish(0, got[0] ?? 0, 1), true);
    await until(() => seen.length === 2);
    assert.deepEqual(seen.sort(), ['answer 0 77 1', 'answer 15 78 2']);
    relay.close();
  });

  test('is too late for a request that the VM withdrew, and answers the next one in the slot', async () => {
    const { relay, client, got, finish, seen } = relayed();
    relay.post(client, request(3, 1));
    relay.post(client, request(3, 2));
    assert.equal(finish(3, got[0] ?? 0, 0xaa), false);
    assert.equal(finish(3, got[1] ?? 0, 0xbb), true);
    await until(() => seen.length === 1);
    assert.deepEqual(seen, ['answer 3 2 187']);
    relay.close();
  });

  test('is not to act on what it has when the VM is reset', () => {
    const { relay, client, got, tickets, finish, seen } = relayed();
    relay.post(client, request(3, 1));
    const [ticket = 0] = got;
    // What its thread looks at before the device acts.
    assert.equal(tickets.load(3), ticket);
    relay.withdraw();
    assert.equal(tickets.load(3), 0);
    assert.equal(finish(3, ticket, 0xaa), false);
    assert.deepEqual(seen, []);
    relay.close();
  });

  test('that is completing a withdrawn request at this moment gets the next one afterwards', async () => {
    const { relay, client, got, tickets, finish, seen } = relayed();
    relay.post(client, request(3, 1));
    const first = got[0] ?? 0;
    // Its thread has taken the ticket and lost its processor just there.
    assert.equal(tickets.move(3, first, -first), true);
    relay.post(client, request(3, 2));
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(got.length, 1);
    const slot = new SharedBuffer(relay.finisher.page).slot(3);
    slot.setValue(0xaa);
    assert.equal(slot.complete(), true);
    assert.equal(tickets.move(3, -first, 0), true);
    await until(() => got.length === 2);
    assert.equal(finish(3, got[1] ?? 0, 0xbb), true);
    await until(() => seen.includes('answer 3 2 187'));
    relay.close();
  });

  test('has its lines before the answer that follows them, and pulses are not lost', async () => {
    const { relay, client, got, finish, seen, shared } = relayed();
    relay.post(client, request(5, 9));
    shared.lines.set(4, true);
    shared.lines.pulse(9);
    finish(5, got[0] ?? 0, 1);
    await until(() => seen.length === 4);
    assert.deepEqual(seen, ['line 4 true', 'line 9 true', 'line 9 false', 'answer 5 9 1']);
    shared.lines.set(4, false);
    await until(() => seen.length === 5);
    assert.equal(seen[4], 'line 4 false');
    relay.close();
  });

  test('gets nothing any more once it is closed', () => {
    const { relay, client, got } = relayed();
    relay.close();
    relay.post(client, request(0, 1));
    assert.deepEqual(got, []);
  });
});
