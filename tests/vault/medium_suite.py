"""The suite that every medium passes: what `keepwell.vault.medium` promises, one fact a test.

A medium's test module makes a subclass of `MediumContract` with a `medium` fixture that gives an empty one; also of
`LogContract` when it can append.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from keepwell.model.errors import AlreadyThere, BadRequest, Damaged, NotThere, StorageFault
from keepwell.vault.medium import Log, Medium, ObjectInfo, claim, create_or_same
from keepwell.vault.probe import probe
from tests.support.clock import SeededEntropy

STRANGE_NAMES = (
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "../a",
    "a/../b",
    ".",
    "a/./b",
    ".tmp-1",
    "a/.tmp-1",
    "a\\b",
    "a b",
    "ä",
    "a\0",
)


def names(medium: Medium, prefix: str = "") -> list[str]:
    return [one.name for one in medium.list(prefix)]


def log_of(medium: Medium, name: str = "tails/one.jsonl") -> Log:
    log = medium.open_log(name)
    assert log is not None
    return log


class MediumContract:
    """Subclass this with a fixture `medium` that gives an empty medium."""

    @pytest.mark.parametrize("octets", [b"", b"x", bytes(range(256)) * 1200], ids=["empty", "one", "many"])
    def test_what_was_created_is_read(self, medium: Medium, octets: bytes) -> None:
        """After a create every way of looking sees the object, whole."""
        medium.create("packs/one.jsonl.zst", octets)
        assert medium.read("packs/one.jsonl.zst") == octets
        assert medium.exists("packs/one.jsonl.zst")
        assert medium.keeps("packs/one.jsonl.zst")
        assert list(medium.list()) == [ObjectInfo("packs/one.jsonl.zst", len(octets))]

    def test_a_taken_name_is_refused(self, medium: Medium) -> None:
        """A second create of a name raises AlreadyThere, whatever its bytes, and changes nothing."""
        medium.create("vault.json", b"first")
        for octets in (b"second", b"first", b""):
            with pytest.raises(AlreadyThere, match=r"vault\.json"):
                medium.create("vault.json", octets)
        assert medium.read("vault.json") == b"first"
        assert names(medium) == ["vault.json"]

    def test_of_many_creates_at_once_one_wins(self, medium: Medium) -> None:
        """Threads that create one name with different bytes: one is told yes, and its bytes are there."""
        rivals = [f"rival {number}".encode() * 50 for number in range(4)]

        def create(octets: bytes) -> bool:
            try:
                medium.create("epochs/0000000001.json", octets)
            except AlreadyThere:
                return False
            return True

        for turn in range(3):
            with ThreadPoolExecutor(len(rivals)) as pool:
                won = list(pool.map(create, rivals))
            assert won.count(True) == 1, f"turn {turn}"
            assert medium.read("epochs/0000000001.json") == rivals[won.index(True)]
            medium.remove("epochs/0000000001.json")

    def test_creates_at_once_are_all_kept(self, medium: Medium) -> None:
        """Threads that create different names in one new folder do not disturb each other."""
        wanted = [f"blobs/ab/{number:03}" for number in range(40)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: medium.create(name, name.encode()), wanted))
        assert names(medium) == wanted
        assert [medium.read(name).decode() for name in wanted] == wanted

    def test_what_is_not_there_is_told(self, medium: Medium) -> None:
        """Reading an object that is not there raises NotThere, also when its name is the beginning of another's."""
        medium.create("packs/one.jsonl", b"octets")
        for name in ("two", "packs", "packs/one", "packs/one.jsonl/two"):
            assert not medium.exists(name)
            assert not medium.keeps(name)
            with pytest.raises(NotThere):
                medium.read(name)
            for length in (0, 5):
                with pytest.raises(NotThere):
                    medium.read_range(name, 0, length)

    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [
            (0, 4, b"0123"),
            (6, 4, b"6789"),
            (8, 4, b"89"),
            (10, 4, b""),
            (12, 4, b""),
            (3, 0, b""),
            (0, 100, b"0123456789"),
            (-3, 3, b"789"),
            (-3, 2, b"78"),
            (-3, 100, b"789"),
            (-10, 10, b"0123456789"),
            (-20, 5, b"01234"),
            (-20, 20, b"0123456789"),
            (-3, 0, b""),
        ],
    )
    def test_a_part_is_read(self, medium: Medium, offset: int, length: int, expected: bytes) -> None:
        """A part is cut where the object ends; a negative offset counts from there, and stops at the beginning."""
        medium.create("packs/digits", b"0123456789")
        assert medium.read_range("packs/digits", offset, length) == expected

    @pytest.mark.parametrize("offset", [0, 3, -3])
    def test_a_part_of_nothing_is_nothing(self, medium: Medium, offset: int) -> None:
        """Every part of an empty object is empty."""
        medium.create("packs/empty", b"")
        assert medium.read_range("packs/empty", offset, 3) == b""

    def test_a_listing_is_complete_and_in_order(self, medium: Medium) -> None:
        """Names come in the order of their characters, where folders and prefixes play no part."""
        kept = ["README.md", "a-b", "a.b", "a/b", "a/b-c", "a/b.d", "a0", "ab/c/d", "vault.json"]
        for name in reversed(kept):
            medium.create(name, name.encode())
        assert kept == sorted(kept)
        assert list(medium.list()) == [ObjectInfo(name, len(name)) for name in kept]

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("packs/", ["packs/aa1", "packs/aa2", "packs/b/c"]),
            ("packs/aa", ["packs/aa1", "packs/aa2"]),
            ("packs/b", ["packs/b/c"]),
            ("pac", ["packs-old", "packs/aa1", "packs/aa2", "packs/b/c"]),
            ("packs/aa1", ["packs/aa1"]),
            ("packs/aa1/", []),
            ("nothing/here", []),
        ],
    )
    def test_a_prefix_is_of_the_whole_name(self, medium: Medium, prefix: str, expected: list[str]) -> None:
        """A prefix may end inside a part of a name."""
        for name in ("packs/aa1", "packs/aa2", "packs/b/c", "packs-old", "tails/x"):
            medium.create(name, b"")
        assert names(medium, prefix) == expected

    def test_an_empty_medium_lists_nothing(self, medium: Medium) -> None:
        """A medium without objects has an empty listing, whatever the prefix."""
        assert names(medium) == names(medium, "packs/") == []

    def test_removed_is_gone_and_free(self, medium: Medium) -> None:
        """A removed object is seen by nothing any more, and its name can be taken again."""
        medium.create("packs/one", b"first")
        medium.create("packs/two", b"stays")
        medium.remove("packs/one")
        assert not medium.exists("packs/one")
        assert names(medium) == ["packs/two"]
        with pytest.raises(NotThere):
            medium.read("packs/one")
        medium.create("packs/one", b"second")
        assert medium.read("packs/one") == b"second"

    def test_removing_nothing_does_nothing(self, medium: Medium) -> None:
        """Removing what is not there is no error, and takes nothing that has a name like it."""
        medium.create("packs/one", b"stays")
        for name in ("packs", "packs/on", "packs/one/two", "nothing"):
            medium.remove(name)
        assert names(medium) == ["packs/one"]

    @pytest.mark.parametrize("name", STRANGE_NAMES)
    def test_no_name_leads_elsewhere(self, medium: Medium, name: str) -> None:
        """What is no name of an object is refused by everything that takes a name."""
        for call in (
            lambda: medium.create(name, b""),
            lambda: medium.read(name),
            lambda: medium.read_range(name, 0, 1),
            lambda: medium.exists(name),
            lambda: medium.keeps(name),
            lambda: medium.remove(name),
            lambda: medium.open_log(name),
        ):
            with pytest.raises(BadRequest):
                call()
        assert names(medium) == []

    def test_a_claim_tells_ours_from_others(self, medium: Medium) -> None:
        """A claim is won by the first bytes, again when they are claimed again, and by no others."""
        assert claim(medium, "epochs/0000000001.json", b"ours")
        assert claim(medium, "epochs/0000000001.json", b"ours")
        assert not claim(medium, "epochs/0000000001.json", b"theirs")
        assert medium.read("epochs/0000000001.json") == b"ours"

    def test_the_same_again_is_done_and_other_bytes_are_damage(self, medium: Medium) -> None:
        """An object named after its bytes may be created twice; other bytes under its name are damage."""
        create_or_same(medium, "packs/one", b"octets")
        create_or_same(medium, "packs/one", b"octets")
        with pytest.raises(Damaged, match="packs/one"):
            create_or_same(medium, "packs/one", b"damaged")
        assert medium.read("packs/one") == b"octets"

    def test_the_identity_is_the_same_each_time(self, medium: Medium) -> None:
        """A medium says where it is: the same each time."""
        identity = medium.identity()
        assert identity == medium.identity()
        assert identity.scheme
        assert identity.place
        assert identity.host

    def test_the_probe_finds_it_fit(self, medium: Medium) -> None:
        """Whatever keeps these promises passes the probe, which leaves nothing behind."""
        medium.create("vault.json", b"{}")
        probe(medium, SeededEntropy())
        assert names(medium) == ["vault.json"]

    def test_settling_changes_nothing(self, medium: Medium) -> None:
        """What is there is as before, also on a medium with nothing in it."""
        medium.settle("tails/")
        medium.create("blobs/ab/one", b"octets")
        medium.settle("tails/")
        assert names(medium) == ["blobs/ab/one"]
        assert medium.read("blobs/ab/one") == b"octets"

    def test_closing_twice_is_allowed(self, medium: Medium) -> None:
        """Closing again does nothing."""
        medium.close()
        medium.close()


