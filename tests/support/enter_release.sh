#!/bin/sh
# Becomes a program of another root file system, in a mount namespace of its own that ends with it.
#
#   unshare --mount sh enter_release.sh ROOT OWN LAYER PROGRAM...
#
# ROOT stays as it is: what is written beside OWN, which is the same folder inside, goes to memory and is gone. LAYER is
# an empty folder to build it in.
set -eu
root=$1 own=$2 layer=$3
shift 3
mount -t tmpfs -o mode=755 release "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay -o "lowerdir=$root,upperdir=$layer/upper,workdir=$layer/work" release "$layer/root"
mkdir -p "$layer/root/$own"
mount --bind "$own" "$layer/root/$own"
mount -t tmpfs -o mode=755 devices "$layer/root/dev"
for device in null zero full random urandom; do
    : >"$layer/root/dev/$device"
    mount --bind "/dev/$device" "$layer/root/dev/$device"
done
# Joysticks that the test plays.
if [ -d "$own/joysticks" ]; then
    mkdir "$layer/root/dev/input"
    mount --bind "$own/joysticks" "$layer/root/dev/input"
fi
mount --rbind /proc "$layer/root/proc"
# Debian keeps RetroArch in games, and chroot in sbin.
PATH=$PATH:/usr/sbin:/sbin
exec chroot "$layer/root" /usr/bin/env PATH=/usr/games:/usr/bin:/bin "$@"
