#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
scenario 'Real trees: /usr/share/doc and /usr/include arrive whole, and come back whole from the archive'

host old; host new
mkdir "$TOP/doc" "$TOP/include"
{
	printf 'waybill: 1\nname: real\nkind: migration\nhosts:\n  %s\n  %s\ndatasets:\n' "${HOST[old]}" "${HOST[new]}"
	printf '  doc:\n    files: {from: "old:/usr/share/doc", to: "new:%s"}\n' "$TOP/doc"
	printf '  include:\n    files: {from: "old:/usr/include", to: "new:%s"}\n' "$TOP/include"
} >"$TOP/real.yaml"
entries=$(find /usr/share/doc /usr/include -printf x | wc -c)
bytes=$(du -sb --total /usr/share/doc /usr/include | tail -n 1 | cut -f1)
start=$(date +%s%N)
if [ "$(id -u)" = 0 ]; then
	expect 0 run "$TOP/real.yaml"
else	# a plain user cannot give files to root
	expect 0/1 run "$TOP/real.yaml"
	[ "$RC" = 0 ] || skip 'a plain user cannot keep the owners of real trees'
fi
echo "  $entries entries, $((bytes / 1000000)) MB, three times over: $((($(date +%s%N) - start) / 1000000)) ms"
same_tree /usr/share/doc "$TOP/doc"
same_tree /usr/include "$TOP/include"
for d in doc include; do balance real $d >/dev/null; done
same_text "$entries" "$(($(manifest real doc | grep -vc '^#') + $(manifest real include | grep -vc '^#')))" 'entries in the manifests'
manifest real include | bsdtar -tf - >/dev/null || fail 'bsdtar cannot read the manifest'
expect 0 restore real include --to "$TOP/back"
same_tree /usr/include "$TOP/back"
start=$(date +%s%N)
expect 0 run "$TOP/real.yaml"
echo "  and once more: $((($(date +%s%N) - start) / 1000000)) ms"
