/**
 * debianCommandLine: the kernel's command line for `upcall run debian`. It selects the serial
 * console and disables what takes seconds on an emulated processor without a benefit in a User VM.
 *
 * Called by: debianGuest.
 */

const PARAMETERS = [
  'console=ttyS0',
  'quiet',
  // The ciphers' self-tests take longer than the rest of the boot.
  'cryptomgr.notests',
  // Probing for ISA cards takes long.
  'noisapnp',
  // The clocks are exact. Calibrating one against another would poll ports for tens of
  // milliseconds.
  'no_timer_check',
  'tsc=reliable',
  'pmtmr=0',
  // Do not wait for entropy.
  'random.trust_cpu=on',
  // Security features that only cost time in this guest.
  'nokaslr',
  'mitigations=off',
  'apparmor=0',
  'audit=0',
  // Disks of --disk have no software RAID.
  'raid=noautodetect',
  // tracer_init_tracefs creates a thousand trace event files. mcheck_init_device warns that there
  // are no machine checks.
  'initcall_blacklist=tracer_init_tracefs,mcheck_init_device',
] as const;

/**
 * `extra` comes last and overrides: of most parameters the kernel uses the last value. The values
 * of `console` and `initcall_blacklist` add up.
 */
export function debianCommandLine(extra = ''): string {
  return [...PARAMETERS, ...(extra === '' ? [] : [extra])].join(' ');
}
