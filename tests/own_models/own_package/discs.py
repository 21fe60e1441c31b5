"""A conditional generator of discs: z and a class go through a mapping of its own."""

import hashlib

import torch
from torch import nn

from clip2latent_kedro.interfaces import Identity

SIDE, NUM_CLASSES = 32, 4


class Discs(nn.Module):
    """z, [n, 16], to w, [n, 3, 128]: place, colour and background, by layer."""

    z_dim, w_dim, num_ws, resolution = 16, 128, 3, SIDE

    def __init__(self, class_label=None):
        super().__init__()
        made = torch.Generator().manual_seed(0)
        basis = torch.linalg.qr(torch.randn(self.w_dim, 17, generator=made))[0]
        self.register_buffer("axes", basis[:, :16])
        self.register_buffer("class_axis", basis[:, 16])
        self.register_buffer("w_avg", torch.zeros(self.w_dim))
        self.class_label = class_label
        digest = hashlib.sha256(basis.numpy().tobytes())
        digest.update(str(class_label).encode())
        self.identity = Identity("discs", digest.hexdigest())

    def mapping(self, z, *, psi=1.0):
        """Each z has a class of its own, unless one is given."""
        label = (z[:, -1].abs() * 100).long() % NUM_CLASSES
        if self.class_label is not None:
            label = torch.full_like(label, self.class_label)
        shade = label.to(z) / (NUM_CLASSES - 1) * 2 - 1
        w = z @ self.axes.T + shade[:, None] * self.class_axis
        return (self.w_avg + psi * (w - self.w_avg))[:, None].repeat(1, 3, 1)

    def synthesis(self, w, *, noise_mode="const"):
        place = 0.6 * torch.tanh(w[:, 0] @ self.axes[:, :2])
        colour = torch.tanh(1.5 * w[:, 1] @ self.axes[:, 2:5])
        background = 0.3 * torch.tanh(w[:, 2] @ self.class_axis)
        line = torch.linspace(-1, 1, SIDE, device=w.device)
        y, x = torch.meshgrid(line, line, indexing="ij")
        distance = torch.hypot(x - place[:, :1, None], y - place[:, 1:, None])
        disc = torch.sigmoid(25 * (0.4 - distance))[:, None]
        return torch.lerp(
            background[:, None, None, None], colour[:, :, None, None], disc
        )


def load(path, options):
    return Discs(**options)
