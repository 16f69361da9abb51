"""Augmentation: a moved ego sees the same world, noise is what it says, and seeds decide everything."""

from __future__ import annotations

import torch

from planning.config import AugmentConfig
from planning.data import Episodes, Examples
from planning.perturb import CLEAR, LEVELS, add_ghosts, augment, measure_badly, move, move_points, perturb
from planning.tokens import on_route


def examples(part: Episodes) -> Examples:
    return part.examples((1.0, 2.0, 3.0), 48).take(slice(0, 64))


def test_moving_there_and_back_is_nothing(train_part: Episodes) -> None:
    scenes = examples(train_part).scenes
    shift, turn = torch.tensor([[0.5, -1.2]]).repeat(scenes.batch, 1), torch.full((scenes.batch,), 0.3)
    there = move(scenes, shift, turn)
    assert (there.route - scenes.route).abs().max() > 0.5
    # the old origin as the new pose sees it
    back = move(there, move_points(torch.zeros(scenes.batch, 1, 2), shift, turn)[:, 0], -turn)
    torch.testing.assert_close(back.route, scenes.route, atol=1e-4, rtol=0)
    torch.testing.assert_close(back.objects, scenes.objects, atol=1e-4, rtol=0)


def test_a_moved_scene_keeps_distances_and_the_plan_keeps_to_the_road(train_part: Episodes) -> None:
    batch = examples(train_part)
    moved = augment(batch, AugmentConfig(pose=1.0, noise=0.0), torch.Generator().manual_seed(0))
    there = batch.scenes.kind >= 0
    before, after = (on_route(s.objects[..., :2], s.route)[1] for s in (batch.scenes, moved.scenes))
    near = there & (before.abs() < 10)
    torch.testing.assert_close(before[near], after[near], atol=1e-2, rtol=0)
    gap = on_route(batch.path, batch.scenes.route)[1] - on_route(moved.path, moved.scenes.route)[1]
    assert gap.abs().max() < 1e-2
    assert (moved.path - batch.path).abs().max() > 0.5
    torch.testing.assert_close(moved.scenes.objects[..., 5:7].norm(dim=-1), batch.scenes.objects[..., 5:7].norm(dim=-1))


def test_the_generator_decides_everything(train_part: Episodes) -> None:
    batch, config = examples(train_part), AugmentConfig(noise=1.0, drop=0.2, false=2.0)
    one, two, other = (augment(batch, config, torch.Generator().manual_seed(s)) for s in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(one.scenes, two.scenes))
    assert not torch.equal(one.scenes.objects, other.scenes.objects)


def test_bad_measurements_have_the_size_that_was_asked_for(train_part: Episodes) -> None:
    scenes = examples(train_part).scenes
    rows = torch.arange(scenes.batch) % 2 == 0
    noisy = measure_badly(scenes, rows, 0.5, 0.0, torch.Generator().manual_seed(0))
    there = scenes.kind >= 0
    error = (noisy.objects - scenes.objects)[..., :2]
    assert abs(float(error[rows][there[rows]].std()) - 0.5) < 0.05
    assert error[~rows].abs().max() == 0
    lost = measure_badly(scenes, rows, 0.0, 0.3, torch.Generator().manual_seed(0))
    share = float(((lost.kind < 0) & there)[rows].sum() / there[rows].sum())
    assert 0.2 < share < 0.4
    assert torch.equal(lost.kind[~rows], scenes.kind[~rows])


def test_false_objects_of_a_training_keep_off_the_route(train_part: Episodes) -> None:
    scenes = examples(train_part).scenes
    rows = torch.ones(scenes.batch, dtype=torch.bool)
    more = add_ghosts(scenes, rows, 6.0, CLEAR, torch.Generator().manual_seed(0))
    fresh = (more.kind >= 0) & (scenes.kind < 0)
    assert fresh.any()
    assert on_route(more.objects[..., :2], more.route)[1].abs()[fresh].min() > CLEAR
    assert torch.equal(more.objects[~fresh], scenes.objects[~fresh])


def test_severities_grow(train_part: Episodes) -> None:
    scenes = examples(train_part).scenes
    for kind in LEVELS:
        changes = []
        for severity in (1, 3, 5):
            found = perturb(scenes, kind, severity, torch.Generator().manual_seed(1))
            changes.append(sum(float((a - b).abs().sum()) for a, b in zip(found, scenes)))
        assert 0 < changes[0] < changes[1] < changes[2], kind
