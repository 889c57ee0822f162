"""Keys of encrypted vaults: the recovery sheet typed back, key files, the drill's key."""

import stat
import subprocess
from pathlib import Path

import pytest
from pyrage.x25519 import Identity

from keepwell.model.errors import AlreadyThere, BadRequest, Damaged, NotThere
from keepwell.vault.keys import (
    NewKeys,
    Recipients,
    load_identities,
    make_drill_key,
    make_keys,
    parse_secret_key,
    prove_recovery,
    public_key,
    read_drill_key,
    render_recovery_sheet,
    write_key_file,
)

PREFIX = "AGE-SECRET-KEY-1"
SECRET = "AGE-SECRET-KEY-1EPNL52GTCD22QLQV4QLQ5R4AH4CSV4A3NSFHGZMCPTV5ZVS7E0YQLPHS5R"
PUBLIC = "age1w4zcwxupuxtstmpu2h27psjlxezc0y4czal3hl0ey9pscjq2ks0sugyzgn"
BODY = SECRET.removeprefix(PREFIX)


@pytest.fixture
def keys() -> NewKeys:
    return make_keys(Identity.generate())


def typed_from(sheet: str) -> str:
    """The key on a recovery sheet: the line with the prefix and the rows of groups below it."""
    lines = sheet.splitlines()
    first = lines.index(PREFIX)
    return "\n".join(lines[first : lines.index("", first)])


def test_the_sheet_typed_back_proves_itself(keys: NewKeys) -> None:
    """The key as it stands on the recovery sheet is taken for the vault's recovery key."""
    sheet = render_recovery_sheet(keys.recovery, "offsite")
    assert "offsite" in sheet
    assert public_key(keys.recovery) in sheet
    prove_recovery(keys.recipients(), typed_from(sheet))


@pytest.mark.parametrize(
    "typed",
    [
        SECRET,
        SECRET.lower(),
        f"  {SECRET}\r\n",
        BODY,
        " ".join(BODY),
        PREFIX + "\n" + "-".join(BODY[start : start + 4] for start in range(0, 58, 4)),
        SECRET.replace("-", "\N{EN DASH}").replace("0", "o").replace("L", "1"),
        SECRET.replace("KEY-1", "key-l"),
    ],
    ids=["whole", "lower case", "space around", "no prefix", "spaced", "hyphens", "look-alikes", "l for 1"],
)
def test_a_key_is_read_as_people_type_it(typed: str) -> None:
    """Case, spaces, line ends, dashes, a missing prefix and letters that look alike do not matter."""
    assert public_key(parse_secret_key(typed)) == PUBLIC


@pytest.mark.parametrize("place", range(58))
def test_one_wrong_character_is_told_by_its_group(place: int) -> None:
    """The checksum tells where a single wrong character is, whichever it is."""
    wrong = BODY[:place] + ("Q" if BODY[place] != "Q" else "P") + BODY[place + 1 :]
    with pytest.raises(BadRequest, match=f"row {place // 20 + 1}, group {place % 20 // 4 + 1}$"):
        parse_secret_key(wrong)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (BODY[:21] + BODY[22:], "row 2, group 1"),
        (BODY[:21] + "X" + BODY[21:], "row 2, group 1"),
        (BODY + "7", "row 3, group 5"),
        (BODY[:5] + BODY[6] + BODY[5] + BODY[7:], "row 1, group 2"),
        (BODY[:9] + "?" + BODY[10:], "row 1, group 3"),
    ],
    ids=["missing", "too many", "one behind", "swapped", "no letter"],
)
def test_another_slip_is_told_by_its_group(wrong: str, where: str) -> None:
    """A character that is missing, too many, swapped with the next or none of a key's is found as well."""
    with pytest.raises(BadRequest, match=f"{where}$"):
        parse_secret_key(wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("", "has 0 characters"),
        (BODY[:40], "has 40 characters"),
        (PREFIX + "Q" * 58, "more than one character is wrong"),
        (BODY[::-1], "more than one character is wrong"),
        (PUBLIC, "public key"),
    ],
    ids=["nothing", "a part", "one letter", "backwards", "the public key"],
)
def test_what_is_no_key_is_told(wrong: str, said: str) -> None:
    """What cannot be mended by one character is told as a whole, and what was typed is not in the error."""
    with pytest.raises(BadRequest, match=said) as caught:
        parse_secret_key(wrong)
    assert not wrong or wrong not in caught.value.message


