#!/bin/bash
# sshd_serve.sh DIR - sshd.sh for unit tests in C: runs each line of stdin as shell code and answers with its output, then
# a line "=STATUS".  Ends, and stops everything it started, when stdin ends.
set -u
. "$(dirname "$0")/sshd.sh"
trap sshd_cleanup EXIT
sshd_lab "$1" || exit 1
while IFS= read -r line; do
	eval "$line" </dev/null 2>&1
	printf '\n=%s\n' $?
done
