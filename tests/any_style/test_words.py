"""What people type as a style."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.any_style.words import Part, cues_of, joined_name, parts_of
from impasto.errors import UsageError


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("wave", [("wave", 1)]),
        ("wave:1", [("wave", 1)]),
        ("wave,oils", [("wave", 0.5), ("oils", 0.5)]),
        ("a.jpg:0.7, wave:0.3", [("a.jpg", 0.7), ("wave", 0.3)]),
        ("a.jpg:0,wave:1", [("a.jpg", 0), ("wave", 1)]),
        (r"C:\styles\a.jpg:0.25,D:/b.jpg:0.75", [(r"C:\styles\a.jpg", 0.25), ("D:/b.jpg", 0.75)]),
        (r"C:\styles\a.jpg", [(r"C:\styles\a.jpg", 1)]),
        (r"C:\a.jpg,wave", [(r"C:\a.jpg", 0.5), ("wave", 0.5)]),
        ("https://example.org:80/a,b.jpg", [("https://example.org:80/a,b.jpg", 1)]),
    ],
)
def test_a_word_is_styles_and_their_weights(word: str, parts: list[tuple[str, float]]) -> None:
    assert parts_of(word) == [Part(name, weight) for name, weight in parts]


def test_weights_that_are_rounded_are_brought_to_make_one() -> None:
    parts = parts_of("a:0.33,b:0.33,c:0.33")
    assert [part.weight for part in parts] == pytest.approx([1 / 3] * 3, abs=1e-12)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("a:0.7,b:0.7", "the weights make 1.4; they must make 1"),
        ("wave:0.5", "the weights make 0.5"),
        ("a:0,b:0", "the weights make 0;"),
        ("a:0.5,b", "give every style of a blend its weight"),
        ("a:2", "'2' is no weight from 0 to 1"),
        ("a:-0.1,b:1.1", "'-0.1' is no weight"),
        ("a:nan", "'nan' is no weight"),
        ("a:inf", "'inf' is no weight"),
        ("a:much,b:0.5", "'much' is no weight"),
        ("a:,b:1", "'' is no weight"),
        ("a,", "a style without a name"),
        (",", "a style without a name"),
        (":0.5,b:0.5", "a style without a name"),
        ("", "a style without a name"),
        ("  :1", "a style without a name"),
        ("a\n:2", "'2' is no weight"),
        ("a:\x1b[31m,b:1", "is no weight"),
    ],
)
def test_bad_words_are_named_in_one_line(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"^-s ") as caught:
        parts_of(word)
    assert said in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["a,b.jpg", "a:0.5.jpg", "a:0.5", "wave:0.7,b:0.3", "a, b, c.png", "12:30"])
def test_a_file_that_is_there_is_one_style_whatever_its_name(place: Path, name: str) -> None:
    (place / name).touch()
    assert parts_of(name) == [Part(name, 1)] == parts_of(Path(name))
    assert parts_of(f"{name}:0.25,wave:0.75") == [Part(name, 0.25), Part("wave", 0.75)]
    assert parts_of(f"wave,{name}") == [Part("wave", 0.5), Part(name, 0.5)]


def test_a_path_is_never_taken_apart() -> None:
    assert parts_of(Path("a.jpg:0.7,wave:0.3")) == [Part("a.jpg:0.7,wave:0.3", 1)]


def test_a_blend_may_be_longer_than_a_files_name_can_be() -> None:
    names = [f"{number:0100}.jpg" for number in range(5)]
    assert [part.word for part in parts_of(",".join(f"{name}:0.2" for name in names))] == names


@given(st.text(st.sampled_from("ab:,.01/\\~ \0\n"), max_size=30))
def test_any_word_gives_parts_that_make_one_or_a_line(word: str) -> None:
    try:
        parts = parts_of(word)
    except UsageError as error:
        assert str(error).isprintable()
    else:
        assert sum(part.weight for part in parts) == pytest.approx(1) and all(part.word for part in parts)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("oils", "oils"),
        ("oils:1", "oils"),
        ("oils,wave", "oils+wave"),
        ("oils:0.5,wave:0.5", "oils+wave"),
        ("a:0.33,b:0.33,c:0.33", "a+b+c"),
        ("oils:0.7,wave:0.3", "oils-70+wave-30"),
        ("oils:0.3,wave:0.7", "oils-30+wave-70"),
        ("oils:0.125,wave:0.875", "oils-12.5+wave-87.5"),
        ("oils:0,wave:1", "oils-0+wave-100"),
    ],
)
def test_a_blends_name_tells_its_weights_where_they_differ(word: str, name: str) -> None:
    parts = parts_of(word)
    assert joined_name(parts, [part.word for part in parts]) == name


@pytest.mark.parametrize(("word", "cues"), [
    ("wave", [("wave", 0)]), ("wave@0", [("wave", 0)]), ("wave@0,oils@00:10", [("wave", 0), ("oils", 10)]),
    ("a.jpg:0.7,wave:0.3@0,oils@1:02.5,b.png@01:00:00",
     [("a.jpg:0.7,wave:0.3", 0), ("oils", Fraction(125, 2)), ("b.png", 3600)]),
    ("a,b@0,c,d:1@9", [("a,b", 0), ("c,d:1", 9)]), ("me@2x.png", [("me@2x.png", 0)]),
    ("https://me@0/a@1", [("https://me@0/a@1", 0)]),
])  # fmt: skip
def test_styles_in_turn(word: str, cues: list[tuple[str, float]]) -> None:
    assert [(cue.word, cue.start) for cue in cues_of(word)] == cues


def test_a_file_with_a_time_in_its_name_is_one_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a@0,b@10").touch()
    assert [cue.word for cue in cues_of("a@0,b@10")] == ["a@0,b@10"]


@pytest.mark.parametrize(("word", "said"), [
    ("wave@0,oils", "a time is missing"), ("wave@1,oils@2", "must at 0"), ("wave@0,oils@0", "later than the one"),
    ("a@0,b@9,c@5", "later than the one"), ("wave@0,oils@1:99", "no time"), ("@0,b@1", "without a name"),
    ("a@0,,b@1", None), ("a@0,", "a time is missing"), ("a@0,b@1.2.3", "no time"), ("a@0,b@..", "no time"),
])  # fmt: skip
def test_styles_in_turn_that_make_no_sense(word: str, said: str | None) -> None:
    if said is None:
        assert [cue.word for cue in cues_of(word)] == ["a", ",b"]
        with pytest.raises(UsageError, match="without a name"):
            parts_of(",b")
        return
    with pytest.raises(UsageError, match=said):
        cues_of(word)
