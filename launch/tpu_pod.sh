#!/usr/bin/env bash
# launch/tpu_pod.sh create | train RECIPE [ARG...] | logs [FOLDER] | stop | delete: a TPU slice, driven from where gcloud is.
#
# Fill in TPU_NAME, TPU_ZONE and, to create it, TPU_TYPE (v5litepod-32) and TPU_RUNTIME (v2-alpha-tpuv5-lite); TPU_SPOT=1 for a
# spot slice. TPU_CACHE is a folder for token stores that all hosts see; without it each host has its own. The project is gcloud's.
set -euo pipefail

usage() {
  echo "usage: TPU_NAME=N TPU_ZONE=Z launch/tpu_pod.sh create | train RECIPE [--group.field VALUE ...] | logs [FOLDER] | stop | delete" >&2
  exit 2
}

need() {
  local name
  for name in "$@"; do
    [ -n "${!name:-}" ] || { echo "launch/tpu_pod.sh: $name is not set; see launch/README.md" >&2; exit 2; }
  done
}

tpus() { gcloud compute tpus "$@" --zone="$TPU_ZONE"; }

state() { tpus queued-resources describe "$TPU_NAME" --format='value(state.state)'; }

on() { # WORKER WORD...: a command on one host, or on `all` at once; its words arrive as they are
  local worker=$1
  shift
  tpus tpu-vm ssh "$TPU_NAME" --worker="$worker" ${output:+"--output-directory=$output"} --command="$(printf '%q ' "$@")"
}

have() { # WORKER VERB...
  local worker=$1
  shift
  on "$worker" env ${TPU_CACHE:+"JAXLM_CACHE=$TPU_CACHE"} jaxlm/code/launch/tpu_worker.sh "$@"
}

create() {
  need TPU_TYPE TPU_RUNTIME
  local now shown=''
  state >/dev/null 2>&1 || tpus queued-resources create "$TPU_NAME" --node-id="$TPU_NAME" \
    --accelerator-type="$TPU_TYPE" --runtime-version="$TPU_RUNTIME" ${TPU_SPOT:+--spot}
  while now=$(state); do
    [ "$now" = "$shown" ] || echo "$TPU_NAME: $now"
    shown=$now
    case "$now" in
      ACTIVE) return ;;
      FAILED | SUSPENDING | SUSPENDED | DELETING)
        echo "launch/tpu_pod.sh: this request will not be filled any more: delete it, then create it again" >&2
        return 1
        ;;
    esac
    sleep 20
  done
  return 1
}

carry() { # RECIPE: the package, and the recipe where it is a file; sets `recipe` to what the hosts call it
  local root
  root=$(dirname "$0")/..
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  mkdir "$scratch/recipe"
  recipe=$1
  if [ -f "$1" ]; then
    cp "$1" "$scratch/recipe/"
    recipe=code/recipe/$(basename "$1")
  fi
  tar -czf "$scratch/jaxlm.tar.gz" --exclude=__pycache__ -C "$scratch" recipe \
    -C "$(cd "$root" && pwd)" jaxlm configs launch pyproject.toml README.md LICENSE constraints.txt
  tpus tpu-vm scp "$scratch/jaxlm.tar.gz" "$TPU_NAME:" --worker=all
  on all bash -c 'rm -rf jaxlm/code && mkdir -p jaxlm/code && tar -xzf jaxlm.tar.gz -C jaxlm/code'
}

train() {
  on all bash -c '[ ! -e jaxlm/code ] || jaxlm/code/launch/tpu_worker.sh idle'
  carry "$1"
  shift
  have all install
  [ -z "${TPU_CACHE:-}" ] || have 0 build "$recipe" "$@" # the others then find it there
  have all build "$recipe" "$@"
  have all start "$recipe" "$@"
  echo "$TPU_NAME trains, also without this machine; see it by: launch/tpu_pod.sh logs"
}

[ "${1:---help}" != --help ] || usage
verb=$1
shift
need TPU_NAME TPU_ZONE
output=''
case "$verb" in
  create) create ;;
  train)
    [ $# -gt 0 ] || usage
    case "$1" in
      *://*) ;;
      *.py) [ -f "$1" ] || { echo "launch/tpu_pod.sh: $1: there is no such recipe here" >&2; exit 2; } ;;
    esac
    train "$@"
    ;;
  logs)
    if [ $# -eq 0 ]; then
      have 0 follow # process 0 prints what all have to say
    else
      mkdir -p "$1"
      output=$1 # gcloud writes a file for each host there, 0.log and so on
      on all cat jaxlm/train.log
    fi
    ;;
  stop)
    have all hold # they stop together, but are told one after another
    have all stop
    ;;
  delete) tpus queued-resources delete "$TPU_NAME" --force ;; # gcloud asks first
  *) usage ;;
esac
