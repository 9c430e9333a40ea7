#!/usr/bin/env bash
# launch/multi_gpu.sh RECIPE [ARG...]: `jaxlm train` on all GPUs of this host, begun again where it was stopped.
#
# One process drives them all; with PROCESS_PER_GPU=1 each has a process of its own, by local.sh. Choose GPUs with
# CUDA_VISIBLE_DEVICES. What is set in the environment already stays as it is.
set -eu

if [ $# -eq 0 ] || [ "$1" = --help ]; then
  echo "usage: [PROCESS_PER_GPU=1] launch/multi_gpu.sh RECIPE [--mesh.fsdp N] [--group.field VALUE ...]" >&2
  exit 2
fi
here=$(dirname "$0")

# Without a working CUDA this is an error; jax would go on, silently, on the CPU.
export JAX_PLATFORMS="${JAX_PLATFORMS:-cuda}"

# jax takes 75 % of each GPU's memory by default. No other program shares these; the rest is for NCCL and CUDA itself.
if [ -z "${XLA_PYTHON_CLIENT_MEM_FRACTION:-}" ]; then
  export XLA_CLIENT_MEM_FRACTION="${XLA_CLIENT_MEM_FRACTION:-0.92}"
fi

# Gathers of fsdp and sums of gradients run while the GPU computes. A flag that XLA does not know ends the process, so
# there is this one alone; yours come after it and win.
export XLA_FLAGS="--xla_gpu_enable_latency_hiding_scheduler=true ${XLA_FLAGS:-}"

# NCCL says in words what failed; else jax shows a bare "unhandled system error".
export NCCL_DEBUG="${NCCL_DEBUG:-WARN}"

[ -n "${PROCESS_PER_GPU:-}" ] || exec "$here/restart.sh" jaxlm train "$@"

# Data goes over NVLink, PCIe or shared memory, which NCCL finds by itself. Only to meet do its processes need a network, and it
# takes loopback for that on request alone (docs.nvidia.com/deeplearning/nccl, NCCL_SOCKET_IFNAME); so no firewall is in the way.
export NCCL_SOCKET_IFNAME="${NCCL_SOCKET_IFNAME:-=lo}"

if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
  count=$(tr , '\n' <<<"$CUDA_VISIBLE_DEVICES" | grep -c . || true)
else
  count=$(nvidia-smi -L | grep -c '^GPU ' || true)
fi
if [ "$count" -eq 0 ]; then
  echo "launch/multi_gpu.sh: no GPU is here: see nvidia-smi -L, and CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES-(not set)}" >&2
  exit 2
fi
exec "$here/restart.sh" "$here/local.sh" "$count" "$@"
