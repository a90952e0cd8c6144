import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { AssignedRequest } from './assigned-request.js';

type Fields = Partial<Omit<AssignedRequest, 'vcpu' | 'isRead' | 'finish' | 'finishAllOnes' | 'toRequest' | 'describe'>>;

function requestOf(fields: Fields): AssignedRequest {
  return Object.assign(new AssignedRequest(3, { finish: () => true }), fields);
}

describe('a request as its client sees it', () => {
  test('answers go to its slot, all ones as two words', () => {
    const answers: number[][] = [];
    const request = new AssignedRequest(3, {
      finish: (...answer) => {
        answers.push(answer);
        return answer[0] === 7;
      },
    });
    assert.equal(request.finish(7, 1, 2), true);
    assert.equal(request.finish(8), false);
    assert.equal(request.finishAllOnes(7), true);
    assert.equal(request.finishAllOnes(8), false);
    assert.deepEqual(answers, [
      [7, 1, 2],
      [8, 0, 0],
      [7, -1, -1],
      [8, -1, -1],
    ]);
  });

  test('says whether it is a read', () => {
    assert.equal(requestOf({ direction: Direction.READ }).isRead, true);
    assert.equal(requestOf({ direction: Direction.WRITE }).isRead, false);
  });

  test('is plain data: a port access, its value unsigned', () => {
    const fields = { type: IoRequestType.PORT, direction: Direction.WRITE, addressLow: 0x3f8, size: 4, valueLow: -2 };
    assert.deepEqual(requestOf({ ...fields, valueHigh: 9 }).toRequest(), {
      type: 'port',
      direction: 'write',
      address: 0x3f8,
      size: 4,
      value: 0xffff_fffe,
    });
  });

  test('a PCI access, with its device and register instead of an address', () => {
    const place = { bus: 1, device: 2, pciFunction: 3, register: 0x44 };
    const fields = {
      type: IoRequestType.PCI,
      direction: Direction.READ,
      addressLow: 5,
      size: 2,
      valueLow: 6,
      ...place,
    };
    assert.deepEqual(requestOf(fields).toRequest(), {
      type: 'pci',
      direction: 'read',
      bus: 1,
      device: 2,
      function: 3,
      register: 0x44,
      size: 2,
      value: 6,
    });
  });

  test('a memory access, of 8 bytes with a bigint of both words', () => {
    const fields = { direction: Direction.WRITE, addressLow: -4096, addressHigh: 1, valueLow: -1, valueHigh: -2 };
    const mmio = { direction: 'write', address: 0x1_ffff_f000 };
    assert.deepEqual(requestOf({ ...fields, type: IoRequestType.MMIO, size: 8 }).toRequest(), {
      ...mmio,
      type: 'mmio',
      size: 8,
      value: 0xffff_fffe_ffff_ffffn,
    });
    assert.deepEqual(requestOf({ ...fields, type: IoRequestType.WRITE_PROTECT, size: 4 }).toRequest(), {
      ...mmio,
      type: 'write-protect',
      size: 4,
      value: 0xffff_ffff,
    });
    // A corrupted type is shown as the memory access that the HSM takes it for.
    assert.equal(requestOf({ ...fields, type: 9, size: 1 }).toRequest().type, 'mmio');
  });

  test('in one line, without the value of a read', () => {
    const fields = { type: IoRequestType.PORT, addressLow: 0x80, size: 1, valueLow: 0x5a };
    assert.equal(requestOf({ ...fields, direction: Direction.READ }).describe(), 'read port 0x80/1');
    assert.match(requestOf({ ...fields, direction: Direction.WRITE }).describe(), /^write port 0x80\/1.*0x5a/);
  });
});
