"""A training of your own over several processes or machines, every step through the clipper.

    torchrun --nproc-per-node 2 examples/torchrun_ddp.py

Each process sees another part of the data; the clipper takes the norm of the gradient that all of them share.
"""

from __future__ import annotations

import os

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from clipping import GradientClipper


def main() -> None:
    """Twenty steps on a regression; rank 0 says what was clipped, and whether all ranks hold the same weights."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if torch.cuda.is_available() else torch.device("cpu")
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1)).to(device))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    clipper = GradientClipper("global_norm", threshold=0.5)
    clipper.attach(optimizer)
    generator = torch.Generator().manual_seed(rank)
    for _ in range(20):
        x = torch.randn(32, 8, generator=generator).to(device)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    everywhere = [torch.empty_like(weights) for _ in range(ranks)]
    torch.distributed.all_gather(everywhere, weights)
    if rank == 0:
        clipped = sum(record["norm_after"] < record["norm"] for record in clipper.drain())
        same = all(torch.equal(weights, other) for other in everywhere)
        print(f"{ranks} processes, {clipped} of 20 updates clipped, same weights everywhere: {same}")
    torch.distributed.barrier()  # no rank leaves while another still talks to it
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
