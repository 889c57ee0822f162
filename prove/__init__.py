"""The proving ground: it breaks Keepwell on purpose and counts what is lost.

A layer of tools of its own. It drives the product from outside, as its users do (the command, the protocols, the
files), and the product never imports it. `python -m prove` runs a case and prints the seed that runs it again; the
short forms run in `make test` (`tests/prove`), the full ones by `make prove`.

    claims      what the clients say they did, kept where no fault reaches
    operations  what clients do, and the clients that do it
    world       one server with its data, its vault and its accounts, started, killed, served again
    readback    everything read over the protocols, and compared with the claims
    disks       file systems whose power can be cut
    lossy       a disk that drops, reorders and tears what was not synced
    cuts        which disks a unit of power cuts cuts when
    haste       a keeper that waits less, so that faults meet it at work
    trial       a world to which something happens while clients are at work, and what is asked of it
    copies      where the journals in a store and its vaults end
    syscalls    a gate before the system calls of a process, which counts, refuses, delays and kills
    scenes      the scripted session whose every system call is killed; theatre, playing, stage: how it is played
    s3          a real S3 store; s3_proxy: a proxy before it that does harm
    case        what a case is, and one unit of it
    cases       the cases by name; each is a module of its own
    small_world a data folder and its vault as bytes, for breaking every one of them in this process
    broken_*    what must come of a vault or a data folder in which something is broken
    served      everything that an account answers, compared with what is true
    runner      units of a case, several at once
    report      what came out, for docs/RELIABILITY.md
"""
