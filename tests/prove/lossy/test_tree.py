"""The names of a lossy disk after a cut: what a sync made certain, and of the rest any legal subset."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prove.lossy.fate import Fate, Mode
from prove.lossy.tree import File, Folder, Tree

SEEDS = range(100)


def outcomes(happen: Callable[[Tree], object], mode: Mode = Mode.SOME) -> set[frozenset[str]]:
    """Every set of paths that a seed leaves of what happened; folders end with a slash."""
    found = set()
    for seed in SEEDS:
        tree = Tree()
        happen(tree)
        tree.survive(Fate(mode, str(seed)))
        found.add(frozenset(paths(tree.root)))
    return found


def paths(folder: Folder, prefix: str = "") -> list[str]:
    found = []
    for name, node in folder.seen.items():
        if isinstance(node, File):
            found.append(f"{prefix}{name}:{bytes(node.content.seen).decode()}")
        else:
            found += [f"{prefix}{name}/", *paths(node, f"{prefix}{name}/")]
    return found


def synced_file(tree: Tree, folder: Folder, name: str) -> None:
    """A file with its name as bytes, all of it certain."""
    file = tree.make_file(folder, name, 0o600)
    file.content.write(0, name.encode())
    file.content.sync()
    tree.sync_folder(folder)


def sets(*found: str) -> set[frozenset[str]]:
    return {frozenset(one.split()) for one in found}


def test_synced_names_survive() -> None:
    """A name that its folder's sync made certain is there, whatever comes after it."""

    def happen(tree: Tree) -> None:
        synced_file(tree, tree.root, "a")
        tree.make_file(tree.root, "b", 0o600)

    assert outcomes(happen, Mode.TEAR) == sets("a:a", "a:a b:")


def test_any_subset_of_the_others() -> None:
    """Also the later one without the earlier one."""

    def happen(tree: Tree) -> None:
        tree.make_file(tree.root, "a", 0o600)
        tree.make_file(tree.root, "b", 0o600)

    assert outcomes(happen) == sets("", "a:", "b:", "a: b:")
    assert outcomes(happen, Mode.DROP) == sets("")
    assert outcomes(happen, Mode.KEEP) == sets("a: b:")


def test_a_rename_is_whole_or_not_at_all() -> None:
    """There is always one of the two names, and what had the new one only without it."""

    def happen(tree: Tree) -> None:
        synced_file(tree, tree.root, "a")
        synced_file(tree, tree.root, "b")
        tree.rename((tree.root, "a"), (tree.root, "b"))

    assert outcomes(happen) == sets("a:a b:b", "b:a")


def test_a_renamed_file_that_was_not_synced_may_be_empty() -> None:
    """The sync of the folder says nothing about the bytes."""

    def happen(tree: Tree) -> None:
        file = tree.make_file(tree.root, "new", 0o600)
        file.content.write(0, b"x")
        tree.rename((tree.root, "new"), (tree.root, "a"))
        tree.sync_folder(tree.root)

    assert outcomes(happen) == sets("a:", "a:x")


def test_a_synced_file_may_have_no_name() -> None:
    """The sync of a file says nothing about its folder."""

    def happen(tree: Tree) -> None:
        tree.make_file(tree.root, "a", 0o600).content.sync()

    assert outcomes(happen) == sets("", "a:")


def test_operations_on_one_name_keep_their_order() -> None:
    """What was renamed away is not lost by another file that takes its name."""

    def happen(tree: Tree) -> None:
        synced_file(tree, tree.root, "a")
        tree.rename((tree.root, "a"), (tree.root, "b"))
        tree.make_file(tree.root, "a", 0o600)

    assert outcomes(happen) == sets("a:a", "b:a", "b:a a:")


@pytest.mark.parametrize("synced", ["from", "to"])
def test_the_sync_of_either_folder_makes_a_move_certain(synced: str) -> None:
    """With all that it stands on."""

    def happen(tree: Tree) -> None:
        folders = {name: tree.make_folder(tree.root, name, 0o700) for name in ("from", "to")}
        tree.sync_folder(tree.root)
        file = tree.make_file(folders["from"], "a", 0o600)
        tree.rename((folders["from"], "a"), (folders["to"], "b"))
        tree.unlink(folders["to"], "b")
        tree.link(file, folders["to"], "b")
        tree.sync_folder(folders[synced])

    certain = {"from": ["from/ to/", "from/ to/ to/b:"], "to": ["from/ to/ to/b:"]}
    assert outcomes(happen) == sets(*certain[synced])


def test_what_was_moved_out_of_a_removed_folder_is_there() -> None:
    """The removal of a folder comes after what emptied it, also for a sync."""

    def happen(tree: Tree) -> None:
        inside = tree.make_folder(tree.root, "d", 0o700)
        tree.sync_folder(tree.root)
        synced_file(tree, inside, "a")
        tree.rename((inside, "a"), (tree.root, "a"))
        tree.remove_folder(tree.root, "d")

    assert outcomes(happen) == sets("d/ d/a:a", "d/ a:a", "a:a")

    def happen_synced(tree: Tree) -> None:
        happen(tree)
        tree.sync_folder(tree.root)

    assert outcomes(happen_synced) == sets("a:a")


def test_no_folder_is_inside_of_itself() -> None:
    """Moves of folders keep their order."""

    def happen(tree: Tree) -> None:
        outer = tree.make_folder(tree.root, "outer", 0o700)
        inner = tree.make_folder(outer, "inner", 0o700)
        tree.sync_folder(tree.root)
        tree.sync_folder(outer)
        tree.rename((outer, "inner"), (tree.root, "inner"))
        tree.rename((tree.root, "outer"), (inner, "outer"))

    assert outcomes(happen) == sets("outer/ outer/inner/", "outer/ inner/", "inner/ inner/outer/")


def test_a_folder_without_its_name_is_gone_with_all_in_it() -> None:
    """The sync of a new folder says nothing about its own name."""

    def happen(tree: Tree) -> None:
        synced_file(tree, tree.make_folder(tree.root, "d", 0o700), "a")

    assert outcomes(happen) == sets("", "d/ d/a:a")


def test_a_move_into_a_new_folder_stands_on_it() -> None:
    """What was moved is in its old place where the new folder is not there."""

    def happen(tree: Tree) -> None:
        synced_file(tree, tree.root, "a")
        made = tree.make_folder(tree.make_folder(tree.root, "d", 0o700), "e", 0o700)
        tree.rename((tree.root, "a"), (made, "a"))

    assert all(any(path.endswith("a:a") for path in found) for found in outcomes(happen))


def test_a_replaced_folder_is_gone() -> None:
    """An empty folder may be replaced by another."""

    def happen(tree: Tree) -> None:
        synced_file(tree, tree.make_folder(tree.root, "new", 0o700), "a")
        tree.make_folder(tree.root, "old", 0o700)
        tree.sync_folder(tree.root)
        tree.rename((tree.root, "new"), (tree.root, "old"))

    assert outcomes(happen) == sets("new/ new/a:a old/", "old/ old/a:a")
