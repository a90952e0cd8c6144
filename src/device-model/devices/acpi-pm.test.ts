import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ManualClock } from '../clock.js';
import { AcpiPm, PM_TIMER_HZ } from './acpi-pm.js';
import type { AcpiPmOptions } from './acpi-pm.js';
import { Pm1, PmRegister } from './acpi-pm-registers.js';
import { ACPI_DISABLE, ACPI_ENABLE, AcpiSmiCommand } from './acpi-smi-command.js';

function machine(options: Partial<AcpiPmOptions> = {}) {
  const clock = new ManualClock();
  const events: string[] = [];
  let level = false;
  const pm = new AcpiPm({
    clock,
    sci: { set: (high) => void (level = high) },
    power: { powerOff: () => events.push('off'), reset: () => events.push('reset') },
    ...options,
  });
  const smi = new AcpiSmiCommand(pm);
  return { clock, pm, smi, events, sci: () => level };
}

const S5 = 0x2000 | (5 << 10);
const S3 = 0x2000 | (3 << 10);

describe('ACPI mode', () => {
  test('is off until the guest asks for it at the SMI command port', () => {
    const { pm, smi } = machine();
    assert.equal(pm.read(PmRegister.CONTROL, 2), 0);
    smi.write(0, 1, ACPI_ENABLE);
    assert.equal(pm.read(PmRegister.CONTROL, 2), 1);
    smi.write(0, 1, ACPI_DISABLE);
    assert.equal(pm.read(PmRegister.CONTROL, 2), 0);
  });

  test('ignores other commands and widths, and reads as all ones', () => {
    const { pm, smi } = machine();
    smi.write(0, 1, 0x55);
    smi.write(0, 2, ACPI_ENABLE);
    assert.equal(pm.isAcpiMode, false);
    assert.equal(smi.read(0, 1), 0xff);
  });

  test('the guest cannot write SCI_EN', () => {
    const { pm, smi } = machine();
    pm.write(PmRegister.CONTROL, 2, 0x0001);
    assert.equal(pm.isAcpiMode, false);
    smi.write(0, 1, ACPI_ENABLE);
    pm.write(PmRegister.CONTROL, 2, 0x0000);
    assert.equal(pm.isAcpiMode, true);
  });

  test('a machine without the port may start in it, and comes back to it', () => {
    const { pm } = machine({ startsInAcpiMode: true });
    assert.equal(pm.isAcpiMode, true);
    pm.setAcpiMode(false);
    pm.reset();
    assert.equal(pm.isAcpiMode, true);
  });
});

describe('sleeping states', () => {
  test('S5 powers off', () => {
    const { pm, events } = machine();
    pm.write(PmRegister.CONTROL, 2, S5);
    assert.deepEqual(events, ['off']);
    assert.equal(pm.read(PmRegister.CONTROL, 2), 5 << 10, 'SLP_EN reads as 0');
  });

  test('the type alone does nothing; SLP_EN may follow in a byte of its own', () => {
    const { pm, events } = machine();
    pm.write(PmRegister.CONTROL, 2, 5 << 10);
    assert.deepEqual(events, []);
    pm.write(PmRegister.CONTROL + 1, 1, S5 >>> 8);
    assert.deepEqual(events, ['off']);
  });

  test('any other state is counted, and the guest wakes at once', () => {
    const { pm, events } = machine();
    pm.write(PmRegister.CONTROL, 2, S3);
    assert.deepEqual(events, []);
    assert.equal(pm.refusedSleeps, 1);
    assert.equal(pm.read(PmRegister.STATUS, 2) & Pm1.WAK, Pm1.WAK);
    pm.write(PmRegister.STATUS, 2, Pm1.WAK);
    assert.equal(pm.read(PmRegister.STATUS, 2), 0);
  });
});

describe('the power button', () => {
  test('raises the SCI until its status is cleared', () => {
    const { pm, smi, sci } = machine();
    smi.write(0, 1, ACPI_ENABLE);
    pm.write(PmRegister.ENABLE, 2, Pm1.PWRBTN);
    assert.equal(pm.pressPowerButton(), true);
    assert.equal(sci(), true);
    assert.equal(pm.read(PmRegister.STATUS, 2), Pm1.PWRBTN);
    pm.write(PmRegister.STATUS, 2, Pm1.RTC);
    assert.equal(sci(), true, 'another bit clears nothing');
    pm.write(PmRegister.STATUS + 1, 1, Pm1.PWRBTN >>> 8);
    assert.equal(sci(), false);
  });

  test('a press before the guest enables the event returns false and is kept', () => {
    const { pm, smi, sci } = machine();
    assert.equal(pm.pressPowerButton(), false);
    pm.write(PmRegister.ENABLE, 2, Pm1.PWRBTN);
    assert.equal(sci(), false, 'not in ACPI mode');
    smi.write(0, 1, ACPI_ENABLE);
    assert.equal(sci(), true, 'the press was kept');
  });

  test('a reset lowers the line and forgets the press', () => {
    const { pm, sci } = machine({ startsInAcpiMode: true });
    pm.write(PmRegister.ENABLE, 2, Pm1.PWRBTN);
    pm.pressPowerButton();
    pm.reset();
    assert.equal(sci(), false);
    assert.equal(pm.read(PmRegister.STATUS, 4), 0);
  });
});

