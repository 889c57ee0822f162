"""Commit all files of a Xandikos collection, and set its repository to sync what it writes.

Run by `bench.servers` with the Python of the peers' environment, which has Xandikos' Git library.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dulwich.index import index_entry_from_stat  # type: ignore[import-not-found,unused-ignore]
from dulwich.objects import Blob  # type: ignore[import-not-found,unused-ignore]
from dulwich.repo import Repo  # type: ignore[import-not-found,unused-ignore]


def fill(folder: Path) -> None:
    """Add every file of the folder to the repository in one commit, as loose objects, like single writes would."""
    repository = Repo(str(folder))
    config = repository.get_config()
    config.set((b"core",), b"fsyncObjectFiles", True)
    config.write_to_path()
    index = repository.open_index()
    for path in sorted(folder.glob("*.[vi]c[fs]")):
        blob = Blob.from_string(path.read_bytes())
        repository.object_store.add_object(blob)
        index[path.name.encode()] = index_entry_from_stat(path.stat(), blob.id)
    index.write()
    repository.get_worktree().commit(
        message=b"Fill",
        tree=index.commit(repository.object_store),
        committer=b"bench <bench>",
        author=b"bench <bench>",
    )


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
