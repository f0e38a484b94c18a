#!/bin/sh
# A hook of mmdebstrap: puts a small apt repository into the new root file system, so that a lab host, which has no way
# out, can really remove and install what a role may ask for.
#
#   offline-packages.sh ROOT DIRECTORY PACKAGE...    DIRECTORY is where the repository is to be below ROOT
#
# mmdebstrap sets MMDEBSTRAP_APT_CONFIG: it makes apt work on the new root file system from outside.
set -eu

root=$1 directory=$2
shift 2
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"

mkdir -p "$root$directory"
cd "$root$directory"
apt-get -o APT::Sandbox::User=root --quiet download "$@"
for file in ./*.deb; do
    dpkg-deb --field "$file"
    echo "Filename: $file"
    echo "Size: $(stat -c %s "$file")"
    echo "SHA256: $(sha256sum "$file" | cut -d ' ' -f 1)"
    echo
done >Packages