def test_another_key_does_not_prove_the_recovery_key(keys: NewKeys) -> None:
    """The operator's key, the drill's, and a stranger's are refused, each with the reason."""
    recipients = keys.recipients()
    with pytest.raises(BadRequest, match="operator's key"):
        prove_recovery(recipients, str(keys.operator))
    for other in (keys.drill, Identity.generate()):
        with pytest.raises(BadRequest, match="not the recovery key") as caught:
            prove_recovery(recipients, str(other))
        assert recipients.recovery in caught.value.hint


def test_the_three_keys_differ(keys: NewKeys) -> None:
    """Operator, recovery and drill have keys of their own, named by their public halves in that order."""
    recipients = keys.recipients()
    assert len(set(recipients.public_keys())) == 3
    assert recipients == Recipients(*(public_key(one) for one in (keys.operator, keys.recovery, keys.drill)))


def test_a_key_file_is_private_and_never_replaced(tmp_path: Path) -> None:
    """A written key file reads back, is its owner's alone, and a second one under its name is refused."""
    path = tmp_path / "key.txt"
    write_key_file(path, Identity.from_str(SECRET), "the operator's")
    assert [public_key(one) for one in load_identities(path)] == [PUBLIC]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    with pytest.raises(AlreadyThere):
        write_key_file(path, Identity.generate(), "another")
    assert path.read_text() == before


def test_a_file_of_age_keygen_is_read(tmp_path: Path) -> None:
    """The file that `age-keygen` writes gives the key that it names."""
    path = tmp_path / "key.txt"
    subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True)
    [identity] = load_identities(path)
    assert public_key(identity) in path.read_text()


def test_a_key_file_may_hold_several_keys(tmp_path: Path) -> None:
    """Comments and empty lines are passed over, every key is read, in order."""
    others = [Identity.generate(), Identity.generate()]
    path = tmp_path / "keys.txt"
    path.write_text(f"# one\r\n{others[0]}\r\n\r\n  \n#two\n{others[1]}")
    assert [public_key(one) for one in load_identities(path)] == [public_key(one) for one in others]


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "holds no key"),
        (b"# only a comment\n", "holds no key"),
        (f"# a key\n{SECRET[:-1]}Q\n".encode(), "line 2 .*row 3, group 5"),
        (b"\xff\xfe", "it is no text"),
        (b"age-encryption.org/v1\n-> scrypt\n", "is itself encrypted"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "is itself encrypted"),
    ],
    ids=["empty", "comment", "wrong", "no text", "sealed", "armored"],
)
def test_a_bad_key_file_is_told(tmp_path: Path, octets: bytes, said: str) -> None:
    """A file without a key, with a wrong one or of another sort is refused with the line or the reason."""
    path = tmp_path / "key.txt"
    path.write_bytes(octets)
    with pytest.raises(BadRequest, match=said) as caught:
        load_identities(path)
    assert caught.value.hint


def test_a_key_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A wrong path is told as such."""
    with pytest.raises(BadRequest, match="No such file"):
        load_identities(tmp_path / "none")


def test_the_drill_key_outlives_an_attempt_that_ended_early(tmp_path: Path) -> None:
    """Made once, private, below folders that are made; a second attempt takes the key that lies there."""
    folder = tmp_path / "vaults" / "offsite"
    with pytest.raises(NotThere):
        read_drill_key(folder)
    first = make_drill_key(folder, "offsite")
    assert stat.S_IMODE((folder / "drill.key").stat().st_mode) == 0o600
    assert public_key(make_drill_key(folder, "offsite")) == public_key(first) == public_key(read_drill_key(folder))


def test_a_drill_key_that_is_damaged_is_told(tmp_path: Path) -> None:
    """A key file of the data folder that cannot be read is damage, and is not replaced."""
    (tmp_path / "drill.key").write_text("AGE")
    for attempt in (lambda: read_drill_key(tmp_path), lambda: make_drill_key(tmp_path, "offsite")):
        with pytest.raises(Damaged, match=r"drill\.key"):
            attempt()
    assert (tmp_path / "drill.key").read_text() == "AGE"
