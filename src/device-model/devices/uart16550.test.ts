import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ManualClock } from '../clock.js';
import { INPUT_QUEUE_CHARACTERS } from './uart-receiver.js';
import { Uart16550 } from './uart16550.js';
import type { Uart16550Options } from './uart16550-options.js';

const [DATA, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 2, 3, 4, 5, 6, 7];
const OUT2 = 0x08;
const LOOP = 0x10;

/** A UART whose line, output and time the test holds. */
class Bench {
  readonly clock = new ManualClock();
  readonly sent: number[] = [];
  level = false;
  edges = 0;
  readonly uart: Uart16550;

  constructor(options: Uart16550Options = {}) {
    this.uart = new Uart16550({
      clock: this.clock,
      interrupt: {
        set: (high) => {
          if (high && !this.level) this.edges++;
          this.level = high;
        },
      },
      output: { write: (bytes) => void this.sent.push(...bytes) },
      ...options,
    });
  }

  read(offset: number): number {
    return this.uart.read(offset, 1);
  }

  write(offset: number, value: number): void {
    this.uart.write(offset, 1, value);
  }

  type(text: string): void {
    assert.equal(this.uart.receive(new TextEncoder().encode(text)), text.length);
  }

  /** What a polling guest reads until DR is clear. */
  drain(): string {
    let text = '';
    while ((this.read(LSR) & 1) !== 0) text += String.fromCharCode(this.read(DATA));
    return text;
  }
}

test('a save passes on what the guest has sent, which is not in the state', () => {
  const bench = new Bench();
  bench.write(DATA, 0x41);
  assert.deepEqual(bench.sent, []);
  bench.uart.save();
  assert.deepEqual(bench.sent, [0x41]);
});

describe('registers', () => {
  test('after reset they read as the data sheet lists them', () => {
    const { uart } = new Bench();
    const values = [IER, IIR, LCR, MCR, LSR, MSR].map((offset) => uart.read(offset, 1));
    assert.deepEqual(values, [0x00, 0x01, 0x00, 0x00, 0x60, 0xb0]);
  });

  test('DLAB puts the divisor at ports 0 and 1 and leaves IER alone', () => {
    const bench = new Bench();
    bench.write(IER, 0x05);
    bench.write(LCR, 0x83);
    assert.equal(bench.read(0) | (bench.read(1) << 8), 12, 'never zero: guests divide by it');
    bench.write(0, 0x34);
    bench.write(1, 0x12);
    assert.equal(bench.uart.read(0, 2), 0x1234);
    bench.write(LCR, 0x03);
    assert.equal(bench.read(IER), 0x05);
    bench.uart.flush();
    assert.deepEqual(bench.sent, [], 'the divisor is not sent');
  });

  test('bits that the chip does not have read as zero', () => {
    const bench = new Bench();
    bench.write(IER, 0xff);
    bench.write(MCR, 0xff);
    assert.equal(bench.read(IER), 0x0f);
    assert.equal(bench.read(MCR), 0x1f);
  });

  test('the scratch register keeps any byte', () => {
    const bench = new Bench();
    for (const value of [0x00, 0x55, 0xaa, 0xff]) {
      bench.write(SCR, value);
      assert.equal(bench.read(SCR), value);
    }
  });

  test('LSR and MSR ignore writes', () => {
    const bench = new Bench();
    bench.write(LSR, 0xff);
    bench.write(MSR, 0xff);
    assert.equal(bench.read(LSR), 0x60);
    assert.equal(bench.read(MSR), 0xb0);
  });

  test('wide accesses are accesses to consecutive registers', () => {
    const bench = new Bench();
    bench.uart.write(LCR, 2, 0x1003);
    assert.equal(bench.read(LCR), 0x03);
    assert.equal(bench.read(MCR), 0x10);
    bench.write(SCR, 0x5a);
    assert.equal(bench.uart.read(SCR, 4), 0xffff_ff5a, 'nothing answers past port 7');
  });
});

