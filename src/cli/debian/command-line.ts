/**
 * The kernel's command line for `upcall run debian`: the serial console, and everything left out
 * that costs seconds on an emulated processor and brings a User VM nothing.
 */

const PARAMETERS = [
  'console=ttyS0',
  'quiet',
  // Self-tests of the ciphers take longer than all the rest of the boot.
  'cryptomgr.notests',
  'noisapnp',
  // The clocks are right: no measuring of one against the other, which polls ports for tens of
  // milliseconds.
  'no_timer_check',
  'tsc=reliable',
  'pmtmr=0',
  'random.trust_cpu=on',
  'nokaslr',
  'mitigations=off',
  'ima=off',
  'apparmor=0',
  'audit=0',
  'raid=noautodetect',
  // The first makes a thousand files of trace events; the second complains that there are no
  // machine checks.
  'initcall_blacklist=tracer_init_tracefs,mcheck_init_device',
] as const;

/** `extra` comes last, where the kernel lets it override. */
export function debianCommandLine(extra = ''): string {
  return [...PARAMETERS, ...(extra === '' ? [] : [extra])].join(' ');
}
