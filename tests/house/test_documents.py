"""The documents are held to the code: commands, options, settings, links and symbols, in both directions."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from cyclopts import App

from keepwell.cli.exit_codes import MEANINGS
from keepwell.cli.main import build_app
from tests.house.source import ROOT, modules, repository_files

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
VARIABLE = re.compile(r"\bKEEPWELL_[A-Z_]+\b")
CLASS_NAME = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+(?:\.[a-z_]+)?|[A-Z][a-z]+\.[a-z_]+")
CALL = re.compile(r"([a-z_]+)\(\)")
MENTIONED_COMMAND = re.compile(r"(?:^|[`\s/])keepwell ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?", re.MULTILINE)
MENTIONED_TARGET = re.compile(r"(?:^|`)make ([a-z]+)\b", re.MULTILINE)


@cache
def documents() -> dict[Path, str]:
    return {path: (ROOT / path).read_text() for path in repository_files() if path.suffix == ".md"}


def all_text() -> str:
    return "\n".join(documents().values())


def commands(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    """Every command with its words (`("account", "add")`); groups themselves are none."""
    for name in app:
        if name.startswith("-"):
            continue
        below = list(commands(app[name], (*words, name)))
        yield from below or [((*words, name), app[name])]


def options(app: App) -> list[str]:
    """A command's options as they are documented: their long names, negations left out."""
    found = app.assemble_argument_collection()
    names = [name for one in found if "POSITIONAL_ONLY" not in one.field_info.kind.name for name in one.names]
    return [name for name in names if name.startswith("--") and not name.startswith(("--no-", "--empty-"))]


def test_every_command_is_in_a_document() -> None:
    """Each command of `keepwell` is shown or explained in README.md or docs/."""
    text = all_text()
    missing = [" ".join(words) for words, _ in commands(build_app()) if f"keepwell {' '.join(words)}" not in text]
    assert missing == []


def test_every_option_is_in_a_document() -> None:
    """Each option of each command of `keepwell` is in README.md or docs/."""
    text = all_text()
    missing = [
        f"{' '.join(words)} {option}"
        for words, app in commands(build_app())
        for option in options(app)
        if not re.search(re.escape(option) + r"(?![a-z-])", text)
    ]
    assert missing == []


def test_every_command_in_a_document_exists() -> None:
    """What a document calls a command of `keepwell` is one."""
    known = {words for words, _ in commands(build_app())}
    groups = {words[0] for words in known if len(words) > 1}
    code = [text for document in documents().values() for text in (*CODE.findall(document), *BLOCK.findall(document))]
    mentioned = {match.groups() for text in code for match in MENTIONED_COMMAND.finditer(text)}
    wrong = [
        words
        for words in mentioned
        if (
            words not in known
            if words[0] in groups and words[1]
            else (words[0],) not in known and words[0] not in groups
        )
    ]
    assert wrong == []


def test_every_environment_variable_is_documented_and_read() -> None:
    """The variables that the product reads and those that the documents name are the same."""
    read = {name for module in modules("src/keepwell") for name in VARIABLE.findall(module.text)}
    assert set(VARIABLE.findall(all_text())) == read


def test_every_make_target_in_a_document_exists() -> None:
    """`make something` in a document is a target of the Makefile, and the README's two are there."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = [text for document in documents().values() for text in (*BLOCK.findall(document),)]
    spans = [f"`{text}`" for document in documents().values() for text in CODE.findall(document)]
    mentioned = {name for text in code + spans for name in MENTIONED_TARGET.findall(text)}
    assert mentioned - targets == set()
    assert {"serve", "test"} <= mentioned


@pytest.mark.parametrize("path", sorted(documents()), ids=str)
def test_links_resolve(path: Path) -> None:
    """Each link of a document leads to a file of the repository and a heading in it, or out to the web."""
    broken = [target for target in LINK.findall(documents()[path]) if not resolves(path, target)]
    assert broken == []


def resolves(path: Path, target: str) -> bool:
    if re.match(r"https?://|mailto:", target):
        return True
    file, _, anchor = target.partition("#")
    found = (ROOT / path.parent / file).resolve() if file else ROOT / path
    if not found.exists():
        return False
    return not anchor or anchor in {slug(heading) for heading in HEADING.findall(found.read_text())}


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", sorted(documents()), ids=str)
def test_files_named_exist(path: Path) -> None:
    """Each Python file that a document names is there, below the repository or the product."""
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|sh))`", documents()[path])
    assert [name for name in named if not any((ROOT / top / name).exists() for top in ("", "src/keepwell"))] == []


@cache
def symbols() -> tuple[dict[str, set[str]], set[str]]:
    """(members by class name, function names) of the product."""
    classes: dict[str, set[str]] = {}
    called: set[str] = set()
    for module in modules("src/keepwell"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                called.add(node.name)
            elif isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, set()).update(members(node))
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        classes.setdefault(target.id, set())
    return classes, called


def members(node: ast.ClassDef) -> Iterator[str]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child.name
        elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            yield child.target.id


@pytest.mark.parametrize("path", sorted(documents()), ids=str)
def test_symbols_named_exist(path: Path) -> None:
    """Each class, method and function that a document names in code type is in the product."""
    classes, called = symbols()
    wrong = []
    for text in CODE.findall(BLOCK.sub("", documents()[path])):
        if CLASS_NAME.fullmatch(text):
            name, _, member = text.partition(".")
            if name not in classes or (member and member not in classes[name]):
                wrong.append(text)
        elif (call := CALL.fullmatch(text)) and call[1] not in called:
            wrong.append(text)
    assert wrong == []


def test_every_exit_code_is_documented() -> None:
    """The table of exit codes in docs/COMMANDS.md is the one that the commands use."""
    text = (ROOT / "docs" / "COMMANDS.md").read_text()
    assert [
        f"| {code:d} | {meaning} |" for code, meaning in MEANINGS.items() if f"| {code:d} | {meaning} |" not in text
    ] == []
