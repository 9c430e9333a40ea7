#!/usr/bin/env bash
# launch/tpu_vm.sh RECIPE [ARG...]: `jaxlm train` in one process over all chips of this host of a TPU slice, begun again where it
# was stopped. On a slice of several hosts start it on each: the processes find each other.
set -eu

if [ $# -eq 0 ] || [ "$1" = --help ]; then
  echo "usage: launch/tpu_vm.sh RECIPE [--mesh.fsdp N] [--group.field VALUE ...]" >&2
  exit 2
fi

# Without a working libtpu this is an error; jax would go on, silently, on the CPU.
export JAX_PLATFORMS="${JAX_PLATFORMS:-tpu}"

exec "$(dirname "$0")/restart.sh" jaxlm train "$@"
