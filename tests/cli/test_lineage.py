"""`keepwell lineage`: what is held is shown with the counts of then and now, and opened only by a decision."""

from __future__ import annotations

import re
import shutil

import pytest

from keepwell.app.start import prepare
from tests.cli.command import Command
from tests.services.samples import card


def start(command: Command) -> list[str]:
    """What `keepwell serve` does before it serves; what it tells."""
    told: list[str] = []
    prepare(command.data, "family", told.append)
    return told


def fill(command: Command, *names: str) -> None:
    for name in names:
        path = command.folder / f"{name}.vcf"
        path.write_bytes(card(name))
        command.must("import", "anna", str(path), "--into", "contacts")


@pytest.fixture
def back(anna: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A data folder that was put back as it was when anna had one card; she had three."""
    monkeypatch.setenv("KEEPWELL_WITNESS", str(anna.folder / "witness.jsonl"))
    assert start(anna) == []
    fill(anna, "one")
    shutil.copytree(anna.data, anna.folder / "copy")
    fill(anna, "two", "three")
    shutil.rmtree(anna.data)
    (anna.folder / "copy").rename(anna.data)
    told = start(anna)
    assert re.search(r"the history of anna \(a_\w+\) went back, contacts is not whole: 3 items were known", told[0])
    assert "keepwell lineage show anna" in told[-1]
    return anna


def test_what_is_held_is_shown_with_what_to_do(back: Command) -> None:
    """One row for each kind, with the items known and those here; then the steps in their order."""
    for words in (("lineage", "show"), ("lineage", "show", "anna")):
        output = back.must(*words).output
        assert re.search(r"^anna\s+contacts\s+3\s+1\s+3 items were known", output, re.MULTILINE)
        assert "keepwell import anna FILE" in output
    (state,) = back.must("lineage", "show", "--json").list("accounts")
    assert (state["login"], state["is_here"], state["closed"]) == ("anna", True, False)
    kinds = state["kinds"]
    assert isinstance(kinds, list)
    assert [(one["kind"], one["known"]["count"], one["count"]) for one in kinds] == [("contacts", 3, 1)]


def test_an_export_of_what_is_held_is_refused_and_an_import_is_not(back: Command) -> None:
    """An export would look as if it were everything; an import is what comes before the decision."""
    refused = back.run("export", "anna", "out")
    assert (refused.code, "not to be whole" in refused.errors) == (4, True)
    fill(back, "two", "three")
    assert "contacts" in back.must("lineage", "show", "anna").output, "the decision is still a person's"


def test_accepting_is_planned_first_and_opens(back: Command) -> None:
    """A dry run changes nothing and says the command that does; afterwards nothing is held, and history tells who."""
    plan = back.must("lineage", "accept", "anna", "--kind", "contacts", "--dry-run").output
    assert "Nothing was changed" in plan
    assert "keepwell lineage accept anna --kind contacts" in plan
    assert "anna" in back.must("lineage", "show").output
    assert "served again" in back.must("lineage", "accept", "anna", "--kind", "contacts").output
    assert back.must("lineage", "show").output.startswith("Nothing is held")
    assert back.must("export", "anna", "out").code == 0
    (record, *_) = back.must("history", "anna", "--json").list("records")
    assert (record["op"], record["by"]) == ("open", "operator")
    assert start(back) == []


def test_accepting_nothing_is_refused(back: Command) -> None:
    """A kind that is whole, a login that nobody has, and what was accepted already exit with 3."""
    assert back.run("lineage", "accept", "anna", "--kind", "photos").code == 3
    assert back.run("lineage", "accept", "nobody").code == 3
    accepted = back.must("lineage", "accept", "anna", "--json").document
    assert accepted["done"] is True
    assert back.run("lineage", "accept", "anna").code == 3


def test_an_account_added_again_is_held_at_once(back: Command) -> None:
    """The data folder was lost with everyone in it: a login that had items is not served as an empty one."""
    back.must("lineage", "accept", "anna")
    shutil.rmtree(back.data)
    assert any("anna" in sentence and "not here" in sentence for sentence in start(back))
    added = back.run("account", "add", "anna")
    assert (added.code, "contacts is held until you decide" in added.errors) == (0, True)
    assert "contacts" in back.must("lineage", "show", "anna").output
    back.must("lineage", "accept", "anna")
    assert start(back) == []
