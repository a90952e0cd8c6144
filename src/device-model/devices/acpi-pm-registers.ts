/**
 * ACPI's fixed hardware registers in the layout of this machine: 12 ports from 0x400, where ACRN's
 * device model has its PM1 block. The PM timer follows it. The FADT names the same numbers
 * (PM1a_EVT_BLK 0x400, length 4; PM1a_CNT_BLK 0x404, length 2; PM_TMR_BLK 0x408, length 4).
 *
 * AcpiPm (acpi-pm.ts) uses the numbers. The map is for people and tools, and says what each bit
 * means.
 */

import type { RegisterMap } from '../register-map.js';

export const ACPI_PM_PORTS = 12;

/** Offsets from the first port. */
export const PmRegister = { STATUS: 0x0, ENABLE: 0x2, CONTROL: 0x4, TIMER: 0x8 } as const;

/** Bits of PM1 status. In PM1 enable most of them enable their interrupt. */
export const Pm1 = {
  TMR: 1 << 0,
  BM: 1 << 4,
  GBL: 1 << 5,
  PWRBTN: 1 << 8,
  SLPBTN: 1 << 9,
  RTC: 1 << 10,
  WAK: 1 << 15,
} as const;

/** Bits and fields of PM1 control. */
export const Pm1Control = { SCI_EN: 1 << 0, SLP_TYP_SHIFT: 10, SLP_TYP: 7 << 10, SLP_EN: 1 << 13 } as const;

export const ACPI_PM_REGISTERS: RegisterMap = {
  source: 'ACPI Specification 6.4, section 4.8.3 (fixed hardware registers); ports as in the ACRN device model',
  registers: [
    {
      offset: PmRegister.STATUS,
      size: 2,
      name: 'PM1_STS',
      access: 'rw',
      meaning: 'events; write 1 to clear',
      reset: 0,
      fields: [
        { bits: [0, 0], name: 'TMR_STS', meaning: 'the highest bit of the PM timer changed', access: 'w1c' },
        { bits: [4, 4], name: 'BM_STS', meaning: 'a bus master requested the bus', access: 'w1c' },
        { bits: [5, 5], name: 'GBL_STS', meaning: 'the firmware requests the global lock', access: 'w1c' },
        { bits: [8, 8], name: 'PWRBTN_STS', meaning: 'the power button was pressed', access: 'w1c' },
        { bits: [9, 9], name: 'SLPBTN_STS', meaning: 'the sleep button was pressed', access: 'w1c' },
        { bits: [10, 10], name: 'RTC_STS', meaning: 'the alarm of the real-time clock fired', access: 'w1c' },
        { bits: [15, 15], name: 'WAK_STS', meaning: 'the machine woke from a sleeping state', access: 'w1c' },
      ],
    },
    {
      offset: PmRegister.ENABLE,
      size: 2,
      name: 'PM1_EN',
      access: 'rw',
      meaning: 'events that raise the SCI',
      reset: 0,
      fields: [
        { bits: [0, 0], name: 'TMR_EN', meaning: 'PM timer', access: 'rw' },
        { bits: [5, 5], name: 'GBL_EN', meaning: 'global lock', access: 'rw' },
        { bits: [8, 8], name: 'PWRBTN_EN', meaning: 'power button', access: 'rw' },
        { bits: [10, 10], name: 'RTC_EN', meaning: 'real-time clock alarm', access: 'rw' },
      ],
    },
    {
      offset: PmRegister.CONTROL,
      size: 2,
      name: 'PM1_CNT',
      access: 'rw',
      meaning: 'ACPI mode, sleeping states',
      fields: [
        { bits: [0, 0], name: 'SCI_EN', meaning: 'ACPI mode; set through the SMI command port only', access: 'r' },
        { bits: [2, 9], name: 'RESERVED', meaning: 'GBL_RLS and reserved bits: stored, as in ACRN', access: 'rw' },
        { bits: [10, 12], name: 'SLP_TYP', meaning: 'sleeping state to enter: 5 is off', access: 'rw' },
        { bits: [13, 13], name: 'SLP_EN', meaning: 'a write of 1 enters it; reads as 0' },
      ],
    },
    {
      offset: PmRegister.TIMER,
      size: 4,
      name: 'PM_TMR',
      access: 'r',
      meaning: 'counts at 3.579545 MHz, 24 or 32 bits wide',
      isVolatile: true,
    },
  ],
};
