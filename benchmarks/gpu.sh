#!/usr/bin/env bash
# Figures of a GPU in a few minutes: what `benchmarks/performance/gpu.py` says, with its arguments.
#
#     bash benchmarks/gpu.sh --output results/gpu --seconds 240
#
# Installs nothing but the wheels in .whl, if there are any, into a folder of its own: PhiFlow, PhiML and this package are
# pure Python. PyTorch, JAX, NumPy, SciPy, Matplotlib and rich must be there.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
if compgen -G ".whl/*.whl" >/dev/null; then
    site="$(mktemp -d)"
    trap 'rm -rf "$site"' EXIT
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" .whl/*.whl
    export PYTHONPATH="$PYTHONPATH:$site"
fi
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
fi
python3 benchmarks/performance/gpu.py "$@"
