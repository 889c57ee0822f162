"""A disk that keeps what was synced and promises nothing about the rest: a FUSE file system of the proving ground.

It lives in the memory of a process of its own and speaks the kernel's FUSE protocol itself. Beside what programs see it
keeps what has certainly reached the medium. At a cut it stops answering (EIO, as a dead disk does) and draws, from a
seed, what the medium has: something that every rule below allows and that is seldom what ext4 or XFS would leave. The
disk is then mounted again with that.

What a sync makes certain, and nothing else does:

    fsync, fdatasync of a file     its bytes and its size; no name of it, also when it is new
    fsync of a folder              the names in it; not the bytes of its files, and not its own name in its parent

What may be there of the rest:

- **Bytes.** Each sector (512 octets) of a file shows, independently of every other, one of the states that it went
  through since the last sync: so writes are dropped, kept in part, and appear in any order. Never is a later write in a
  sector without an earlier one of the same sector, since a sector is written as a whole. The size is one of the sizes
  that the file had; where it grew and nothing of a sector arrived, there are zeros, or, as ext4 does with
  `data=writeback`, what lay on that part of the medium before. The same holds for a file that was renamed or
  linked before it was synced: its new name may stand for nothing, or for a part.
- **Names.** POSIX orders none of them without a sync, so any subset of the creations, links, removals and renames may
  be there, also a later one without an earlier one. ext4 and XFS, whose journals keep the order of all of them, never
  show most of these. Bound are only
    - the operations on one and the same name in one folder, which keep their order;
    - a rename, which is atomic: both names are as after it, or as before it, and the sync of either folder makes it
      certain;
    - the moves and removals of folders, which keep their order among each other, and the removal of a folder, which
      comes after what emptied it: otherwise a folder could be inside of itself, and what was moved out be lost;
    - a rename into a folder that is itself new, which is not there without that folder. But a folder that was synced
      while its own name never was is gone with all that is in it.
- Modes and times are as they were last: nothing that is proven here hangs on them.

    content   the bytes of one file: synced, seen, and what may be there after a cut
    fate      what a seed decides about what was not synced
    tree      folders, names and files, and the same for names
    protocol  the kernel's requests and answers as bytes
    volume    answers the kernel's requests from a tree
    mounting  mount and unmount
    server    the process: several mounts, one after the other, and its orders
    disk      that process as its user sees it: start, cut, restart
    case      the case `lossy-disk`
"""
