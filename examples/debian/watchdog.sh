# Lets the watchdog card at 00:05.0 (examples/devices/watchdog.js) expire, and resets it.
cd /sys/bus/pci/devices/0000:00:05.0
echo watchdog $(cat vendor device class irq reset_method)
echo 1 > enable
read base end x < resource
echo BAR $base $end
devmem $((base + 4)) 32 50
devmem $base 32 1
until [ $(($(devmem $((base + 12))))) -eq 1 ]; do usleep 10000; done
echo expired $(devmem $((base + 12))) $(hexdump -s 4 -n 4 -C config)
devmem $((base + 12)) 32 1
echo cleared $(devmem $((base + 12)))
devmem $((base + 4)) 32 5
echo 1 > reset
echo after reset $(devmem $((base + 4)))
