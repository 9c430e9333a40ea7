#!/usr/bin/env bash
# launch/tpu_vm.sh RECIPE [ARG...]: `jaxlm train` in one process over all chips of a TPU VM of one host (such as v5e-8),
# begun again where it was stopped.
set -eu

if [ $# -eq 0 ]; then
  echo "usage: launch/tpu_vm.sh RECIPE [--mesh.fsdp N] [--group.field VALUE ...]" >&2
  exit 2
fi

# On a slice of several hosts one process alone would wait for the others for ever.
case "${TPU_WORKER_HOSTNAMES:-}" in
  *,*)
    echo "launch/tpu_vm.sh: TPU_WORKER_HOSTNAMES names several hosts; jaxlm runs on one host so far. Use a slice of one." >&2
    exit 2
    ;;
esac

# Without a working libtpu this is an error; jax would go on, silently, on the CPU.
export JAX_PLATFORMS="${JAX_PLATFORMS:-tpu}"

exec "$(dirname "$0")/restart.sh" jaxlm train "$@"
