"""A small package without a fault, for rules to find the faults that are put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = """\
# Template file for 'thing'
pkgname=thing
version=1.2.3
revision=1
build_style=gnu-makefile
hostmakedepends="pkg-config"
depends="python3"
short_desc="Small thing for tests"
maintainer="Anna Example <anna@example.org>"
license="MIT"
homepage="https://example.org/thing"
distfiles="https://example.org/thing-${version}.tar.gz"
checksum=5555555555555555555555555555555555555555555555555555555555555555
system_accounts="_thing"
_thing_homedir="/var/empty"
conf_files="/etc/thing.conf"
make_dirs="/var/lib/thing 0750 _thing _thing"

post_install() {
	vinstall ${FILESDIR}/thing.conf 644 etc
	vlicense LICENSE
	vsv thing
}

thing-extra_package() {
	short_desc+=" - more"
	conf_files="/etc/extra.conf"
	pkg_install() {
		vmove etc/extra.conf
	}
}
"""
RUN = """\
#!/bin/sh
exec 2>&1
[ -r ./conf ] && . ./conf
exec setpriv --no-new-privs -- thing ${OPTS:=}
"""


def write(folder: Path) -> Path:
    """Write the package into a folder named thing below this one; return it."""
    thing = folder / "srcpkgs" / "thing"
    service = thing / "files" / "thing"
    service.mkdir(parents=True)
    (thing / "template").write_text(TEMPLATE)
    (thing / "update").write_text('pattern="thing-\\K[0-9.]+"\n')
    (service / "run").write_text(RUN)
    (service / "check").write_text("#!/bin/sh\nexec thing --ready\n")
    (thing.parent / "thing-extra").symlink_to("thing")
    return thing
