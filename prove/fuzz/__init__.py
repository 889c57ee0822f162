"""Coverage-guided fuzzing of what reads bytes from outside.

A target is a module with one function that feeds bytes to pure functions of the product and raises when a property does
not hold. atheris (libFuzzer for Python) changes the bytes, keeps what reaches new code, and begins with the small files
in `corpus/TARGET`. `python -m prove fuzz-TARGET` runs one; `python -m prove.fuzz TARGET FILE…` tries files again, such
as those that a run left behind.
"""
