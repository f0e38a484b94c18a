#!/bin/bash
# Runs a template's functions as xbps-src does, with helpers of the same names that do what Void's manual says of them.
#
#   xbps_harness.sh TEMPLATE WRKSRC DESTDIR RECORDS
#
# DESTDIR/PACKAGE is filled for the package and each subpackage (DESTDIR/PACKAGE may hold what its build style
# installs). RECORDS/PACKAGE.FIELD gets the fields that are in force for each, RECORDS/calls every helper's call.
set -euo pipefail

template=$1 wrksrc=$2 destdir=$3 records=$4
FILESDIR=$(dirname "$template")/files
export FILESDIR
FIELDS='pkgname version revision short_desc maintainer license homepage depends conf_files make_dirs system_accounts'

note() { printf '%s\n' "$*" >>"$records/calls"; }
die() {
    printf '%s\n' "$*" >&2
    exit 1
}

vinstall() {
    note vinstall "$@"
    [ $# -ge 3 ] || die "vinstall: three arguments"
    install -D -m "$2" -- "$1" "$PKGDESTDIR/$3/${4:-$(basename "$1")}"
}
vbin() { vinstall "$1" 755 usr/bin "${2:-}"; }
vdoc() { vinstall "$1" 644 "usr/share/doc/$pkgname" "${2:-}"; }
vconf() { vinstall "$1" 644 etc "${2:-}"; }
vlicense() { vinstall "$1" 644 "usr/share/licenses/$pkgname" "${2:-}"; }
vmkdir() {
    note vmkdir "$@"
    install -d -m "${2:-755}" -- "$PKGDESTDIR/$1"
}
vmove() {
    note vmove "$@"
    [ "$PKGDESTDIR" != "$DESTDIR" ] || die "vmove: only in pkg_install"
    install -d -- "$PKGDESTDIR/$(dirname "$1")"
    mv -- "$DESTDIR/$1" "$PKGDESTDIR/$1"
}
vsed() {
    note vsed "$@"
    local before
    [ "$1" = -i ] || die "vsed: -i FILE first"
    before=$(sha256sum "$2")
    sed "$@"
    [ "$before" != "$(sha256sum "$2")" ] || die "vsed: nothing changed in $2"
}
vsv() {
    note vsv "$@"
    local sv=$PKGDESTDIR/etc/sv/$1
    install -d -- "$PKGDESTDIR/etc/sv" "$sv/log"
    cp -a -- "$FILESDIR/$1/." "$sv/"
    chmod 755 "$sv/run"
    for program in finish check; do
        if [ -e "$sv/$program" ]; then chmod 755 "$sv/$program"; fi
    done
    printf '#!/bin/sh\nexec vlogger -t %s -p %s\n' "$1" "${2:-daemon}" >"$sv/log/run"
    chmod 755 "$sv/log/run"
    ln -s "/run/runit/supervise.$1" "$sv/supervise"
    ln -s "/run/runit/supervise.$1-log" "$sv/log/supervise"
}
record() { for field in $FIELDS; do printf '%s' "${!field:-}" >"$records/$pkgname.$field"; done; }
has() { declare -F "$1" >/dev/null; }

umask 022
# shellcheck source=/dev/null
. "$template"
sourcepkg=$pkgname
export sourcepkg
DESTDIR=$destdir/$pkgname
PKGDESTDIR=$DESTDIR
mkdir -p "$PKGDESTDIR"
cd "$wrksrc"
# What the build style brings to DESTDIR was made from the source after post_patch.
if has post_patch; then post_patch; fi
if has do_install; then do_install; fi
if has post_install; then post_install; fi
record
for function in $(declare -F | cut -d ' ' -f 3 | grep '_package$' || true); do
    (
        unset depends conf_files make_dirs system_accounts
        pkgname=${function%_package}
        PKGDESTDIR=$destdir/$pkgname
        mkdir -p "$PKGDESTDIR"
        "$function"
        pkg_install
        record
    )
done
