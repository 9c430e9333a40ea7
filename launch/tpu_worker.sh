#!/usr/bin/env bash
# launch/tpu_worker.sh install | build RECIPE [ARG...] | start RECIPE [ARG...] | follow | hold | stop | idle
#
# What launch/tpu_pod.sh has each host of a slice do. The code is in ~/jaxlm/code, and beside it lie the environment, the log
# and the number of the process that trains.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/venv/bin:$HOME/.local/bin:$PATH"

trains() { # a number alone may be another process's, after a restart of the host
  [ -s pid ] && grep -aqs code/launch/ "/proc/$(cat pid)/cmdline"
}

verb=${1:-nothing}
[ $# -eq 0 ] || shift
case "$verb" in
  install)
    # The Python of TPU images is 3.10, older than jaxlm needs; uv brings its own.
    command -v uv >/dev/null || PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --user uv
    [ -d venv ] || uv venv --quiet --python 3.12 venv
    VIRTUAL_ENV=$PWD/venv uv pip install --quiet -c code/constraints.txt -e './code[gcs,s3,tpu]'
    ;;
  build) JAX_PLATFORMS=cpu code/launch/build_data.sh "$@" ;; # the chips are for those that train
  start)
    # It outlives the connection that started it: in a session of its own, and until it is in there no hang-up ends it.
    trap '' HUP
    setsid code/launch/tpu_vm.sh "$@" </dev/null >>train.log 2>&1 &
    echo $! >pid
    ;;
  follow)
    if trains; then
      tail -n 100 --pid="$(cat pid)" -f train.log
    else
      tail -n 100 train.log
    fi
    ;;
  hold) ! trains || kill -USR1 "$(cat pid)" ;;
  stop)
    ! trains || kill -TERM "$(cat pid)"
    while trains; do sleep 0.5; done
    [ ! -f train.log ] || tail -n 1 train.log
    ;;
  idle)
    ! trains || { echo "launch/tpu_worker.sh: $(hostname) is training; first: launch/tpu_pod.sh stop" >&2; exit 1; }
    ;;
  *)
    echo "launch/tpu_worker.sh: $verb is none of install, build, start, follow, hold, stop, idle" >&2
    exit 2
    ;;
esac
