"""Flows that are small enough for Jacobians, and what they are trained and compared with."""

from __future__ import annotations

import torch

from roadanomaly.flows import DenseFlow, Glow, ImageFlow, RealNVP

TINY = {"units": (2, 1), "modules": (1, 1), "growth": 2, "width": 8, "depth": 2}
SMALL = {
    "denseflow": lambda: DenseFlow(1, **TINY, network_growth=4, dequantise="uniform"),
    "denseflow_variational": lambda: DenseFlow(1, **TINY, network_growth=4, save_memory=False),
    "glow": lambda: Glow(1, levels=1, steps=2, hidden=8),
    "glow_two_levels": lambda: Glow(1, levels=2, steps=2, hidden=8),
    "glow_mixture": lambda: Glow(1, levels=1, steps=2, hidden=8, mixture=3),
    "glow_bottleneck": lambda: Glow(2, levels=1, steps=2, hidden=8, bottleneck=2),
    "glow_cycle": lambda: Glow(1, levels=1, steps=4, hidden=8, mask="cycle"),
    "glow_checkerboard": lambda: Glow(1, levels=1, steps=2, hidden=8, mask="checkerboard"),
    "glow_variational": lambda: Glow(1, levels=1, steps=2, hidden=8, dequantise="variational"),
    "glow_saving_memory": lambda: Glow(1, levels=1, steps=2, hidden=8, save_memory=True),
    "realnvp": lambda: RealNVP(1, levels=1, steps=2, hidden=8),
    "realnvp_two_levels": lambda: RealNVP(2, levels=2, steps=2, hidden=8),
    "realnvp_mixture": lambda: RealNVP(1, levels=1, steps=2, hidden=8, mixture=2),
    "realnvp_horizontal": lambda: RealNVP(1, levels=1, steps=2, hidden=8, mask="horizontal"),
}
"""Name to a builder; every option of a flow appears at least once."""


def build(name: str, dtype: torch.dtype = torch.float32, spread: float = 0.3) -> ImageFlow:
    """Build a flow whose parameters are moved away from the identity that they start as."""
    torch.manual_seed(3)
    flow = SMALL[name]().to(dtype)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return flow.eval()


def images(flow: ImageFlow, count: int = 2, cells: tuple[int, int] = (2, 3)) -> torch.Tensor:
    """Return random images in the flow's precision, so many strides high and wide."""
    height, width = (cell * flow.stride for cell in cells)
    return torch.rand(count, flow.channels, height, width, dtype=flow.dtype)


def textures(count: int, channels: int, size: int) -> torch.Tensor:
    """Return images of a slope with noise, in 0..1: something simple to learn."""
    slope = torch.linspace(0.3, 0.6, size)
    tilt = 0.2 * torch.rand(count, channels, 1, 1)
    return (slope + tilt + 0.02 * torch.randn(count, channels, size, size)).clamp(0, 1)


def train(flow: ImageFlow, images: torch.Tensor, steps: int, rate: float = 5e-3) -> list[float]:
    """Maximise the likelihood of images; return its course in nats a dimension."""
    flow.train()
    optimiser = torch.optim.Adam(flow.parameters(), lr=rate)
    course = []
    for _ in range(steps):
        batch = images[torch.randint(len(images), (32,))].to(flow.dtype)
        loss = -flow.log_prob(batch).mean() / batch[0].numel()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        course.append(-loss.item())
    flow.eval()
    return course
