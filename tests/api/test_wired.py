"""The face over the real store: what a person does in a day, through the application that is served."""

from __future__ import annotations

import base64
from pathlib import Path

from starlette.testclient import TestClient

from keepwell.api.app import PREFIX, api_app
from keepwell.app.wiring import open_keepwell
from tests.services.samples import card


def test_a_day_over_the_real_store(tmp_path: Path) -> None:
    """Put, change, remove, ask for changes, look at the history and rewind, all over SQLite."""
    with open_keepwell(tmp_path / "data") as keepwell:
        keepwell.accounts.add("anna")
        secret = keepwell.accounts.add_password("anna", "notebook")
        credential = base64.b64encode(f"anna:{secret}".encode()).decode()
        with TestClient(api_app(keepwell), headers={"authorization": f"Basic {credential}"}) as client:
            friends = f"{PREFIX}/collections/contacts/friends"
            made = client.post(f"{PREFIX}/collections", json={"name": "friends", "kind": "contacts"}).json()
            for name in ("a", "b", "c"):
                assert client.put(f"{friends}/items/{name}.vcf", content=card(name)).status_code == 201
            middle = client.get(friends).json()["state"]
            client.put(f"{friends}/items/a.vcf", content=card("a", "Ada"))
            client.delete(f"{friends}/items/b.vcf")
            client.put(f"{friends}/items/d.vcf", content=card("d"))
            since_made = client.get(f"{friends}/changes", params={"since": made["state"]}).json()
            assert [one["name"] for one in since_made["created"]] == ["c.vcf", "a.vcf", "d.vcf"]
            changes = client.get(f"{friends}/changes", params={"since": middle}).json()
            told = {kind: [one["name"] for one in changes[kind]] for kind in ("created", "updated")}
            assert (told, changes["removed"]) == ({"created": ["d.vcf"], "updated": ["a.vcf"]}, ["b.vcf"])
            then = int(client.get(f"{friends}/history", params={"item": "b.vcf"}).json()["records"][1]["sequence"]) + 1
            done = client.post(f"{friends}/rewind", json={"toSequence": then}).json()
            assert (done["broughtBack"], done["changedBack"], done["removed"]) == (1, 1, 1)
            pages = client.get(f"{friends}/items", params={"bodies": "true"}).json()["items"]
            assert [one["body"].encode() for one in pages] == [card("a"), card("b"), card("c")]
