from __future__ import annotations

import threading

import pytest
import torch

from sg2bench.data import images


def test_the_next_part_is_loaded_while_one_is_worked_on():
    begun = [threading.Event() for _ in range(3)]

    def load(part):
        begun[part].set()
        return torch.tensor(part)

    for part, loaded in enumerate(images.prefetch(load, range(3))):
        assert loaded == part
        assert part == 2 or begun[part + 1].wait(10)
    assert list(images.prefetch(load, [])) == []


def test_what_is_broken_is_told_where_it_would_be_worked_on():
    def load(part):
        if part == 1:
            raise ValueError("broken")
        return torch.tensor(part)

    batches = images.prefetch(load, range(3))
    assert next(batches) == 0
    with pytest.raises(ValueError, match="broken"):
        next(batches)


def test_domains_are_those_wanted_in_name_order():
    known = ("apple", "fig", "pear")
    assert images.choose_domains(known, None, "here") == known
    assert images.choose_domains(known, ("pear", "apple"), "here") == ("apple", "pear")
    with pytest.raises(ValueError, match=r"data\.domains: here has no kiwi \(it has apple, fig, pear\)"):
        images.choose_domains(known, ("apple", "kiwi"), "here")
    with pytest.raises(ValueError, match="at least 2 domains"):
        images.choose_domains(known, ("apple", "apple"), "here")
