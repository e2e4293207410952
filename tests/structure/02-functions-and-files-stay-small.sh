#!/bin/bash
# No function beyond 100 lines, no file beyond 700: what outgrows that wants to be two things.
cd "$WAYBILL_SOURCE/orchestrator" || exit 1
awk '
FNR == 1 { name = ""; start = 0 }
/^[A-Za-z_].*\)[[:space:]]*$/ || /^[A-Za-z_].*\(/ { name = $0 }
/^\{/ { start = FNR }
/^\}/ { if (start) { n = FNR - start - 1; count++; total += n; if (n > 100) { printf "FAILED: %s:%d: %d lines: %s\n", FILENAME, start, n, name; bad = 1 } } start = 0 }
END { printf "%d functions, %.0f lines on average\n", count, count ? total / count : 0; if (count < 50) { print "FAILED: too few functions seen"; bad = 1 } exit bad }
' *.c */*.c || exit 1
bad=0
for f in *.c */*.[ch]; do
	n=$(wc -l <"$f")
	[ "$n" -le 700 ] || { echo "FAILED: $f has $n lines"; bad=1; }
done
exit $bad
