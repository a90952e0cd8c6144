// The plans of the fault survey (scripts/fault-survey.mjs): groups of fault rules, each group with
// what the guest does under them.

/**
 * @typedef {readonly [name: string, ...rules: string[]]} Plan the first one of a group has no rules
 * @typedef {object} Group
 * @property {string} name
 * @property {'disk' | 'net' | undefined} needs a disk of 64 MiB, or passt and a server of the host
 * @property {(port: number, md5: string) => string} commands they print "survey: OUTCOME", or
 *   nothing. `port` and `md5`: of the server and of what it serves
 * @property {readonly Plan[]} plans
 */

// A kernel command line carries no double quotes, and Debian's busybox crashes at wget -T.
const DISK = [
  'dd if=/dev/urandom of=/tmp/a bs=64k count=64 2>/dev/null',
  'mkdir /d; mke2fs /dev/vda > /dev/null && mount -t ext4 /dev/vda /d || echo survey: no file system',
  'cp /tmp/a /d/a && sync || echo survey: not written',
  'umount /d && echo 3 > /proc/sys/vm/drop_caches && mount -t ext4 /dev/vda /d || echo survey: not mounted again',
  'if cmp -s /tmp/a /d/a; then echo survey: intact; else echo survey: differs; fi',
].join('; ');

/** @type {Group['commands']} */
const download = (port, md5) =>
  [
    "gateway=$(ip route | awk '/^default/ {print $3}'); case $gateway in '') echo survey: no address;; esac",
    `sum=$(timeout 20 wget -q -O - http://$gateway:${port}/ | md5sum | cut -c 1-32)`,
    `if test $sum = ${md5}; then echo survey: intact; else echo survey: failed; fi`,
  ].join('; ');

/** @type {readonly Group[]} */
export const GROUPS = [
  {
    name: 'boot',
    needs: undefined,
    commands: () => 'true',
    plans: [
      ['no faults'],
      ['UART: all ones after 300 reads', 'client=uart16550 read after=300: ones'],
      ['UART: slow', 'client=uart16550: slow=2ms'],
      ['UART: interrupts lost', 'line=4: lose'],
      ['UART: transmitter status flips', 'port=0x3fd read p=0.05: flip=0x60'],
      ['timer: interrupts lost', 'line=0: lose'],
      ['timer: four of five interrupts lost', 'line=0: lose p=0.8'],
      ['timer: chip reads and writes all ones', 'client=pit8254: ones'],
      ['RTC: stale', 'port=0x71 read: stale'],
      ['RTC: all ones', 'port=0x71 read: ones'],
      ['i8042: status all ones', 'port=0x64 read: ones'],
      ['i8042: never answers', 'client=i8042-*: drop'],
      ['PCI: configuration all ones', 'pci read: ones'],
      ['PCI: a bit of each tenth read flips', 'pci read p=0.1: flip'],
      ['PCI: host bridge has another vendor', 'pci=00:00.0 register=0-3 read: value=0x12345678'],
      ['ACPI PM: all ones', 'client=acpi-pm read: ones'],
      ['ACPI PM: crashes', 'client=acpi-pm times=1: crash'],
    ],
  },
  {
    name: 'disk',
    needs: 'disk',
    commands: () => DISK,
    plans: [
      ['disk: no faults'],
      ['disk: one write in 50 fails', 'disk=virtio-blk write p=0.02: error'],
      ['disk: one read in 10 fails', 'disk=virtio-blk read p=0.1: error'],
      ['disk: flushes fail', 'disk=virtio-blk flush: error'],
      ['disk: the first sectors cannot be read', 'disk=virtio-blk read sector=0-7: error'],
      ['disk: slow', 'disk=virtio-blk: slow=20ms'],
      ['disk: one bit of a stored write flips', 'disk=virtio-blk write after=20 times=1: flip'],
      ['disk: an answer is lost', 'disk=virtio-blk write after=20 times=1: drop'],
      ['card: its registers are slow', 'client=virtio-blk: slow=5ms'],
      ['card: a notification is lost', 'client=virtio-blk write mmio after=40 times=1: remove'],
    ],
  },
  {
    name: 'net',
    needs: 'net',
    commands: download,
    plans: [
      ['net: no faults'],
      ['net: one frame in 20 to the guest is lost', 'net=virtio-net receive p=0.05: drop'],
      ['net: one frame in 5 from the guest is lost', 'net=virtio-net send p=0.2: drop'],
      ['net: each frame comes twice', 'net=virtio-net: duplicate'],
      ['net: one frame in 4 is late', 'net=virtio-net p=0.25: delay=20ms'],
      ['net: a bit of one frame in 20 flips', 'net=virtio-net p=0.05: flip'],
      ['net: nothing arrives', 'net=virtio-net receive: drop'],
    ],
  },
];