describe('sending', () => {
  test('bytes that the guest writes reach the output in order when the turn ends', async () => {
    const bench = new Bench();
    for (const character of 'hello') bench.write(DATA, character.charCodeAt(0));
    assert.equal(bench.sent.length, 0);
    await Promise.resolve();
    assert.equal(String.fromCharCode(...bench.sent), 'hello');
  });

  test('THR is empty again at once', () => {
    const bench = new Bench();
    bench.write(DATA, 0x41);
    assert.equal(bench.read(LSR), 0x60);
  });

  test('close passes the last bytes to the sink', () => {
    const bench = new Bench();
    bench.write(DATA, 0x41);
    bench.uart.close();
    assert.deepEqual(bench.sent, [0x41]);
  });

  test('enabling ETBEI requests at once, reading IIR takes it back, enabling again requests again', () => {
    const bench = new Bench();
    bench.write(MCR, OUT2);
    for (let i = 1; i <= 2; i++) {
      bench.write(IER, 0x02);
      assert.equal(bench.edges, i);
      assert.equal(bench.read(IIR), 0x02);
      assert.equal(bench.level, false);
      assert.equal(bench.read(IIR), 0x01);
      bench.write(IER, 0x00);
    }
  });

  test('each character written to THR ends with a new edge', () => {
    const bench = new Bench();
    bench.write(MCR, OUT2);
    bench.write(IER, 0x02);
    bench.write(DATA, 0x41);
    bench.write(DATA, 0x42);
    assert.equal(bench.edges, 3);
    assert.equal(bench.level, true);
  });

  test('writing IER with ETBEI already set does not request again', () => {
    const bench = new Bench();
    bench.write(IER, 0x02);
    bench.read(IIR);
    bench.write(IER, 0x03);
    assert.equal(bench.read(IIR), 0x01);
  });

  test('a change of FCR bit 0 requests at once while ETBEI is set, in both directions', () => {
    const bench = new Bench();
    bench.write(MCR, OUT2);
    bench.write(IER, 2);
    assert.deepEqual([bench.read(IIR), bench.read(IIR), bench.level], [0x02, 0x01, false]);
    bench.write(FCR, 1);
    assert.equal(bench.level, true);
    assert.deepEqual([bench.read(IIR), bench.read(IIR)], [0xc2, 0xc1]);
    bench.write(FCR, 0);
    assert.deepEqual([bench.read(IIR), bench.read(IIR)], [0x02, 0x01]);
  });

  test('a write to FCR that leaves bit 0, or comes without ETBEI, requests nothing', () => {
    const bench = new Bench();
    bench.write(FCR, 1);
    assert.equal(bench.read(IIR), 0xc1);
    bench.write(IER, 2);
    bench.read(IIR);
    bench.write(FCR, 0xc1);
    assert.equal(bench.read(IIR), 0xc1);
  });

  test('a looped character below the trigger level is reported after four character times, not before', () => {
    const bench = new Bench();
    bench.write(MCR, LOOP);
    bench.write(IER, 1);
    bench.write(FCR, 0x41);
    bench.write(DATA, 0x55);
    assert.equal(bench.read(IIR), 0xc1);
    bench.clock.advance(100);
    assert.equal(bench.read(IIR), 0xcc);
  });

  test('a raised trigger level does not shorten the character timeout', () => {
    const bench = new Bench();
    bench.write(MCR, LOOP);
    bench.write(IER, 1);
    bench.write(FCR, 0x01);
    bench.write(DATA, 0x55);
    bench.write(FCR, 0x81);
    assert.equal(bench.read(IIR), 0xc1);
    bench.clock.advance(100);
    assert.equal(bench.read(IIR), 0xcc);
  });

  test('without ETBEI no request is kept for later', () => {
    const bench = new Bench();
    bench.write(IER, 0x02);
    bench.write(IER, 0x00);
    assert.equal(bench.read(IIR), 0x01);
  });
});

