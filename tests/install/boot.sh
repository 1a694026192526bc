# Becomes process 1 of a machine: systemd, with the units of configs/deploy. To be run in namespaces of its own.
# $1 an empty folder, $2 the tree, $3 the prefix of a Python, $4 its packages. What it writes is in memory.
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
for each in etc opt var; do
  mkdir "$1/$each" "$1/$each.work"
  mount -t overlay -o "lowerdir=/$each,upperdir=$1/$each,workdir=$1/$each.work" overlay "/$each"
done

# /opt/mcpguard as a virtual environment of a Python that everybody can read would be.
mkdir -p /opt/mcpguard/bin /opt/mcpguard/base /opt/mcpguard/site /opt/mcpguard/src
mount --bind "$3" /opt/mcpguard/base
mount --bind "$4" /opt/mcpguard/site
mount --bind "$2/src" /opt/mcpguard/src
cat > /opt/mcpguard/bin/mcpguard <<'WORDS'
#!/bin/sh
export LD_LIBRARY_PATH=/opt/mcpguard/base/lib
exec /opt/mcpguard/base/bin/python3 -P -c '
import sys
sys.path[:0] = ["/opt/mcpguard/src", "/opt/mcpguard/site"]
from mcpguard.cli import main
sys.argv[0] = "mcpguard"
sys.exit(main())' "$@"
WORDS
chmod 755 /opt/mcpguard/bin/mcpguard

rm -rf /etc/systemd/system/* /etc/mcpguard /var/lib/mcpguard /var/lib/private/mcpguard
install -m 644 "$2"/configs/deploy/mcpguard.service "$2"/configs/deploy/mcpguard.socket /etc/systemd/system/
printf '[Unit]\n' > /etc/systemd/system/idle.target
install -d -m 755 /etc/mcpguard
install -d -m 700 /etc/mcpguard/credentials

# Nothing of a boot that would reach the kernel of who runs this: settings, modules, mounts, devices.
for each in /usr/lib/systemd/system/*.target.wants /usr/lib/systemd/system-generators; do
  mount -t tmpfs tmpfs "$each"
done
mkdir -p /etc/systemd/system/sysinit.target.wants
ln -s /usr/lib/systemd/system/systemd-journald.service /etc/systemd/system/sysinit.target.wants/

ip link set lo up
umount -R -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /dev/shm  # Where a service ends, its manager looks through it for what is to be removed.
export container=other
exec /usr/lib/systemd/systemd --system --unit=idle.target
