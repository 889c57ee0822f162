"""Where the suites live: the checkout, the cache beside it, the environment they are installed into."""

import shutil
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "compat"
PROGRAMS = ROOT / ".venv-programs" / "bin"
INSTALL = "sh compat/install.sh"


class MissingProgramError(Exception):
    """A program that a suite or a test needs is not there; the message names what installs it."""


def install_programs() -> None:
    """Install the pinned programs and fetch the pinned sources; quick when that was done before."""
    done = subprocess.run(INSTALL.split(), cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise MissingProgramError(f"`{INSTALL}` failed:\n{done.stdout}{done.stderr}")


def program(name: str) -> Path:
    """The installed program of that name."""
    path = PROGRAMS / name
    if not path.exists():
        raise MissingProgramError(f"{name} is not installed; install it with: {INSTALL}")
    return path


def system_program(name: str) -> Path:
    """The program of that name that comes with the operating system, named like its Debian package."""
    path = shutil.which(name)
    if path is None:
        raise MissingProgramError(f"{name} is not installed; install it with: apt-get install {name}")
    return Path(path)


def unpack_source(name: str, into: Path, folder: str) -> Path:
    """Unpack one folder of a fetched source archive into an empty place and return its parent."""
    archives = sorted((CACHE / "sources").glob(f"{name}-*.tar.gz"))
    if len(archives) != 1:
        raise MissingProgramError(f"the sources of {name} are not there; fetch them with: {INSTALL}")
    shutil.rmtree(into, ignore_errors=True)
    top = archives[0].name.removesuffix(".tar.gz")
    with tarfile.open(archives[0]) as archive:
        wanted = [m for m in archive.getmembers() if m.name.startswith((f"{top}/{folder}/", f"{top}/pyproject.toml"))]
        archive.extractall(into, wanted, filter="data")
    return into / top