describe('receiving', () => {
  test('without FIFO the characters come one by one, each with an interrupt', () => {
    const bench = new Bench();
    bench.write(MCR, OUT2);
    bench.write(IER, 0x01);
    bench.type('ab');
    assert.equal(bench.read(IIR), 0x04);
    assert.equal(bench.drain(), 'ab');
    assert.equal(bench.read(IIR), 0x01);
    assert.equal(bench.level, false);
    assert.equal(bench.read(DATA), 'b'.charCodeAt(0), 'RBR keeps its character');
  });

  test('pasted text arrives completely, however slowly the guest reads', () => {
    const bench = new Bench();
    bench.write(FCR, 0xc1);
    const text = 'The quick brown fox jumps over the lazy dog. '.repeat(100);
    bench.type(text);
    assert.equal(bench.drain(), text);
    assert.equal(bench.read(LSR) & 0x02, 0, 'no overrun');
  });

  test('IIR reports received data from the trigger level on, and a timeout below it', () => {
    for (const [fcr, level] of [
      [0x01, 1],
      [0x41, 4],
      [0x81, 8],
      [0xc1, 14],
    ] as const) {
      const bench = new Bench();
      bench.write(FCR, fcr);
      bench.write(IER, 0x01);
      bench.type('x'.repeat(level - 1));
      assert.equal(bench.read(IIR), level === 1 ? 0xc1 : 0xcc);
      bench.type('x');
      assert.equal(bench.read(IIR), 0xc4);
      bench.read(DATA);
      assert.equal(bench.read(IIR), 0xc1, 'below the trigger, and the silence has just begun');
    }
  });

  test('characters left below the trigger level are reported after four character times', () => {
    const bench = new Bench();
    bench.write(LCR, 0x80);
    bench.write(0, 1); // 115200 baud
    bench.write(LCR, 0x03); // 8 data bits, no parity, one stop bit: 10 bits each
    bench.write(FCR, 0x81);
    bench.write(MCR, OUT2);
    bench.write(IER, 0x01);
    bench.type('abc');
    assert.equal(bench.edges, 1);
    const fourCharactersMs = 40_000 / 115_200;
    bench.read(DATA);
    assert.equal(bench.level, false);
    bench.clock.advance(fourCharactersMs * 0.75);
    bench.read(DATA);
    bench.clock.advance(fourCharactersMs * 0.75);
    assert.equal(bench.level, false, 'the second read began the silence anew');
    bench.clock.advance(fourCharactersMs * 0.3);
    assert.equal(bench.edges, 2);
    assert.equal(bench.read(IIR), 0xcc);
    assert.equal(bench.drain(), 'c');
    assert.equal(bench.level, false);
    bench.clock.advance(10);
    assert.equal(bench.level, false);
    assert.equal(bench.clock.pending, 0);
  });

  test('the queue has a limit: receive returns how much it took, and calls back when there is room', () => {
    let offers = 0;
    const bench = new Bench({ onInputRoom: () => (offers += 1) });
    const taken = bench.uart.receive(new Uint8Array(INPUT_QUEUE_CHARACTERS + 100));
    assert.equal(taken, INPUT_QUEUE_CHARACTERS);
    assert.equal(bench.uart.receive(Uint8Array.of(1, 2)), 1, 'the chip took one of them');
    for (let i = 0; i < INPUT_QUEUE_CHARACTERS / 2 - 1; i++) bench.read(DATA);
    assert.equal(offers, 0);
    bench.read(DATA);
    assert.equal(offers, 1);
    bench.drain();
    assert.equal(offers, 1);
  });

  test('clearing or switching the FIFO drops its characters, not the queue', () => {
    const bench = new Bench();
    bench.write(FCR, 0x01);
    bench.type('x'.repeat(16) + 'y'.repeat(16) + 'z');
    bench.write(FCR, 0x03);
    assert.equal(bench.read(DATA), 'y'.charCodeAt(0));
    bench.write(FCR, 0x00);
    assert.equal(bench.read(IIR), 0x01, 'no FIFO');
    assert.equal(bench.drain(), '');
  });

  test('FCR bits do not count when its enable bit is written as zero', () => {
    const bench = new Bench();
    bench.type('a');
    bench.write(FCR, 0x06);
    assert.equal(bench.drain(), 'a');
  });

  test('a break comes in its place, with its own status and the interrupt of the first rank', () => {
    const bench = new Bench();
    bench.write(FCR, 0x01);
    bench.write(IER, 0x05);
    bench.type('a');
    assert.equal(bench.uart.receiveBreak(), true);
    bench.type('b');
    assert.equal(bench.read(LSR), 0xe1, 'an error waits in the FIFO, not at its top');
    assert.equal(bench.read(IIR), 0xc4);
    bench.read(DATA);
    assert.equal(bench.read(IIR), 0xc6);
    assert.equal(bench.read(LSR), 0xf9);
    assert.equal(bench.read(IIR), 0xc4, 'LSR was read');
    assert.equal(bench.read(LSR), 0x61);
    assert.equal(bench.read(DATA), 0);
    assert.equal(bench.drain(), 'b');
  });

  test('with flow control the terminal waits for RTS', () => {
    const bench = new Bench({ flowControl: true });
    bench.type('ls\n');
    bench.write(FCR, 0x07);
    assert.equal(bench.read(LSR) & 1, 0);
    bench.write(MCR, 0x03);
    assert.equal(bench.drain(), 'ls\n');
  });
});

