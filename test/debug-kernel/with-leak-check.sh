#!/bin/sh
# Runs a command in the guest, then has the kernel look for memory that nobody can reach any more.
# Usage: with-leak-check.sh RESULTS SUITE COMMAND...
results=$1
suite=$2
shift 2
. "$(dirname "$0")/outcomes.sh"
: >"$results"
"$@"
status=$?
leaks "$suite > no memory is lost"
exit $status
