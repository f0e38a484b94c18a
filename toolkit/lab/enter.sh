#!/bin/sh
# Turns this process into a lab host: it runs as PID 1 of new mount, pid, uts and ipc namespaces, in the host's network
# namespace, and ends as the init of the host's own file system.
#
#   enter.sh join DIRECTORY LOWER CGROUP DROPPED PYTHON    step into the host's cgroup and a cgroup namespace rooted there
#   enter.sh start DIRECTORY LOWER CGROUP DROPPED PYTHON   mount the file systems, leave the old root, give up rights, run init
#   enter.sh detach CGROUP PROGRAM...               run the program in the background, in that cgroup from its start
#
# DIRECTORY holds upper/ and work/ (the host's writable layer) and root/; LOWER is the shared root file system;
# DROPPED lists the capabilities that the host must not have, as setpriv takes them.
set -eu

if [ "$1" = detach ]; then
    echo 0 >"$2/cgroup.procs"
    shift 2
    exec setsid --fork -- "$@"
fi

stage=$1 directory=$2 lower=$3 cgroup=$4 dropped=$5 python=$6

if [ "$stage" = join ]; then
    # /proc is still the controller's: it shows this process under the number the controller knows it by.
    read -r pid _ </proc/self/stat
    echo 0 >"$cgroup/cgroup.procs"
    echo "$pid" >"$directory/pid.new"
    mv "$directory/pid.new" "$directory/pid"
    exec unshare --cgroup -- sh "$0" start "$directory" "$lower" "$cgroup" "$dropped" "$python"
fi

root=$directory/root
mount -t overlay lab -o "lowerdir=$lower,upperdir=$directory/upper,workdir=$directory/work" "$root"
cd "$root"

mount -t proc -o nosuid,nodev,noexec proc proc
# What is not the host's own to set: else a host's sysctl or sysrq would reach the machine.
for path in sys sysrq-trigger irq bus fs acpi scsi; do
    [ -e "proc/$path" ] || continue
    mount --bind "proc/$path" "proc/$path"
    mount -o remount,bind,ro,nosuid,nodev,noexec "proc/$path"
done
# The network settings are the host's own: they belong to its namespace.
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,rw,nosuid,nodev,noexec proc/sys/net

mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup

mount -t tmpfs -o mode=755,nosuid tmpfs dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5,nosuid,noexec devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr

mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp

# The program of this name is in another package from one Debian to the next; the C library has the call. It changes the
# root of every process of this namespace that is still in the old one, this shell among them.
"$python" -I -c 'import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(libc.pivot_root(b".", b"mnt") and "pivot_root: " + os.strerror(ctypes.get_errno()))'
cd /
umount -l /mnt
exec setpriv --bounding-set="$dropped" -- \
    env -i container=netplay-lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /sbin/init