describe('interrupt line', () => {
  test('OUT2 is its gate', () => {
    const bench = new Bench();
    bench.write(IER, 0x02);
    assert.equal(bench.level, false);
    bench.write(MCR, OUT2);
    assert.equal(bench.level, true);
    bench.write(MCR, OUT2 | LOOP);
    assert.equal(bench.level, false, 'loopback holds the OUT2 pin inactive');
    bench.write(MCR, 0);
    assert.equal(bench.level, false);
  });

  test('stays up until the last source is served, in the order of priority', () => {
    const bench = new Bench();
    bench.write(MCR, OUT2);
    bench.write(FCR, 0x01);
    bench.uart.receiveBreak();
    bench.uart.setModemLines({ cts: false });
    bench.write(IER, 0x0f);
    assert.equal(bench.read(IIR), 0xc6);
    bench.read(LSR);
    assert.equal(bench.read(IIR), 0xc4);
    bench.read(DATA);
    assert.equal(bench.read(IIR), 0xc2);
    assert.equal(bench.read(IIR), 0xc0);
    assert.equal(bench.level, true);
    bench.read(MSR);
    assert.equal(bench.read(IIR), 0xc1);
    assert.equal(bench.level, false);
    assert.equal(bench.edges, 1);
  });
});

describe('modem status', () => {
  test('each change is noted until MSR is read; RI only where it ends', () => {
    const bench = new Bench();
    bench.uart.setModemLines({ cts: false, dsr: false, dcd: false, ri: true });
    assert.equal(bench.read(MSR), 0x4b);
    assert.equal(bench.read(MSR), 0x40);
    bench.uart.setModemLines({ ri: false });
    assert.equal(bench.read(MSR), 0x04);
  });

  test('a line that went and came back counts as changed', () => {
    const bench = new Bench();
    bench.uart.setModemLines({ cts: false });
    bench.uart.setModemLines({ cts: true });
    assert.equal(bench.read(MSR), 0xb1);
  });

  test('loopback joins the outputs to the inputs', () => {
    const bench = new Bench();
    for (const [mcr, msr] of [
      [0x01, 0x20],
      [0x02, 0x10],
      [0x04, 0x40],
      [0x08, 0x80],
    ] as const) {
      bench.write(MCR, LOOP | mcr);
      assert.equal(bench.read(MSR) & 0xf0, msr);
    }
  });
});

describe('loopback', () => {
  test('sent characters are received and do not reach the output', () => {
    const bench = new Bench();
    bench.write(LCR, 0x03);
    bench.write(MCR, LOOP);
    bench.write(DATA, 0xa5);
    assert.equal(bench.read(DATA), 0xa5);
    bench.uart.flush();
    assert.deepEqual(bench.sent, []);
  });

  test('words are as long as LCR says', () => {
    const bench = new Bench();
    bench.write(MCR, LOOP);
    for (const [lcr, mask] of [
      [0, 0x1f],
      [1, 0x3f],
      [2, 0x7f],
      [3, 0xff],
    ] as const) {
      bench.write(LCR, lcr);
      bench.write(DATA, 0xff);
      assert.equal(bench.read(DATA), mask);
    }
  });

  test('the terminal waits meanwhile', () => {
    const bench = new Bench();
    bench.write(MCR, LOOP);
    bench.type('a');
    assert.equal(bench.read(LSR) & 1, 0);
    bench.write(MCR, 0);
    assert.equal(bench.drain(), 'a');
  });

  test('a full FIFO keeps its sixteen characters and reports the overrun once', () => {
    const bench = new Bench();
    bench.write(LCR, 0x03);
    bench.write(FCR, 0x01);
    bench.write(IER, 0x04);
    bench.write(MCR, LOOP);
    for (let i = 0; i < 256; i++) bench.write(DATA, i);
    assert.equal(bench.read(IIR), 0xc6);
    assert.equal(bench.read(LSR), 0x63);
    assert.equal(bench.read(LSR), 0x61);
    for (let i = 0; i < 16; i++) assert.equal(bench.read(DATA), i);
    assert.equal(bench.read(LSR), 0x60);
  });

  test('without FIFO the newest character replaces the unread one', () => {
    const bench = new Bench();
    bench.write(LCR, 0x03);
    bench.write(MCR, LOOP);
    bench.write(DATA, 1);
    bench.write(DATA, 2);
    assert.equal(bench.read(LSR), 0x63);
    assert.equal(bench.read(DATA), 2);
    assert.equal(bench.read(LSR), 0x60);
  });
});

