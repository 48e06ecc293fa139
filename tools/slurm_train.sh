#!/usr/bin/env bash
# Train under Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG GPUS [arguments of train.py].
# Optional variables: GPUS_PER_NODE (default: up to 8), CPUS_PER_TASK (default: 5) and SRUN_ARGS.
# On Slurm's SIGTERM, training saves a checkpoint: see docs/training.md.
set -euo pipefail
source "$(dirname "$0")/find_python.sh"
usage='usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG GPUS [arguments of train.py]'
partition=${1:?$usage} job=${2:?$usage} config=${3:?$usage} gpus=${4:?$usage}
shift 4
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# shellcheck disable=SC2086  # SRUN_ARGS is a list of words
exec srun --partition "$partition" --job-name "$job" --ntasks "$gpus" --ntasks-per-node "$per_node" \
  --gres "gpu:$per_node" --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  "$python" -u "$(dirname "$0")/train.py" "$config" --launcher slurm "$@"
