#!/usr/bin/env bash
# launch/restart.sh COMMAND [ARG...]: runs a command, and again each time it ends with 75 (stopped by a signal, state saved) or
# 76 (another process of the run was lost); never on 1 or 2, which come again.
#
# SIGTERM and Ctrl-C to this script go on to the command, once each, and end the restarts. SIGUSR1 ends them alone: where several
# hosts are to stop, each is told so first, or one would start again that hears of it last. Its exit code is the command's.
# After five losses in a row, each within ten minutes of its start, it gives up.
set -mu # -m: the command has a process group of its own, so a terminal's Ctrl-C reaches it through here alone

if [ $# -eq 0 ] || [ "$1" = --help ]; then
  echo "usage: launch/restart.sh COMMAND [ARG...]" >&2
  exit 2
fi

stopped='' signalled='' child='' lost=0
pass_on() {
  stopped=1 signalled=1
  [ -z "$child" ] || kill -s "$1" "$child" 2>/dev/null
}
trap 'pass_on TERM' TERM
trap 'pass_on INT' INT
trap 'stopped=1 signalled=1' USR1

while :; do
  began=$SECONDS
  "$@" </dev/null &
  child=$!
  while :; do # a signal interrupts `wait`; the command may need some time to save
    signalled=''
    wait "$child"
    code=$?
    [ -n "$signalled" ] || break
  done
  if { [ "$code" -ne 75 ] && [ "$code" -ne 76 ]; } || [ -n "$stopped" ]; then
    [ "$code" -eq 0 ] || echo "launch/restart.sh: ended with exit code $code" >&2
    exit "$code"
  fi
  # Where a host cannot come back the others would wait for it for ever.
  if [ "$code" -eq 76 ] && [ $((SECONDS - began)) -lt 600 ]; then lost=$((lost + 1)); else lost=0; fi
  if [ "$lost" -ge 5 ]; then
    echo "launch/restart.sh: five times in a row another process was lost within ten minutes; see why, and start all again" >&2
    exit "$code"
  fi
  echo "launch/restart.sh: ended with exit code $code; starting again from the last checkpoint" >&2
done
