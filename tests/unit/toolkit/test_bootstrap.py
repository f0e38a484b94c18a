"""bootstrap on machines that lack things: what is missing is installed, or named with the command that installs it.

The machine is a folder of programs that stands for all of PATH.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from toolkit.console import ROOT
from toolkit.dev.lock import EXTRAS
from toolkit.lab.programs import PACKAGES
from toolkit.lab.sources import KEYRING, KEYRING_PACKAGE

SHELL_TOOLS = ("sh", "cat", "chmod", "cksum", "dirname", "env", "mkdir", "rm", "sed", "sort", "flock")
# Stands for python3: `-m venv DIR` makes one whose python and invoke say how they are called.
PYTHON = """\
#!/bin/sh
echo "python3 $*" >>"{log}"
case "$1 $2" in
"-c "*) [ "{fit}" = yes ] ;;
"-m venv")
    mkdir -p "$4/bin"
    cat >"$4/bin/python" <<'END'
#!/bin/sh
echo "venv-python $*" >>"{log}"
case "$*" in *install*) exit "$(cat "{pip}")" ;; esac
END
    cat >"$4/bin/invoke" <<'END'
#!/bin/sh
echo "invoke $*" >>"{log}"
END
    chmod +x "$4/bin/python" "$4/bin/invoke"
    ;;
