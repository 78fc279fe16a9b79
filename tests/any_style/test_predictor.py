"""The network that predicts painters, on random weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers.networks import known_options
from helpers.predictors import CHANNELS, SPEC, random_statistics, small_predictor
from impasto.any_style.predictor import StatisticsReader, StylePredictor
from impasto.networks import network_names


def test_a_new_predictor_predicts_its_own_painter() -> None:
    predictor = StylePredictor(SPEC, CHANNELS, 6)
    predicted = predictor.weights(torch.randn(6))
    for name, parameter in predictor.painter.named_parameters():
        assert torch.equal(predicted[name], parameter)


def test_the_weights_of_a_mean_of_vectors_are_the_mean_of_their_weights() -> None:
    predictor = small_predictor()
    one, other = torch.randn(2, 6)
    mixed, first, second = (predictor.weights(vector) for vector in (0.3 * one + 0.7 * other, one, other))
    for name in first:
        torch.testing.assert_close(mixed[name], 0.3 * first[name] + 0.7 * second[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", network_names())
def test_any_network_can_be_predicted_and_every_weight_that_counts_changes(name: str) -> None:
    predictor = small_predictor(spec={"name": name, **known_options(name, width=8, blocks=1)})
    predicted = predictor.weights(torch.randn(6))
    own: dict[str, Any] = dict(predictor.painter.named_parameters())
    assert predicted.keys() == own.keys()
    for key, value in predicted.items():
        assert value.shape == own[key].shape
        assert torch.equal(value, own[key]) == predictor._is_idle(key)


def test_kernels_but_the_last_change_along_at_most_64_directions() -> None:
    predictor = small_predictor(spec={"name": "johnson", "width": 32, "blocks": 1})
    own, predicted = dict(predictor.painter.named_parameters()), predictor.weights(torch.randn(6))
    ranks = {
        name: int(torch.linalg.matrix_rank((predicted[name] - own[name]).flatten(1), rtol=1e-4))
        for name in predictor.low_rank
    }
    assert max(ranks.values()) == 64 and max(min(own[name].flatten(1).shape) for name in ranks) == 128
    assert predictor.last not in ranks


def test_each_photograph_is_painted_in_the_style_of_its_number() -> None:
    predictor, statistics = small_predictor(), random_statistics(3, seed=1)
    photographs = torch.rand(3, 3, 32, 48)
    together = predictor(statistics, photographs)
    assert together.shape == photographs.shape
    for number in range(3):
        alone = {name: value[number : number + 1] for name, value in statistics.items()}
        torch.testing.assert_close(predictor(alone, photographs[number : number + 1])[0], together[number])


def test_the_readers_components_are_uncorrelated_of_mean_0_and_deviation_at_most_1() -> None:
    reader = StatisticsReader(CHANNELS, 6)
    statistics = random_statistics(200)
    reader.fit(statistics)
    components = reader(statistics)
    assert components.shape == (200, 6)
    torch.testing.assert_close(components.mean(dim=0), torch.zeros(6), rtol=0, atol=0.02)
    covariance = components.T @ components / 200
    assert (covariance.diagonal() < 1.01).all() and (covariance.diagonal() > 0.45).all()
    assert (covariance - covariance.diag().diag()).abs().max() < 0.05


def test_scaled_features_keep_their_correlations_and_shift_the_logarithms_of_their_deviations() -> None:
    torch.manual_seed(1)  # no deviation so small that the ten-thousandth beside it counts
    reader, statistics = StatisticsReader({"relu1_2": 12}, 6), random_statistics(5)
    scaled = {"relu1_2": 9 * statistics["relu1_2"], "relu1_2.mean": 3 * statistics["relu1_2.mean"]}
    change = reader.measured(scaled) - reader.measured(statistics)
    means, logarithms, correlations = change.split([12, 12, 36], dim=1)
    torch.testing.assert_close(means, 2 * statistics["relu1_2.mean"])
    torch.testing.assert_close(logarithms, torch.full((5, 12), 3.0).log(), rtol=0, atol=0.05)
    torch.testing.assert_close(correlations, torch.zeros(5, 36), rtol=0, atol=1e-3)


def test_no_style_however_odd_lies_far_from_all_others() -> None:
    predictor, statistics = small_predictor(), random_statistics(1)
    for factor in (0.0, 1e6):
        odd = {name: value * factor for name, value in statistics.items()}
        assert predictor.reader(odd).abs().max() <= 4
