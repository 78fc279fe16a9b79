"""Feed damaged files to a loader and see that it reads or refuses them, and does nothing else.

    python tests/fuzz/fuzz.py images --minutes 10 --seed 0      python tests/fuzz/fuzz.py models --minutes 10 --seed 0

Input number i is a pure function of (seed, i): a whole file with a few random changes. A worker process loads it, so
that a crash, a hang or a greedy input costs that one input; such inputs are kept in --keep. Exit code 1 if there are
any.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

HANG = 20.0
MAX_PIXELS = 4_000_000  # so that no honest picture comes near the limits below
READ_LIMITS, REFUSAL_LIMITS = (5.0, 500), (1.0, 200)  # seconds of work, megabytes
NUMBERS = [0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1]

Samples = list[tuple[str, bytes]]  # suffix, content
Mutation = Callable[[random.Random, bytearray, Samples], bytes | bytearray]


@dataclass
class Target:
    """What is fuzzed: whole files to start from, changes fit for them, and the loader."""

    samples: Callable[[], Samples]
    mutations: list[Mutation]
    load: Callable[[Path], None]


@dataclass
class Tally:
    """What happened so far."""

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: dict[str, list[int]] = field(default_factory=dict)  # by kind, the numbers of the inputs


# Changes to any file.


def flip_bits(rng: random.Random, data: bytearray, samples: Samples) -> bytearray:
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def flip_early_bits(rng: random.Random, data: bytearray, samples: Samples) -> bytearray:
    for _ in range(rng.choice([1, 2, 4])):
        data[rng.randrange(min(len(data), 128))] ^= 1 << rng.randrange(8)
    return data


def write_number(rng: random.Random, data: bytearray, samples: Samples) -> bytearray:
    code = rng.choice(["B", "<H", ">H", "<I", ">I"])
    size = struct.calcsize(code)
    if len(data) > size:
        place = rng.randrange(min(len(data), rng.choice([64, 512, 2**30])) - size + 1) if len(data) > 64 else 0
        struct.pack_into(code, data, place, rng.choice(NUMBERS) & (256**size - 1))
    return data


def cut_short(rng: random.Random, data: bytearray, samples: Samples) -> bytearray:
    return data[: rng.randrange(1, len(data) + 1)]


def drop_slice(rng: random.Random, data: bytearray, samples: Samples) -> bytearray:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randrange(1, 65) :]


def repeat_slice(rng: random.Random, data: bytearray, samples: Samples) -> bytearray:
    start, size = rng.randrange(len(data)), rng.randrange(1, 257)
    return data[: start + size] + data[start : start + size] * rng.choice([1, 2, 50]) + data[start + size :]


def insert_noise(rng: random.Random, data: bytearray, samples: Samples) -> bytearray:
    start = rng.randrange(len(data))
    return data[:start] + rng.randbytes(rng.randrange(1, 65)) + data[start:]


def splice(rng: random.Random, data: bytearray, samples: Samples) -> bytearray:
    other = rng.choice(samples)[1]
    return data[: rng.randrange(1, len(data) + 1)] + other[rng.randrange(len(other)) :]


ANY_FILE: list[Mutation] = [
    flip_bits, flip_early_bits, write_number, write_number, cut_short, drop_slice, repeat_slice, insert_noise, splice
]  # fmt: skip


# Pictures.


def mend_checksums(rng: random.Random, data: bytearray, samples: Samples) -> bytearray:
    """Make a damaged PNG's checksums right again, else nothing behind them is ever reached."""
    place = 8
    while data.startswith(b"\x89PNG") and place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4])
        end = place + 8 + size
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return data


def load_picture(path: Path) -> None:
    import numpy as np

    from impasto.images.reading import read_picture

    picture = read_picture(path, max_pixels=MAX_PIXELS)
    height, width, channels = picture.pixels.shape
    assert channels == 3 and 0 < height * width <= MAX_PIXELS, "a picture of its size"
    most = 255 if picture.pixels.dtype == np.uint8 else 1
    assert bool(((picture.pixels >= 0) & (picture.pixels <= most)).all()), "values in [0, 1], or levels"


def picture_samples() -> Samples:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from helpers import hostile  # pyright: ignore[reportMissingImports]

    makers = hostile.READ | {name: make for name, make in hostile.REFUSED.items() if name.startswith("damaged")}
    made = [(Path(name).suffix, make()) for name, make in makers.items()]
    return [(suffix, data) for suffix, data in made if len(data) < 50_000]


