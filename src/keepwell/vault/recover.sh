# recover.sh: gets everything back out of a Keepwell vault, without Keepwell.
#
#     bash recover.sh [OUT] [ACCOUNT]
#
# Run it in the vault's folder; an encrypted vault is opened by open_sealed.sh first. It needs bash, zstd, jq and what
# every Linux has. OUT (or `recovered`) must not be there yet; afterwards it holds
#
#     ACCOUNT/HOME/COLLECTION/NAME   every item as it last was, byte for byte
#     state.jsonl                    the last record of every collection and item: properties, media types, times
#     journal.jsonl                  all records, and so all that was changed and removed before
#     unproven.jsonl                 records that do not prove themselves: they are not used
#
# What is missing, forked or unproven is told on standard error, and the exit status is 1 then.
set -euo pipefail
shopt -s nullglob
export LC_ALL=C
out=${1:-recovered} only=${2:-} tab=$'\t'
mkdir "$out"
out=$(cd "$out" && pwd)
work=$out/.work
mkdir "$work"
# For thousands of small files: in memory where that can be had.
lines=$(mktemp -d -p /dev/shm 2>"$work/errors" || mktemp -d)
trap 'rm -rf "$work" "$lines"' EXIT
touch "$out/state.jsonl"
tell() { printf '%s\n' "$1" | tee -a "$work/told" >&2; }

