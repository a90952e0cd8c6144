/**
 * buildInitramfs: the user space of `upcall run debian`, busybox and an init script, as an initial
 * RAM file system. The script mounts the usual file systems and starts a shell on the serial
 * console. When the shell ends, the machine powers off.
 *
 * With `upcall.run="command; command"` on the kernel's command line it runs those commands instead,
 * so that a script or a test can drive the guest without typing. If they fail, their status is the
 * guest's exit code.
 *
 * Called by: fetchDebian, at each run; the file is written once and named by its content. What
 * differs between runs comes by the kernel's command line and by archives that follow this one.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { CpioArchive } from './cpio-archive.js';

/** Printed by init when user space runs. Tests and benchmarks wait for it. */
export const USER_SPACE_REACHED = 'upcall: user space reached';
/** Printed with the exit status of `upcall.run`. */
export const COMMANDS_ENDED = 'upcall: commands ended with status';

/**
 * Kernel parameter with the terminal's size as ROWSxCOLUMNS, which a serial line does not carry.
 */
export const SIZE_PARAMETER = 'upcall.size';

/**
 * Kernel parameter with shell commands. /proc/cmdline has it with its quotes.
 */
export const RUN_PARAMETER = 'upcall.run';

/** Kernel parameter that makes init write SAVE_POST_CODE where the machine may be saved. */
export const SAVE_PARAMETER = 'upcall.save';
/** To the POST port, which standardPc has at 0x80. */
export const SAVE_POST_CODE = 0x5a;
const POST_PORT = 0x80;

/** Port of DebugExit, a device of standardPc. */
const DEBUG_EXIT_PORT = 0xf4;

/** Modules of a run, by name, which come in an archive of their own. */
export const MODULE_FOLDER = 'lib/modules';
/** A line for each module, in the order of loading: its name, a blank, its parameters. */
export const MODULE_ORDER = `${MODULE_FOLDER}/order`;

/** File systems that init mounts, in an archive of its own. */
export const MOUNT_TABLE = 'etc/fstab';
/** Sets up the cards of this run, in an archive of its own. */
export const NETWORK_SCRIPT = 'etc/network.sh';
/** Sets up the virtio console of this run, in an archive of its own. Sets `terminal`. */
export const CONSOLE_SCRIPT = 'etc/console.sh';

/** Kernel parameter with the device of the root file system. Without it, busybox is the root. */
export const ROOT_PARAMETER = 'upcall.root';
/** Files that init copies over that file system, in an archive of their own. */
export const OVERLAY = 'overlay';
/** Where the root file system is mounted. Commands and the login shell run in it by chroot. */
const ROOT = 'newroot';

/** The script /init. */
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=linux
hostname debian
if [ -f /${MODULE_ORDER} ]; then
  while read -r module parameters; do insmod /${MODULE_FOLDER}/$module.ko $parameters; done </${MODULE_ORDER}
fi
terminal=
if [ -f /${CONSOLE_SCRIPT} ]; then . /${CONSOLE_SCRIPT}; fi
if [ -f /${MOUNT_TABLE} ]; then mount -a; fi
read -r uptime idle </proc/uptime
echo "${USER_SPACE_REACHED} (\${uptime} s)"
if [ -f /${NETWORK_SCRIPT} ]; then sh /${NETWORK_SCRIPT}; fi

read -r line </proc/cmdline
run=
case " $line" in
  *' ${RUN_PARAMETER}="'*) run=\${line#*${RUN_PARAMETER}=\\"}; run=\${run%%\\"*} ;;
  *' "${RUN_PARAMETER}='*) run=\${line#*\\"${RUN_PARAMETER}=}; run=\${run%%\\"*} ;;
  *' ${RUN_PARAMETER}='*) run=\${line#*${RUN_PARAMETER}=}; run=\${run%% *} ;;
esac
# Full-screen programs want a size; without a terminal it is the usual one.
size=24x80
case " $line" in
  *' ${SIZE_PARAMETER}='*) size=\${line#*${SIZE_PARAMETER}=}; size=\${size%% *} ;;
esac
# The virtio console may have one already.
case "$(stty size 2>/dev/null)" in '' | '0 0') stty rows "\${size%x*}" cols "\${size#*x}" ;; esac

