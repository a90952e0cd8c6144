# Lets the copier card at 00:06.0 (examples/devices/copier.js) copy 16 bytes of RAM, and send its
# interrupt by MSI-X.
cd /sys/bus/pci/devices/0000:00:06.0
{ read base x; read table x; } < resource
echo 1 > enable
devmem $base 32 0xf0000
devmem $((base + 4)) 32 0xe8000
devmem $((base + 8)) 32 16
devmem $((base + 12)) 32 1
echo refused $(devmem $((base + 16)))
# Bus mastering, then MSI-X.
printf '\006' | dd of=config bs=1 seek=4
printf '\200' | dd of=config bs=1 seek=99
devmem $((base + 16)) 32 3
devmem $((base + 12)) 32 1
echo copied $(devmem $((base + 16))) $(devmem 0xf0000) $(devmem 0xe8000)
# Vector 0xfd is one that the kernel counts and that has no other effect.
devmem $table 32 0xfee00000
devmem $((table + 8)) 32 0xfd
echo pending $(devmem $((table + 2048)))
devmem $((table + 12)) 32 0
echo sent $(devmem $((table + 2048))) $(grep RES: /proc/interrupts)
