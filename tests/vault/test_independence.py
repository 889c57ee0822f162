"""How independent two copies are: judged by what they stand on, followed down to the disks."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from keepwell.vault.devices import folder_identity, is_this_host
from keepwell.vault.independence import Grade, judge
from keepwell.vault.medium import MediumIdentity


def on(*devices: str, host: str = "here", scheme: str = "folder") -> MediumIdentity:
    return MediumIdentity(scheme, "/somewhere", host, devices)


@pytest.mark.parametrize(
    ("vault", "grade", "sentence"),
    [
        (on("8:0"), Grade.SAME_DISK, "protects against our bugs, not against the disk"),
        (on("8:0", "8:16"), Grade.SAME_DISK, "8:0"),
        (on("8:16"), Grade.OTHER_DISK, "another disk of this host, 8:16"),
        (on("zfs:tank"), Grade.OTHER_DISK, "zfs:tank"),
        (on("0:35"), Grade.UNKNOWN, "cannot be seen"),
        (on(), Grade.UNKNOWN, "cannot be seen"),
        (on(scheme="s3"), Grade.UNKNOWN, "on this host"),
        (on(host="there", scheme="s3"), Grade.OTHER_HOST, "another host, there"),
        (on("8:0", host="there"), Grade.OTHER_HOST, "loss of this machine"),
    ],
)
def test_the_judgement(vault: MediumIdentity, grade: Grade, sentence: str) -> None:
    """Data on disk 8:0 of this host, and vaults here and there."""
    judged = judge(on("8:0"), vault)
    assert judged.grade is grade
    assert sentence in judged.sentence


def test_one_file_system_without_a_disk_is_one() -> None:
    """Two folders of one file system whose disk cannot be seen are on the same one; of two nothing is known."""
    assert judge(on("0:35"), on("0:35")).grade is Grade.SAME_DISK
    assert judge(on("0:35"), on("0:36")).grade is Grade.UNKNOWN
    assert judge(on("0:35"), on("8:0")).grade is Grade.UNKNOWN


@pytest.mark.parametrize(
    ("vault", "survives_disk", "survives_host"),
    [
        (on("8:0"), False, False),
        (on("8:16"), True, False),
        (on(), False, False),
        (on(host="there"), True, True),
    ],
)
def test_only_what_is_known_counts(vault: MediumIdentity, survives_disk: bool, survives_host: bool) -> None:
    """A vault outlives the disk or the host only when that is known."""
    judged = judge(on("8:0"), vault)
    assert (judged.survives_disk, judged.survives_host) == (survives_disk, survives_host)


class System:
    """A made-up `/sys` and `/proc` for a real folder, whose device gets whatever lies below it in the test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "folder"
        self.folder.mkdir()
        number = self.folder.stat().st_dev
        self.device = f"{os.major(number)}:{os.minor(number)}"
        (root / "sys/dev/block").mkdir(parents=True)
        (root / "sys/devices").mkdir()
        (root / "proc/self").mkdir(parents=True)

    def add(self, device: str, where: str, *, partition: bool = False, slaves: tuple[str, ...] = ()) -> Path:
        node = self.root / "sys/devices" / where
        node.mkdir(parents=True)
        (node / "dev").write_text(f"{device}\n")
        if partition:
            (node / "partition").write_text("1\n")
        for slave in slaves:
            (node / "slaves").mkdir(exist_ok=True)
            (node / "slaves" / Path(slave).name).symlink_to(self.root / "sys/devices" / slave)
        (self.root / "sys/dev/block" / device).symlink_to(node)
        return node

    def mount(self, *mounts: str) -> None:
        (self.root / "proc/self/mountinfo").write_text("".join(f"{line}\n" for line in mounts))

    def devices(self) -> tuple[str, ...]:
        return folder_identity(self.folder, system=self.root).devices


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_a_partition_is_its_disk(system: System) -> None:
    """Two partitions of one disk are one disk."""
    system.add("250:0", "sda")
    system.add(system.device, "sda/sda1", partition=True)
    assert system.devices() == ("250:0",)


def test_a_mapping_is_what_it_is_made_of(system: System) -> None:
    """Encryption over LVM over partitions of two disks is these two disks."""
    system.add("250:0", "sda")
    system.add("250:1", "sda/sda1", partition=True)
    system.add("250:16", "sdb")
    system.add("251:0", "dm-0", slaves=("sda/sda1", "sdb"))
    system.add(system.device, "dm-1", slaves=("dm-0",))
    assert system.devices() == ("250:0", "250:16")


def test_a_loop_is_the_disk_of_its_file(system: System, tmp_path: Path) -> None:
    """A file system in a file is on the disk that the file is on."""
    (tmp_path / "image").write_bytes(b"")
    node = system.add("7:0", "loop0")
    (node / "loop").mkdir()
    (node / "loop/backing_file").write_text(f"{tmp_path}/image\n")
    system.add("250:0", "sda", slaves=())
    device = system.add(system.device, "sda/sda1", partition=True)
    assert device.exists()
    system.mount(f"1 1 0:99 / {tmp_path}/folder rw - btrfs /dev/loop0 rw")
    assert judge(on("250:0"), on(*system.devices())).grade is Grade.SAME_DISK


