#!/bin/sh
# A hook of mmdebstrap: puts a small apt repository into the new root file system, so that a lab host, which has no way
# out, can really remove and install what a role may ask for.
#
#   offline-packages.sh ROOT DIRECTORY PACKAGE... -- PACKAGE...    DIRECTORY is where the repository is to be below ROOT
#
# What comes behind the -- is taken with all that it needs and the root file system does not have.
#
# mmdebstrap sets MMDEBSTRAP_APT_CONFIG: it makes apt work on the new root file system from outside.
set -eu

root=$1 directory=$2
shift 2
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"

mkdir -p "$root$directory"
cd "$root$directory"
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    apt-get -o APT::Sandbox::User=root --quiet download "$1"
    shift
done
shift
if [ $# -gt 0 ]; then
    apt-get -o APT::Sandbox::User=root -o Dir::Cache::archives="$root$directory" --quiet --yes \
        --no-install-recommends --download-only install "$@"
fi
rm -rf partial lock
for file in ./*.deb; do
    dpkg-deb --field "$file"
    echo "Filename: $file"
    echo "Size: $(stat -c %s "$file")"
    echo "SHA256: $(sha256sum "$file" | cut -d ' ' -f 1)"
    echo
done >Packages
