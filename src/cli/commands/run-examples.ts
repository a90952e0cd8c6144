/** RUN_EXAMPLES: the end of `upcall run --help`. Called by: run.ts. */

import { exitStatusHelp } from '../exit-status.js';

export const RUN_EXAMPLES = `
In a terminal every key goes to the guest, Ctrl-C included. Ctrl-] leaves; pressed twice, it goes to the guest.
Ctrl-] and then p, within a second, shows the address of the live page again, and s saves to the file of --save.
Without a terminal, standard input is fed to the guest's serial port as fast as the guest reads it.
The guest's console is standard output. Events and the table of --stats go to standard error.

Examples:
  upcall run                                             the monitor: type help
  upcall run monitor --tour                              what an I/O request is, by example
  upcall run --device my-device.js@0x500+4               then, in the monitor: in8 500
  upcall run --cmdline 'time in8 500 1000.; poweroff' --stats
  upcall run hello --device my-device.js@0x500,thread    the device in a thread of its own
  upcall run hello --device my-device.js@0x500,start=7   with options for its constructor
  upcall run debian --device my-card.js@pci              a PCI card; also @pci:00:05.0
  upcall run debian --device my-card.js@pci --coverage   which of its registers the guest's driver used, at the end
  upcall run debian --device my-card.js@pci --watch      each save of my-card.js replaces the card in the running guest
  upcall run debian --disk disk.img                      a disk, /dev/vda; ,ro to only read it
  upcall run debian --disk disk.img,thread               the same, served by a thread of its own (also --net, --share)
  upcall run debian --disk disk.img,overlay=new.qcow2    writes go to the overlay, the disk stays as it is
  upcall run debian --share src --share out,rw,tag=out   folders of this machine, at /mnt/share and /mnt/out
  upcall run debian --entropy --run 'head -c 8 /dev/hwrng | hexdump -C'
  upcall run debian --console                            its shell on the virtio console, which follows the window's size
  upcall run debian --port agent=unix:agent.sock         the guest's /dev/virtio-ports/agent is a socket here
  upcall run debian --net passt                          the network of this machine, by DHCP; needs the package passt
  upcall run debian --net hub:lab,pcap=lab.pcapng        a hub for VMs of several processes, with a capture
  upcall run debian --save vm.snap                       saves the machine at its prompt
  upcall run vm.snap                                     goes on from there, as often as you like
  upcall run debian --cold                               boots, also if the booted state is in the cache
  upcall run --kernel bzImage --initrd initrd.gz --cmdline console=ttyS0 --memory 512
  upcall run --kernel kernel.elf --module init,'init -v' --module disk.img    a multiboot kernel with two modules
  upcall run debian                                      Debian's kernel and busybox, fetched with apt or by HTTPS
  upcall run debian --root --net passt                   Debian with apt, built on first use; root logs in by itself
  upcall run debian --mirror https://deb.debian.org/debian                   fetched by HTTPS, without apt
  upcall run debian --run 'uname -a' --timeout 120       for scripts
  upcall run debian --module ./my.ko,'debug=1'           a kernel module with its parameters; also --module virtio_blk
  upcall run debian --overlay ./files --run /test.sh     a folder of files over the guest's root
  upcall run debian --page                               in a browser: slots, rates, stop and step
  upcall run --hypervisor my-hypervisor.js guest.bin     see docs/write-a-hypervisor.md
  upcall run --fault 'port=0x70-0x71 read after=10: ones'

Fault rules: which requests, a colon, what happens to them.
  client=uart16550 read after=100 every=3: flip=0x20     every third read after 100 with a bit flipped
  port=0x3f8-0x3ff write p=0.01: drop                    one in a hundred is never answered
  mmio=0xd0000000+0x1000 size=4 times=1: crash           the client fails at its first such request
  pci=00:00.0 register=0: value=0x12345678               configuration space
  line=4: lose every=5                                   interrupts; also duplicate, delay=5ms
  client=acpi-pm from=2s until=5s: slow=10ms             also ones, stale, delay, remove

${exitStatusHelp(100)}`;
