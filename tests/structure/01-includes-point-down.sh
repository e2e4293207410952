#!/bin/bash
# A room includes headers of its own and of the rooms below it, and each third-party library has one room.
# (The include paths of CMake refuse most wrong ways; this also sees relative paths, and headers of equal name.)
cd "$WAYBILL_SOURCE/orchestrator" || exit 1
bad=0
complain() { echo "FAILED: $*"; bad=1; }

declare -A below=([base]="" [manifest]="base" [wire]="manifest base" [pack]="wire manifest base" [clear]="wire manifest base"
	[plan]="base" [hook]="pack clear wire manifest base" [transport]="pack clear wire manifest base"
	[store]="pack wire manifest base" [ledger]="pack wire manifest base"
	[evidence]="plan hook transport store ledger pack clear wire manifest base"
	[stages]="evidence plan hook transport store ledger pack clear wire manifest base"
	[cli]="stages evidence plan hook transport store ledger pack clear wire manifest base"
	[agent]="pack clear wire manifest base")
files=0
for f in */*.[ch]; do
	files=$((files + 1))
	own=${f%%/*}
	[ -n "${below[$own]+x}" ] || { complain "$own is no room of the house"; continue; }
	while read -r name; do
		case $name in */*) complain "$f includes $name: headers go by bare name" ;; esac
		found=
		for other in $own ${below[$own]}; do [ ! -f "$other/$name" ] || found="$found $other"; done
		case $found in
		'') complain "$f ($own) includes $name, which is neither there nor in a room below" ;;
		' '*' '*) complain "$f includes $name, which may be that of any of:$found" ;;
		esac
	done < <(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$f")
done
[ "$files" -gt 20 ] || complain "only $files source files seen"

only() {	# PATTERN ROOMS...: system headers that stay in their rooms
	local pattern=$1 f
	shift
	while IFS=: read -r f _; do
		case " $* " in *" ${f%%/*} "*) ;; *) complain "$f includes $pattern, which belongs to: $*" ;; esac
	done < <(grep -E "^[[:space:]]*#[[:space:]]*include[[:space:]]*<($pattern)" */*.[ch])
}
only 'libssh2[^>]*' transport
only 'archive(_entry)?\.h|zstd[^>]*' pack
only 'sqlite3\.h' store
only 'git2[^>]*' ledger
only 'libfyaml\.h' plan
only 'openssl/[^>]*' base
# JSON is for everybody but the plan, which is YAML, and the agent, which speaks the wire.
only 'jansson\.h' ledger evidence stages cli hook

while IFS= read -r f; do complain "$f calls exit below main"; done < <(grep -lE '(^|[^_[:alnum:]])exit\(' */*.c | grep -v '/main\.c$')
exit $bad
