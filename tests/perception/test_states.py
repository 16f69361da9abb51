"""States of lights are read from their own part of the picture, with regard to how frequent they are."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from perception.centre import CentreNet
from perception.classes import LIGHT, STATES
from perception.config import DataConfig, ModelConfig
from perception.data import Frames
from perception.lights import EVEN, LightReader, state_losses
from training import Draw

GREEN, YELLOW, RED, OFF = (STATES.index(name) for name in ("green", "yellow", "red", "off"))
SHARES = [0.1, 0.0, 0.6, 0.0, 0.3]
LAMPS = {RED: (0, (230.0, 30.0, 20.0)), YELLOW: (1, (230.0, 200.0, 20.0)), GREEN: (2, (20.0, 220.0, 90.0))}


def head(state: int, height: int, left: int, top: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture [3, 96, 192] with one light that is `height` pixels high and half as wide; its box [1, 4]."""
    image = torch.full((3, 96, 192), 120.0) + torch.randn(3, 96, 192) * 6
    width, lamp = height // 2, height // 3
    image[:, top : top + height, left : left + width] = 25.0
    place, colour = LAMPS[state]
    row = top + place * lamp
    image[:, row + 1 : row + lamp, left + 1 : left + width - 1] = torch.tensor(colour)[:, None, None]
    return image / 50 - 2, torch.tensor([[left, top, left + width, top + height]]).float()


def lights(count: int, heights: tuple[int, ...]) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
    """Pictures, the box of a light in each, and their states."""
    states = torch.randint(0, 3, (count,))
    drawn = [
        head(int(s), heights[k % len(heights)], int(torch.randint(5, 160, ())), int(torch.randint(5, 60, ())))
        for k, s in enumerate(states)
    ]
    return torch.stack([image for image, _ in drawn]), [box for _, box in drawn], states


def target(box: torch.Tensor, state: int) -> dict[str, torch.Tensor]:
    one = torch.tensor([state])
    return {
        "boxes": box, "labels": torch.tensor([LIGHT]), "depth": one.float(), "alpha": one.float(), "state": one,
        "sign": one, "binding": one, "stop": one.float(), "ignore": torch.tensor([False]),
    }  # fmt: skip


def test_near_lights_are_read_after_far_ones_were_learned() -> None:
    torch.manual_seed(0)
    reader = LightReader()
    optimiser = torch.optim.AdamW(reader.parameters(), lr=3e-3)
    for _ in range(60):
        images, boxes, states = lights(8, (9, 10, 12))
        optimiser.zero_grad()
        reader.loss(images, [target(b, int(s)) for b, s in zip(boxes, states)]).backward()
        optimiser.step()
    images, boxes, states = lights(60, (20, 30))
    with torch.no_grad():
        told = torch.cat(reader.read(images, [b + torch.tensor([-1.0, 1.0, -1.0, 1.0]) for b in boxes]))
    assert (told == states).float().mean() > 0.95


def test_a_state_that_no_light_had_is_not_told() -> None:
    reader = LightReader()
    torch.nn.init.zeros_(reader.out.weight)
    images, boxes = torch.zeros(2, 3, 32, 32), [torch.tensor([[4.0, 4.0, 9.0, 14.0]]), torch.zeros(0, 4)]
    for logits, shares, wanted in (
        ({RED: 1.0, OFF: 2.0}, None, OFF),
        ({RED: 1.0, OFF: 2.0}, SHARES, RED),
        ({GREEN: 1.1, RED: 1.0, OFF: 2.0}, SHARES, GREEN),
    ):
        with torch.no_grad():
            reader.out.bias.fill_(-9.0)
            for state, value in logits.items():
                reader.out.bias[state] = value
            states, none = reader.read(images, boxes, None if shares is None else torch.tensor(shares))
        assert states.tolist() == [wanted]
        assert len(none) == 0


def test_the_loss_expects_rare_states_rarely() -> None:
    logits = [0.3, -1.0, 0.7, 2.0, -0.4]
    weights = [share**EVEN * math.exp(logit) for share, logit in zip(SHARES, logits)]
    by_hand = [-math.log(weights[k] / sum(weights)) for k in (GREEN, RED)]
    wanted = torch.tensor([GREEN, RED, OFF, -1])
    shares = torch.tensor(SHARES)
    rows = torch.tensor([logits] * 4, requires_grad=True)
    values, counted = state_losses(rows, wanted, shares)
    assert values[:2].tolist() == pytest.approx(by_hand, rel=1e-3)
    assert counted.tolist() == [1.0, 1.0, 0.0, 0.0], "no light to learn from is off, and the last is no light"
    (values * counted).sum().backward()
    assert rows.grad is not None
    assert rows.grad.isfinite().all()
    plain, counted = state_losses(rows, wanted)
    assert plain[2].item() == pytest.approx(-2.0 + math.log(sum(map(math.exp, logits))), rel=1e-5)
    assert counted.tolist() == [1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("lit", [True, False])
def test_states_are_learned_by_layers_of_their_own(data: Path, lit: bool) -> None:
    """Also of a picture without a light all of them take part, as training on several devices asks."""
    frames = Frames(DataConfig(str(data), width=192, height=96), "train")
    item = next(k for k, rows in enumerate(frames.annotations) if any("state" in a for a in rows) == lit)
    sample = frames[Draw(item, None)]
    net = CentreNet(ModelConfig(channels=[8, 8, 8, 8, 8], neck=8), len(frames.signs))
    shares = torch.tensor(frames.light_shares())
    net.loss(sample.image[None], [sample.target], shares)["state"].backward()
    own = {name for name, _ in net.named_parameters() if name.startswith("heads.lights.")}
    assert {name for name, p in net.named_parameters() if p.grad is not None} == own
    assert any(bool((p.grad != 0).any()) for p in net.parameters() if p.grad is not None) == lit
