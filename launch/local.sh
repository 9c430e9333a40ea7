#!/usr/bin/env bash
# launch/local.sh NUM_PROCESSES RECIPE [ARG...]: `jaxlm train` in several processes on this machine.
#
# On a CPU each has DEVICES_PER_PROCESS simulated devices (default 1), else a GPU of its own. The exit code is 0 only if all gave
# it, else 1 or 2 if any did, else 75 (stopped, state saved), else 76 (a process was lost). JAXLM_PORT chooses the port where they
# meet.
set -u

if [ $# -lt 2 ] || ! [ "$1" -ge 1 ] 2>/dev/null; then
  echo "usage: [DEVICES_PER_PROCESS=D] launch/local.sh NUM_PROCESSES RECIPE [--group.field VALUE ...]" >&2
  exit 2
fi
if ! [ "${DEVICES_PER_PROCESS:-1}" -ge 1 ] 2>/dev/null; then
  echo "launch/local.sh: DEVICES_PER_PROCESS=$DEVICES_PER_PROCESS must be a whole number, at least 1" >&2
  exit 2
fi
count=$1
shift

pids=() codes=() stopped=''
# All are told: they agree among themselves when to stop, but one that has not met the others yet ends at once, and they would wait.
stop() {
  stopped=1
  [ ${#pids[@]} -eq 0 ] || kill -TERM "${pids[@]}" 2>/dev/null
}
trap stop TERM INT

"$(dirname "$0")/build_data.sh" "$@" >&2 </dev/null &
pids=("$!")
while :; do # a signal interrupts `wait`
  wait "${pids[0]}"
  built=$?
  kill -0 "${pids[0]}" 2>/dev/null || break
done
pids=()
[ "$built" -eq 0 ] || exit "$built"
[ -z "$stopped" ] || exit 75

if [ -n "${DEVICES_PER_PROCESS:-}" ] || [ "${JAX_PLATFORMS:-}" = cpu ]; then
  export JAX_PLATFORMS="${JAX_PLATFORMS:-cpu}"
  export XLA_FLAGS="--xla_force_host_platform_device_count=${DEVICES_PER_PROCESS:-1} ${XLA_FLAGS:-}"
  gpu_each=''
else
  gpu_each=1
fi
# Two runs on one machine rarely draw the same port, below those that the system gives away by itself.
export JAX_COORDINATOR_ADDRESS="127.0.0.1:${JAXLM_PORT:-$((10000 + 2 * (RANDOM % 10000)))}" JAX_NUM_PROCESSES="$count"

for ((i = 0; i < count; i++)); do
  # Counted among those that CUDA_VISIBLE_DEVICES leaves. That itself stays: NCCL is to see the other GPUs, for their links.
  [ -z "$gpu_each" ] || export JAX_LOCAL_DEVICE_IDS="$i"
  if [ "$i" -eq 0 ]; then
    JAX_PROCESS_ID=0 jaxlm train "$@" </dev/null &
  else
    JAX_PROCESS_ID=$i jaxlm train "$@" </dev/null > >(trap "" INT; exec sed -u "s/^/[$i] /" >&2) 2>&1 &
  fi
  pids+=("$!") codes+=('')
done
[ -z "$stopped" ] || stop # told while they were started

failed=''
while :; do
  running=0
  for ((i = 0; i < count; i++)); do
    [ -z "${codes[i]}" ] || continue
    if kill -0 "${pids[i]}" 2>/dev/null; then
      running=1
    else
      wait "${pids[i]}"
      codes[i]=$?
      case "${codes[i]}" in 0 | 75) ;; *) failed=${failed:-$SECONDS} ;; esac
    fi
  done
  [ "$running" -eq 1 ] || break
  if [ -n "$failed" ] && [ $((SECONDS - failed)) -ge 15 ]; then
    # One that failed before it met the others is waited for; one that is frozen never ends.
    kill -KILL "${pids[@]}" 2>/dev/null
  fi
  sleep 0.2
done

exec "$(dirname "$0")/exit_code.sh" "${codes[@]}"
