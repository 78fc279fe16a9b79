"""Records: whatever an older or a newer version wrote is read, and written again as it was."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from helpers.places import ROOT
from helpers.scripts import load_script
from impasto.checkpoint import load_style_model, read_metadata, save_style_model, shipped_styles
from impasto.compare.report import Report, read_report
from impasto.errors import UsageError
from impasto.records import FilmRecord, Iterations, LossRecord, Record, ReportSummary, StyleRecord, TrainingRecord

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ITERATIONS = {"noise": 20, "content": None}
CURVE = {"0": {"content": 0.0, "style": 9.0, "tv": 0.5, "total": 9.5}, "2": {"total": 4.0}}
OLD: dict[str, Any] = {  # as the first version wrote it
    "style": "wave",
    "judge": {"network": "vgg19", "weights": "vgg.pth", "fingerprint": "12ab"},
    "equal_iterations": ITERATIONS,
    "polish_iterations": None,
    "gap": 0.5,
    "screen": None,
    "loss": {"network": {"total": 3.0}, "converged": 2, "noise": CURVE, "content": CURVE, "polish": CURVE},
    "seconds": {"network": 0.1, "noise": 9.0, "content": 9.5, "ratio": 90.0},
    "steps": 30,
    "size": 256,
    "gradients": "float32",
    "machine": {"torch": "2.6"},
    "images": [
        {
            "name": "a.png",
            "loss": {"network": {"total": 3.0}, "noise": CURVE, "content": CURVE},
            "equal_iterations": ITERATIONS,
        }
    ],
}
MEASURED = {"style_reached": 0.75, "structure_kept": None}
NEW = {
    **OLD,
    "network": MEASURED,
    "optimiser": MEASURED,
    "median_iterations": ITERATIONS,
    "seconds": {**OLD["seconds"], "cached": True},
}


def keys_of(kind: type[Record]) -> list[str]:
    return [key for key in kind.__dataclass_fields__ if key not in ("other", "_order")]


@pytest.mark.parametrize("kind", [StyleRecord, LossRecord, TrainingRecord, ReportSummary])
@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_json_object_is_read_and_written_as_it_was(kind: type[Record], data: st.DataObject) -> None:
    facts = data.draw(st.dictionaries(st.sampled_from([*keys_of(kind), "other", "_order"]) | st.text(), JSON))
    record = kind.from_dict(facts)
    assert list(record.to_dict().items()) == list(facts.items())
    for key in keys_of(kind):
        assert getattr(record, key) is None or key not in record.other
    assert kind.from_dict(record.to_dict()) == record


@given(st.dictionaries(st.text(), JSON), st.sets(st.sampled_from(sorted(set(NEW) - set(OLD)))))
@settings(max_examples=50, deadline=None)
def test_a_report_is_read_and_written_as_it_was(more: dict[str, Any], missing: set[str]) -> None:
    facts = {key: value for key, value in (more | NEW).items() if key not in missing}
    report = Report.from_dict(facts)
    assert json.loads(json.dumps(report.to_dict())) == facts and list(report.to_dict()) == list(facts)
    assert report.not_measured() == sorted(missing)
    assert report.loss.noise[2]["total"] == 4.0 and report.images[0].loss.polish is None


@pytest.mark.parametrize("path", shipped_styles(), ids=lambda path: path.stem)
def test_what_shipped_files_say_is_kept(path: Path, tmp_path: Path) -> None:
    save_style_model(tmp_path / path.name, load_style_model(path))
    before, after = (json.loads(safe_open(each, "pt").metadata()["impasto"]) for each in (path, tmp_path / path.name))
    assert after.items() >= before.items() and set(after) - set(before) <= {"digest"}
    metadata = read_metadata(path)
    assert metadata.training.other.keys() <= {"border_weight"}, "what every version wrote has a field"
    assert not metadata.style.other and "name" not in metadata.loss.other
    assert not metadata.report.other and metadata.report.judge and metadata.report.equal_iterations


def test_values_of_another_type_are_no_values_but_are_kept() -> None:
    record = TrainingRecord.from_dict({"steps": "many", "seed": True, "seconds": 3, "before": [1], "new": 1})
    assert (record.steps, record.seed, record.seconds, record.before) == (None, None, 3, None)
    record.steps = 5
    assert record.to_dict() == {"steps": 5, "seed": True, "seconds": 3, "before": [1], "new": 1}


def test_a_record_without_a_key_is_that_of_a_file_without_it() -> None:
    facts = {"new": 1, "thumbnail": "x", "size": "big", "title": None}
    for key in facts:
        style = StyleRecord.from_dict(facts).without(key)
        assert list(style.to_dict().items()) == [item for item in facts.items() if item[0] != key]


def test_the_runs_of_a_painter_end_with_its_base_weights_however_many_they_are() -> None:
    facts: dict[str, Any] = {"episodes": 3, "before": {"steps": 1000}}
    for steps in range(1, 5001):
        facts = {"steps": steps, "before": facts}
    assert [run.steps for run in TrainingRecord.from_dict(facts).runs()] == list(range(5000, 0, -1))
    assert not list(TrainingRecord.from_dict({"before": {"steps": 3}}).runs())


def test_a_summary_takes_over_what_was_compared_and_keeps_what_training_said() -> None:
    before = ReportSummary.from_dict({"heldout": {"total": 1.0}, "defects": {}, "gap": 9.0, "images": 2, "new": 5})
    summary = Report.from_dict(NEW).summary(before).to_dict()
    shared = {key: value for key, value in NEW.items() if key not in ("style", "loss", "seconds", "images")}
    assert summary == {"heldout": {"total": 1.0}, "defects": {}, "new": 5, **shared, "images": 1}


@pytest.mark.parametrize("text", ["", "[1]", "{}", "3", "[" * 100_000, json.dumps({**OLD, "gap": "wide"})])
def test_what_is_no_report_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(UsageError, match=r"report.json: not a report of impasto compare.*; compare the model again$"):
        read_report(tmp_path / "report.json")


def test_shipping_a_model_puts_the_report_and_a_new_digest_in(
    painter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship = load_script("release/ship_style")
    monkeypatch.setattr(ship, "asset_dir", lambda name: tmp_path)
    monkeypatch.setattr("sys.argv", ["ship_style.py", str(painter), str(tmp_path / "report.json")])
    for report, said in (
        ({"style": "tiny"}, "it has no equal_iterations; compare"),
        ({**OLD, "style": "tiny"}, "it has no median_iterations; compare"),
        (NEW, "is of wave, not of tiny"),
    ):
        (tmp_path / "report.json").write_text(json.dumps(report))
        with pytest.raises((SystemExit, UsageError), match=said):
            ship.main()
    (tmp_path / "report.json").write_text(json.dumps({**NEW, "style": "tiny"}))
    ship.main()
    shipped, metadata = load_style_model(tmp_path / "tiny.safetensors"), read_metadata(tmp_path / "tiny.safetensors")
    assert shipped.report.images == 1 and shipped.report.gap == 0.5 and len(metadata.digest) == 64
    assert metadata.digest == read_metadata(painter).digest, "the same tensors"
    assert shipped.report.film is None


def test_shipping_a_model_with_its_flicker_puts_the_mean_over_the_clips_in(
    painter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship = load_script("release/ship_style")
    monkeypatch.setattr(ship, "asset_dir", lambda name: tmp_path)
    arguments = ["ship_style.py", str(painter), str(tmp_path / "report.json"), "--flicker", str(tmp_path / "film.json")]
    monkeypatch.setattr("sys.argv", arguments)
    (tmp_path / "report.json").write_text(json.dumps({**NEW, "style": "tiny"}))
    rows = [
        {"input": f"films/{name}.mp4", "painted": "tiny", "flicker": value, "frames": 24}
        for name, value in (("a", 3.0), ("b", 6.5))
    ]
    (tmp_path / "film.json").write_text(json.dumps({"clips": rows, "failed": []}))
    ship.main()
    film = load_style_model(tmp_path / "tiny.safetensors").report.film
    assert film == FilmRecord(flicker=4.75, clips=["a", "b"], frames=48)


def test_iterations_are_formatted_for_tables() -> None:
    assert Iterations(noise=None, content=8).formatted(60) == "> 60 / 8"


@pytest.mark.parametrize("path", ["records.py", "compare/report.py"])
def test_every_field_of_a_record_says_what_it_is(path: str) -> None:
    tree = ast.parse((ROOT / "src" / "impasto" / path).read_text(encoding="utf-8"))
    for record in (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name != "Record"):
        for node, after in zip(record.body, [*record.body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign):
                said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                assert said, f"{record.name}.{ast.unparse(node.target)}"
