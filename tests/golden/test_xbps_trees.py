"""What lands where when xbps-src runs the templates, and that the packages made without it are the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from relay import __version__
from tests.support import xbps_harness, xbps_reader
from tests.support.templates import assert_golden
from tests.support.xbps_sources import MAINTAINER, PACKAGES, settled
from toolkit.errors import UserError
from toolkit.xbps import archives, binary, render, repository, request

if TYPE_CHECKING:
    from tests.support.xbps_harness import Installed

BUILT = {
    "netplay-mitm-server": archives.Member("netplay-mitm-server/mitm", b"\x7fELF"),
    "netplay-tunnel-server": archives.Member("netplay-tunnel-server/retroarch_tunnel_server.py", b"pass\n"),
}
COMMIT = "c" * 40


def installed(package: str, folder: Path) -> dict[str, Installed]:
    wanted = settled(package, folder) if package in BUILT else own(folder)
    written = render.write(wanted, folder / "out")
    tarball = archives.gzip(archives.tar([BUILT[package]])) if package in BUILT else None
    return xbps_harness.run(written.folder / "template", folder / "run", tarball=tarball)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Installed]:
    return installed("netplay-relay", tmp_path_factory.mktemp("relay"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of the same source."""
    folder = tmp_path_factory.mktemp("made")
    repository.make(own(folder), folder / "repo", "x86_64", python=xbps_harness.PYTHON)
    return folder / "repo"


def own(folder: Path, **options: str) -> request.Request:
    path = folder / "netplay-relay.tar.gz"
    path.write_bytes(xbps_harness.source_tarball())
    return request.settle(request.Asked(distfile=str(path), maintainer=MAINTAINER, **options))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_template_installs_the_files_that_were_agreed_on(package: str, tmp_path: Path) -> None:
    trees = installed(package, tmp_path).items()
    text = "\n".join(f"{name}:\n{tree.shown()}" for name, tree in trees)
    assert_golden(f"xbps-tree-{package}", text.replace(__version__, "VERSION"))


def test_the_package_holds_the_relay_alone(relay: dict[str, Installed]) -> None:
    library = f"/usr/lib/python{xbps_harness.PYTHON}/site-packages/"
    found = {path.removeprefix(library) for path in relay["netplay-relay"].entries if path.startswith(library)}
    assert {path for path in found if ".dist-info/" not in path} == xbps_harness.modules()


def test_settings_are_in_the_package_that_lists_them(relay: dict[str, Installed]) -> None:
    assert relay["netplay-relay"].fields["conf_files"].split()
    for tree in relay.values():
        assert set(tree.fields["conf_files"].split()) <= tree.entries.keys()


def test_a_subpackage_does_not_inherit_what_xbps_src_resets(relay: dict[str, Installed]) -> None:
    fields = relay["netplay-relay-firewall"].fields
    assert (fields["system_accounts"], fields["make_dirs"]) == ("", "")
    assert fields["depends"] == f"netplay-relay-{__version__}_1 nftables"


@pytest.mark.parametrize("name", ["netplay-relay", "netplay-relay-firewall"])
def test_a_package_made_without_xbps_src_has_the_same_files(name: str, relay: dict[str, Installed], made: Path) -> None:
    read = xbps_reader.package(made / f"{name}-{__version__}_1.x86_64.xbps")
    expected = {path: (entry.mode, entry.sha256, entry.target) for path, entry in relay[name].entries.items()}
    assert read.entries == expected
    listed = {each["file"]: each["sha256"] for kind in ("files", "conf_files") for each in read.listing.get(kind, [])}
    assert listed == {path: entry.sha256 for path, entry in relay[name].entries.items() if not entry.target}
    links = {each["file"]: each["target"] for each in read.listing["links"]}
    assert links == {path: entry.target for path, entry in relay[name].entries.items() if entry.target}
    folders = {str(parent) for path in expected for parent in Path(path).parents} - {"/"}
    assert {each["file"] for each in read.listing["dirs"]} == folders


@pytest.mark.parametrize("name", ["netplay-relay", "netplay-relay-firewall"])
def test_a_package_made_without_xbps_src_has_the_templates_facts(
    name: str, relay: dict[str, Installed], made: Path
) -> None:
    props = xbps_reader.package(made / f"{name}-{__version__}_1.x86_64.xbps").props
    fields = relay[name].fields
    assert {key: props[key] for key in ("pkgname", "short_desc", "maintainer", "license", "homepage")} == {
        key: fields[key] for key in ("pkgname", "short_desc", "maintainer", "license", "homepage")
    }
    assert props["version"] == f"{fields['version']}_{fields['revision']}"
    assert props.get("conf_files", []) == fields["conf_files"].split()
    # xbps-src writes a dependency without a version as >=0, and adds the one Python that the modules are good for.
    plain = {word if f"-{__version__}_" in word else f"{word}>=0" for word in fields["depends"].split()}
    brought = {"python3>=3.14.0_1<3.15.0_1"} if name == "netplay-relay" else set()
    assert set(props["run_depends"]) == plain - {"python3>=0"} | brought


def test_the_same_source_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    repository.make(own(tmp_path), tmp_path / "again", "x86_64", python=xbps_harness.PYTHON)
    first, second = ({path.name: path.read_bytes() for path in place.iterdir()} for place in (made, tmp_path / "again"))
    assert first == second


def test_a_snapshots_wheel_says_which_snapshot_it_is(tmp_path: Path) -> None:
    wanted = own(tmp_path, commit=COMMIT, date="20261103")
    written = render.write(wanted, tmp_path / "out")
    tree = xbps_harness.run(written.folder / "template", tmp_path / "run", patched="0.0.20261103")
    repository.make(wanted, tmp_path / "repo", "aarch64-musl", python=xbps_harness.PYTHON)
    read = xbps_reader.package(tmp_path / "repo" / "netplay-relay-0.0.20261103_1.aarch64-musl.xbps")
    assert {path: entry.sha256 for path, entry in tree["netplay-relay"].entries.items()} == {
        path: sha256 for path, (_, sha256, _) in read.entries.items()
    }
    assert any("netplay_relay-0.0.20261103.dist-info/" in path for path in read.entries)


def test_an_architecture_and_a_python_that_void_has_not_are_refused() -> None:
    with pytest.raises(UserError, match="no architecture 'noarch'"):
        binary.check_architecture("noarch")
    with pytest.raises(UserError, match="not a version of Python"):
        binary.check_python("3")
