#!/bin/bash
# Every manual page passes mandoc's lint, and every format that outlives the program has one.
cd "$WAYBILL_SOURCE/orchestrator/man" || exit 1
bad=0
for page in *.[157]; do
	mandoc -T lint -W error "$page" || { echo "FAILED: $page"; bad=1; }
done
for page in waybill.1 waybill-plan.5 waybill-wire.7 waybill-manifest.5 waybill-events.5 waybill-recipe.5 waybill-evidence.5; do
	[ -f "$page" ] || { echo "FAILED: $page is missing"; bad=1; }
done
exit $bad
