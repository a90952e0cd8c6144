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
        /* PCI interrupts as the 8259s see them: pin A of slot 0 is 10, the next one 11, and so on in turn. */
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
                    0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)
            })
        }
    }
}
