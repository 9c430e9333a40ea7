#!/usr/bin/env bash
# launch/restart.sh COMMAND [ARG...]: runs a command, and again each time it ends with 75 (stopped by a signal, state saved).
#
# SIGTERM and Ctrl-C to this script go on to the command, once each, and end the restarts. Its exit code is the command's.
set -mu # -m: the command has a process group of its own, so a terminal's Ctrl-C reaches it through here alone

if [ $# -eq 0 ]; then
  echo "usage: launch/restart.sh COMMAND [ARG...]" >&2
  exit 2
fi

stopped='' signalled='' child=''
pass_on() {
  stopped=1 signalled=1
  [ -z "$child" ] || kill -s "$1" "$child" 2>/dev/null
}
trap 'pass_on TERM' TERM
trap 'pass_on INT' INT

while :; do
  "$@" </dev/null &
  child=$!
  while :; do # a signal interrupts `wait`; the command may need some time to save
    signalled=''
    wait "$child"
    code=$?
    [ -n "$signalled" ] || break
  done
  if [ "$code" -ne 75 ] || [ -n "$stopped" ]; then
    exit "$code"
  fi
  echo "launch/restart.sh: stopped with its state saved (exit code 75); starting again" >&2
done
