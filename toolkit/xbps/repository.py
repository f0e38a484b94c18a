"""A repository that xbps-install takes: packages, their index, and (with a key) their signatures."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import UserError
from toolkit.xbps import archives, binary, contents
from toolkit.xbps.archives import Member

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.xbps.request import Request

OPENSSL_SECONDS: Final = 60.0
LEAST_BITS: Final = 2048
# What xbps-rindex leaves out of the index: the first two are its keys, the third says nothing to a host.
_NOT_INDEXED: Final = ("pkgname", "version", "packaged-with")


@dataclass(frozen=True, slots=True)
class Key:
    """An RSA key to sign with, and who signs; the passphrase, if it has one, is openssl's to ask for."""

    path: Path
    signed_by: str
    public: bytes
    bits: int


def load_key(path: Path, signed_by: str) -> Key:
    """Read what is public of a private key. UserError when openssl is missing or it is no RSA key of 2048 bits."""
    if not path.is_file():
        raise UserError(f"{path} is not a file", fix=f"Make a key: openssl genrsa -out {path} 4096")
    # -- before the name is not known to every openssl; an absolute name cannot be taken for an option.
    place = str(path.absolute())
    public = _openssl("pkey", "-in", place, "-pubout")
    said = _openssl("pkey", "-in", place, "-noout", "-text_pub").decode(errors="replace")
    bits = re.search(r"Public-Key: \((\d+) bit", said)
    if "Modulus:" not in said or bits is None or int(bits[1]) < LEAST_BITS:
        raise UserError(
            f"{path} is no RSA key of {LEAST_BITS} bits or more: xbps checks no other signatures",
            fix=f"Make one: openssl genrsa -out {path}.rsa 4096",
        )
    return Key(path, signed_by, public, int(bits[1]))


def make(request: Request, out: Path, architecture: str, *, python: str, key: Key | None = None) -> list[Path]:
    """Write the packages and their index into a folder, the index last; return the paths written.

    Raises UserError. What else lies in the folder stays, older packages too, but is not in the index.
    """
    made = contents.binaries(request, python)
    packed = {f"{each.pkgver}.{architecture}.xbps": binary.pack(each, request, architecture) for each in made}
    index = {
        each.name: _indexed(
            binary.properties(each, request, architecture), packed[f"{each.pkgver}.{architecture}.xbps"]
        )
        for each in made
    }
    # All of it is signed before anything is written: a key may have a passphrase that nobody types.
    files: dict[str, bytes] = {}
    for name, content in packed.items():
        files[name] = content
        if key:
            files[f"{name}.sig2"] = _openssl("dgst", "-sha256", "-sign", str(key.path.absolute()), given=content)
    files[f"{architecture}-repodata"] = _repodata(index, key)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in packed:
            if not key:
                (out / f"{name}.sig2").unlink(missing_ok=True)  # of other bytes, from an earlier run
        return [_put(out / name, content) for name, content in files.items()]
    except OSError as error:
        raise UserError(f"{out} cannot be written to: {error.strerror}", fix="Name another folder: --out DIR") from None


def _indexed(facts: dict[str, Any], content: bytes) -> dict[str, Any]:
    kept = {key: value for key, value in facts.items() if key not in _NOT_INDEXED}
    return {**kept, "filename-sha256": hashlib.sha256(content).hexdigest(), "filename-size": len(content)}


def _repodata(index: dict[str, Any], key: Key | None) -> bytes:
    meta = {
        "public-key": key.public,
        "public-key-size": key.bits,
        "signature-by": key.signed_by,
        "signature-type": "rsa",
    } if key else {}  # fmt: skip
    members = [
        Member("index.plist", binary.plist(index)),
        Member("index-meta.plist", binary.plist(meta)),
        Member("stage.plist"),
    ]
    return archives.zstd(archives.tar(members))


def _put(path: Path, content: bytes) -> Path:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)
    return path


def _openssl(*arguments: str, given: bytes = b"") -> bytes:
    """Return what openssl answers to what it is given. Raises UserError; it asks for a passphrase on the terminal."""
    if shutil.which("openssl") is None:
        raise UserError("openssl is not installed, and it signs", fix="Install it, or leave --key out.")
    argv = ["openssl", *arguments]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            answer, errors = process.communicate(given, timeout=OPENSSL_SECONDS)
        except subprocess.TimeoutExpired:
            _stop(process)
            raise UserError(
                f"openssl {arguments[0]} was not done within {OPENSSL_SECONDS:.0f} s; nothing was written",
                fix="If it asked for the key's passphrase, type it within that time. Or use a key without one.",
            ) from None
    if process.returncode:
        said = errors.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise UserError(f"openssl {arguments[0]} failed: {said[0]}", fix="Check the key: openssl pkey -in KEY -check")
    return answer


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End openssl: asked to, it has the terminal show again what is typed."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
