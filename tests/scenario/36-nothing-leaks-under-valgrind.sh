#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
command -v valgrind >/dev/null || { echo 'skipped: no valgrind here'; exit 77; }
scenario 'A whole migration under valgrind: no error, no leak, no file descriptor left open, in the orchestrator and in each agent'
# An ASan build does not run beneath valgrind.
[ "$(nm "$WAYBILL" 2>/dev/null | grep -c __asan_init)" = 0 ] || skip 'this build has a sanitizer of its own'

make_small "$TOP/src"
truncate -s 1000000 "$TOP/src/c/sparse"; echo end >>"$TOP/src/c/sparse"; head -c 300000 /dev/urandom >"$TOP/src/c/random"
setfattr -n user.x -v y "$TOP/src/c/three" 2>/dev/null; setfacl -m u:12345:r "$TOP/src/c/many" 2>/dev/null
host old
mkdir "$TOP/vg" "$TOP/dst"
# OpenSSL's providers are loaded for the life of the process; their handles are wanted nowhere.
cat >"$TOP/known.supp" <<'END'
{
   providers
   Memcheck:Leak
   ...
   fun:OSSL_PROVIDER_try_load
   ...
   fun:keystream_install
}
END
cat >"$TOP/agent" <<END
#!/bin/bash
exec valgrind --quiet --error-exitcode=88 --leak-check=full --errors-for-leak-kinds=definite,possible --track-fds=yes \\
	--log-file="$TOP/vg/agent-\$1.%p" "$WAYBILL_BUILD/tests/agent_dynamic" "\$@"
END
chmod 755 "$TOP/agent"

checked() {	# CODE ARGS...: like expect, with both programs under valgrind
	local want=$1 rc f
	shift
	rm -f "$TOP/vg"/*
	WAYBILL_AGENT=${AGENT-$TOP/agent} WAYBILL_STALL=120 timeout 900 valgrind --quiet --error-exitcode=88 --leak-check=full \
		--suppressions="$TOP/known.supp" --errors-for-leak-kinds=definite,possible --track-fds=yes --log-file="$TOP/vg/waybill.%p" "$WAYBILL" -C "$WS" "$@" >"$OUT" 2>"$ERR" </dev/null
	rc=$?
	for f in "$TOP/vg"/*; do
		# What valgrind was started with it did not open.  Its words for what is left open have changed over the years.
		awk '/pen file descriptor/ {head = $0; getline; if ($0 !~ /inherited from parent/) {print head; print; bad = 1}} END {exit bad}' "$f" >"$TOP/open" ||
			{ cat "$TOP/open" >&2; fail "$*: ${f##*/} left file descriptors open"; }
		! grep -q -e 'definitely lost' -e 'possibly lost' -e 'Invalid ' -e 'uninitialised' -e 'points to un' "$f" || { grep -v -e "^--" "$f" | grep -v -e "^==[0-9]*== *\$" | head -n 40 >&2; fail "$*: ${f##*/}"; }
	done
	same_text "$want" "$rc" "exit code of $*"
	ls "$TOP/vg" | sed 's/\.[0-9]*$//' | sort | uniq -c | tr -s ' \n' ' '; echo
}
part 'what leaks a descriptor is found, and what leaks a block'
printf '#include <fcntl.h>\nint main(void) { return open("/dev/null", O_RDONLY) < 0; }\n' >"$TOP/leak-fd.c"
printf '#include <stdlib.h>\nint main(void) { char *volatile p = malloc(77); p = 0; return p != 0; }\n' >"$TOP/leak-block.c"
for leak in leak-fd leak-block; do
	cc -O0 -o "$TOP/$leak" "$TOP/$leak.c" || fail "no $leak"
	if (WAYBILL=$TOP/$leak; checked 0 x) >"$TOP/found" 2>&1; then fail "$leak was not found"; fi
done
part 'local to local: read, apply, verify, challenges, facts'
MORE='passes: {verify: no}'
migration "local:$TOP/src" "local:$TOP/dst" >"$TOP/move.yaml"
checked 0 run "$TOP/move.yaml"
same_tree "$TOP/src" "$TOP/dst"
part 'restore'
checked 0 restore move www --to "$TOP/back"
same_tree "$TOP/src" "$TOP/back"
part 'from an SSH host'
migration "old:$TOP/src" "local:$TOP/dst2" | sed 's/^name: move/name: ssh/' >"$TOP/ssh.yaml"
AGENT='' checked 0 run "$TOP/ssh.yaml"
same_tree "$TOP/src" "$TOP/dst2"
