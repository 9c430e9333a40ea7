#!/usr/bin/env bash
# launch/build_data.sh RECIPE [ARG...]: the token store of a run, made by one process before several train: of those none does it.
#
# It takes what `jaxlm train` takes; `jaxlm data build` has no --run-dir.
set -u

build=() skip=''
for word in "$@"; do
  case "$word" in
    --run-dir) skip=1 ;;
    --run-dir=*) ;;
    *) [ -n "$skip" ] || build+=("$word"); skip='' ;;
  esac
done
exec jaxlm data build "${build[@]}"
