#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
. "$WAYBILL_SOURCE/tests/lib/fidelity.sh"
own_mounts
scenario 'What was at the source is at the target and comes back out of the archive, on btrfs: every type, attribute, name and hole'
matrix btrfs