# Models: changes to the text inside a safetensors file, its length put right.

HOSTILE_VALUES = [
    -1, 0, 1, 3, 2**31, 2**63, 10**30, 0.5, True, None, "", "x" * 5000, "\x1b[31m\n", "../../etc/passwd", [], [[]], {},
    [2**40], [-1], [0], [1, 1, 1, 1, 1, 1], "F64", "I64", "BOOL", "johnson", "__init__", "os", 1e400, "NaN",
]  # fmt: skip


def change_text(rng: random.Random, data: bytearray, samples: Samples) -> bytes | bytearray:
    """Change one value of the header's JSON, or of the description inside its metadata."""
    try:
        size = int.from_bytes(data[:8], "little")
        header, tensors = json.loads(data[8 : 8 + size]), data[8 + size :]
        papers = header.get("__metadata__", {})
        if isinstance(papers, dict) and papers and rng.random() < 0.6:
            key = rng.choice(sorted(papers))
            papers[key] = json.dumps(change_value(rng, json.loads(papers[key])))
        else:
            header = change_value(rng, header)
    except (ValueError, AttributeError, TypeError):
        return data
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def swap_tensor(rng: random.Random, data: bytearray, samples: Samples) -> bytes | bytearray:
    """Write the file anew with one tensor of another name, shape, type or content."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load, save

    try:
        tensors = load(bytes(data))
        metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__")
        key = rng.choice(sorted(tensors))
        shape = rng.choice([tensors[key].shape, (), (0,), (7,), (1, 1, 1, 1), (2**10, 2**10)])
        fill = rng.choice([0.0, 1.0, -1e4, float("nan"), float("inf")])
        dtype = rng.choice([np.float16, np.float32, np.float64, np.int8, np.int64, np.bool_])
        with np.errstate(all="ignore"):
            value = np.full(shape, fill).astype(dtype)
        tensors.pop(key) if rng.random() < 0.5 else None
        tensors[rng.choice([key, key, "style.relu1_2", "style.x", "network.x", ""])] = value
        return save(tensors, metadata=metadata)
    except (ValueError, AttributeError, IndexError, TypeError, KeyError, SafetensorError):
        return data


def change_value(rng: random.Random, value: object) -> object:
    """Return `value` with one thing in it removed, renamed or replaced."""
    if isinstance(value, dict) and value and rng.random() < 0.95:
        key = rng.choice(sorted(value))
        action = rng.random()
        if action < 0.08:
            del value[key]
        elif action < 0.16:
            value[str(rng.choice(HOSTILE_VALUES))] = value.pop(key)
        else:
            value[key] = change_value(rng, value[key])
        return value
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        value[place] = change_value(rng, value[place])
        return value
    return rng.choice(HOSTILE_VALUES)


def load_model(path: Path) -> None:
    import torch

    from impasto.checkpoint import load_style_model

    model = load_style_model(path)
    assert all(bool(torch.isfinite(value).all()) for value in model.network.state_dict().values()), "finite weights"
    with torch.inference_mode():
        model.network(torch.rand(1, 3, 32, 32))


def model_samples() -> Samples:
    import torch

    from impasto.checkpoint import StyleModel, save_style_model
    from impasto.networks import build_network, network_names, network_spec, option_limits
    from impasto.records import ReportSummary, StyleRecord

    def smallest(name: str) -> dict[str, int]:
        return {option: low for option, (low, _) in option_limits(name).items()}

    torch.manual_seed(0)
    samples = []
    with tempfile.TemporaryDirectory() as folder:
        for name in network_names():
            model = StyleModel(
                build_network(name, **smallest(name)), network_spec(name, **smallest(name)), "fuzzed",
                style=StyleRecord(title="A title", size=256),
                style_targets={"0123abcd": {"relu1_2": torch.eye(4)[None]}},
                report=ReportSummary.from_dict({"loss": 1.5, "equal_iterations": {"noise": 50, "content": 8}}),
            )  # fmt: skip
            path = Path(folder, f"{name}.safetensors")
            save_style_model(path, model)
            samples.append((path.suffix, path.read_bytes()))
    return samples


TARGETS = {
    "images": Target(picture_samples, [*ANY_FILE, mend_checksums, mend_checksums], load_picture),
    "models": Target(model_samples, [*ANY_FILE, *[change_text, swap_tensor] * len(ANY_FILE)], load_model),
}


# The machinery: inputs, a worker, a watcher.


def make_input(target: Target, samples: Samples, seed: int, index: int) -> tuple[str, bytes]:
    rng = random.Random(f"{seed}/{index}")
    suffix, whole = rng.choice(samples)
    data = bytearray(whole)
    for _ in range(rng.choice([1, 1, 2, 3])):
        data = bytearray(rng.choice(target.mutations)(rng, data or bytearray(1), samples))
    if mend_checksums in target.mutations and rng.random() < 0.7:
        data = mend_checksums(rng, data, samples)
    return suffix, bytes(data)


def work(target: Target, samples: Samples, seed: int, index: int, report: Connection) -> None:
    """Load one input after the other, telling (outcome, seconds, megabytes) of each; ends by being stopped."""
    import torch

    from impasto.errors import ImpastoError

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and libjpeg grumble there
    with tempfile.TemporaryDirectory() as folder:
        while True:
            suffix, data = make_input(target, samples, seed, index)
            path = Path(folder, f"input{suffix}")
            path.write_bytes(data)
            before, start = peak_megabytes(reset=True), time.process_time()
            try:
                target.load(path)
                outcome = "read"
            except ImpastoError as error:
                outcome = f"{type(error).__name__}: {generalised(str(error).removeprefix(str(path)))}"
                if not str(error).isprintable():
                    outcome = f"CRASH message of several lines: {str(error)!r:.200}"
            except BaseException as error:
                outcome = f"CRASH {type(error).__name__}: {str(error)[:200]}"
            report.send((outcome, time.process_time() - start, peak_megabytes() - before))
            index += 1


def peak_megabytes(*, reset: bool = False) -> int:
    """The most memory held since the last reset; 0 where the system does not tell."""
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not os.access(clear, os.W_OK):
        return 0
    if reset:
        clear.write_text("5")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024


def generalised(message: str) -> str:
    """Take the names and numbers out of a message, so that equal errors count as one."""
    return re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "N", re.sub(r"b?(['\"]).*(\1|$)", "'...'", message.lstrip(": ")))[:90]


def watch(target: Target, samples: Samples, seed: int, minutes: float) -> Iterator[tuple[int, str, float, int]]:
    """Yield (index, outcome, seconds, megabytes) for `minutes`, with a new worker after each that died or hung."""
    context, index, end = multiprocessing.get_context("fork"), 0, time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        receiver, sender = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(target, samples, seed, index, sender), daemon=True)
        worker.start()
        sender.close()
        try:
            while time.monotonic() < end:
                if not receiver.poll(HANG):
                    yield index, f"CRASH hung for {HANG:.0f} s", HANG, 0
                    break
                yield index, *receiver.recv()
                index += 1
        except EOFError:
            worker.join()
            yield index, f"CRASH died with exit code {worker.exitcode}", 0.0, 0
        finally:
            worker.kill()
            worker.join()
        index += 1


def fuzz(name: str, minutes: float, seed: int, keep: Path) -> Tally:
    target, tally, last = TARGETS[name], Tally(), time.monotonic()
    samples = target.samples()
    for index, outcome, seconds, megabytes in watch(target, samples, seed, minutes):
        tally.tried += 1
        most_seconds, most_megabytes = READ_LIMITS if outcome == "read" else REFUSAL_LIMITS
        if seconds > most_seconds or megabytes > most_megabytes:
            outcome = f"CRASH greedy: {seconds:.1f} s, {megabytes} MB ({outcome})"
        if outcome.startswith("CRASH"):
            suffix, data = make_input(target, samples, seed, index)
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{name}-{seed}-{index}{suffix}").write_bytes(data)
            tally.crashes.setdefault(generalised(outcome), []).append(index)
        else:
            tally.outcomes[outcome] += 1
        if time.monotonic() - last > 5:
            last = time.monotonic()
            print(f"\r{tally.tried} inputs, {len(tally.crashes)} kinds of crash", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-crashes"), help="where to keep inputs that crash")
    options = parser.parse_args()
    tally = fuzz(options.target, options.minutes, options.seed, options.keep)
    crashes = sum(map(len, tally.crashes.values()))
    print(f"{options.target}: {tally.tried} inputs tried in {options.minutes:g} min, seed {options.seed}")
    print(f"crashes {crashes}; read {tally.outcomes.pop('read', 0)}; distinct error classes {len(tally.outcomes)}:")
    for outcome, count in tally.outcomes.most_common():
        print(f"{count:8}  {outcome}")
    for outcome, inputs in tally.crashes.items():
        print(f"{len(inputs):8}  {outcome}; inputs {inputs[:5]}")
    return 1 if tally.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
