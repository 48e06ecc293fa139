# Set ``python`` for the launchers: $PYTHON; the python of an activated environment; that of .venv beside tools/, which
# make creates; or the first one in the PATH.
root="$(dirname "${BASH_SOURCE[0]}")/.."
if [[ -n ${PYTHON:-} ]]; then
  python=$PYTHON
elif [[ -z ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} && -x $root/.venv/bin/python ]]; then
  python=$root/.venv/bin/python
else
  python=$(command -v python || command -v python3)
fi
