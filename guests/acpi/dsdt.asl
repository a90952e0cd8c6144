/*
 * The devices of an upcall User VM that a guest cannot find by probing. Compile:
 *
 *     iasl -p guests/acpi/dsdt guests/acpi/dsdt.asl
 *
 * (Debian package acpica-tools.) Interrupts are active high: the lines of the device models are so.
 */
DefinitionBlock ("", "DSDT", 2, "UPCALL", "UPCALLVM", 1)
{
    /* Soft off: the sleep type 5 that acpi-pm takes in its control register. */
    Name (\_S5, Package () { 5, 5, 0, 0 })

    Scope (\_SB)
    {
        /*
         * The PCI interrupts: 10 for pins A and C of even slots and B and D of odd ones, 11 for the others. Both numbers
         * are right for the 8259s and for the IO-APIC.
         */
        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 1)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 10 }
            })
            Method (_CRS) { Return (_PRS) }
            Method (_SRS, 1) { }
            Method (_DIS) { }
        }
        Device (LNKB)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 2)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 11 }
            })
            Method (_CRS) { Return (_PRS) }
            Method (_SRS, 1) { }
            Method (_DIS) { }
        }

        /* The memory of the MCFG table. Guests use it only if it is reserved here. */
        Device (ECAM)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xE0000000, 0x00100000)
            })
        }

        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0x0000, 0x0CF7, 0, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0x0D00, 0xFFFF, 0, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xC0000000, 0xDFFFFFFF, 0, 0x20000000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xF0000000, 0xFEBFFFFF, 0, 0x0EC00000)
            })

            Name (_PRT, Package ()
            {
                Package () { 0x0000FFFF, 0, LNKA, 0 },
                Package () { 0x0000FFFF, 1, LNKB, 0 },
                Package () { 0x0000FFFF, 2, LNKA, 0 },
                Package () { 0x0000FFFF, 3, LNKB, 0 },
                Package () { 0x0001FFFF, 0, LNKB, 0 },
                Package () { 0x0001FFFF, 1, LNKA, 0 },
                Package () { 0x0001FFFF, 2, LNKB, 0 },
                Package () { 0x0001FFFF, 3, LNKA, 0 },
                Package () { 0x0002FFFF, 0, LNKA, 0 },
                Package () { 0x0002FFFF, 1, LNKB, 0 },
                Package () { 0x0002FFFF, 2, LNKA, 0 },
                Package () { 0x0002FFFF, 3, LNKB, 0 },
                Package () { 0x0003FFFF, 0, LNKB, 0 },
                Package () { 0x0003FFFF, 1, LNKA, 0 },
                Package () { 0x0003FFFF, 2, LNKB, 0 },
                Package () { 0x0003FFFF, 3, LNKA, 0 },
                Package () { 0x0004FFFF, 0, LNKA, 0 },
                Package () { 0x0004FFFF, 1, LNKB, 0 },
                Package () { 0x0004FFFF, 2, LNKA, 0 },
                Package () { 0x0004FFFF, 3, LNKB, 0 },
                Package () { 0x0005FFFF, 0, LNKB, 0 },
                Package () { 0x0005FFFF, 1, LNKA, 0 },
                Package () { 0x0005FFFF, 2, LNKB, 0 },
                Package () { 0x0005FFFF, 3, LNKA, 0 },
                Package () { 0x0006FFFF, 0, LNKA, 0 },
                Package () { 0x0006FFFF, 1, LNKB, 0 },
                Package () { 0x0006FFFF, 2, LNKA, 0 },
                Package () { 0x0006FFFF, 3, LNKB, 0 },
                Package () { 0x0007FFFF, 0, LNKB, 0 },
                Package () { 0x0007FFFF, 1, LNKA, 0 },
                Package () { 0x0007FFFF, 2, LNKB, 0 },
                Package () { 0x0007FFFF, 3, LNKA, 0 },
                Package () { 0x0008FFFF, 0, LNKA, 0 },
                Package () { 0x0008FFFF, 1, LNKB, 0 },
                Package () { 0x0008FFFF, 2, LNKA, 0 },
                Package () { 0x0008FFFF, 3, LNKB, 0 },
                Package () { 0x0009FFFF, 0, LNKB, 0 },
                Package () { 0x0009FFFF, 1, LNKA, 0 },
                Package () { 0x0009FFFF, 2, LNKB, 0 },
                Package () { 0x0009FFFF, 3, LNKA, 0 },
                Package () { 0x000AFFFF, 0, LNKA, 0 },
                Package () { 0x000AFFFF, 1, LNKB, 0 },
                Package () { 0x000AFFFF, 2, LNKA, 0 },
                Package () { 0x000AFFFF, 3, LNKB, 0 },
                Package () { 0x000BFFFF, 0, LNKB, 0 },
                Package () { 0x000BFFFF, 1, LNKA, 0 },
                Package () { 0x000BFFFF, 2, LNKB, 0 },
                Package () { 0x000BFFFF, 3, LNKA, 0 },
                Package () { 0x000CFFFF, 0, LNKA, 0 },
                Package () { 0x000CFFFF, 1, LNKB, 0 },
                Package () { 0x000CFFFF, 2, LNKA, 0 },
                Package () { 0x000CFFFF, 3, LNKB, 0 },
                Package () { 0x000DFFFF, 0, LNKB, 0 },
                Package () { 0x000DFFFF, 1, LNKA, 0 },
                Package () { 0x000DFFFF, 2, LNKB, 0 },
                Package () { 0x000DFFFF, 3, LNKA, 0 },
                Package () { 0x000EFFFF, 0, LNKA, 0 },
                Package () { 0x000EFFFF, 1, LNKB, 0 },
                Package () { 0x000EFFFF, 2, LNKA, 0 },
                Package () { 0x000EFFFF, 3, LNKB, 0 },
                Package () { 0x000FFFFF, 0, LNKB, 0 },
                Package () { 0x000FFFFF, 1, LNKA, 0 },
                Package () { 0x000FFFFF, 2, LNKB, 0 },
                Package () { 0x000FFFFF, 3, LNKA, 0 },
                Package () { 0x0010FFFF, 0, LNKA, 0 },
                Package () { 0x0010FFFF, 1, LNKB, 0 },
                Package () { 0x0010FFFF, 2, LNKA, 0 },
                Package () { 0x0010FFFF, 3, LNKB, 0 },
                Package () { 0x0011FFFF, 0, LNKB, 0 },
                Package () { 0x0011FFFF, 1, LNKA, 0 },
                Package () { 0x0011FFFF, 2, LNKB, 0 },
                Package () { 0x0011FFFF, 3, LNKA, 0 },
                Package () { 0x0012FFFF, 0, LNKA, 0 },
                Package () { 0x0012FFFF, 1, LNKB, 0 },
                Package () { 0x0012FFFF, 2, LNKA, 0 },
                Package () { 0x0012FFFF, 3, LNKB, 0 },
                Package () { 0x0013FFFF, 0, LNKB, 0 },
                Package () { 0x0013FFFF, 1, LNKA, 0 },
                Package () { 0x0013FFFF, 2, LNKB, 0 },
                Package () { 0x0013FFFF, 3, LNKA, 0 },
                Package () { 0x0014FFFF, 0, LNKA, 0 },
                Package () { 0x0014FFFF, 1, LNKB, 0 },
                Package () { 0x0014FFFF, 2, LNKA, 0 },
                Package () { 0x0014FFFF, 3, LNKB, 0 },
                Package () { 0x0015FFFF, 0, LNKB, 0 },
                Package () { 0x0015FFFF, 1, LNKA, 0 },
                Package () { 0x0015FFFF, 2, LNKB, 0 },
                Package () { 0x0015FFFF, 3, LNKA, 0 },
                Package () { 0x0016FFFF, 0, LNKA, 0 },
                Package () { 0x0016FFFF, 1, LNKB, 0 },
                Package () { 0x0016FFFF, 2, LNKA, 0 },
                Package () { 0x0016FFFF, 3, LNKB, 0 },
                Package () { 0x0017FFFF, 0, LNKB, 0 },
                Package () { 0x0017FFFF, 1, LNKA, 0 },
                Package () { 0x0017FFFF, 2, LNKB, 0 },
                Package () { 0x0017FFFF, 3, LNKA, 0 },
                Package () { 0x0018FFFF, 0, LNKA, 0 },
                Package () { 0x0018FFFF, 1, LNKB, 0 },
                Package () { 0x0018FFFF, 2, LNKA, 0 },
                Package () { 0x0018FFFF, 3, LNKB, 0 },
                Package () { 0x0019FFFF, 0, LNKB, 0 },
                Package () { 0x0019FFFF, 1, LNKA, 0 },
                Package () { 0x0019FFFF, 2, LNKB, 0 },
                Package () { 0x0019FFFF, 3, LNKA, 0 },
                Package () { 0x001AFFFF, 0, LNKA, 0 },
                Package () { 0x001AFFFF, 1, LNKB, 0 },
                Package () { 0x001AFFFF, 2, LNKA, 0 },
                Package () { 0x001AFFFF, 3, LNKB, 0 },
                Package () { 0x001BFFFF, 0, LNKB, 0 },
                Package () { 0x001BFFFF, 1, LNKA, 0 },
                Package () { 0x001BFFFF, 2, LNKB, 0 },
                Package () { 0x001BFFFF, 3, LNKA, 0 },
                Package () { 0x001CFFFF, 0, LNKA, 0 },
                Package () { 0x001CFFFF, 1, LNKB, 0 },
                Package () { 0x001CFFFF, 2, LNKA, 0 },
                Package () { 0x001CFFFF, 3, LNKB, 0 },
                Package () { 0x001DFFFF, 0, LNKB, 0 },
                Package () { 0x001DFFFF, 1, LNKA, 0 },
                Package () { 0x001DFFFF, 2, LNKB, 0 },
                Package () { 0x001DFFFF, 3, LNKA, 0 },
                Package () { 0x001EFFFF, 0, LNKA, 0 },
                Package () { 0x001EFFFF, 1, LNKB, 0 },
                Package () { 0x001EFFFF, 2, LNKA, 0 },
                Package () { 0x001EFFFF, 3, LNKB, 0 },
                Package () { 0x001FFFFF, 0, LNKB, 0 },
                Package () { 0x001FFFFF, 1, LNKA, 0 },
                Package () { 0x001FFFFF, 2, LNKB, 0 },
                Package () { 0x001FFFFF, 3, LNKA, 0 }
            })

            Device (COM1)
            {
                Name (_HID, EisaId ("PNP0501"))
                Name (_UID, 1)
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                    IRQNoFlags () { 4 }
                })
            }
            Device (RTC)
            {
                Name (_HID, EisaId ("PNP0B00"))
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x0070, 0x0070, 1, 2)
                    IRQNoFlags () { 8 }
                })
            }
            Device (PIT)
            {
                Name (_HID, EisaId ("PNP0100"))
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x0040, 0x0040, 1, 4)
                    IRQNoFlags () { 0 }
                })
            }
            Device (KBD)
            {
                Name (_HID, EisaId ("PNP0303"))
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x0060, 0x0060, 1, 1)
                    IO (Decode16, 0x0064, 0x0064, 1, 1)
                    IRQNoFlags () { 1 }
                })
            }
        }
    }
}
