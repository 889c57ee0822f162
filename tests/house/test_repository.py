"""What may be in the repository: no addresses of package registries, no places of one machine, locks that are whole."""

import re
import tomllib

from tests.house.source import ROOT, repository_files

# Spelled in pieces, so that this file does not hold what it forbids.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("ghcr", "io"),
        ("docker", "io"),
    )
]
MACHINE_PLACES = re.compile(r"(?<![\w.~])/(?:" + "|".join(["wo" + "rk", "ro" + "ot"]) + r")/")
LOCKS = ["requirements.lock", "requirements-test.lock"]


def texts() -> dict[str, str]:
    """Every text file of the repository by its path; a file that is not UTF-8 is no text."""
    found = {}
    for path in repository_files():
        try:
            found[path.as_posix()] = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the machine's setting: no file of the repository names a registry's host."""
    named = [(path, host) for path, text in texts().items() for host in REGISTRY_HOSTS if host in text]
    assert named == []


def test_no_file_names_a_place_of_one_machine() -> None:
    """No file of the repository holds a path that exists on one developer's machine only."""
    assert [path for path, text in texts().items() if MACHINE_PLACES.search(text)] == []


def test_every_locked_package_has_its_version_and_hashes() -> None:
    """Every entry of a lock file is one version with at least one SHA-256."""
    for name in LOCKS:
        entries = re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text().rstrip())
        assert len(entries) > 20
        for entry in entries:
            assert re.match(r"[a-z0-9._-]+==[0-9][^ ]*( ; [^\\]*)? \\\n", entry), entry
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """Every requirement of pyproject.toml is in its lock; when it is not, `make lock` mends it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime, tests = project["dependencies"], project["optional-dependencies"]["test"]
    assert missing(runtime, "requirements.lock") == []
    assert missing(runtime + tests, "requirements-test.lock") == []


def missing(requirements: list[str], lock: str) -> list[str]:
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / lock).read_text(), re.MULTILINE))
    names = [re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0].lower() for requirement in requirements]
    return [name for name in names if re.sub(r"[-_.]+", "-", name) not in locked]


def test_both_locks_agree() -> None:
    """A package that is in both locks has the same version in both: tests run what people run."""
    versions = [dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS]
    run, tested = versions
    assert {name: tested.get(name) for name in run} == run


def test_scripts_can_be_run() -> None:
    """What begins with `#!` in `.ci` may be executed."""
    scripts = [ROOT / ".ci" / "run", ROOT / ".ci" / "packages"]
    for script in scripts:
        assert script.read_text().startswith("#!")
        assert script.stat().st_mode & 0o111
