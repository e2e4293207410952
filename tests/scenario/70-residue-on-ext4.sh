#!/bin/bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib/scenario.sh"
own_mounts
. "$WAYBILL_SOURCE/tests/lib/residue.sh"
scenario 'What a clearing leaves on ext4 is found, and nothing is certified as cleared that an independent search still reads'
person zhang li

linked() { ln "$M/src/a-name-of-some-length-5.dat" "$M/outside"; }

cell plain cleared
cell one-kilobyte cleared mkfs='ext4 -b 1024'
cell journalled cleared mkfs='ext4 -b 4096' mount=data=journal
cell inlined cleared mkfs='ext4 -b 4096 -I 256 -O inline_data'
cell partition cleared mkfs='ext4 -b 4096' offset=31744
cell linked residue-found after=linked left=some
