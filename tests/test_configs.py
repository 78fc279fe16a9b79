"""The house stands as planned: floors, light imports, configs, command line, README."""

from __future__ import annotations

import ast
import csv
import inspect
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image

from helpers.places import ROOT
from helpers.scripts import load_script
from impasto import cli
from impasto.checkpoint import find_style_model, read_metadata, shipped_styles
from impasto.errors import ModelError, UsageError
from impasto.images.finding import Found
from impasto.inference import files
from impasto.losses import build_loss
from impasto.losses.defects import DEFECTS, visible_defects
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, network_names
from impasto.training import build
from impasto.training.callbacks import StyleModelWriter
from impasto.training.module import StyleModule
from impasto.training.overrides import plain_path, quoted_setting, to_overrides
from impasto.training.plan import Duration
from impasto.training.record import Style
from impasto.training.run import train

SOURCE = ROOT / "src" / "impasto"
TRAINING_ONLY = {"pytorch_lightning", "hydra", "omegaconf", "wandb"}


def floors() -> dict[str, int]:
    """Room -> floor, as the table in CONTRIBUTING.md says."""
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(number) for number, rooms in rows for name in re.findall(r"`(\w+)`", rooms)}


FLOORS = floors()


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every imported module with whether it stands at the top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            if node.module == "impasto":
                names = [f"impasto.{alias.name}" for alias in node.names]
        found += [(name, node.col_offset == 0) for name in names]
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_strictly_down(path: Path) -> None:
    here = room(path)
    for module, _ in imports(path):
        if module.startswith("impasto."):
            there = module.split(".")[1]
            assert there == here or FLOORS[there] < FLOORS[here], f"{here} imports {there}, which is not below it"
        assert here == "training" or module.split(".")[0] not in TRAINING_ONLY, f"{module} belongs in training/"


def test_the_table_of_floors_names_every_room_and_no_other() -> None:
    rooms = {room(path) for path in SOURCE.rglob("*.py")}
    assert rooms == FLOORS.keys()


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = "[m for m in ('torch', 'numpy', 'PIL', 'hydra') if m in sys.modules]"
    code = f"import sys; from impasto.cli import _parser; _parser(); import impasto; print({heavy})"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def composed(*overrides: str):  # noqa: ANN201
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose("train", ["style.image=x.png", "data.root=.", *overrides])


def members(group: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / "configs" / group).glob("[!_]*.yaml"))


@pytest.mark.parametrize("name", members("network"))
def test_network_configs_are_their_constructors(name: str) -> None:
    options = dict(composed(f"network={name}").network)
    build_network(**options)
    assert name in network_names() and set(members("network")) == set(network_names())


@pytest.mark.parametrize("name", members("loss"))
def test_loss_configs_score_a_picture(name: str, random_vgg: Path) -> None:
    loss = build_loss(**build.loss_spec(composed(f"loss={name}", f"loss.features.weights={random_vgg}")))
    loss.set_style(torch.rand(1, 3, 32, 32))
    assert loss(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)).total > 0


def test_the_default_loss_config_states_the_constructors_defaults() -> None:
    stated = build.loss_spec(composed())
    for name, parameter in inspect.signature(PerceptualLoss).parameters.items():
        if name != "features":
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert stated[name] == default


@pytest.mark.parametrize("name", members("logger"))
def test_logger_configs_log(name: str, tmp_path: Path) -> None:
    logger = instantiate(composed(f"logger={name}", f"paths.run={tmp_path}", "style.name=x").logger)
    logger.log_metrics({"loss": 1.0}, step=1)
    logger.finalize("success")
    if name == "wandb":
        import wandb

        wandb.finish()
    assert name == "none" or list(tmp_path.rglob("*"))


@pytest.mark.parametrize("name", members("trainer"))
def test_trainer_configs_build_a_trainer(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "SLURM_NNODES"):
        monkeypatch.setenv(said, "1")  # as the launcher would
    config = composed(
        f"trainer={name}", "trainer.accelerator=cpu", "trainer.devices=1", f"paths.run={tmp_path}", "logger=none"
    )
    trainer = build.make_trainer(config, Duration(None, 2), StyleModelWriter(tmp_path / "x", {}, lambda module: None))
    assert trainer.max_steps == -1 and trainer.gradient_clip_val == 5.0


