"""The commands that people type. Imports stand inside the functions: `impasto --help` must not wait for torch."""

from __future__ import annotations

import argparse
import importlib.util
import io
import itertools
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import ImageError, ImpastoError, UsageError

if TYPE_CHECKING:
    from impasto.inference import Stylizer
    from impasto.optimize import Iterate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 all done, 1 some inputs failed, 2 usage."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["train"] and arguments[1:] not in (["-h"], ["--help"]):
        return _train(arguments[1:])  # its words are Hydra's
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks
    if not options.debug:
        warnings.simplefilter("ignore")  # Pillow's and torch's remarks are not for the person at the command line
    try:
        return options.run(options)
    except ImpastoError as error:
        if options.debug:
            raise
        _complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        _complain("interrupted; files that were finished are whole")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a folder that cannot be written
        if options.debug:
            raise
        _complain(f"{error.filename or 'a file'}: {_reason(error)}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="impasto", description="Train a painter in minutes, paint in one forward pass."
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_stylize(commands)
    _add(commands, "train", lambda options: _train(["--help"]),
         "train a painter: impasto train PICTURE [data.root=DIR] [--minutes N] [any Hydra override]",
         "Train a painter for one style: impasto train painting.jpg. It takes two minutes and the sample photographs; a "
         "folder of your own is better (data.root=photos), and so is more time (--minutes N, or --quality draft, good or "
         f"best: {', '.join(f'{minutes:g}' for minutes in _QUALITIES.values())} minutes). "
         "Every key of configs/train.yaml can be set as KEY=VALUE, among them trainer.max_steps, style.size, "
         "loss=vgg19, init=none, data.batch_size, output, ckpt_path=last, logger=tensorboard. "
         "`impasto train --cfg job` prints them all.")  # fmt: skip
    _add_optimize(commands)
    _add_compare(commands)
    _add_import(commands)
    styles = _add(commands, "styles", _styles, "list the shipped styles and their measured reports")
    styles.add_argument("--json", action="store_true", help="print a list of objects")
    return parser


def _add(commands: Any, name: str, run: Any, help: str, description: str = "") -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=description or f"{help[0].upper()}{help[1:]}.")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.set_defaults(run=run)
    return command


# stylize


def _add_stylize(commands: Any) -> None:
    command = _add(commands, "stylize", _stylize, "paint images, folders or patterns with a trained style")
    command.add_argument("sources", nargs="+", metavar="SOURCE", help="an image, a folder or a pattern such as '*.jpg'")
    command.add_argument("-s", "--style", required=True, help="a shipped style's name or a style model's path")
    command.add_argument(
        "-o", "--output", type=Path, help="a file for one image, else a folder (default: beside each image)"
    )
    command.add_argument("--size", type=_positive, help="longer side of the result in pixels (default: the input's)")
    command.add_argument("--keep-metadata", action="store_true", help="copy EXIF, place included, to the result")
    command.add_argument("--overwrite", action="store_true", help="allow a result to replace its own input")
    command.add_argument("--resume", action="store_true", help="leave results that are there and whole")
    command.add_argument("--max-pixels", type=_positive, help="refuse larger images (default: 120000000)")
    _add_device_and_json(command)


def _stylize(options: argparse.Namespace) -> int:
    from impasto import images
    from impasto.inference import Stylizer

    painter = Stylizer(options.style, options.device)
    done, failed = [], []

    def fail(source: object, error: Exception) -> None:
        _complain(error if isinstance(error, ImpastoError) else f"{source}: {_reason(error)}")
        failed.append({"input": images.printable(source), "error": images.printable(str(error))})

    sources = _sources(options.sources, f".{painter.model.name}", fail)
    for source, target in _progress(_targets(sources, painter.model.name, options.output), "image"):
        try:
            if options.resume and _is_whole(target, source, options.max_pixels or images.MAX_PIXELS):
                continue
            _stylize_one(painter, source, target, options)
            done.append({"input": str(source), "output": str(target)})
        except (ImpastoError, OSError) as error:
            fail(source, error)
    if options.json:
        print(json.dumps({"style": painter.model.name, "done": done, "failed": failed}, indent=2))
    else:
        for item in done:
            print(images.printable(item["output"]))
        if failed:
            print(f"{len(done)} painted, {len(failed)} failed", file=sys.stderr)
    return 1 if failed else 0


