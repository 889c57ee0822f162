"""The size ratchet: functions and modules stay small enough to be read in one go."""

from tests.house.source import functions, modules

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 600
FOLDERS = ("src/keepwell", "compat", "bench")

FUNCTIONS_ALLOWED: dict[str, int] = {}
"""Functions that may be longer for now: `path:name` → lines. It only ever gets shorter."""

MODULES_ALLOWED: dict[str, int] = {}
"""Modules that may be longer for now: path → lines. It only ever gets shorter."""


def function_lines() -> dict[str, int]:
    return {
        f"{module}:{function.name}": (function.end_lineno or function.lineno) - function.lineno + 1
        for module in modules(*FOLDERS)
        for function in functions(module)
    }


def module_lines() -> dict[str, int]:
    return {str(module): module.text.count("\n") for module in modules(*FOLDERS)}


def over(sizes: dict[str, int], limit: int) -> dict[str, int]:
    return {name: lines for name, lines in sizes.items() if lines > limit}


def test_no_function_is_longer_than_a_page() -> None:
    """Every function has at most 70 lines, but those on the list, which may not grow."""
    found = over(function_lines(), FUNCTION_LINES_MAX)
    assert {name: lines for name, lines in found.items() if lines > FUNCTIONS_ALLOWED.get(name, 0)} == {}


def test_no_module_is_longer_than_600_lines() -> None:
    """Every module has at most 600 lines, but those on the list, which may not grow."""
    found = over(module_lines(), MODULE_LINES_MAX)
    assert {name: lines for name, lines in found.items() if lines > MODULES_ALLOWED.get(name, 0)} == {}


def test_the_lists_hold_nothing_that_has_become_smaller() -> None:
    """An exception that is not needed any more, or is needed less, is taken off its list."""
    assert {**over(function_lines(), FUNCTION_LINES_MAX), **over(module_lines(), MODULE_LINES_MAX)} == {
        **FUNCTIONS_ALLOWED,
        **MODULES_ALLOWED,
    }


def test_the_ratchet_sees_the_product() -> None:
    """The measures are of real files: a wrong folder name would make the rules above hold of nothing."""
    assert len(module_lines()) > 40
    assert max(function_lines().values()) > 20