# 1. All records, each once, in order: account, sequence, hash, the hash before, the record.
records() { # of lines up to the first that cannot be read
    { grep -aF -e "$only" || true; } | jq -r --arg only "$only" 'select(type == "object" and (.seq | type) == "number")
        | select($only == "" or .account == $only)
        | "\(.account)\t\(.seq)\t\(.hash)\t\(.prev)\t\(tojson)"' 2>"$work/errors"
}
frames() { # of a pack that is damaged: each for itself
    tail -n 1 "$1" | jq -r '.frames[] | "\(.account) \(.first) \(.last) \(.offset) \(.length)"' 2>"$work/errors" |
        while read -r account first last offset length; do
            dd if="$1" bs=1M skip="$offset" count="$length" iflag=skip_bytes,count_bytes status=none |
                zstdcat -q 2>"$work/errors" | records || tell "$1: records $first to $last of $account are damaged"
        done || tell "$1: its index is damaged"
}
[ -z "$(echo packs/*.age)" ] || tell "This vault is encrypted: run open_sealed.sh, and this in the folder that it makes."
{
    for pack in packs/*.jsonl.zst; do
        zstdcat -q "$pack" 2>"$work/errors" | records || { tell "$pack: it is damaged"; frames "$pack"; }
    done
    # The last line of a tail may be cut off by a crash: that was not confirmed.
    for tail in tails/*.jsonl; do records <"$tail" || true; done
} | sort -u -t "$tab" -k1,1 -k2,2n -k3 >"$work/records"

# 2. Every record proves itself and follows the one before.
cut -f5- "$work/records" | jq -cS 'del(.hash, .body, .body64, .blob)' >"$work/canonical"
while mapfile -t -n 5000 some && ((${#some[@]})); do
    for number in "${!some[@]}"; do printf '%s' "${some[number]}" >"$lines/$number"; done
    (cd "$lines" && seq 0 "$((${#some[@]} - 1))" | xargs sha256sum) | cut -c1-64
done <"$work/canonical" >"$work/computed"
cut -f1-4 "$work/records" | paste - "$work/computed" >"$work/links"
account=''
while IFS=$tab read -r whose seq hash prev computed; do
    if [ "$whose" != "$account" ]; then account=$whose last=0 here=$(printf '0%.0s' {1..64}) before=''; fi
    if [ "$hash" != "$computed" ]; then
        tell "$whose record $seq: its hash does not match its fields"
        echo unproven
        continue
    fi
    if ((seq > last + 1)); then
        tell "$whose records $((last + 1)) to $((seq - 1)): they are missing"
        before=$prev here=$hash
    elif ((seq > last)); then
        before=$here here=$hash
    elif [[ $here != *"$hash"* ]]; then
        tell "$whose record $seq: there are several, the history forked; all of them are used"
        here="$here $hash"
    fi
    [[ $before == *"$prev"* ]] || tell "$whose record $seq: it does not follow the one before"
    last=$seq
    echo proven
done <"$work/links" >"$work/verdicts"
paste "$work/verdicts" "$work/records" >"$work/judged"
sed -n "s/^proven$tab//p" "$work/judged" | cut -f5- >"$out/journal.jsonl"
sed -n "s/^unproven$tab//p" "$work/judged" | cut -f5- >"$out/unproven.jsonl"

# 3. What the newest manifest names is there.
newest=''
for manifest in manifests/*.json.zst; do newest=$manifest; done
if [ -n "$newest" ] && zstdcat -q "$newest" >"$work/manifest"; then
    jq -r '.packs | keys[]' "$work/manifest" | while IFS= read -r pack; do
        [ -e "$pack" ] || [ -e "${pack%.age}" ] || tell "$pack: it is missing"
    done
    jq -r --arg only "$only" '.accounts | to_entries[] | select(.value.seq > 0 and ($only == "" or .key == $only))
        | "\(.key)\t\(.value.seq)\t\(.value.head)"' "$work/manifest" | sort >"$work/heads"
    sed -n "s/^proven$tab//p" "$work/judged" | cut -f1-3 | sort | comm -13 - "$work/heads" |
        while IFS=$tab read -r whose seq _; do
            tell "$whose record $seq: it is missing, and what came before it may be"
        done
elif [ -n "$newest" ]; then
    tell "$newest: it is damaged"
fi

# 4. The last state: each collection's last record, and each item's, unless the collection was dropped since.
# Names and bodies are escaped as in JSON, so that they have no tabs and line ends; printf reads that, but for its `%`.
escaped='def escaped: tojson[1:-1]; '
jq -r "$escaped"'select(.collection)
    | (if .kind == "calendar" or .kind == "tasks" or .kind == "notes" then "calendars" else .kind end) as $home
    | ["\(.account)/\($home)/\(.collection | escaped)"]
        + (if .op == "put" or .op == "remove" then ["item", (.name | escaped)] else ["collection", "-"] end)
        + ["\(.seq)", .op, .digest // "-", (del(.body, .body64, .blob) | tojson)] | join("\t")' "$out/journal.jsonl" |
    sort -t "$tab" -k1,1 -k2,3 -k4,4nr >"$work/changes"
place='' dropped=0 latest=''
while IFS=$tab read -r where what name seq op digest record; do
    if [ "$where" != "$place" ]; then place=$where dropped=0 latest=''; fi
    if [ "$op" = drop ] && ((seq > dropped)); then dropped=$seq; fi
    if [ "$what $name" = "$latest" ]; then continue; fi
    latest="$what $name"
    if [ "$op" = drop ] || [ "$op" = remove ] || ((seq < dropped)); then continue; fi
    printf '%s\n' "$record" >>"$out/state.jsonl"
    case "/$where/$name/" in */../*) tell "$where/$name: that is no name" && continue ;; esac
    case $what in
        item) printf '%s\t%s\n' "$digest" "$where/$name" ;;
        collection) printf '%s\n' "$where" >&3 ;;
    esac
done <"$work/changes" 3>"$work/collections" | sort -t "$tab" -k1,1 >"$work/items"

# 5. The bytes of each item, by their digest.
jq -r "$escaped"'select(.op == "put")
    | if .body != null then "\(.digest)\ttext\t\(.body | escaped)"
      elif .body64 then "\(.digest)\tbase64\t\(.body64)"
      elif .blob then "\(.digest)\tblob\t\(.blob)" else empty end' "$out/journal.jsonl" |
    sort -u -t "$tab" -k1,1 >"$work/bodies"
while IFS= read -r where; do
    printf -v folder -- "${where//%/%%}"
    mkdir -p "$out/$folder" || tell "$where: its folder cannot be made"
done <"$work/collections"
join -t "$tab" "$work/items" "$work/bodies" >"$work/found"
while IFS=$tab read -r digest where form bytes; do
    printf -v path -- "${where//%/%%}"
    path=$out/$path
    [ -d "${path%/*}" ] || mkdir -p "${path%/*}" || true
    [ "$form" != blob ] || [ -e "$bytes" ] || bytes=${bytes%.age}
    case $form in
        text) printf -- "${bytes//%/%%}" >"$path" ;;
        base64) base64 -d <<<"$bytes" >"$path" ;;
        blob) cp -- "$bytes" "$path" ;;
    esac || { tell "$where: its bytes cannot be written" && continue; }
    printf '%s\0' "$path" >&3
    printf '%s\t%s\n' "$digest" "$where"
done <"$work/found" 3>"$work/paths" >"$work/written"
xargs -0 -r sha256sum <"$work/paths" | sed 's/^\\//' | cut -c1-64 | paste - "$work/written" |
    while IFS=$tab read -r computed digest where; do
        [ "$computed" = "$digest" ] || tell "$where: its bytes do not match their digest"
    done
join -t "$tab" -v 1 "$work/items" "$work/bodies" | while IFS=$tab read -r _ where; do
    tell "$where: its bytes are not here; they were erased, or are lost"
done

echo "$(wc -l <"$out/journal.jsonl") records, $(wc -l <"$work/written") of $(wc -l <"$work/items") items, in $out"
[ ! -e "$work/told" ]