def _is_whole(result: Path, source: Path, max_pixels: int) -> bool:
    """Whether a picture other than the input is there and can be decoded to its end."""
    from impasto import images

    try:
        if result.exists() and result.samefile(source):
            return False
        images.read_picture(result, max_pixels=max_pixels)
    except ImageError:
        return False
    return True


def _sources(words: Sequence[str], result: str, fail: Callable[[object, Exception], None]) -> list[Path]:
    """The images that the words mean, without this style's own results unless they are named; a word that means none fails."""
    from impasto import images

    found: dict[Path, None] = {}
    for word in words:
        try:
            paths = images.find_images([word])
        except UsageError as error:
            if len(words) == 1:
                raise
            fail(word, error)
            continue
        found |= dict.fromkeys(path for path in paths if path == Path(word) or not path.stem.endswith(result))
    if not found:
        raise UsageError("nothing to paint: no images, or all of them are already results of this style")
    return list(found)


def _stylize_one(painter: Stylizer, source: Path, target: Path, options: argparse.Namespace) -> None:
    from impasto import images

    if not options.overwrite and target.exists() and target.samefile(source):
        raise UsageError(f"{images.printable(target)} is the input itself; choose another -o, or add --overwrite")
    picture = images.read_picture(source, max_pixels=options.max_pixels or images.MAX_PIXELS)
    pixels, alpha = picture.pixels, picture.alpha
    if options.size:
        if options.size * options.size * min(pixels.shape[1:]) > max(pixels.shape[1:]) * (
            options.max_pixels or images.MAX_PIXELS
        ):
            raise UsageError(f"--size {options.size} makes more pixels than --max-pixels allows")
        pixels = images.resize(pixels, options.size)
        alpha = None if alpha is None else images.resize(alpha, options.size)
    images.write_image(target, painter(pixels), alpha=alpha, exif=picture.exif if options.keep_metadata else None)
    for note in picture.notes:
        print(f"{images.printable(source)}: {note}", file=sys.stderr)


def _targets(sources: Sequence[Path], style: str, output: Path | None) -> list[tuple[Path, Path]]:
    """Pair every source with a target of its own."""
    from impasto import images

    if output and output.suffix.lower() in images.IMAGE_SUFFIXES and not output.is_dir():
        if len(sources) > 1:
            raise UsageError(
                f"{images.printable(output)} is one file and these are {len(sources)} images; name a folder"
            )
        return [(sources[0], output)]
    taken = {_absolute(source) for source in sources}  # a result never replaces another input
    numbers: dict[str, Iterator[int]] = {}
    pairs = []
    for source in sources:
        folder = output or source.parent
        suffix = source.suffix.lower() if source.suffix.lower() in images.WRITABLE_SUFFIXES else ".png"
        target = folder / f"{source.stem}.{style}{suffix}"
        plain = _absolute(target)
        while _absolute(target) in taken:
            number = next(numbers.setdefault(plain, itertools.count(2)))
            target = folder / f"{source.stem}-{number}.{style}{suffix}"
        taken.add(_absolute(target))
        pairs.append((source, target))
    return pairs


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, and raise on circular ones


# train


def _train(arguments: Sequence[str]) -> int:
    """Hand over to a fresh process: Lightning's multi-GPU launcher runs `sys.argv` again, and ours begins with a verb."""
    options, words = _train_parser().parse_known_args(arguments)
    os.environ["PYTHONSAFEPATH"] = "1"  # `-m` would import whatever lies in the current folder
    if options.debug:
        os.environ["IMPASTO_DEBUG"] = "1"
    try:
        words = _overrides(options.minutes or _QUALITIES.get(options.quality), words)
        if importlib.util.find_spec("pytorch_lightning") is None:
            raise UsageError("training needs more packages; pip install 'impasto[train,demo]'")
    except UsageError as error:
        _complain(error)
        return error.exit_code
    if os.name == "nt":
        import subprocess

        return subprocess.call([sys.executable, "-m", "impasto.training", *words])
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "impasto.training", *words])


_QUALITIES = {"draft": 0.5, "good": 2.0, "best": 20.0}  # minutes