inside=
root=
case " $line" in *' ${ROOT_PARAMETER}='*) root=\${line#*${ROOT_PARAMETER}=}; root=\${root%% *} ;; esac
if [ -n "$root" ]; then
  mkdir /${ROOT}
  if mount -t ext4 -o noatime "$root" /${ROOT}; then
    if [ -d /${OVERLAY} ]; then cp -a /${OVERLAY}/. /${ROOT}/; fi
    if [ -f /etc/resolv.conf ]; then cp /etc/resolv.conf /${ROOT}/etc/resolv.conf; fi
    for folder in dev proc sys mnt/*; do
      if [ -d /$folder ]; then mkdir -p /${ROOT}/$folder; mount --bind /$folder /${ROOT}/$folder; fi
    done
    inside='chroot /${ROOT}'
  fi
fi

case " $line " in *' ${SAVE_PARAMETER} '*)
  # Beside the shell, which has its prompt then. The machine is saved at the write, within a fraction
  # of the second that follows. From then on it may be another day.
  (
    usleep 500000
    printf '\\${SAVE_POST_CODE.toString(8)}' | dd of=/dev/port bs=1 seek=${POST_PORT} conv=notrunc 2>/dev/null
    usleep 100000
    hwclock -s -u
  ) &
esac

cd /root
if [ -n "$run" ]; then
  # A bare name would be a program of busybox, also in the other root.
  # A pager would wait for a key.
  PAGER=cat $inside /bin/sh -c "$run"
  status=$?
  sync
  echo "${COMMANDS_ENDED} $status"
  # The debug exit port powers off at once, with this exit code. stty first waits for the output.
  if [ $status -ne 0 ]; then
    stty opost
    printf "\\\\$(printf %o $status)" | dd of=/dev/port bs=1 seek=${DEBUG_EXIT_PORT} conv=notrunc 2>/dev/null
  fi
elif [ -n "$inside" ]; then
  echo 'This is Debian. Type "exit" to power off.'
  # cttyhack would choose the kernel's console.
  if [ -n "$terminal" ]; then setsid -c $inside /bin/login -f root; else setsid cttyhack $inside /bin/login -f root; fi
else
  echo 'This is busybox on Debian'"'"'s kernel. Type "exit" to power off.'
  if [ -n "$terminal" ]; then
    # cttyhack would choose the kernel's console.
    setsid -c sh -l
  else
    echo 'If the size of your window changes, type "resize".'
    setsid cttyhack sh -l
  fi
fi
sync
poweroff -f
# If that failed.
halt -f
`;

/** The kernel parameter with the terminal's size, or undefined if the size is unknown. */
export function sizeParameter(terminal: { readonly rows?: number; readonly columns?: number }): string | undefined {
  const { rows = 0, columns = 0 } = terminal;
  return rows > 0 && columns > 0 ? `${SIZE_PARAMETER}=${rows}x${columns}` : undefined;
}

/**
 * The kernel parameter that makes init run `commands` (for sh) and power off. Throws OPTION_INVALID
 * for a double quote or a line break.
 */
export function runParameter(commands: string): string {
  if (/["\n]/.test(commands))
    throw new UpcallError('OPTION_INVALID', 'the commands for the guest contain a double quote or a line break', {
      remedy: 'Use single quotes and semicolons: a kernel command line cannot carry the others',
    });
  return `${RUN_PARAMETER}="${commands}"`;
}

/** `resize` queries the terminal's current size, for users who changed it meanwhile. */
const PROFILE = `PS1='debian:\\w# '
resize() {
  local modes=$(stty -g) rows cols
  stty raw -echo
  printf '\\0337\\033[999;999H\\033[6n\\0338'
  IFS='[;' read -r -t 2 -d R _ rows cols
  stty "$modes"
  [ -n "$cols" ] && stty rows "$rows" cols "$cols" && stty size
}
`;

/** Returns the archive uncompressed: the guest unpacks 2 MB faster than it decompresses them. */
export function buildInitramfs(busybox: Uint8Array): Buffer {
  const archive = new CpioArchive();
  for (const path of ['bin', 'sbin', 'usr', 'usr/bin', 'usr/sbin', 'dev', 'proc', 'sys', 'etc', 'tmp'])
    archive.directory(path);
  archive.directory('root', 0o700);
  // The kernel opens /dev/console before init runs, so devtmpfs is not mounted yet. It has device
  // number 5, 1.
  archive.characterDevice('dev/console', 5, 1);
  archive.file('bin/busybox', busybox, 0o755);
  archive.link('bin/sh', 'busybox');
  archive.file('etc/profile', PROFILE);
  archive.file('init', INIT, 0o755);
  return archive.bytes();
}
