#!/usr/bin/env bash
# What impasto does on this GPU, in one table, and with the time left something worth having: see research/on_gpu.py.
#   scripts/on_gpu.sh [--quick] [--vgg WEIGHTS] [--photographs DIR] [--styles DIR] [--minutes 7] [-o DIR]
# Needs no network and no installation beyond impasto's own packages.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python3}" scripts/research/on_gpu.py "$@"
