/**
 * networkArchive: what sets up the network cards of one run in the guest: a script that init runs,
 * and the one that udhcpc calls with the addresses that it gets.
 *
 * Called by: debianGuest.
 *
 * passt answers DHCP. On a hub there may be no DHCP server, so its cards are only brought up: they
 * have IPv6 link-local addresses.
 */

import type { NetOption } from '../net-option.js';
import { CpioArchive } from './cpio-archive.js';
import { NETWORK_SCRIPT } from './initramfs.js';

/** Called by udhcpc, with what it got in variables. */
const LEASE_SCRIPT = 'etc/udhcpc.script';

const LEASE = `#!/bin/sh
case $1 in
  deconfig) ip -4 addr flush dev $interface; ip link set $interface up ;;
  bound | renew)
    ip -4 addr flush dev $interface
    ip addr add $ip/\${mask:-24} dev $interface
    [ -n "$mtu" ] && ip link set $interface mtu $mtu
    for address in $router; do
      ip route add default via $address dev $interface 2>/dev/null && break
      # The router is outside of the network.
      ip route add $address dev $interface
      ip route add default via $address dev $interface && break
    done
    : >/etc/resolv.conf
    [ -n "$domain" ] && echo "search $domain" >>/etc/resolv.conf
    for address in $dns; do echo "nameserver $address" >>/etc/resolv.conf; done
    ;;
esac
exit 0
`;

/** The cards have the names eth0, eth1 … in the order of the options. Without cards, no bytes. */
export function networkArchive(nets: readonly Pick<NetOption, 'network'>[]): Buffer {
  if (nets.length === 0) return Buffer.alloc(0);
  const lines = nets.flatMap(({ network }, index) => {
    const up = `ip link set eth${index} up`;
    // Five requests, one a second.
    const dhcp = `udhcpc -q -n -t 5 -T 1 -i eth${index} -s /${LEASE_SCRIPT} >/dev/null 2>&1`;
    return network.kind === 'passt' ? [up, `${dhcp} || echo 'upcall: eth${index} got no address by DHCP'`] : [up];
  });
  const archive = new CpioArchive();
  archive.directory('etc');
  archive.file(LEASE_SCRIPT, LEASE, 0o755);
  archive.file(NETWORK_SCRIPT, ['ip link set lo up', ...lines, ''].join('\n'));
  return archive.bytes();
}
