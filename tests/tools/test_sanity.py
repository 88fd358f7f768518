from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sg2bench.config import Data
from sg2bench.data import sets
from sg2bench.evaluation.originals import Originals
from sg2bench.evaluation.uncertainty import Estimate
from tools import failures
from tools.failures import Asked
from tools.sanity import FAILURES, worse_by


def estimate(value, least, bounds=(-np.inf, np.inf)):
    """Its interval reaches so far."""
    return Estimate(value, {"x": np.zeros(9)}, least=least, bounds=bounds)


def test_worse_is_worse_by_the_metric_s_direction_in_standard_deviations():
    one, other = estimate(5.0, 1.96 * 3), estimate(10.0, 1.96 * 4)
    assert worse_by("fd_alexnet", one, other) == pytest.approx(1)
    assert worse_by("domain_accuracy", one, other) == pytest.approx(-1)
    assert worse_by("fd_alexnet", other, other) == 0


def test_an_interval_cut_at_a_bound_is_as_wide_as_its_other_half():
    at_bound, sure = estimate(0.0, 1.96, bounds=(0, 9)), estimate(4.0, 0.0)
    assert worse_by("truth_l1", at_bound, sure) == pytest.approx(4)
    assert worse_by("truth_l1", sure, sure) == 0
    assert worse_by("truth_l1", estimate(0.0, 0.0), sure) == math.inf
    assert worse_by("lpips", estimate(0.0, 0.0), sure) == -math.inf


@pytest.fixture
def asked():
    images = sets.load(Data(domains=("cat", "dog"), train_per_domain=4, val_per_domain=3), 32)
    originals = Originals(images, "cat", "dog", np.arange(3), 32, torch.device("cpu"))
    return Asked(originals, np.arange(3), np.array([[0, 1], [2, 0], [1, 2]]), np.random.default_rng(0))


@pytest.mark.parametrize("failure", [*FAILURES.values(), failures.untranslated, failures.mean_image])
def test_failures_are_images_that_differ_from_the_right_ones(asked, failure):
    found, right = failure(asked), failures.right(asked)
    assert found.dtype == torch.uint8
    assert found.shape == right.shape == (6, 3, 32, 32)
    assert (found != right).flatten(1).any(1).sum() >= 4  # the style of one image for all is the right one for some


def test_noise_is_as_strong_as_it_says(asked):
    difference = failures.noisy(asked).float() - failures.right(asked).float()
    inner = (failures.right(asked) > 70) & (failures.right(asked) < 185)
    assert difference[inner].std() == pytest.approx(failures.NOISE_LEVELS, rel=0.05)


def test_a_failure_is_of_one_kind(asked):
    right, truth = failures.right(asked).view(3, 2, 3, 32, 32), asked.originals.truths
    assert (failures.lost_pose(asked).view_as(right)[1, 0] == truth(np.array([0]), np.array([[2]]))[0][0]).all()
    assert (failures.ignored_reference(asked).view_as(right)[1, 0] == truth(np.array([1]), np.array([[0]]))[0][0]).all()
    assert (failures.one_style(asked).view_as(right)[2, 1] == truth(np.array([2]), np.array([[0]]))[0][0]).all()
