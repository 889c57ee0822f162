"""Who does the work of a restore: this process does what no helper has begun, and everything is done once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from keepwell.model.names import AccountId
from keepwell.services.restoring.account import AccountTask, RestoredAccount
from keepwell.services.restoring.crew import Done, Helpers, Task, Worker, Workshop
from keepwell.services.restoring.sources import close_sources, open_sources
from keepwell.storage.sqlite import SqliteStore
from tests.vault.journals import Journal
from tests.vault.restores import folder_vault
from tests.vault.vaults import fill


class NotingWorker(Worker):
    """Notes what it is given to do."""

    def __init__(self, store: SqliteStore, inner: Worker) -> None:
        """As another works."""
        super().__init__(store, [])
        self._inner = inner
        self.given: list[Task] = []

    def do(self, task: Task) -> Done:
        """Do one task."""
        self.given.append(task)
        return self._inner.do(task)


def test_this_process_does_what_no_helper_has_begun(tmp_path: Path) -> None:
    """While a helper starts and works, accounts are restored here too, the last ones first, and each just once."""
    accounts = [AccountId(f"a_{letter * 16}") for letter in "abcdefghijkl"]
    vault = folder_vault(tmp_path / "near")
    for account in accounts:
        fill(vault, Journal(account))
    opened = open_sources([str(tmp_path / "near")])
    tasks = [AccountTask(account, (), may_replace=True) for account in accounts]
    (tmp_path / "into").mkdir()
    with closing(SqliteStore(tmp_path / "into")) as store:
        worker = NotingWorker(store, Worker(store, [one.vault for one in opened]))
        workshop = Workshop(tmp_path / "into", SqliteStore, tuple(one.source for one in opened))
        with Helpers(worker, workshop, 1) as crew:
            done = [one.account for one in crew.run(tasks) if isinstance(one, RestoredAccount)]
        assert sorted(done) == accounts
        assert store.accounts() == accounts
    close_sources(opened)
    here = [task.account for task in worker.given]
    assert here == accounts[-len(here) :][::-1]
