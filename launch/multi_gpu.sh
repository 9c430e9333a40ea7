#!/usr/bin/env bash
# launch/multi_gpu.sh RECIPE [ARG...]: `jaxlm train` in one process over all GPUs of this host, begun again where it was stopped.
#
# Choose GPUs with CUDA_VISIBLE_DEVICES. What is set in the environment already stays as it is.
set -eu

if [ $# -eq 0 ]; then
  echo "usage: launch/multi_gpu.sh RECIPE [--mesh.fsdp N] [--group.field VALUE ...]" >&2
  exit 2
fi

# Without a working CUDA this is an error; jax would go on, silently, on the CPU.
export JAX_PLATFORMS="${JAX_PLATFORMS:-cuda}"

# jax takes 75 % of each GPU's memory by default. No other program shares these; the rest is for NCCL and CUDA itself.
if [ -z "${XLA_PYTHON_CLIENT_MEM_FRACTION:-}" ]; then
  export XLA_CLIENT_MEM_FRACTION="${XLA_CLIENT_MEM_FRACTION:-0.92}"
fi

# Gathers of fsdp and sums of gradients run while the GPU computes. A flag that XLA does not know ends the process, so
# there is this one alone; yours come after it and win.
export XLA_FLAGS="--xla_gpu_enable_latency_hiding_scheduler=true ${XLA_FLAGS:-}"

exec "$(dirname "$0")/restart.sh" jaxlm train "$@"
