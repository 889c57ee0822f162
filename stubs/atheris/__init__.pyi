"""The part of atheris 3.0 that the proving ground uses."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

def instrument_imports(
    include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
) -> AbstractContextManager[object]: ...
def Setup(args: Sequence[str], test_one_input: Callable[[bytes], object]) -> list[str]: ...
def Fuzz() -> None: ...