describe('as Linux finds it (drivers/tty/serial/8250)', () => {
  test('a UART is there: IER keeps four bits, and the loopback shows 0x90', () => {
    const bench = new Bench();
    bench.write(IER, 0);
    assert.equal(bench.read(IER) & 0x0f, 0);
    bench.write(IER, 0x0f);
    assert.equal(bench.read(IER) & 0x0f, 0x0f);
    bench.write(IER, 0);
    bench.write(MCR, 0x1a);
    assert.equal(bench.read(MSR) & 0xf0, 0x90);
  });

  test('it is a 16550A: FIFO bits 6 and 7, no EFR, no 64-byte FIFO, no XScale unit enable', () => {
    const bench = new Bench();
    bench.write(LCR, 0x00);
    bench.write(FCR, 0x01);
    assert.equal(bench.read(IIR) >> 6, 3);
    bench.write(LCR, 0x80);
    assert.notEqual(bench.read(2), 0, 'no ST16650');
    bench.write(LCR, 0xbf);
    assert.notEqual(bench.read(2), 0, 'no ST16650V2');
    bench.write(LCR, 0x00);
    bench.write(FCR, 0x01);
    const without = bench.read(IIR) >> 5;
    bench.write(LCR, 0x80);
    bench.write(FCR, 0x21);
    assert.deepEqual([without, bench.read(IIR) >> 5], [6, 6], 'no 16750');
    bench.write(LCR, 0x00);
    bench.write(IER, 0x40);
    assert.equal(bench.read(IER) & 0x40, 0);
  });

  test('the interrupt is found: with all sources enabled, a character sent raises the line', () => {
    const bench = new Bench();
    bench.write(MCR, 0x0b);
    bench.write(IER, 0x0f);
    for (const offset of [LSR, DATA, IIR, MSR]) bench.read(offset);
    assert.equal(bench.level, false);
    bench.write(DATA, 0xff);
    assert.equal(bench.level, true);
  });
});

test('reset is power-on: registers, FIFO, queue and line', () => {
  const bench = new Bench();
  bench.write(LCR, 0x80);
  bench.uart.write(0, 2, 1);
  bench.write(LCR, 0x1b);
  bench.write(FCR, 0xc1);
  bench.write(SCR, 0x77);
  bench.write(MCR, 0x0b);
  bench.write(IER, 0x0f);
  bench.type('x'.repeat(40));
  assert.equal(bench.level, true);
  bench.uart.reset();
  assert.equal(bench.level, false);
  const values = [DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR].map((offset) => bench.read(offset));
  assert.deepEqual(values, [0, 0x00, 0x01, 0x00, 0x00, 0x60, 0xb0, 0]);
  bench.write(LCR, 0x80);
  assert.equal(bench.uart.read(0, 2), 12);
});

test('no sequence of accesses throws, and reads stay within their size', () => {
  const bench = new Bench();
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const sizes = [1, 2, 4] as const;
  for (let i = 0; i < 20_000; i++) {
    const size = sizes[random(3)] ?? 1;
    if (random(2) === 0) {
      const value = bench.uart.read(random(8), size);
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size), `${value}`);
    } else bench.uart.write(random(8), size, random(2 ** (8 * size)));
    if (random(10) === 0) bench.uart.receive(Uint8Array.of(random(256)));
    if (random(50) === 0) bench.clock.advance(random(100));
  }
  bench.uart.reset();
  assert.equal(bench.level, false);
  assert.equal(bench.clock.pending, 0);
});