def _train_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="impasto train", add_help=False, allow_abbrev=False)
    parser.add_argument("--minutes", type=_minutes)
    parser.add_argument("--quality", choices=_QUALITIES)
    parser.add_argument("--debug", action="store_true")
    return parser


def _overrides(minutes: float | None, words: Sequence[str]) -> list[str]:
    """What was typed as Hydra takes it: the picture and the duration by their keys, and `data=demo` if no data were named."""
    pictures = [i for i, word in enumerate(words) if _is_picture(word, words[i - 1] if i else "")]
    if unknown := [word for word in words if word.startswith("-") and word not in _HYDRA_OPTIONS | _HYDRA_FLAGS]:
        raise UsageError(
            f"no option {unknown[0]}; train takes --minutes, --quality and settings such as output=PATH, "
            "trainer.max_steps=N, style.size=N"
        )
    if len(pictures) > 1:
        first, second = (words[i] for i in pictures[:2])
        raise UsageError(f"one picture a run: {first} or {second}? A painter has one style")
    typed = [_quoted("style.image", word) if i in pictures else _plain_path(word) for i, word in enumerate(words)]
    if minutes is not None:
        typed.append(f"trainer.max_minutes={minutes:g}")
    if any(word.startswith(("data=", "data.root=", "data.annotations=", "experiment=")) for word in words):
        return typed
    return ["data=demo", *typed]


def _is_picture(word: str, before: str) -> bool:
    """Whether a word names the picture: not an option of Hydra or its value, not an override, not a deletion."""
    if word.startswith(("-", "~")) or before in _HYDRA_OPTIONS:
        return False
    return "=" not in word or Path(word).is_file()


_HYDRA_FLAGS = {"-h", "--help", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m",
                "--shell-completion", "-sc"}  # fmt: skip
_HYDRA_OPTIONS = {"--cfg", "-c", "--package", "-p", "--info", "-i", "--config-name", "-cn", "--config-path", "-cp",
                  "--config-dir", "-cd", "--experimental-rerun"}  # fmt: skip


_PATH_KEYS = {"style.image", "data.root", "data.annotations", "loss.features.weights", "init", "output", "paths.run",
              "ckpt_path"}  # fmt: skip


def _plain_path(word: str) -> str:
    """An override as it is, or with its path quoted where people typed one that is there, or at home, as in a shell."""
    key, _, path = word.partition("=")
    meant = os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises for a user who is not there
    plain = re.fullmatch(r"[\w./-]*", meant, re.ASCII)  # nothing to quote; null stays null
    if key not in _PATH_KEYS or "$" in path or plain or not os.path.exists(meant):  # noqa: PTH110 - nor this for long names
        return f"{key}={meant}" if key in _PATH_KEYS and plain else word
    return _quoted(key, meant)


def _quoted(key: str, path: str) -> str:
    # Hydra takes a backslash literally, but for one that stands before a quote; OmegaConf one before an interpolation.
    path = re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + "\\${", path)
    path = re.sub(r"(\\*)('|$)", lambda match: 2 * match[1] + ("\\'" if match[2] else ""), path)
    return f"{key}='{path}'"


# optimize


def _add_optimize(commands: Any) -> None:
    command = _add(
        commands, "optimize", _optimize, "the reference: optimise the pixels of one image (Gatys et al. 2016)"
    )
    command.add_argument("content", type=Path, metavar="CONTENT", help="the photograph")
    command.add_argument("-s", "--style", type=Path, required=True, metavar="IMAGE", help="the style picture")
    command.add_argument("-o", "--output", type=Path, required=True, help="the result")
    command.add_argument("--steps", type=_positive, default=500)
    command.add_argument("--optimizer", choices=("lbfgs", "adam"), default="lbfgs")
    command.add_argument(
        "--init", default="content", help="content, noise, or a style model to polish (default: content)"
    )
    command.add_argument("--size", type=_positive, default=512, help="longer side in pixels (default: 512)")
    command.add_argument("--style-size", type=_positive, default=384, help="the style picture's (default: 384)")
    command.add_argument("--scales", type=_positive, default=1, help="coarse to fine, halving the size (default: 1)")
    command.add_argument("--seed", type=_seed, default=0)
    command.add_argument("--loss-weights", default="slim", help="slim, torchvision or a path (default: slim)")
    _add_precision(command)
    _add_device_and_json(command)


