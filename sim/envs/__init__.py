"""Gymnasium environments and vector environments over the batched world."""