describe('the PM timer', () => {
  test('counts 3579545 ticks in a second', () => {
    const { clock, pm } = machine();
    clock.advance(1000);
    assert.equal(pm.read(PmRegister.TIMER, 4), PM_TIMER_HZ);
    pm.write(PmRegister.TIMER, 4, 0);
    assert.equal(pm.read(PmRegister.TIMER, 4), PM_TIMER_HZ, 'read only');
  });

  test('wraps at its width', () => {
    for (const timerBits of [24, 32] as const) {
      const { clock, pm } = machine({ timerBits });
      clock.advance(2_000_000);
      assert.equal(pm.read(PmRegister.TIMER, 4), (PM_TIMER_HZ * 2000) % 2 ** timerBits);
    }
  });

  test('can be read in bytes', () => {
    const { clock, pm } = machine();
    clock.advance(5000);
    const bytes = [0, 1, 2, 3].map((i) => pm.read(PmRegister.TIMER + i, 1));
    assert.equal(
      bytes.reduceRight((value, byte) => value * 256 + byte, 0),
      PM_TIMER_HZ * 5,
    );
  });

  test('sets TMR_STS each time its highest bit changes, and clears with a 1', () => {
    const { clock, pm } = machine({ timerBits: 24 });
    const halfPeriodMs = (2 ** 23 / PM_TIMER_HZ) * 1000;
    clock.advance(halfPeriodMs - 1);
    assert.equal(pm.read(PmRegister.STATUS, 2), 0);
    clock.advance(2);
    assert.equal(pm.read(PmRegister.STATUS, 2), Pm1.TMR);
    pm.write(PmRegister.STATUS, 1, Pm1.TMR);
    assert.equal(pm.read(PmRegister.STATUS, 2), 0);
    clock.advance(halfPeriodMs);
    assert.equal(pm.read(PmRegister.STATUS, 2), Pm1.TMR, 'from set to clear as well');
  });

  test('raises the SCI when enabled, each time, without drift', () => {
    const { clock, pm, sci } = machine({ timerBits: 24, startsInAcpiMode: true });
    const halfPeriodMs = (2 ** 23 / PM_TIMER_HZ) * 1000;
    pm.write(PmRegister.ENABLE, 2, Pm1.TMR);
    for (let i = 1; i <= 50; i++) {
      clock.advance(i * halfPeriodMs - clock.now() - 0.01);
      assert.equal(sci(), false);
      clock.advance(0.02);
      assert.equal(sci(), true);
      clock.advance(i * 7);
      pm.write(PmRegister.STATUS, 2, Pm1.TMR);
      assert.equal(sci(), false);
    }
  });

  test('waits on the clock only while an interrupt could come', () => {
    const { clock, pm } = machine({ timerBits: 24, startsInAcpiMode: true });
    assert.equal(clock.pending, 0);
    pm.write(PmRegister.ENABLE, 2, Pm1.TMR);
    assert.equal(clock.pending, 1);
    clock.advance(10_000);
    assert.equal(clock.pending, 0, 'raised already');
    pm.write(PmRegister.STATUS, 2, Pm1.TMR);
    assert.equal(clock.pending, 1);
    pm.close();
    assert.equal(clock.pending, 0);
  });
});

describe('accesses', () => {
  test('a four-byte access covers status and enable', () => {
    const { pm } = machine();
    pm.pressPowerButton();
    pm.write(PmRegister.STATUS, 4, (Pm1.RTC << 16) | Pm1.PWRBTN);
    assert.equal(pm.read(PmRegister.STATUS, 4), (Pm1.RTC << 16) >>> 0);
  });

  test('enable keeps only the bits that have a source or that ACRN keeps', () => {
    const { pm } = machine();
    pm.write(PmRegister.ENABLE, 2, 0xffff);
    assert.equal(pm.read(PmRegister.ENABLE, 2), 0x0521);
    pm.write(PmRegister.ENABLE, 1, 0);
    assert.equal(pm.read(PmRegister.ENABLE, 2), 0x0500, 'a byte leaves the other one');
  });

  test('the reserved word reads as 0, and bytes past the block read as all ones', () => {
    const { pm } = machine();
    assert.equal(pm.read(6, 2), 0);
    assert.equal(pm.read(11, 2), 0xff00);
  });
});
