#!/usr/bin/env bash
# Train on several GPUs of one or more machines: tools/dist_train.sh CONFIG GPUS [arguments of train.py].
# With several machines, run it on each of them and set NNODES, NODE_RANK (0 …) and MASTER_ADDR (the address of machine
# 0). Set PORT if 29500 is in use.
set -euo pipefail
source "$(dirname "$0")/find_python.sh"
config=${1:?usage: tools/dist_train.sh CONFIG GPUS [arguments of train.py]}
gpus=${2:?usage: tools/dist_train.sh CONFIG GPUS [arguments of train.py]}
shift 2
if [[ ${NNODES:-1} == 1 ]]; then
  place=(--standalone)  # finds a free port
else
  place=(--nnodes "$NNODES" --node-rank "${NODE_RANK:?}" --master-addr "${MASTER_ADDR:?}" --master-port "${PORT:-29500}")
fi
exec "$python" -m torch.distributed.run "${place[@]}" --nproc-per-node "$gpus" \
  "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
