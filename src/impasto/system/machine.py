"""The machine: its devices, their precision, cores, memory, and the provenance to record beside a measurement."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import UsageError
from impasto.system.choices import DEFAULT_DEVICE
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


def pick_device(name: str = DEFAULT_DEVICE) -> torch.device:
    """Return the torch device called `name`; `auto` prefers CUDA, then Apple's MPS, then the CPU.

    Raises:
        UsageError: torch does not know the name, or the machine lacks the device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if device.type == "meta":
            raise RuntimeError("it computes nothing")
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        raise UsageError(f"device {name!r} cannot be used here; try --device auto or --device cpu") from error
    return device


def is_without_gpu() -> bool:
    """Whether this machine certainly has no device but its CPU; False where only torch can tell."""
    drivers = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA's, that of Windows below, AMD's
    return sys.platform == "linux" and not any(map(os.path.exists, drivers))


def has_fast_bfloat16(device: torch.device | str) -> bool:
    """Whether `device` computes bfloat16 in hardware; emulated, it is slower than float32."""
    if str(device).startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return str(device) == "cpu" and _has_avx512_bf16()


def _has_avx512_bf16() -> bool:
    with suppress(OSError):  # as on Linux; elsewhere torch knows
        return re.search(r"^flags\s*:.*\bavx512_bf16\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE) is not None
    return bool(_cpu_capabilities().get("avx512_bf16"))


def _cpu_capabilities() -> Mapping[str, Any]:
    """Return what torch knows of this CPU; an older torch, such as 2.6, knows nothing."""
    known: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    return known()


def thread_count() -> int:
    """Return how many threads compute: torch's number where it is at work,
    else OMP_NUM_THREADS or one for each core.
    """
    if "torch" in sys.modules:
        return torch.get_num_threads()
    with suppress(OSError, ValueError):  # two threads of a core get in each other's way
        shared = Path("/sys/devices/system/cpu/smt/active").read_text().strip() == "1"
        return int(os.environ.get("OMP_NUM_THREADS") or max(1, usable_cores() // (1 + shared)))
    return torch.get_num_threads()


def usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Return about how many more bytes this process can allocate before the machine, or its container,
    runs out of memory.
    """
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4 * 2**30
    free = [pages // 2]  # where the system says no more than what it was built with
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = [int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024]
    with suppress(OSError, ValueError):  # the limit reads "max" where there is none
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        free.append(max(0, limit - int((group / "memory.current").read_text())))
    return min(free)


def trim_memory() -> None:
    """Return freed memory to the system: glibc keeps hundreds of megabytes after many arrays of changing sizes."""
    with suppress(AttributeError, OSError, TypeError):  # other systems' C libraries have no such function
        ctypes.CDLL(None).malloc_trim(0)


def used_memory(otherwise: int = 0) -> int:
    """Return the resident memory of this process in bytes, or `otherwise` where the system does not tell."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return otherwise


def provenance(device: torch.device | None = None) -> dict[str, str]:
    """Return versions and hardware to record beside anything measured or trained;
    `device` is by default the fastest.
    """
    return {
        "impasto": _version("impasto"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device_name(device or pick_device()),
        "cores": str(usable_cores()),
        "threads": str(torch.get_num_threads()),
    }


def device_name(device: torch.device) -> str:
    """Return the marketing name of `device`, for reports."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(_cpu_capabilities().get("cpu_name") or platform.machine())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