def test_what_cannot_be_seen_is_the_device_itself(system: System) -> None:
    """In a container that hides `/sys` the device's own number must do."""
    assert system.devices() == (system.device,)
    assert system.devices() != ()


@pytest.mark.parametrize("sort", ["nfs", "nfs4", "cifs", "fuse.sshfs"])
def test_a_network_folder_is_on_its_server(system: System, sort: str) -> None:
    """A folder of a network's file system is on another host, with disks that cannot be seen."""
    source = {"cifs": "//nas.invalid/backup", "fuse.sshfs": "me@nas.invalid:/backup"}.get(sort, "nas.invalid:/backup")
    system.mount("1 0 8:0 / / rw - ext4 /dev/sda1 rw", f"2 1 0:50 / {system.folder} rw shared:1 - {sort} {source} rw")
    identity = folder_identity(system.folder, system=system.root)
    assert (identity.host, identity.devices) == ("nas.invalid", ())
    assert judge(on("8:0"), identity).grade is Grade.OTHER_HOST


def test_a_network_folder_of_this_host_is_not_elsewhere(system: System) -> None:
    """A folder that this host serves to itself is on this host."""
    system.mount(f"2 1 0:50 / {system.folder} rw - nfs4 localhost:/backup rw")
    assert folder_identity(system.folder, system=system.root).host == socket.gethostname()


def test_the_mount_is_the_deepest_and_of_two_the_later(system: System) -> None:
    """What is mounted over another hides it; mount points may have spaces, and may begin like another."""
    system.folder = system.root / "folder" / "with space"
    system.folder.mkdir()
    escaped = str(system.folder).replace(" ", "\\040")
    system.mount(
        f"1 0 0:1 / {escaped} rw - nfs a.invalid:/x rw",
        f"2 0 0:2 / {escaped} rw - nfs b.invalid:/x rw",
        f"3 0 0:3 / {system.root}/folder rw - nfs c.invalid:/x rw",
        f"4 0 0:4 / {system.root}/folder/with rw - nfs d.invalid:/x rw",
        "nonsense",
    )
    assert folder_identity(system.folder, system=system.root).host == "b.invalid"


def test_the_real_system_is_read(tmp_path: Path) -> None:
    """Two folders of one file system of this machine are on one disk of this host."""
    (tmp_path / "data").mkdir()
    (tmp_path / "vault").mkdir()
    data, vault = folder_identity(tmp_path / "data"), folder_identity(tmp_path / "vault")
    assert data.host == socket.gethostname()
    assert judge(data, vault).grade is Grade.SAME_DISK


def test_hosts_are_known_by_their_addresses() -> None:
    """This machine's name and addresses are this host; a name that does not resolve is not."""
    assert is_this_host("127.0.0.1")
    assert is_this_host("localhost")
    assert is_this_host(socket.gethostname())
    assert not is_this_host("192.0.2.77")
    assert not is_this_host("nas.invalid")


class Virtual(System):
    """The same for a folder on a file system that has no device of its own, as Btrfs, ZFS and a memory's."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.folder = Path("/dev/shm")
        number = self.folder.stat().st_dev
        self.device = f"{os.major(number)}:{os.minor(number)}"

    def lies_on(self, sort: str, source: str) -> None:
        self.mount(f"2 1 {self.device} / {self.folder} rw - {sort} {source} rw")


@pytest.fixture
def virtual(tmp_path: Path) -> Virtual:
    return Virtual(tmp_path)


def test_a_pool_is_known_by_its_name(virtual: Virtual) -> None:
    """Two data sets of one ZFS pool are on the same disks."""
    virtual.lies_on("zfs", "tank/home/backup")
    assert virtual.devices() == ("zfs:tank",)


def test_a_file_system_that_names_its_device_is_followed_to_the_disk(virtual: Virtual) -> None:
    """Btrfs tells a number of its own for each subvolume, and its device among the mounts."""
    virtual.add("250:0", "sda")
    virtual.add("1:3", "sda/sda1", partition=True)
    virtual.lies_on("btrfs", "/dev/null")  # a device that every system has; what lies below it is made up
    assert virtual.devices() == ("250:0",)


def test_a_device_that_is_named_and_not_there_is_no_error(virtual: Virtual) -> None:
    """A container shows the host's mounts and not its devices: nothing is known then but the number."""
    virtual.lies_on("btrfs", "/dev/not-in-this-container")
    assert virtual.devices() == (virtual.device,)


def test_a_file_system_without_anything_below_is_itself(virtual: Virtual) -> None:
    """What lies in memory has no disk."""
    virtual.lies_on("tmpfs", "tmpfs")
    assert virtual.devices() == (virtual.device,)


def test_a_loop_is_followed_to_the_file_that_it_is_in(virtual: Virtual, tmp_path: Path) -> None:
    """Wherever that file lies."""
    (tmp_path / "image").write_bytes(b"")
    number = tmp_path.stat().st_dev
    node = virtual.add("1:3", "loop0")
    (node / "loop").mkdir()
    (node / "loop/backing_file").write_text(f"{tmp_path}/image\n")
    virtual.add("250:0", "sda")
    virtual.add(f"{os.major(number)}:{os.minor(number)}", "sda/sda1", partition=True)
    virtual.lies_on("btrfs", "/dev/null")
    assert virtual.devices() == ("250:0",)
