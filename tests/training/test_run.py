"""Data as a pure function, the schedule, two ranks against one, and whole runs of the training command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from pytorch_lightning import Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

from helpers.commands import training_command
from helpers.pictures import photograph
from helpers.places import ROOT
from impasto.checkpoint import load_style_model, read_metadata
from impasto.errors import DataError
from impasto.images.finding import find_images
from impasto.losses.defects import DEFECTS
from impasto.losses.functional import grid_energy
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network, network_spec
from impasto.system.files import asset_dir
from impasto.training.callbacks import KeepBest
from impasto.training.data.bad_images import BadImages
from impasto.training.data.crops import CropDataset, StreamSampler, random_crop
from impasto.training.data.module import ContentDataModule
from impasto.training.data.sources import FolderImages, list_images
from impasto.training.module import StyleModule
from impasto.training.plan import find_start
from impasto.training.schedule import rate_factor, scheduled


def dataset(folder: Path, seed: int = 0) -> CropDataset:
    return CropDataset(FolderImages(find_images([folder])), crop=32, seed=seed)


def test_a_sample_is_a_pure_function_of_seed_epoch_and_index(photographs: Path) -> None:
    first, second = dataset(photographs), dataset(photographs)
    numbers = [0, 5, 12, 100]
    forward = [first[number]["image"] for number in numbers]
    backward = [second[number]["image"] for number in reversed(numbers)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert not torch.equal(dataset(photographs, seed=1)[0]["image"], forward[0])


def test_each_epoch_shows_each_image_once_in_another_order_and_crop(photographs: Path) -> None:
    data = dataset(photographs)
    orders = [data.order(epoch).tolist() for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(12)) and orders[0] != orders[1]
    again = orders[1].index(orders[0][0])
    assert not torch.equal(data[0]["image"], data[12 + again]["image"])


@pytest.mark.parametrize(("ranks", "start"), [(1, 0), (2, 0), (3, 4)])
def test_ranks_share_the_stream_without_gap_or_overlap(ranks: int, start: int) -> None:
    batches = [list(islice(StreamSampler(2, start, rank, ranks), 5)) for rank in range(ranks)]
    numbers = sorted(number for rank in batches for batch in rank for number in batch)
    assert numbers == list(range(start * 2 * ranks, (start + 5) * 2 * ranks))


def test_crops_keep_range_and_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    for seed in range(5):
        crop = random_crop(pixels, 24, np.random.default_rng(seed))
        assert crop.shape == (3, 24, 24) and crop.dtype == torch.float32 and 0 <= crop.min() <= crop.max() <= 1


def test_crops_show_a_part_of_the_shorter_side_and_are_not_magnified() -> None:
    ramp = np.broadcast_to(np.arange(70, dtype=np.uint8)[None, :, None], (40, 70, 3))

    def sides(crop: int) -> list[float]:
        crops = [random_crop(np.ascontiguousarray(ramp), crop, np.random.default_rng(seed)) for seed in range(100)]
        return [float(255 * crop * picture[0].diff(dim=-1).abs().mean()) for picture in crops]

    for crop, smallest in ((16, 40 / 1.6), (32, 32), (80, 40)):
        assert smallest - 2 < min(sides(crop)) < smallest + 1 and 38 < max(sides(crop)) < 41


def test_a_coco_file_chooses_the_images(photographs: Path, tmp_path: Path) -> None:
    coco = {
        "images": [{"id": i, "file_name": f"{i:02}.png"} for i in (1, 2, 4)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 9, "name": "cat"}],
        "annotations": [
            {"image_id": 1, "category_id": 7},
            {"image_id": 4, "category_id": 9},
            {"image_id": 4, "category_id": 7},
        ],
    }
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(coco))
    assert [path.name for path in list_images(photographs, file)] == ["01.png", "02.png", "04.png"]
    assert [path.name for path in list_images(photographs, file, ["cat"])] == ["04.png"]
    assert [path.name for path in list_images(photographs, file, ["dog"])] == ["01.png", "04.png"]
    with pytest.raises(DataError, match=r"horse.*dog, cat"):
        list_images(photographs, file, ["horse"])
    file.write_text("[]")
    with pytest.raises(DataError, match="not a COCO instances file"):
        list_images(photographs, file)
    with pytest.raises(DataError, match="no such folder"):
        list_images(tmp_path / "nowhere")


def test_annotations_are_understood_as_tools_write_them(photographs: Path, tmp_path: Path) -> None:
    coco = {
        "images": [{"id": 0, "file_name": "below\\\\00.png"}, {"id": 1, "file_name": "01.png"}, {"id": "2", "file_name": "02.png"},
                   {"id": 3, "file_name": "01.png"}, {"id": 4, "file_name": "04.png"}],
        "categories": [{"id": 7, "name": "mouse"}, {"id": "8", "name": "mouse"}, {"id": 9, "name": "cat"}],
        "annotations": [{"image_id": "0", "category_id": "7"}, {"image_id": 1, "category_id": 8}, {"image_id": 2, "category_id": 8},
                        {"image_id": 4, "category_id": 9}],
    }  # fmt: skip
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(coco).replace("\\\\\\\\", "\\\\"))
    wanted = [photographs / name for name in ("01.png", "02.png", "below/00.png")]
    assert list_images(photographs, file, "mouse") == list_images(photographs, file, ["mouse"]) == wanted
    assert list_images(photographs, file) == sorted([*wanted, photographs / "04.png"])
    (tmp_path / "a\\b.png").touch()  # a name with a backslash, where systems allow it
    file.write_text(json.dumps({"images": [{"id": 1, "file_name": "a\\b.png"}, {"id": 2, "file_name": "..\\c.png"}]}))
    assert list_images(tmp_path, file) == sorted([tmp_path / "a\\b.png", tmp_path / "..\\c.png"])


def test_what_trainings_leave_is_not_trained_on(photographs: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(photographs, tmp_path / "here"))
    for place in (
        "runs/p/last.ckpt",
        "runs/p/contact_sheet.png",
        "runs/p/wandb/media/sheet_1.png",
        "compared/contact_sheet.png",
    ):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photographs / "01.png", folder / place)
    names = [path.relative_to(photographs) for path in list_images(photographs)]
    assert [path.relative_to(folder) for path in list_images(folder)] == names
    assert len(list_images(folder / "runs" / "p" / "wandb")) == 1, "named itself"
    assert [path.name for path in list_images(folder, include="01.png")] == ["01.png"]


def folder_with_bad_files(folder: Path, total: int, bad: int) -> Path:
    for i in range(total):
        Image.fromarray(np.full((40, 50, 3), i, np.uint8)).save(folder / f"{i:03}.png")
    for i in range(bad):
        (folder / f"{i * 5:03}.png").write_bytes(b"\x89PNG broken")
    return folder


def test_a_few_bad_images_are_set_aside_and_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ContentDataModule(folder_with_bad_files(tmp_path, 50, 1), crop=32)
    data.setup()
    assert [Path(name).name for name in data.bad.reasons] == ["000.png"]
    assert capsys.readouterr().err.count("000.png") == 1
    assert len(data.heldout_images) == 8
    for number in range(100):
        assert data.dataset[number]["image"].shape == (3, 32, 32)


def test_many_bad_images_end_the_run_with_the_list(tmp_path: Path) -> None:
    data = ContentDataModule(folder_with_bad_files(tmp_path, 20, 4), crop=32, max_bad=0.1)
    with pytest.raises(DataError, match=r"4 of 20 images are bad.*max_bad") as caught:
        data.setup()
    assert str(caught.value).count(".png") == 4


def test_thousands_of_bad_images_take_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    bad = BadImages(3000, 0.05)
    for number in range(3000):
        bad.add(f"{number}.png", f"{number}.png: no such file")
        bad.add(f"{number}.png", "the same again")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["set aside: 0.png: no such file", "set aside: 1.png: no such file"] and len(lines) < 20
    assert "2560 by now" in lines[-1]
    with pytest.raises(DataError, match=r"3000 of 3000 images are bad(.|\n)*9\.png\n  and 2990 more$"):
        bad.check()


def test_a_tiny_image_is_bad_too_and_workers_report_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = dataset(folder_with_bad_files(tmp_path, 30, 0))
    Image.new("RGB", (3, 3)).save(data.source.name(5))
    module = ContentDataModule(tmp_path, crop=32, max_bad=0.5)
    module.setup()
    capsys.readouterr()
    module.dataset, module.bad.reasons = data, {}  # as if the set had been too large for the cache
    position = data.order(0).tolist().index(5)
    sample = data[position]
    assert sample["bad"] == 5 and sample["image"].shape == (3, 32, 32)
    module.on_before_batch_transfer({"image": sample["image"][None], "bad": torch.tensor([5])}, 0)
    assert "005.png: only 3 pixels" in capsys.readouterr().err


def test_the_learning_rate_follows_the_steps(loss: PerceptualLoss) -> None:
    class Run:
        max_steps, callbacks, world_size = 100, (), 1

    module = StyleModule(build_network("johnson", width=4, blocks=1), loss, torch.optim.Adam)
    module._trainer = Run()  # type: ignore[assignment]
    optimizer, scheduler = module.configure_optimizers().values()
    assert scheduler["interval"] == "step"
    for step in range(101):
        wanted = rate_factor(step, step / 100) * optimizer.defaults["lr"]
        assert optimizer.param_groups[0]["lr"] == pytest.approx(wanted, abs=1e-12)
        optimizer.step()
        scheduler["scheduler"].step()


def test_training_adds_what_repeats_with_the_stride(loss: PerceptualLoss) -> None:
    loss.set_style(torch.rand(1, 3, 32, 32))
    network, batch = build_network("johnson", width=4, blocks=1), torch.rand(2, 3, 32, 32)
    with_grid, without = (
        StyleModule(network, loss, torch.optim.Adam, margin=0, grid_weight=weight) for weight in (7.0, 0.0)
    )
    for module in (with_grid, without):
        module.log = module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    difference = with_grid.training_step(batch, 0) - without.training_step(batch, 0)
    torch.testing.assert_close(difference, 7 * grid_energy(network(batch), 4).mean(), rtol=1e-3, atol=1e-6)


def test_the_loss_does_not_see_the_margin(loss: PerceptualLoss) -> None:
    loss.set_style(torch.rand(1, 3, 48, 48))
    network, batch = build_network("brush", width=4, blocks=1), torch.rand(2, 3, 64, 64)
    module = StyleModule(network, loss, torch.optim.Adam, margin=16, grid_weight=0.0)
    module.log = module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    expected = loss(network(batch)[..., 16:48, 16:48], batch[..., 16:48, 16:48]).total
    torch.testing.assert_close(module.training_step(batch, 0), expected)


def test_warm_up_then_cosine_to_zero() -> None:
    factors = [rate_factor(step, step / 100, warmup_steps=10) for step in range(101)]
    assert factors[0] == pytest.approx(0.1) and factors[100] == 0
    assert factors[50] == pytest.approx(0.5)
    assert factors.index(max(factors)) in (9, 10) and factors[10:] == sorted(factors[10:], reverse=True)


def test_a_schedule_by_the_clock_ends_at_zero() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    ticks = iter(range(1000))
    rates = [(gone, optimizer.param_groups[0]["lr"]) for _, gone in scheduled(optimizer, 100, lambda: next(ticks))]
    assert len(rates) == 100 and rates[-1] == (1.0, 0.0)
    assert dict(rates)[0.5] == pytest.approx(1.0), "half of the peak, half-way"


def _gradient_of_rank(rank: int, port: int, vgg: str, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2")
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    torch.manual_seed(0)
    network = DistributedDataParallel(_network())
    _backward(network, vgg, slice(2 * rank, 2 * rank + 2))
    torch.save([parameter.grad for parameter in network.parameters()], f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def _network() -> torch.nn.Module:
    return build_network("johnson", width=4, blocks=1).to(memory_format=torch.channels_last)


def _backward(network: torch.nn.Module, vgg: str, part: slice) -> None:
    loss = PerceptualLoss.from_spec(vgg)
    loss.set_style(photograph(99, 64)[None])
    batch = torch.stack([photograph(seed, 32) for seed in range(4)])[part]
    batch = batch.contiguous(memory_format=torch.channels_last)
    loss(network(batch), batch).total.backward()


def _gradient_of_all(vgg: str, folder: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = _network()
    _backward(network, vgg, slice(0, 4))
    torch.save([parameter.grad for parameter in network.parameters()], f"{folder}/all.pt")


def _gradients(port: int, vgg: str, folder: str) -> None:
    multiprocessing.spawn(_gradient_of_rank, (port, vgg, folder), nprocs=2)
    _gradient_of_all(vgg, folder)


def test_two_ranks_of_two_have_the_gradient_of_one_rank_of_four(random_vgg: Path, tmp_path: Path) -> None:
    port = 29_500 + os.getpid() % 500
    code = f"import test_run as t; t._gradients({port}, {str(random_vgg)!r}, {str(tmp_path)!r})"
    folders = os.pathsep.join(map(str, (Path(__file__).parent, ROOT / "tests")))
    environment = {**os.environ, "PYTHONPATH": folders}  # another test may have set PYTHONSAFEPATH
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=280)
    expected = torch.load(tmp_path / "all.pt")
    scale = max(gradient.abs().max().item() for gradient in expected)
    for rank in range(2):
        for gradient, whole in zip(torch.load(tmp_path / f"{rank}.pt"), expected, strict=True):
            torch.testing.assert_close(gradient, whole, rtol=1e-5, atol=1e-5 * scale)


def run(*arguments: object) -> str:
    result = subprocess.run(training_command(*arguments), capture_output=True, text=True, timeout=280)  # type: ignore[arg-type]
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def steps_of(folder: Path) -> int:
    return load_style_model(folder / "style.safetensors").training.steps


def test_a_run_leaves_style_model_checkpoint_metrics_and_contact_sheet(
    photographs: Path, random_vgg: Path, tmp_path: Path
) -> None:
    out = run(
        tmp_path,
        photographs,
        random_vgg,
        "trainer.max_steps=6",
        "trainer.val_check_interval=3",
        "trainer.log_every_n_steps=1",
        "style.title='A, title'",
    )
    assert out.strip() == str(tmp_path / "style.safetensors")
    model = load_style_model(tmp_path / "style.safetensors")
    assert model.training.steps == 6 and model.training.images == 12
    assert model.style["title"] == "A, title" and len(model.style["thumbnail"]) > 100
    assert {"content", "style", "tv", "total", "screen"} == set(model.report.heldout)
    assert model.loss["fingerprint"] in model.style_targets
    for grams in model.style_targets.values():
        layers, octaves = ("relu1_2", "relu2_2", "relu3_3", "relu3_4"), ("", "/2", "/4")  # of a picture of 64 pixels
        assert set(grams) == {layer + octave + kind for layer in layers for octave in octaves for kind in ("", ".mean")}
    assert {"run", "style.safetensors"} == {path.name for path in tmp_path.iterdir()}
    assert {"config.yaml", "contact_sheet.png", "last.ckpt", "metrics.csv"} == {
        p.name for p in (tmp_path / "run").iterdir()
    }
    header = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0]
    assert {"train/content", "train/total", "val/total", "val/screen"} <= set(header.split(","))
    checkpoint = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert not [key for key in checkpoint["state_dict"] if "loss" in key], "the loss network is in the checkpoint"


def test_a_killed_run_goes_on_where_it_was(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    endless = (
        "trainer.max_steps=100000",
        "callbacks.checkpoint.every_n_train_steps=5",
        "trainer.val_check_interval=100000",
    )
    process = subprocess.Popen(
        training_command(tmp_path, photographs, random_vgg, *endless),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not (tmp_path / "style.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = steps_of(tmp_path)
    assert before >= 5
    run(tmp_path, photographs, random_vgg, f"trainer.max_steps={before + 20}", "ckpt_path=last")
    assert steps_of(tmp_path) == before + 20


def test_a_checkpoint_from_elsewhere_begins_a_run_of_its_own(
    photographs: Path, random_vgg: Path, tmp_path: Path
) -> None:
    run(tmp_path, photographs, random_vgg, "trainer.max_steps=4")
    (tmp_path / "run").rename(tmp_path / "moved")
    run(tmp_path, photographs, random_vgg, "trainer.max_steps=2")
    trained = (tmp_path / "style.safetensors").read_bytes()
    command = [word for word in training_command(tmp_path, photographs, random_vgg) if "trainer.max_" not in word]
    words = ["trainer.max_minutes=null", "trainer.max_steps=null", f"ckpt_path={tmp_path / 'moved' / 'last.ckpt'}"]
    result = subprocess.run([*command, *words], capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    assert "4 steps" in result.stderr, "the length of the run that it goes on with"
    assert steps_of(tmp_path) == 4
    assert (tmp_path / "run-1" / "style.safetensors").read_bytes() == trained


def test_ctrl_c_before_the_training_is_one_line(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    code = """if True:
        from impasto.training import __main__, build
        def interrupted(config):
            raise KeyboardInterrupt
        build.read_style = interrupted
        __main__.main()
    """
    command = [sys.executable, "-c", code, *training_command(tmp_path, photographs, random_vgg)[3:]]
    result = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert result.returncode == 130 and result.stderr.splitlines()[-1].startswith("impasto: stopped")
    assert "Traceback" not in result.stderr


def test_two_processes_train_one_style_model(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    out = run(
        tmp_path,
        photographs,
        random_vgg,
        "trainer=ddp",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        "trainer.max_steps=4",
    )
    model = load_style_model(tmp_path / "style.safetensors")
    assert model.training.steps == 4 and model.training.images == 4 * 2 * 2
    assert out.splitlines() == [str(tmp_path / "style.safetensors")]


def test_mistakes_are_one_line_with_the_remedy(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(photographs, broken)
    for name in ("01.png", "02.png", "04.png"):
        (broken / name).write_bytes(b"")
    result = subprocess.run(
        training_command(tmp_path, photographs, random_vgg, f"data.root={broken}"),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "3 of 12 images are bad" in result.stderr and "01.png" in result.stderr


def test_a_key_that_is_missing_is_named(photographs: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "impasto.training", f"style.image={photographs / '01.png'}"]
    result = subprocess.run(words, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "impasto: data.root is not set" in result.stderr


def test_a_mistyped_setting_is_one_line(photographs: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "impasto", "train", str(photographs / "01.png"), "minutes=3"]
    result = subprocess.run(words, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert "impasto: no setting minutes; did you mean trainer.max_minutes?" in result.stderr


def test_a_run_starts_from_what_init_names(photographs: Path, random_vgg: Path, tmp_path: Path, painter: Path) -> None:
    """One step at a learning rate of zero leaves the weights that the run started from."""
    run(
        tmp_path, photographs, random_vgg, f"init={painter}", "network=johnson", "trainer.max_steps=1", "optimizer.lr=0"
    )
    start, end = (load_style_model(path).network.state_dict() for path in (painter, tmp_path / "style.safetensors"))
    assert all(torch.equal(start[key], end[key]) for key in start)
    before, now = (read_metadata(path).training for path in (painter, tmp_path / "style.safetensors"))
    assert now.start == painter.stem and now.before == before.to_dict()


@pytest.mark.parametrize("name", ["brush", "swift"])
def test_auto_starts_from_the_base_weights_of_that_very_network(name: str) -> None:
    config = OmegaConf.create({"init": "auto", "network": network_spec(name)})
    start = find_start(config)
    assert start == asset_dir("checkpoints") / "base" / f"{name}.safetensors"
    assert load_style_model(start).spec == config.network
    config.network.width = 4
    assert find_start(config) is None
    config.init = "none"
    assert find_start(config) is None


def test_train_by_the_clock_keeps_earlier_work_and_goes_on(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    def train(*words: str) -> subprocess.CompletedProcess[str]:
        overrides = training_command(tmp_path, photographs, random_vgg, "callbacks.checkpoint.every_n_train_steps=5")[
            4:
        ]
        call = [sys.executable, "-m", "impasto", "train", str(photographs / "01.png"), *overrides, *words]
        return subprocess.run(call, capture_output=True, text=True, timeout=280)

    first = train("--minutes", "0.05")
    assert first.returncode == 0 and "0.05 minutes" in first.stderr, first.stderr
    trained = (tmp_path / "style.safetensors").read_bytes()
    again = train("--minutes", "0.05")
    assert again.returncode == 0 and "run-1" in again.stderr, again.stderr
    assert (tmp_path / "run-1" / "style.safetensors").read_bytes() == trained
    before = steps_of(tmp_path)
    longer = train("--minutes", "0.12", "ckpt_path=last")
    assert f"where {tmp_path / 'run' / 'last.ckpt'} stopped" in longer.stderr
    assert longer.returncode == 0 and steps_of(tmp_path) > before, longer.stderr
    assert (tmp_path / "run" / "metrics-1.csv").is_file() and (tmp_path / "run" / "metrics.csv").is_file()


def test_a_run_that_gains_nothing_ends_early(photographs: Path, random_vgg: Path, tmp_path: Path) -> None:
    words = ("trainer.max_steps=40", "trainer.val_check_interval=2", "callbacks.keep_best.patience=2", "optimizer.lr=0")
    run(tmp_path, photographs, random_vgg, *words)
    model = load_style_model(tmp_path / "style.safetensors")
    assert model.training.steps <= 26
    assert set(model.report.defects) == set(DEFECTS)


def test_an_output_that_cannot_be_written_is_found_before_the_training(
    photographs: Path, random_vgg: Path, tmp_path: Path
) -> None:
    for output in (tmp_path, tmp_path / "x.pt"):
        words = [*training_command(tmp_path, photographs, random_vgg), f"output={output}"]
        result = subprocess.run(words, capture_output=True, text=True, timeout=280)
        assert result.returncode == 2 and "must be a file that ends in .safetensors" in result.stderr


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", 5, None, "a\nb.png", "x/../../y.png"])
def test_annotations_lead_nowhere_but_into_the_folder(photographs: Path, tmp_path: Path, name: object) -> None:
    hostile = tmp_path / "hostile.json"
    hostile.write_text(json.dumps({"images": [{"id": 1, "file_name": name}]}))
    with pytest.raises(DataError, match="not a COCO instances file") as caught:
        list_images(photographs, hostile)
    assert "\n" not in str(caught.value)


class _Judged:
    """What `KeepBest` sees of a module: averaged weights, and a report for each validation."""

    def __init__(self) -> None:
        self.ema, self.report, self.defects = torch.nn.Linear(1, 1), {}, {}

    def reach(self, total: float, screen: float = 0.0) -> None:
        self.report, self.defects = {"total": total}, {"screen": screen}
        self.ema.bias.data.fill_(total)

    def progress(self, step: int) -> float:
        return step / 10


def test_the_best_weights_are_kept_and_resumed() -> None:
    best, module, trainer = KeepBest(patience=3), _Judged(), Trainer(accelerator="cpu", logger=False)
    trainer.state.fn = TrainerFn.FITTING
    steps = ((3.0, 0.0), (2.0, 0.0), (1.9, 9.0), (2.5, 0.0), (2.4, 0.0), (2.6, 0.0), (float("nan"), 0.0))
    for step, (total, screen) in enumerate(steps, start=1):
        trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.completed = step
        module.reach(total, screen)
        best.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert not trainer.should_stop, "only two of them came in the second half"
    resumed = KeepBest(patience=3)
    resumed.load_state_dict(best.state_dict())
    resumed.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert trainer.should_stop
    assert resumed.restore(trainer, module)
    assert module.ema.bias.item() == 2.0 == module.report["total"], "1.9 shows a screen"
