"""`impasto benchmark`: measure how fast this machine paints."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from impasto.cli.options import add_command, add_device_and_json, positive_from, size_from
from impasto.cli.output import print_json, print_result
from impasto.errors import counted
from impasto.system.choices import BACKENDS, BENCHMARK_RUNS, BENCHMARK_SIZES


def add(commands: Any) -> None:
    command = add_command(commands, "benchmark", _benchmark, "measure how fast this machine paints, with each backend")
    sizes = " ".join(f"{width}x{height}" for width, height in BENCHMARK_SIZES)
    command.add_argument("--sizes", nargs="+", type=size_from, default=BENCHMARK_SIZES, metavar="WxH",
                         help=f"sizes of the pictures (default: {sizes})")  # fmt: skip
    command.add_argument("--backends", nargs="+", metavar="BACKEND", choices=BACKENDS,
                         default=(), help="those to measure (default: all that are installed but compile, which "
                                          "is slow to start)")  # fmt: skip
    command.add_argument("--runs", type=positive_from, default=BENCHMARK_RUNS,
                         help="pictures each, of which the median counts (default: %(default)s)")  # fmt: skip
    add_device_and_json(command)


def _benchmark(options: argparse.Namespace) -> int:
    from impasto.inference.benchmark import benchmark

    def progress(line: str) -> None:
        print(f"measured: {line}", file=sys.stderr)

    report = benchmark(options.sizes, options.backends, options.runs, options.device, progress)
    if options.json:
        print_json(report)
    else:
        _print_table(report)
    return 0 if report["rows"] else 1


def _print_table(report: dict[str, Any]) -> None:
    peaks = ", ".join(f"{precision} {value:.0f} GFLOP/s" for precision, value in report["peak_gflops"].items())
    machine = report["machine"]
    print_result(f"{machine['device']}, {counted(machine['threads'], 'thread')}; convolution peak: {peaks}")
    print_result("network   size       backend      precision        ms  frames/s  MAC/pixel  of peak  extra MB")
    for row in report["rows"]:
        size = f"{row['width']}x{row['height']}"
        extra = "-" if row["extra_mb"] is None else f"{row['extra_mb']:.0f}"
        print_result(f"{row['network']:9} {size:10} {row['backend']:12} {row['precision']:9} "
                     f"{row['milliseconds']:9.1f} "
                     f"{row['frames']:9.1f} {row['macs_per_pixel']:10,} {row['peak']:8.0%} {extra:>9}")  # fmt: skip
    for failure in report["failed"]:
        print(f"left out: {failure['network']}, {failure['error']}", file=sys.stderr)


def failure_report(reason: str) -> dict[str, Any]:
    return {"rows": [], "failed": [{"network": None, "error": reason}]}
