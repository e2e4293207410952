#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'A target that leads into its own source is refused by whatever path; what stands at a target is kept or gives way'
host one
S=$TOP/src
make_small "$S"
mkdir "$TOP/elsewhere"; ln -s "$S" "$TOP/elsewhere/alias"

part 'symlinks into the source, one machine under two names, two targets that are one'
migration "local:$S" "local:$TOP/elsewhere/alias" >"$TOP/a.yaml"
find "$S" -printf '%P %T@ %i\n' | sort >"$TOP/before"
expect 6 run "$TOP/a.yaml"
says "$ERR" 'the same directory' "$S" 'place of its own'
migration "local:$S" "local:$TOP/elsewhere/alias/inside" | sed 's/name: move/name: inside/' >"$TOP/b.yaml"
expect 6 run "$TOP/b.yaml"
says "$ERR" 'lies beneath' 'the source of dataset www'
migration "one:$S" "local:$S" | sed 's/name: move/name: twonames/' >"$TOP/c.yaml"
expect 6 run "$TOP/c.yaml"
says "$ERR" 'the same directory'
mkdir "$TOP/t" "$TOP/s2"; ln -s "$TOP/t" "$TOP/t2"
{ migration "local:$S" "local:$TOP/t" | sed 's/name: move/name: twotargets/'
  printf '  more:\n    files: {from: "local:%s", to: "local:%s"}\n' "$TOP/s2" "$TOP/t2"; } >"$TOP/d.yaml"
expect 6 run "$TOP/d.yaml"
says "$ERR" 'the same directory' 'the target of dataset'
find "$S" -printf '%P %T@ %i\n' | sort >"$TOP/after"
same_file "$TOP/before" "$TOP/after"
is_empty <(find "$TOP/t" -mindepth 1) 'what a refused plan wrote'

part 'a place beside the source is no overlap, whatever its name begins with'
migration "local:$S" "local:$S-copy" >"$TOP/e.yaml"
sed -i 's/name: move/name: beside/' "$TOP/e.yaml"
expect 0 run "$TOP/e.yaml"
same_tree "$S" "$S-copy"

part 'a root that is reached through a symlink is followed, said and recorded'
migration "local:$TOP/elsewhere/alias" "local:$TOP/t2" | sed 's/name: move/name: alias/' >"$TOP/alias.yaml"
expect 0 run "$TOP/alias.yaml"
says "$ERR" "alias leads through a symlink to $S" "t2 leads through a symlink to $TOP/t"
same_text "$S" "$(event alias 3 | jq -r .data.datasets.www.from.resolved)" 'the place that is recorded'
same_tree "$S" "$TOP/t"
rm -r "$TOP/t"; mkdir "$TOP/t"

part 'no directory, no parent'
migration "local:$S/a/one" "local:$TOP/x" | sed 's/name: move/name: nodir/' >"$TOP/f.yaml"
expect 6 run "$TOP/f.yaml"
says "$ERR" "$S/a/one" 'no directory but a file'
migration "local:$S" "local:$TOP/no/such/x" | sed 's/name: move/name: noparent/' >"$TOP/g.yaml"
expect 6 run "$TOP/g.yaml"
says "$ERR" 'parent directory does not exist' "$TOP"
[ ! -e "$TOP/no" ] || fail 'a parent was made'

part 'at the target: foreign entries stay, a symlink in place of a directory gives way and is not followed'
D=$TOP/full
mkdir -p "$D/x" "$TOP/outside"; echo foreign >"$D/x/foreign"; echo keep >"$TOP/outside/keep"
ln -s "$TOP/outside" "$D/a"; echo file >"$D/c"
setfacl -d -m u:12345:rwx "$D" 2>/dev/null
migration "local:$S" "local:$D" | sed 's/name: move/name: full/' >"$TOP/h.yaml"
expect 0 run "$TOP/h.yaml"
same_text foreign "$(cat "$D/x/foreign")" 'the foreign file'
same_text keep "$(ls "$TOP/outside")" 'what lies behind the symlink'
expect 0 verify full --full
says "$OUT" 'x/foreign: foreign' match
rm -r "$D/x"; touch -r "$S" "$D"
same_tree "$S" "$D"
