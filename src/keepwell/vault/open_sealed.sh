# open_sealed.sh: opens an encrypted Keepwell vault with one of its secret keys, without Keepwell.
#
#     bash open_sealed.sh KEYFILE [OUT] [ACCOUNT]
#
# Run it in the vault's folder. KEYFILE holds a secret key on a line of its own, as age reads it: AGE-SECRET-KEY-1…
# OUT (or `opened`) must not be there yet; recover.sh takes it for a vault. It needs bash, age, zstd, jq and what every
# Linux has. What cannot be opened is told, and the exit status is 1 then.
set -euo pipefail
shopt -s nullglob
key=$1 out=${2:-opened} only=${3:-}
mkdir "$out" "$out/packs" "$out/tails" "$out/manifests"
work=$out/.work
mkdir "$work"
trap 'rm -rf "$work"' EXIT
tell() { printf '%s\n' "$1" | tee -a "$work/told" >&2; }
open() { age -d -i "$key" >"$work/opened" && cat "$work/opened"; }

# Each frame of a pack is encrypted for itself; the last line of the pack says where they lie.
for pack in packs/*.jsonl.zst.age; do
    tail -n 1 "$pack" | jq -r --arg only "$only" '.frames[] | select($only == "" or .account == $only)
        | "\(.account) \(.first) \(.last) \(.offset) \(.length)"' |
        while read -r account first last offset length; do
            dd if="$pack" bs=1M skip="$offset" count="$length" iflag=skip_bytes,count_bytes status=none | open ||
                tell "$pack: records $first to $last of $account cannot be opened"
        done >"$out/${pack%.age}" || tell "$pack: its index is damaged"
    [ -s "$out/${pack%.age}" ] || zstd -q </dev/null >"$out/${pack%.age}" # none of the account's
done
# Each line of a tail as well.
for tail in tails/*.jsonl; do
    jq -rR 'fromjson? | .age? // empty' "$tail" | while IFS= read -r line; do
        base64 -d <<<"$line" | open || tell "$tail: a line cannot be opened"
    done >"$out/$tail"
done
# The blobs that these records need.
{
    for pack in "$out"/packs/*; do zstdcat -q "$pack" || tell "$pack: it is damaged"; done
    cat /dev/null "$out"/tails/*
} | jq -rR --arg only "$only" 'fromjson? | select($only == "" or .account == $only) | .blob // empty
    | select(test("^blobs/[0-9a-f]{2}/[0-9a-f]{64}\\.age$"))' | sort -u |
    while IFS= read -r blob; do
        mkdir -p "$out/${blob%/*}"
        open <"$blob" >"$out/${blob%.age}" || tell "$blob: it cannot be opened"
    done
for manifest in manifests/*; do cp "$manifest" "$out/manifests/"; done
[ ! -e "$work/told" ]
