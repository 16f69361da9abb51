"""Per-sample clipping: each gradient is clipped before they are averaged, so that one bad sample cannot take over."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import Module

from clipping.config import positive
from clipping.errors import ClippingError


def per_sample_backward(model: Module, loss: Any, *batch: Tensor, threshold: float, chunk: int | None = None) -> Tensor:
    """Add (1/B) sum_i g_i * min(1, C / ||g_i||_2) to the ``.grad`` of the model's parameters.

    Source: Abadi et al. 2016, arXiv:1607.00133, without the noise. A sample whose gradient is not finite counts
    as zero: one bad sample does not cost the batch.

    Args:
        model: a module without BatchNorm in training mode (samples would not be apart).
        loss: called as ``loss(model(x), *rest)`` on a batch of one sample, giving a scalar.
        *batch: tensors [B, ...]: the model's input, then what the loss takes besides.
        threshold: C > 0, the norm that each sample's gradient is held to.
        chunk: samples at a time, where memory for B gradients is short.

    Returns:
        the mean loss, a 0-dim tensor without gradient.

    Raises:
        ClippingError: for a wrong threshold, tensors of different length, or BatchNorm in training mode.
    """
    bound = positive("threshold", threshold)
    sizes = {len(x) for x in batch}
    if len(sizes) != 1 or 0 in sizes:
        raise ClippingError(f"per-sample clipping needs tensors of one length > 0, not {[len(x) for x in batch]}")
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.training:
            raise ClippingError(f"per-sample clipping cannot tell samples apart through the BatchNorm {name!r}")
    params = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    frozen = {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad}
    fixed = {**frozen, **dict(model.named_buffers())}

    def one(weights: dict[str, Tensor], x: Tensor, *rest: Tensor) -> Tensor:
        out = functional_call(model, {**weights, **fixed}, (x.unsqueeze(0),))
        return loss(out, *(r.unsqueeze(0) for r in rest))

    each = vmap(grad_and_value(one), in_dims=(None, *(0 for _ in batch)), randomness="different", chunk_size=chunk)
    grads, losses = each(params, *batch)
    wide = torch.float64 if batch[0].device.type == "cpu" else torch.float32
    squares = torch.stack([g.flatten(1).to(wide).square().sum(1) for g in grads.values()])
    norms = squares.sum(0).sqrt()
    coefs = torch.where(norms > bound, bound / norms, 1.0)
    coefs = torch.where(torch.isfinite(norms), coefs, 0.0) / len(norms)
    for name, p in model.named_parameters():
        if name in grads:
            g = torch.nan_to_num(grads[name].flatten(1), nan=0.0, posinf=0.0, neginf=0.0)
            clipped = (coefs.to(g.dtype) @ g).view_as(p)
            p.grad = clipped if p.grad is None else p.grad + clipped
    return losses.mean().detach()
