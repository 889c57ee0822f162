"""Rules of the product's code that no linter knows: what only `ground` may do, and how checks and output are done."""

import ast
import re

import pytest

from tests.house.source import Module, dotted_uses, modules

PRODUCT_FOLDER = "src/keepwell"
GROUND = "src/keepwell/ground/"
OUTPUT_MODULE = "src/keepwell/cli/output.py"

SYNC = re.compile(r"os\.(fsync|fdatasync|sync)")
TIME = re.compile(
    r"time\.(time|monotonic|perf_counter|process_time|clock_gettime|gmtime|localtime|ctime)(_ns)?"
    r"|datetime\.datetime\.(now|utcnow|today)|datetime\.date\.today"
)
RANDOMNESS = re.compile(r"(random|secrets)(\..*)?|os\.(urandom|getrandom)|uuid\.uuid[14]")


def outside_ground() -> list[Module]:
    return [module for module in modules(PRODUCT_FOLDER) if not str(module).startswith(GROUND)]


def found(pattern: re.Pattern[str], among: list[Module]) -> list[str]:
    return [
        f"{module}:{line}: {name}" for module in among for name, line in dotted_uses(module) if pattern.fullmatch(name)
    ]


@pytest.mark.parametrize("pattern", [SYNC, TIME, RANDOMNESS], ids=["sync", "time", "randomness"])
def test_only_the_ground_syncs_asks_the_time_and_draws_randomness(pattern: re.Pattern[str]) -> None:
    """`fsync`, the clock and randomness are used in `keepwell.ground` and nowhere else in the product."""
    assert found(pattern, outside_ground()) == []


@pytest.mark.parametrize("pattern", [SYNC, TIME, RANDOMNESS], ids=["sync", "time", "randomness"])
def test_the_ground_does_each_of_them(pattern: re.Pattern[str]) -> None:
    """The search finds each of them in the ground, so it can find them elsewhere."""
    assert found(pattern, modules("src/keepwell/ground")) != []


def test_checks_of_the_product_are_never_assertions() -> None:
    """`python -O` removes assertions, so the product has none: it checks with `if` and raises."""
    lines = [
        f"{module}:{node.lineno}"
        for module in modules(PRODUCT_FOLDER)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assert)
    ]
    assert lines == []


def test_only_the_command_line_prints_and_through_one_module() -> None:
    """`print` is called in the command line's output module and nowhere else in the product."""
    lines = [
        f"{module}:{node.lineno}"
        for module in modules(PRODUCT_FOLDER)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert [line for line in lines if not line.startswith(f"{OUTPUT_MODULE}:")] == []


def test_every_module_says_what_it_is_for() -> None:
    """Every module of the product begins with a docstring, and so does every test module."""
    silent = [str(one) for one in modules(PRODUCT_FOLDER) if ast.get_docstring(one.tree) is None]
    silent += [
        str(one)
        for one in modules("tests")
        if one.path.name.startswith("test_") and ast.get_docstring(one.tree) is None
    ]
    assert silent == []
