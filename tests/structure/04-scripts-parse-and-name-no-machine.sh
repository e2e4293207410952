#!/bin/bash
# Scripts parse; what is meant to be run can be; nothing in the tree names a place on somebody's machine.
cd "$WAYBILL_SOURCE" || exit 1
bad=0
while IFS= read -r f; do
	case $(head -n 1 "$f") in
	'#!/bin/bash'*) bash -n "$f" || bad=1 ;;
	'#!/bin/sh'*) sh -n "$f" || bad=1 ;;
	esac
done < <(find tests plans hooks .ci -type f \( -name '*.sh' -o -name run -o -name install -o -path 'hooks/*' \) ! -name '*.md')
for f in tests/run tests/install plans/demo/run .ci/run; do
	[ -x "$f" ] || { echo "FAILED: $f cannot be run"; bad=1; }
done
if grep -rnIE '/(home|Users)/[a-z]+/|/work/|/tmp/b-' --include='*' orchestrator plans hooks tests README.md CMakeLists.txt .ci 2>/dev/null |
	grep -v 'tests/structure/04-'; then
	echo 'FAILED: the lines above name a place on a machine'
	bad=1
fi
exit $bad
