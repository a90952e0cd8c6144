/**
 * ROOT_SCRIPT: runs in the guest that builds the root file system: it makes the file system on
 * /dev/vda, unpacks the archive on /dev/vdb, and lets dpkg configure the packages.
 *
 * Called by: rootImage, with `upcall run debian --run`.
 */

/** Begins each line of the script that is a step for the operator. */
export const STEP = 'upcall-root: ';
/** Printed when everything is done. */
export const ROOT_BUILT = 'upcall-root: built';

/** Name of the program of e2fsprogs. Busybox has one of the same name, which makes no ext4. */
export const MKE2FS = 'mke2fs';

export const ROOT_SCRIPT = `set -e
echo '${STEP}Making the file system'
# Checksums of metadata only cost time here.
/${MKE2FS} -q -F -t ext4 -O ^metadata_csum -E lazy_itable_init=1,lazy_journal_init=1 /dev/vda
mkdir -p /target
# What a crash leaves behind is not used, so nothing waits for the disk.
mount -t ext4 -o noatime,nobarrier,data=writeback /dev/vda /target
echo '${STEP}Unpacking the packages in the guest'
tar x -f /dev/vdb -C /target
for folder in dev proc sys; do mkdir -p /target/$folder; mount --bind /$folder /target/$folder; done
echo '${STEP}Configuring the packages in the guest'
cat >/target/configure.sh <<'END'
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
# Other scripts use the users and groups that this one makes.
/var/lib/dpkg/info/base-passwd.preinst install
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
dpkg --force-unsafe-io --configure -a </dev/null
rm /usr/sbin/policy-rc.d
passwd -d root
END
# A bare name would be a program of busybox, also in the other root.
chroot /target /bin/sh /configure.sh
rm /target/configure.sh
for folder in dev proc sys; do umount /target/$folder; done
umount /target
echo '${ROOT_BUILT}'
`;

/** Files of packages that make the file system, before there is one: mke2fs and its libraries. */
export const MKE2FS_FILES =
  /^(?:usr\/)?(?:sbin\/mke2fs|lib\/ld-linux\.so\.2|lib\/i386-linux-gnu\/(?:ld-linux\.so|lib(?:c|ext2fs|com_err|blkid|uuid|e2p|pthread)\.so)\..*)$|^etc\/mke2fs\.conf$/;
