"""A data folder with the account anna, worked on by the command alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def anna(command: Command) -> Command:
    command.must("account", "add", "anna")
    return command
