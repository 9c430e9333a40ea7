#!/usr/bin/env bash
# launch/build_data.sh RECIPE [ARG...]: the token store of a run, made by one process before several train: of those none does it.
#
# It takes what `jaxlm train` takes; `jaxlm data build` has no --run-dir and no --from.
set -u

build=() skip=''
for word in "$@"; do
  case "$word" in
    --run[-_]dir | --from) skip=1 ;;
    --run[-_]dir=* | --from=*) ;;
    --dry[-_]run)
      echo "launch/build_data.sh: --dry-run trains nothing, and one process does it: jaxlm train RECIPE --dry-run" >&2
      exit 2
      ;;
    *) [ -n "$skip" ] || build+=("$word"); skip='' ;;
  esac
done
exec jaxlm data build "${build[@]}"