def _optimize(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from impasto import images
    from impasto.inference import Stylizer
    from impasto.losses.perceptual import PerceptualLoss
    from impasto.optimize import optimize_image
    from impasto.runtime import pick_device

    images.check_writable(options.output)
    for given in (options.content, options.style, Path(options.init)):
        if options.output.exists() and given.exists() and options.output.samefile(given):
            raise UsageError(f"{images.printable(options.output)} is one of the inputs; choose another -o")
    device = pick_device(options.device)
    loss = PerceptualLoss.from_spec(options.loss_weights).to(device)
    loss.set_style(images.resize(images.read_image(options.style), options.style_size)[None].to(device))
    content = images.resize(images.read_image(options.content), options.size)[None].to(device)
    init = options.init
    if init not in ("content", "noise"):
        init = Stylizer(init, options.device).paint(content.cpu()).to(device)
    with tqdm(total=options.steps, unit="step", file=sys.stderr) as line:

        def show(iterate: Iterate) -> None:
            line.set_postfix(loss=f"{iterate.total:.3f}", refresh=False)
            line.update(iterate.step - line.n)

        result = optimize_image(
            content, loss, steps=options.steps, optimizer=options.optimizer, init=init, scales=options.scales,
            seed=options.seed, bfloat16=_bfloat16(options, device),
            callback=show,
        )  # fmt: skip
    images.write_image(options.output, result.image[0].cpu())
    if options.json:
        print(
            json.dumps({"output": str(options.output), "best_step": result.best_step, "curve": result.curve}, indent=2)
        )
    else:
        print(images.printable(options.output))
    return 0


# compare


def _add_compare(commands: Any) -> None:
    command = _add(commands, "compare", _compare, "how many optimiser iterations does a painter equal?")
    command.add_argument("sources", nargs="+", metavar="IMAGES", help="images, folders or patterns")
    command.add_argument("-s", "--style", required=True, help="a shipped style's name or a style model's path")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where the report goes")
    command.add_argument("--steps", type=_positive, default=500)
    command.add_argument("--size", type=_positive, default=256, help="side of the squares compared (default: 256)")
    command.add_argument("--limit", type=_positive, help="only the first so many images")
    command.add_argument(
        "--loss-weights", help="torchvision, slim or a path (default: what the model was trained with)"
    )
    command.add_argument("--style-image", type=Path, help="the style picture, needed with other weights")
    command.add_argument(
        "--no-polish",
        dest="polish",
        action="store_false",
        help="a third less time: the network's output is not optimised",
    )
    _add_precision(command)
    _add_device_and_json(command)


def _compare(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from impasto import images
    from impasto.compare import compare, judge_of, write_report
    from impasto.inference import Stylizer

    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("comparing draws a curve; pip install 'impasto[compare]'")
    options.output.mkdir(parents=True, exist_ok=True)
    painter, failed = Stylizer(options.style, options.device), []

    def fail(error: ImpastoError) -> None:
        _complain(error)
        failed.append(error)

    loss = judge_of(painter.model, options.loss_weights, options.style_image)
    paths = images.find_images(options.sources)[: options.limit]
    with tqdm(
        total=(2 + options.polish) * len(paths) * options.steps, unit="step", file=sys.stderr, mininterval=1
    ) as line:

        def progress(image: str, init: str, step: int) -> None:
            line.set_description(f"{images.printable(image)} from {init}", refresh=False)
            line.update(step > 0)

        report, results = compare(
            paths, painter, loss, steps=options.steps, size=options.size,
            bfloat16=_bfloat16(options, painter.device), polish=options.polish, progress=progress, failed=fail,
        )  # fmt: skip
    written = write_report(options.output, report, results)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print(*_sentences(report), *written, sep="\n")
    return 1 if failed else 0


def _sentences(report: dict[str, Any]) -> Iterator[str]:
    def after(steps: int | None) -> str:
        return f"more than {report['steps']}" if steps is None else str(steps)

    equal, loss, seconds = report["equal_iterations"], report["loss"], report["seconds"]
    yield f"{report['style']}: equals {after(equal['noise'])} L-BFGS iterations from noise, {after(equal['content'])} from content"
    yield f"total loss {loss['network']['total']:.3f}, the optimiser's best in {report['steps']} steps {loss['converged']:.3f}: gap {report['gap']:.0%}"
    if "polish" in loss:
        yield f"polish: {after(report['polish_iterations'])} iterations from the network's output reach the optimiser's best"
    earlier = " (partly timed in an earlier comparison)" if seconds["cached"] else ""
    yield f"speed: {seconds['network']:.3f} s against {seconds['noise']:.1f} s, {seconds['ratio']:.0f} times{earlier}"
    if report["screen"] is not None:
        yield f"screen: {report['screen']:.2f} times the style's own"
    judge = "the slim loss network" if report["judge"]["network"] == "slim" else f"VGG-19, {report['judge']['weights']}"
    yield f"judge: {judge}, on {len(report['images'])} images at {report['size']} pixels"


# import


def _add_import(commands: Any) -> None:
    command = _add(
        commands, "import", _import, "make a style model of one that pytorch/examples trained (.pth, .model)"
    )
    command.add_argument("model", type=Path, metavar="FILE", help="a state dict of its fast_neural_style")
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="the style model, .safetensors"
    )
    command.add_argument("--name", help="of the style (default: OUT's)")


def _import(options: argparse.Namespace) -> int:
    from impasto.checkpoint import SUFFIX, save_style_model
    from impasto.images import printable
    from impasto.importer import import_model

    if options.output.suffix != SUFFIX:
        raise UsageError(f"-o {options.output}: a style model's name ends in {SUFFIX}")
    if options.output.exists():
        raise UsageError(f"-o {options.output}: there already; choose another name or remove it")
    name = options.output.stem if options.name is None else options.name
    save_style_model(options.output, import_model(options.model, name))
    print(printable(options.output))
    return 0


# styles


def _styles(options: argparse.Namespace) -> int:
    from impasto.checkpoint import read_papers, shipped_styles

    known = [
        {
            "name": papers["name"],
            "network": papers["network"]["name"],
            "bytes": path.stat().st_size,
            "report": papers["report"],
        }
        for path in shipped_styles()
        for papers in [read_papers(path)]
    ]
    if options.json:
        print(json.dumps(known, indent=2))
        return 0
    for style in known:
        print(f"{style['name']:24} {style['network']:10} {style['bytes'] / 1e6:5.1f} MB   {_measured(style['report'])}")
    if not known:
        print("no styles are shipped with this installation; train one with `impasto train PICTURE`", file=sys.stderr)
    return 0


def _measured(report: dict[str, Any]) -> str:
    if "equal_iterations" not in report:
        return "not compared yet"
    steps = report["equal_iterations"]["noise"]
    equal = f"more than {report['steps']}" if steps is None else steps
    return f"equals {equal} L-BFGS iterations from noise, gap {report['gap']:.0%}"


# shared


def _add_device_and_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_precision(command: argparse.ArgumentParser) -> None:
    command.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="float32",
                         help="of the gradients, never of the scores; bfloat16 is about twice as fast (default: float32)")  # fmt: skip


def _bfloat16(options: argparse.Namespace, device: Any) -> bool:
    from impasto.runtime import has_fast_bfloat16

    return options.precision == "bfloat16" or (options.precision == "auto" and has_fast_bfloat16(device))


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < 100_000:
        raise argparse.ArgumentTypeError(f"must be a number of minutes above 0, not {text}")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 2^63 - 1, not {text}")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def _progress(items: Sequence[Any], unit: str) -> Any:
    from tqdm import tqdm

    return tqdm(items, unit=unit, file=sys.stderr, disable=len(items) < 2)


def _complain(message: object) -> None:
    from tqdm import tqdm

    from impasto.images import printable

    tqdm.write(f"impasto: {printable(str(message))}", file=sys.stderr)  # on a line of its own, above a progress bar


def _reason(error: Exception) -> str:
    return f"{getattr(error, 'strerror', None) or error}; choose another place or name"


def _version() -> str:
    from importlib import metadata

    return f"impasto {metadata.version('impasto')}"
