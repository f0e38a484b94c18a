"""Finding the Debian mirror of a machine in whatever shape its apt sources have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import needs
from toolkit.errors import UserError
from toolkit.lab import sources
from toolkit.lab.sources import Mirror


def apt(tmp_path: Path, **files: str) -> Path:
    """Write apt's configuration: `list` is sources.list, the others files below sources.list.d."""
    directory = tmp_path / "apt"
    (directory / "sources.list.d").mkdir(parents=True)
    for name, text in files.items():
        path = directory / "sources.list" if name == "list" else directory / "sources.list.d" / name.replace("__", ".")
        path.write_text(text)
    return directory


DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
THIRD_PARTIES = """\
deb [signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/debian bookworm stable
deb https://apt.releases.hashicorp.com bookworm main
deb https://packages.microsoft.com/debian/12/prod bookworm main
deb https://deb.nodesource.com/node_20.x nodistro main
deb http://apt.postgresql.org/pub/repos/apt bookworm-pgdg main
"""


def test_new_format_stanzas_are_read(tmp_path: Path) -> None:
    assert sources.find(apt(tmp_path, debian__sources=DEB822)) == [
        Mirror("http://deb.debian.org/debian", security=False, signed_by=KEYRING),
        Mirror("http://deb.debian.org/debian-security", security=True, signed_by=KEYRING),
    ]


def test_one_line_entries_are_read_from_the_file_and_the_directory(tmp_path: Path) -> None:
    found = sources.find(
        apt(
            tmp_path,
            list="deb-src http://a.example/debian bookworm main\n  deb http://a.example/debian/ stable main # near\n",
            more__list=f"deb [arch=amd64 signed-by={KEYRING}] http://b.example/debian-security stable-security main\n",
        )
    )
    assert found == [
        Mirror("http://a.example/debian/", security=False),
        Mirror("http://b.example/debian-security", security=True, signed_by=KEYRING),
    ]


def test_entries_of_others_that_use_debians_names_are_left_alone(tmp_path: Path) -> None:
    found = sources.find(apt(tmp_path, list=THIRD_PARTIES, debian__sources=DEB822))
    assert [mirror.uri for mirror in found] == [
        "http://deb.debian.org/debian",
        "http://deb.debian.org/debian-security",
    ]


UBUNTU = """\
Types: deb
URIs: http://archive.ubuntu.com/ubuntu/
Suites: noble noble-updates noble-backports
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

Types: deb
URIs: http://security.ubuntu.com/ubuntu/
Suites: noble-security
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
"""
OFF = "Enabled: no\n" + DEB822.split("\n\n")[0]


@pytest.mark.parametrize("files", [{"ubuntu__sources": UBUNTU}, {"list": THIRD_PARTIES}, {"debian__sources": OFF}])
def test_a_machine_that_names_no_debian_mirror_takes_debians_own_by_its_key(
    tmp_path: Path, files: dict[str, str]
) -> None:
    keyring = tmp_path / "debian-archive-keyring.gpg"
    keyring.touch()
    assert sources.find(apt(tmp_path, **files), keyring) == [
        Mirror("http://deb.debian.org/debian", security=False, signed_by=str(keyring)),
        Mirror("http://deb.debian.org/debian-security", security=True, signed_by=str(keyring)),
    ]


def test_without_the_key_it_is_told_the_package_and_nothing_that_changes_its_own_apt(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no mirror of Debian, and its key is not here") as caught:
        sources.find(apt(tmp_path, ubuntu__sources=UBUNTU), tmp_path / "none.gpg")
    assert "apt-get install debian-archive-keyring" in caught.value.fix
    assert "/etc/apt" not in caught.value.fix


@pytest.mark.parametrize(
    "uri",
    [
        "mirror+file:/etc/apt/mirrors/debian.list",
        "https://cdn.example/linux/mirror-of-debian",
        "http://192.0.2.7:3142/d",
    ],
)
def test_any_address_is_debians_when_its_entry_is_bound_to_debians_key(tmp_path: Path, uri: str) -> None:
    text = f"Types: deb\nURIs: {uri}\nSuites: trixie\nComponents: main\nSigned-By: {KEYRING}\n"
    assert sources.find(apt(tmp_path, debian__sources=text)) == [Mirror(uri, security=False, signed_by=KEYRING)]


def test_a_mirror_known_for_one_release_serves_another(tmp_path: Path) -> None:
    text = DEB822.replace("bookworm", "trixie")
    mirrors = sources.find(apt(tmp_path, debian__sources=text))
    assert sources.for_suite("bookworm", mirrors) == (
        "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
        f"Signed-By: {KEYRING}\n\n"
        "Types: deb\nURIs: http://deb.debian.org/debian-security\nSuites: bookworm-security\nComponents: main\n"
        f"Signed-By: {KEYRING}\n"
    )


def test_a_key_written_into_the_stanza_itself_is_kept_whole(tmp_path: Path) -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBGPL\n -----END PGP PUBLIC KEY BLOCK-----"
    text = f"Types: deb\nURIs: http://ftp.example/debian\nSuites: stable\nComponents: main\nSigned-By:{key}\n"
    mirrors = sources.find(apt(tmp_path, debian__sources=text))
    again = apt(tmp_path / "again", debian__sources=sources.for_suite("stable", mirrors))
    assert sources.find(again) == mirrors
    assert "mQINBGPL" in mirrors[0].signed_by


def test_how_the_machines_apt_reaches_its_mirror_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs.program("apt-config")
    (tmp_path / "apt.conf").write_text(
        'Acquire::Check-Valid-Until "false";\nAcquire::http::Proxy "http://proxy.example:3128/";\n'
        'Acquire::https::CaInfo "/etc/ssl/own.pem";\nAPT::Install-Recommends "true";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    options = sources.apt_options()
    for option in (
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://proxy.example:3128/";',
        'Acquire::https::CaInfo "/etc/ssl/own.pem";',
    ):
        assert option in options
    assert [option for option in options if not option.startswith("Acquire::")] == []


def test_a_machine_without_apt_has_nothing_to_hand_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sources.apt_options() == []