@pytest.mark.parametrize("name", members("data"))
def test_data_configs_find_images(name: str, photographs: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as shard:
        shard.add(photographs, "photographs")
    said = {"demo": [], "shards": [f"data.shards={tmp_path}", "data.crop=32"]}
    overrides = [f"data={name}", *said.get(name, [f"data.root={photographs}", "data.crop=32"])]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        data = instantiate(compose("train", ["style.image=x.png", *overrides]).data)
    data.setup()
    assert len(data.dataset.source) >= 9 and not data.bad.reasons


@pytest.mark.parametrize("name", members("optimizer"))
def test_optimizer_configs_step(name: str) -> None:
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = instantiate(composed(f"optimizer={name}").optimizer)([parameter])
    parameter.sum().backward()
    optimizer.step()
    assert parameter.item() < 1


def test_module_configs_state_the_constructors_defaults_and_can_be_overridden(loss: PerceptualLoss) -> None:
    assert members("module") == ["default"]
    defaults = {name: parameter.default for name, parameter in inspect.signature(StyleModule).parameters.items()}
    stated = {name: value for name, value in composed().module.items() if not name.startswith("_")}
    assert stated == {name: defaults[name] for name in stated} and {"warmup_steps", "ema_decay"} <= stated.keys()
    config = composed("margin=16", "grid_weight=2", "module.warmup_steps=3")
    module = build.make_module(config, build_network(**config.network), loss, a_style(config))
    assert (module.margin, module.grid_weight, module.warmup_steps) == (16, 2, 3)


def a_style(config: DictConfig) -> Style:
    return Style.of(Path("x.png"), torch.zeros(3, 32, 32), config.style)


def test_nothing_that_is_set_of_the_trainer_is_dropped(tmp_path: Path) -> None:
    words = ["trainer.accelerator=cpu", f"paths.run={tmp_path}"]
    trainer = build.make_trainer(composed(*words, "trainer.num_sanity_val_steps=1"), Duration(3, None))
    assert (trainer.num_sanity_val_steps, trainer.max_steps, trainer.default_root_dir) == (1, 3, str(tmp_path))
    for word, remedy in (("logger=true", "logger="), ("callbacks=[]", "callbacks.NAME"), ("max_time=1", "max_minutes")):
        with pytest.raises(UsageError, match=rf"trainer\.{word.partition('=')[0]}: .*{remedy}"):
            build.make_trainer(composed(*words, f"+trainer.{word}"), Duration(3, None))


@pytest.fixture
def debugged(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Runs a training that configs/debug describes, with other words too; returns the run's folder."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *words: str) -> Path:
        own = (f"style.image={photographs / '01.png'}", f"data.root={photographs}", "trainer.accelerator=cpu")
        return train(composed(*own, f"debug={name}", *words)).parent

    return run


def test_the_smoke_run_leaves_a_painter(debugged: Callable[..., Path]) -> None:
    folder = debugged("smoke")
    assert folder == Path("runs/smoke") and read_metadata(folder / "smoke.safetensors")["training"]["steps"] == 4


def test_the_overfitting_run_sees_one_batch_and_learns_it(debugged: Callable[..., Path]) -> None:
    small = ("network.width=4", "network.blocks=1", "data.crop=32", "style.size=64")
    for words, falls in (("trainer.max_steps=3", "optimizer.lr=0"), False), (("trainer.max_steps=30",), True):
        with (debugged("overfit", *small, *words) / "metrics.csv").open() as file:
            losses = [float(row["train/total"]) for row in csv.DictReader(file)]
        assert losses[-1] < 0.95 * losses[0] if falls else len({*losses}) == 1


@pytest.mark.parametrize("group", ["callbacks", "style", "experiment"])
def test_other_configs_compose(group: str, tmp_path: Path) -> None:
    for name in members(group):
        config = composed(f"{group}={name}", f"paths.run={tmp_path}", "style.image=x.png")
        assert instantiate(config.callbacks)
        if group == "experiment":
            header = (ROOT / "configs" / group / f"{name}.yaml").read_text().splitlines()
            assert any(f"impasto train experiment={name}" in line for line in header), "an experiment gives its command"


def test_every_config_group_is_tested() -> None:
    tested = {"network", "loss", "logger", "trainer", "data", "optimizer", "callbacks", "style", "experiment",
              "module", "debug"}  # fmt: skip
    assert {path.name for path in (ROOT / "configs").iterdir() if path.is_dir()} == tested


def stylize(*arguments: object) -> int:
    return cli.main(["stylize", *map(str, arguments), "--device", "cpu"])


def test_stylize_writes_beside_the_photograph(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (30, 21), "teal").save(tmp_path / "a photo.jpg")
    assert stylize(tmp_path / "a photo.jpg", "-s", painter) == 0
    assert Image.open(tmp_path / "a photo.tiny.jpg").size == (30, 21)
    assert capsys.readouterr().out.strip() == str(tmp_path / "a photo.tiny.jpg")


def test_results_carry_the_name_of_the_models_file(painter: Path, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "teal").save(tmp_path / "a.png")
    shutil.copy(painter, tmp_path / "tiny v2.1.safetensors")
    assert stylize(tmp_path, "-s", tmp_path / "tiny v2.1.safetensors") == 0
    assert (tmp_path / "a.tiny v2.1.png").is_file()
    assert stylize(tmp_path, "-s", tmp_path / "tiny v2.1") == 0  # its own results are not painted again
    assert len(list(tmp_path.iterdir())) == 3


def test_results_of_two_files_are_two_and_a_name_that_cannot_be_one_is_refused_at_once(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (20, 20), "teal").save(tmp_path / "a.png")
    for name in ("painter.v1", "painter.v2", "x" * 120 + ".safetensors"):
        shutil.copy(painter, tmp_path / name)
    for name in ("painter.v1", "painter.v2"):
        assert stylize(tmp_path / "a.png", "-s", tmp_path / name) == 0
        assert (tmp_path / f"a.{name}.png").is_file()
    capsys.readouterr()
    assert stylize(tmp_path / "a.png", "-s", tmp_path / ("x" * 120)) == 1
    assert "cannot be a style's name" in capsys.readouterr().err


def test_a_style_that_is_nearly_a_shipped_one_is_guessed() -> None:
    with pytest.raises(ModelError, match=r"stary_night: neither .*; did you mean starry_night\?"):
        find_style_model("stary_night")
    with pytest.raises(ModelError, match=r"did you mean starry_night\?"):
        find_style_model("models/Stary_night.safetensors")
    with pytest.raises(ModelError, match=r"qqq: neither .* \(.*oils, .*woodcut"):
        find_style_model("qqq")


def test_stylize_does_the_good_ones_and_names_the_bad(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.jpg", "b.png"):
        Image.new("RGB", (20, 20), "red").save(tmp_path / "in" / name)
    (tmp_path / "in" / "c.jpg").write_bytes(b"not a picture")
    assert stylize(tmp_path / "in", "-s", painter, "-o", tmp_path / "out", "--size", 16, "--json") == 1
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert len(result["done"]) == 3 == len({item["output"] for item in result["done"]})
    assert {Image.open(item["output"]).size for item in result["done"]} == {(16, 16)}
    assert [item["input"].endswith("c.jpg") for item in result["failed"]] == [True]
    assert "c.jpg" in captured.err and "Traceback" not in captured.err


def test_one_stem_twice_makes_two_results(painter: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (18, 18)).save(tmp_path / folder / "same.png")
    assert stylize(tmp_path / "x", tmp_path / "y", "-s", painter, "-o", tmp_path / "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"same.tiny.png", "same-2.tiny.png"}


def test_the_input_is_never_overwritten_unasked(painter: Path, tmp_path: Path) -> None:
    photo = tmp_path / "p.png"
    Image.new("RGB", (20, 20), "red").save(photo)
    before = photo.read_bytes()
    assert stylize(photo, "-s", painter, "-o", photo) == 1 and photo.read_bytes() == before
    assert stylize(photo, "-s", painter, "-o", photo, "--overwrite") == 0 and photo.read_bytes() != before


def test_no_result_replaces_another_input(painter: Path, tmp_path: Path) -> None:
    for name in ("a.png", "a.tiny.png"):
        Image.new("RGB", (20, 20), "red").save(tmp_path / name)
    before = (tmp_path / "a.tiny.png").read_bytes()
    assert stylize(tmp_path / "a.png", tmp_path / "a.tiny.png", "-s", painter) == 0
    assert (tmp_path / "a.tiny.png").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.tiny.png", "a-2.tiny.png", "a.tiny.tiny.png"}


def test_what_cannot_be_read_or_written_does_not_stop_the_rest(
    painter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long, good = tmp_path / f"{'x' * 250}.png", tmp_path / "good.png"
    for path in (long, good):
        Image.new("RGB", (20, 20)).save(path)
    missing = tmp_path / "\x1b]0;gone\x07.png"
    assert stylize(long, missing, good, "-s", painter) == 1
    assert (tmp_path / "good.tiny.png").is_file()
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("impasto: ")]
    assert len(errors) == 2 and all(line.isprintable() for line in errors)


def test_optimize_never_overwrites_what_it_was_given(painter: Path, tmp_path: Path) -> None:
    photo, style = tmp_path / "p.png", tmp_path / "s.png"
    for path in (photo, style):
        Image.new("RGB", (20, 20), "red").save(path)
    for output in (photo, style):
        before = output.read_bytes()
        assert cli.main(["optimize", str(photo), "-s", str(style), "-o", str(output), "--steps", "1"]) == 2
        assert output.read_bytes() == before


def test_training_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "hydra.py").write_text("raise SystemExit('code from the current folder ran')")
    words = [Path(sys.executable).with_name("impasto"), "train", "p.jpg", "--cfg", "job"]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0 and "style:" in result.stdout, result.stderr


def test_many_images_are_paired_with_their_results_in_no_time() -> None:
    sources = [Found(Path(f"{number}/same.png")) for number in range(20_000)]
    out = files.Destination(folder=Path("out"))
    targets = [target for _, target in files.paired(sources, "tiny", out, lambda path: ".png", cache(files.Records))]
    assert len(set(targets)) == 20_000


@pytest.mark.parametrize(("arguments", "code"), [
    (["stylize", "nowhere.jpg", "-s", "nobody"], 1), (["stylize"], 2), (["nonsense"], 2),
    (["stylize", "x.jpg", "-s", "x", "--size", "0"], 2),
])  # fmt: skip
def test_exit_codes(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert cli.main(arguments) == code
    except SystemExit as exit:
        assert exit.code == code
    assert "Traceback" not in capsys.readouterr().err


def test_optimize_and_compare_from_the_command_line(
    painter: Path, photographs: Path, random_vgg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, output = photographs / "01.png", tmp_path / "out.png"
    shared = ["--steps", "3", "--size", "40", "--device", "cpu"]
    for init in ("noise", str(painter)):
        words = ["-s", photo, "-o", output, "--style-size", 32, "--loss-weights", random_vgg, "--init", init]
        assert cli.main(["optimize", str(photo), *map(str, words), *shared]) == 0
        assert Image.open(output).size == (40, 40)
    assert cli.main(["compare", str(photo), "-s", str(painter), "-o", str(tmp_path / "report"), *shared]) == 0
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"report.json", "curve.png", "contact_sheet.png"}
    assert "L-BFGS iterations" in capsys.readouterr().out


def test_styles_lists_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["styles", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == len(list((ROOT / "checkpoints").glob("*.safetensors")))


def test_a_picture_given_to_train_is_quoted_for_hydra() -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for name in ("a b.jpg", "it's.png", "x=1,y.jpg", "back\\slash.png", "end\\", "a{b}[c].png"):
        (override,) = OverridesParser.create().parse_overrides([quoted_setting("style.image", name)])
        assert override.key_or_group == "style.image" and override.value() == name


def test_paths_of_settings_are_taken_as_a_shell_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    folder = tmp_path / "best of [2026], (a)"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "null").touch()
    for said, meant in ((f"data.root={folder}", folder), ("data.root=~/photos", tmp_path / "photos")):
        (override,) = OverridesParser.create().parse_overrides([plain_path(said)])
        assert override.value() == str(meant)
    for number in ("2024", "2024_06", "-1", "1e3", "true", "nan", "."):
        (override,) = OverridesParser.create().parse_overrides([plain_path(f"data.root={number}")])
        assert override.value() == number
    for said in ("data.root=a,b", "init=none", "output=null", "trainer.max_steps=1", "data.root=${paths.run}",
                 "data.root=~nobody-here/x", f"data.root={'x' * 300}"):  # fmt: skip
        assert plain_path(said) == said


def test_train_says_what_was_left_unsaid() -> None:
    assert to_overrides(None, ["p.jpg"]) == ["data=demo", "style.image='p.jpg'"]
    assert to_overrides(0.5, ["data.root=x", "p.jpg"]) == [
        "data.root=x", "style.image='p.jpg'", "trainer.max_minutes=0.5"
    ]  # fmt: skip
    for said in (["data=demo", "~callbacks.keep_best"], ["experiment=wave"], ["--cfg", "job", "data=demo"]):
        assert to_overrides(None, said) == said
    assert to_overrides(None, ["--cfg", "job", "p.jpg", "-m", "seed=1,2"]) == [
        "--cfg", "job", "-m", "data=demo", "style.image='p.jpg'", "seed=1,2"
    ]  # fmt: skip
    long = f"data.categories=[{','.join(['toothbrush'] * 100)}]"
    assert to_overrides(None, ["data=demo", long]) == ["data=demo", long]
    for two in (["a.jpg", "b.jpg"], ["a.jpg", "style.image=b.jpg"]):
        with pytest.raises(UsageError, match="one picture a run"):
            to_overrides(None, two)


def test_train_refuses_a_duration_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--minutes", "0"], ["--minutes", "soon"], ["--quality", "perfect"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["train", "p.jpg", *words])
        assert ended.value.code == 2
    assert cli.main(["train", "p.jpg", "--minutes", "3", "--quality", "best"]) == 2
    assert "minutes" in capsys.readouterr().err


def test_the_readme_tells_the_truth_about_commands_and_files() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    parser = cli._parser()
    known = next(action for action in parser._actions if hasattr(action, "choices") and action.choices).choices
    code = "\n".join(re.findall(r"^```\w*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))
    commands = re.findall(r"^impasto ([\w-]+)(.*)$", code, flags=re.MULTILINE)
    assert len(commands) >= 10
    for command, rest in commands:
        assert command in known, command
        if command == "train":
            composed(*(word for word in rest.split("#")[0].split() if "=" in word))
        else:
            for flag in re.findall(r"(?<=\s)--?[a-z][\w-]*", rest):
                assert any(flag in action.option_strings for action in known[command]._actions), f"{command} {flag}"
    for link in re.findall(r"\]\((?!http|#)([^)]+)\)", text):
        assert (ROOT / link).exists(), link


def test_the_model_cards_are_those_of_the_shipped_files() -> None:
    assert (ROOT / "checkpoints" / "README.md").read_text(encoding="utf-8") == load_script(
        "release/make_model_cards"
    ).cards()


@pytest.mark.parametrize("path", shipped_styles(), ids=lambda path: path.stem)
def test_shipped_styles_say_what_was_measured_and_show_no_defect(path: Path) -> None:
    metadata = read_metadata(path)
    report, is_of_today = metadata.report, metadata.spec["name"] == "brush"
    assert report.defects and report.screen is not None
    assert visible_defects(report.defects) == [] and report.screen <= 1.2
    if is_of_today:  # the one on Johnson's network is older, and kept to measure speed by
        assert set(report.defects) == set(DEFECTS) and report.network
        assert report.network.style_reached is not None and report.network.structure_kept is not None
        assert report.network.style_reached >= 0.6 and report.network.structure_kept >= 0.6


def test_all_shipped_files_together_are_small() -> None:
    files = list((ROOT / "checkpoints").rglob("*.safetensors"))
    assert sum(path.stat().st_size for path in files) < 15_000_000
    assert sum(path.parent == ROOT / "checkpoints" for path in files) >= 12
