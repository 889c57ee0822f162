"""The repository as its own tests see it: its files, and the syntax trees of its Python modules."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ROOT / "src" / "keepwell"


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: where it is (relative to the repository), its text and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    def __str__(self) -> str:
        return self.path.as_posix()


@cache
def repository_files() -> list[Path]:
    """Every file that is, or would be, under version control; relative to the repository."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return sorted(path for name in listed.split("\0") if name and (ROOT / (path := Path(name))).is_file())


@cache
def modules(*folders: str) -> list[Module]:
    """The Python modules below these folders of the repository."""
    paths = [path for path in repository_files() if path.suffix == ".py" and _is_below(path, folders)]
    return [_parse(path) for path in paths]


def _is_below(path: Path, folders: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _parse(path: Path) -> Module:
    text = (ROOT / path).read_text()
    return Module(path, text, ast.parse(text, str(path)))


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a module, nested ones included."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported_names(module: Module) -> dict[str, str]:
    """What each imported name of a module stands for: `{"now": "datetime.datetime.now"}`."""
    names = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted_uses(module: Module) -> Iterator[tuple[str, int]]:
    """Every use of an imported name with what is taken from it, spelled out: (`os.fsync`, line)."""
    names = imported_names(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            head, *rest = _parts(node)
            if head in names:
                yield ".".join([names[head], *rest]), node.lineno


def _parts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [*_parts(node.value), node.attr]
    return [""]
