/**
 * consoleArchive: what sets up the virtio console of one run in the guest: a script that init runs
 * in its own shell. It moves init to /dev/hvc0 and gives the ports the names that udev would.
 *
 * Called by: debianGuest.
 *
 * The driver creates the console and the ports while init goes on, so the script polls for them.
 */

import { CpioArchive } from './cpio-archive.js';
import { CONSOLE_SCRIPT } from './initramfs.js';

/** Hundredths of a second that the script waits in all. Then it goes on without what is missing. */
const MAX_WAITS = 1000;

const WAIT = `waits=0
wait_for() {
  until eval "$1"; do
    [ $waits -ge ${MAX_WAITS} ] && return 1
    waits=$((waits + 1))
    sleep 0.01
  done
}
`;

/**
 * /dev/hvc0 exists before it can be opened, so the script first tries that in a subshell. A failed
 * redirection of `exec` would end the shell, which is init.
 */
const TERMINAL = `if wait_for '[ -c /dev/hvc0 ] && (: </dev/hvc0) 2>/dev/null'; then
  exec </dev/hvc0 >/dev/hvc0 2>&1
  terminal=hvc0
else
  echo 'upcall: the kernel has no /dev/hvc0'
fi
`;

const linkPort = (name: string): string => `if wait_for "grep -lxF '${name}' $names >/dev/null 2>&1"; then
  file=$(grep -lxF '${name}' $names)
  file=\${file%/name}
  ln -s "../\${file##*/}" '/dev/virtio-ports/${name}'
else
  echo 'upcall: the kernel has no port ${name}'
fi
`;

/**
 * Returns no bytes without a console and ports. The names must have no character that is special to
 * the shell.
 */
export function consoleArchive(hasTerminal: boolean, ports: readonly { readonly name: string }[]): Buffer {
  if (!hasTerminal && ports.length === 0) return Buffer.alloc(0);
  const lines = [
    WAIT,
    hasTerminal ? TERMINAL : '',
    ...(ports.length === 0 ? [] : ["mkdir -p /dev/virtio-ports\nnames='/sys/class/virtio-ports/*/name'\n"]),
    ...ports.map(({ name }) => linkPort(name)),
  ];
  const archive = new CpioArchive();
  archive.directory('etc');
  archive.file(CONSOLE_SCRIPT, lines.join(''));
  return archive.bytes();
}