class LogContract:
    """Subclass this too when the medium can append."""

    def test_a_log_grows(self, medium: Medium) -> None:
        """What was appended is read back in order, with nothing but line feeds behind it."""
        log = log_of(medium)
        pieces = [b"first\n", b"", b"second\n" * 300_000, b"third\n"]
        for number, piece in enumerate(pieces, 1):
            log.append(piece)
            expected = b"".join(pieces[:number])
            assert medium.read("tails/one.jsonl").rstrip(b"\n") == expected.rstrip(b"\n")
            assert log.size() == len(expected)
        log.close()
        assert medium.read("tails/one.jsonl") == b"".join(pieces)

    def test_a_log_is_an_object(self, medium: Medium) -> None:
        """A log is listed, refuses its name to others, and can be removed while it is open."""
        log = log_of(medium)
        assert names(medium) == ["tails/one.jsonl"]
        with pytest.raises(AlreadyThere):
            medium.open_log("tails/one.jsonl")
        with pytest.raises(AlreadyThere):
            medium.create("tails/one.jsonl", b"")
        medium.remove("tails/one.jsonl")
        assert names(medium) == []
        log.close()
        assert names(medium) == []

    def test_a_log_that_was_removed_confirms_nothing(self, medium: Medium) -> None:
        """Nobody would find what is in it: an append is a StorageFault, then and always, and brings nothing back."""
        log = log_of(medium)
        log.append(b"first\n")
        medium.remove("tails/one.jsonl")
        for _ in range(2):
            with pytest.raises(StorageFault):
                log.append(b"second\n")
        log.close()
        assert names(medium) == []

    def test_a_closed_log_takes_nothing(self, medium: Medium) -> None:
        """After closing, which may be done twice, an append is a StorageFault and changes nothing."""
        log = log_of(medium)
        log.append(b"kept\n")
        log.close()
        log.close()
        with pytest.raises(StorageFault):
            log.append(b"late\n")
        assert medium.read("tails/one.jsonl") == b"kept\n"