*) echo "Python 3.9.2" ;;
esac
"""


@dataclass
class Machine:
    """A machine with the programs given and a checkout with a bootstrap."""

    folder: Path

    @property
    def checkout(self) -> Path:
        """The checkout, at a path with a space in it."""
        return self.folder / "my checkout"

    @property
    def log(self) -> list[str]:
        """What was called, in order."""
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def program(self, name: str, text: str) -> None:
        """Give the machine a program."""
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def python(self, *, fit: bool) -> None:
        """Give the machine a Python that is new enough, or too old."""
        values = {"log": self.folder / "log", "fit": "yes" if fit else "no", "pip": self.folder / "pip"}
        self.program("python3", PYTHON.format(**values))

    def pip_ends_with(self, code: int) -> None:
        """Say how pip will end."""
        (self.folder / "pip").write_text(f"{code}\n")

    def account(self, uid: int) -> None:
        """Say who runs bootstrap."""
        self.program("id", f"#!/bin/sh\necho {uid}\n")

    def has(self, *names: str) -> None:
        """Give the machine programs that do nothing."""
        for name in names:
            self.program(name, "#!/bin/sh\n")

    def apt(self, *, gives: str = "", code: int = 0) -> None:
        """Give the machine an apt-get that writes itself down and installs these programs."""
        made = "".join(f'printf "#!/bin/sh\\n" >"{self.folder}/bin/{name}"; ' for name in gives.split())
        chmod = "".join(f'chmod +x "{self.folder}/bin/{name}"; ' for name in gives.split())
        self.program("apt-get", f'#!/bin/sh\necho "apt-get $*" >>"{self.folder}/log"\n{made}{chmod}exit {code}\n')

    def run(self, *words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run bootstrap there, from another folder."""
        return subprocess.run(
            ["/bin/sh", self.checkout / "bootstrap", *words],
            capture_output=True, text=True, check=False, timeout=60, cwd="/",
            env={"PATH": f"{self.folder}/bin", **(environment or {})},
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with a shell's own programs, a good Python and ssh, used by root."""
    made = Machine(tmp_path)
    (tmp_path / "bin").mkdir()
    made.checkout.mkdir()
    text = (ROOT / "bootstrap").read_text()
    assert "PATH=$PATH:/usr/sbin:/sbin:/usr/games\n" in text
    assert f"{KEYRING} " in text
    assert " /usr/bin/python3;" in text
    # The real machine's own programs are kept out.
    text = text.replace("PATH=$PATH:/usr/sbin:/sbin:/usr/games\n", "").replace(" /usr/bin/python3;", ";")
    text = text.replace(str(KEYRING), f"'{tmp_path}/keyring.gpg'")
    (made.checkout / "bootstrap").write_text(text)
    (made.checkout / "pyproject.toml").write_text("[project]\n")
    (made.checkout / "requirements").mkdir()
    for extra in EXTRAS:
        (made.checkout / "requirements" / f"{extra}.txt").write_text(f"# of {extra}\n")
    for name in SHELL_TOOLS:
        found = shutil.which(name)
        assert found, f"{name} is missing here"
        (tmp_path / "bin" / name).symlink_to(found)
    made.python(fit=True)
    made.pip_ends_with(0)
    made.account(0)
    made.has("ssh")
    return made


def test_the_first_run_makes_the_venv_and_hands_over(machine: Machine) -> None:
    done = machine.run("deploy", "--host", "my vps; id")
    assert done.returncode == 0, done.stderr
    assert machine.log[-1] == f"invoke --search-root {machine.checkout} deploy --host my vps; id"


@pytest.mark.parametrize(("words", "extra"), [(("deploy", "--host", "a"), "toolkit"), (("test", "--fast"), "dev")])
def test_the_versions_of_the_lock_are_installed_and_no_others(
    machine: Machine, words: tuple[str, ...], extra: str
) -> None:
    assert machine.run(*words).returncode == 0
    locked, itself = [line.partition(" install ")[2] for line in machine.log if "pip install" in line]
    assert locked.endswith(f"--require-hashes -r {machine.checkout}/requirements/{extra}.txt")
    # Neither what it depends on nor what builds it comes from anywhere else.
    assert itself.endswith("--no-deps --no-build-isolation -e .")


def test_the_newest_versions_are_installed_on_request(machine: Machine) -> None:
    machine.run("test", "--fast")
    before = len(machine.log)
    assert machine.run("test", "--fast", environment={"NETPLAY_RELAY_NEWEST": "1"}).returncode == 0
    (line,) = [line for line in machine.log[before:] if "pip install" in line]
    assert line.endswith("--upgrade -e .[toolkit,dev]")
    before = len(machine.log)
    machine.run("test", "--fast")
    assert any("--require-hashes" in line for line in machine.log[before:])


def test_the_next_run_installs_nothing(machine: Machine) -> None:
    machine.run("deploy", "--host", "a")
    before = len(machine.log)
    done = machine.run("deploy", "--host", "a")
    assert [line.split()[0] for line in machine.log[before:]] == ["venv-python", "invoke"]
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements/toolkit.txt"])
def test_changed_requirements_are_installed_again_into_the_same_venv(machine: Machine, name: str) -> None:
    machine.run("deploy", "--host", "a")
    (machine.checkout / name).write_text("# changed\n")
    before = len(machine.log)
    machine.run("deploy", "--host", "a")
    assert any("pip install" in line for line in machine.log[before:])
    assert not any("venv" in line.split()[2:3] for line in machine.log[before:])


def test_a_checkout_that_was_moved_is_installed_again(machine: Machine) -> None:
    machine.run("deploy", "--host", "a")
    moved = machine.folder / "moved"
    machine.checkout.rename(moved)
    before = len(machine.log)
    subprocess.run(
        ["/bin/sh", moved / "bootstrap", "deploy", "--host", "a"],
        check=True, timeout=60, capture_output=True, env={"PATH": f"{machine.folder}/bin"},
    )  # fmt: skip
    assert any("pip install" in line for line in machine.log[before:])


def test_a_venv_that_was_half_made_when_it_was_killed_is_made_anew(machine: Machine) -> None:
    machine.pip_ends_with(1)
    assert machine.run("deploy", "--host", "a").returncode != 0
    leftover = machine.checkout / ".venv" / "half a package"
    leftover.touch()
    machine.pip_ends_with(0)
    assert machine.run("deploy", "--host", "a").returncode == 0
    assert not leftover.exists()


def test_a_venv_whose_python_became_another_one_is_made_anew(machine: Machine) -> None:
    machine.run("deploy", "--host", "a")
    # As after an upgrade of the whole system: it starts, and looks for its packages where none are.
    inherited = machine.checkout / ".venv" / "bin" / "python"
    inherited.write_text('#!/bin/sh\ncase "$*" in *invoke* | *pip*) exit 1 ;; esac\n')
    before = len(machine.log)
    done = machine.run("deploy", "--host", "a")
    assert done.returncode == 0, done.stderr
    assert "making .venv with" in done.stderr
    assert any("pip install" in line for line in machine.log[before:])
    assert machine.log[-1].endswith("deploy --host a")


def test_a_failing_pip_ends_with_what_to_do(machine: Machine) -> None:
    machine.pip_ends_with(1)
    done = machine.run("deploy", "--host", "a")
    assert done.returncode == 3
    assert "no network" in done.stderr
    assert not any(line.startswith("invoke") for line in machine.log)


def test_root_gets_missing_programs_installed(machine: Machine) -> None:
    (machine.folder / "bin" / "ssh").unlink()
    machine.apt(gives="ssh")
    done = machine.run("deploy", "--host", "a")
    assert done.returncode == 0, done.stderr
    assert any(re.search(r"^apt-get .*--no-install-recommends install openssh-client$", line) for line in machine.log)


def test_lists_that_are_out_of_date_are_read_anew_once(machine: Machine) -> None:
    (machine.folder / "bin" / "ssh").unlink()
    machine.apt(code=100)
    done = machine.run("deploy", "--host", "a")
    assert done.returncode == 3
    assert sum("update" in line for line in machine.log) == 1


def test_an_account_with_sudo_installs_through_it(machine: Machine) -> None:
    (machine.folder / "bin" / "ssh").unlink()
    machine.account(1000)
    machine.apt(gives="ssh")
    machine.program("sudo", f'#!/bin/sh\necho "sudo $*" >>"{machine.folder}/log"\nexec "$@"\n')
    assert machine.run("deploy", "--host", "a").returncode == 0
    assert any(line.startswith("sudo env") and "openssh-client" in line for line in machine.log)


def test_an_account_without_sudo_is_told_the_one_command(machine: Machine) -> None:
    machine.account(1000)
    machine.apt()
    done = machine.run("deploy")
    assert done.returncode == 3
    command = re.search(r"apt-get update && apt-get install --no-install-recommends (.*)", done.stderr)
    assert command
    assert {"iproute2", "mmdebstrap", "util-linux", KEYRING_PACKAGE} <= set(command[1].split())
    assert not any(line.startswith("apt-get") for line in machine.log)


@pytest.mark.parametrize("words", [["deploy", "--check"], ["deploy", "--host", "a", "--check"]])
def test_a_look_ahead_installs_no_packages(machine: Machine, words: list[str]) -> None:
    (machine.folder / "bin" / "ssh").unlink()
    machine.apt(gives="ssh mmdebstrap ip")
    assert machine.run(*words).returncode == 0
    assert [line for line in machine.log if line.startswith("apt-get")] == []
    machine.run(*words[:-1])
    assert [line for line in machine.log if line.startswith("apt-get")] != []


@pytest.mark.parametrize("task", ["deploy", "test"])
def test_debians_key_is_installed_for_the_lab_where_it_is_not_here(machine: Machine, task: str) -> None:
    machine.has(*PACKAGES)
    machine.apt()
    assert machine.run(task).returncode == 0
    assert any(re.search(rf" {KEYRING_PACKAGE}( |$)", line) for line in machine.log)
    before = len(machine.log)
    (machine.folder / "keyring.gpg").touch()
    machine.run("deploy")
    machine.run("deploy", "--host", "a")
    assert not any("apt-get" in line for line in machine.log[before:])


def test_a_machine_without_apt_gets_the_list(machine: Machine) -> None:
    done = machine.run("deploy")
    assert done.returncode == 3
    assert "mmdebstrap" in done.stderr
    assert "package manager" in done.stderr


def test_an_old_python_is_named_when_no_better_one_is_to_be_had(machine: Machine) -> None:
    machine.python(fit=False)
    machine.apt()
    done = machine.run("deploy", "--host", "a")
    assert done.returncode == 3
    assert "Python 3.11 or newer is needed" in done.stderr


@pytest.mark.parametrize("words", [[], ["--help"], ["help"]])
def test_alone_it_says_what_one_can_do_and_does_nothing(machine: Machine, words: list[str]) -> None:
    done = machine.run(*words)
    assert done.returncode == 0
    assert "./bootstrap deploy --host myvps" in done.stdout
    assert not (machine.checkout / ".venv").exists()


def test_all_programs_of_the_lab_are_looked_for() -> None:
    text = (ROOT / "bootstrap").read_text()
    pairs = dict(pair.split(":") for pair in re.findall(r"[\w-]+:[\w-]+", text.split("LAB='")[1].split("'")[0]))
    assert {name: pairs.get(name) for name in PACKAGES} == dict(PACKAGES)
