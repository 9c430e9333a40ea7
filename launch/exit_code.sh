#!/usr/bin/env bash
# launch/exit_code.sh CODE...: the exit code of a run whose processes ended with these.
#
# 0 only if all gave it; else 1 or 2, which come again, if any did; else 75 (stopped, state saved); else 76 (a process was lost).
set -u

for code in 1 2 75; do
  for found in "$@"; do
    [ "$found" != "$code" ] || exit "$code"
  done
done
for found in "$@"; do
  [ "$found" = 0 ] || exit 76
done
[ $# -gt 0 ] || exit 76
