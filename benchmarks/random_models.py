"""The paper's architectures in torch alone, with random weights.

StyleGAN2 config-f at 1024 pixels, and a CLIP of the size of ViT-B/32 (Radford et al.
2021, Tables 19 and 20): an image tower of 12 layers of width 768 on patches of 32
pixels, and a text tower of 12 layers of width 512 on 77 tokens.
"""

from collections.abc import Sequence

import bare  # noqa: F401 (before the package: lends what a bare machine lacks)
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.generators.stylegan2 import StyleGAN2
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.interfaces import Identity

W_DIM = 512


def random_stylegan2(
    resolution: int = 1024, channel_base: int = 32768
) -> StyleGANGenerator:
    """Return a StyleGAN2 (config-f unless told otherwise)."""
    torch.manual_seed(0)
    config = StyleGAN2Config(W_DIM, W_DIM, resolution, channel_base, channel_max=512)
    return StyleGANGenerator(StyleGAN2(config), Identity("random stylegan2", "0"))


class RandomViT(nn.Module):
    """A CLIP of the size of ViT-B/32, as an `Encoder`."""

    embed_dim = 512
    image_size = (224, 224)
    identity = Identity("random ViT-B/32", "0")

    def __init__(self, layers: int = 12) -> None:
        """Build both towers, of 12 layers each unless told otherwise."""
        super().__init__()
        torch.manual_seed(1)
        self.patches = nn.Conv2d(3, 768, 32, stride=32, bias=False)
        self.class_token = nn.Parameter(torch.randn(768) / 28)
        self.image_positions = nn.Parameter(torch.randn(50, 768) / 28)
        self.image_tower = _tower(768, 12, layers)
        self.image_projection = nn.Linear(768, self.embed_dim, bias=False)
        self.tokens = nn.Embedding(49408, 512)
        self.text_positions = nn.Parameter(torch.randn(77, 512) / 23)
        self.text_tower = _tower(512, 8, layers)
        self.text_projection = nn.Linear(512, self.embed_dim, bias=False)
        self.eval().requires_grad_(False)

    def encode_image(self, image: Tensor) -> Tensor:
        """Return embeddings, [n, embed_dim], of images of any size."""
        if image.shape[-2:] != self.image_size:
            image = F.interpolate(image, self.image_size, mode="area")
        x = self.patches(image).flatten(2).transpose(1, 2)  # [n, 49, 768]
        first = self.class_token.to(x.dtype).expand(len(x), 1, -1)
        x = torch.cat([first, x], dim=1) + self.image_positions
        return self.image_projection(self.image_tower(x)[:, 0])

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Return embeddings, [n, embed_dim]; a token is a character of the text."""
        codes = [[*text.encode()[:76], 0] for text in texts]
        rows = [row + [0] * (77 - len(row)) for row in codes]
        tokens = torch.tensor(rows, device=self.text_positions.device)
        x = self.tokens(tokens) + self.text_positions
        mask = nn.Transformer.generate_square_subsequent_mask(77, x.device, x.dtype)
        x = self.text_tower(x, mask=mask, is_causal=True)
        return self.text_projection(x[:, -1])


def _tower(width: int, heads: int, layers: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        width,
        heads,
        dim_feedforward=4 * width,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
    return nn.TransformerEncoder(
        layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
    )
