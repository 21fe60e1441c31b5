"""A CLIP as open_clip builds it, for models of a few megabytes.

Sources: Radford et al. 2021 (arXiv 2103.00020), section 2.4, and open_clip's `CLIP`,
whose names of weights are kept. The numbers are the same; what is left out are the
other kinds of models, and the packages that come with them: importing open_clip takes
longer than importing torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.checked import Checked, PositiveFloat, PositiveInt, Rule

_STAGES = 4  # of a residual tower
_EXPANSION = 4  # channels of a stage's output for each of its convolutions


@dataclass(frozen=True)
class VisionConfig(Checked):
    """The image tower; a transformer if `layers` is a number.

    Attributes:
        layers: Blocks, of each stage of a residual tower or of the transformer.
        width: Channels after the stem, or of the transformer.
        image_size: Pixels a side.
        patch_size: Pixels a side of a transformer's patches.
        head_width: Of an attention head.
        mlp_ratio: Hidden units of a transformer's MLP for each of its channels.
    """

    layers: list[PositiveInt] | PositiveInt
    width: PositiveInt
    image_size: PositiveInt
    patch_size: PositiveInt = 16
    head_width: PositiveInt = 64
    mlp_ratio: PositiveFloat = 4.0

    @property
    def heads(self) -> int:
        """Attention heads: of the transformer, or of the pooling at the end."""
        width = self.width if isinstance(self.layers, int) else self.width * 32
        return width // self.head_width

    def rules(self) -> Iterator[Rule]:
        """Yield that a residual tower has four stages, and that heads fit."""
        layers = self.layers
        are_stages = isinstance(layers, int) or len(layers) == _STAGES
        yield are_stages, "layers", f"a number, or {_STAGES} of them"
        yield self.heads > 0, "head_width", "at most the width of the attention"


@dataclass(frozen=True)
class TextConfig(Checked):
    """The text tower.

    Attributes:
        context_length: Tokens of a text.
        width: Channels.
        heads: Attention heads of a block.
        layers: Blocks.
        mlp_ratio: Hidden units of the MLP for each channel.
    """

    context_length: PositiveInt
    width: PositiveInt
    heads: PositiveInt
    layers: PositiveInt
    mlp_ratio: PositiveFloat = 4.0


class ClipNetwork(nn.Module):
    """Both towers."""

    def __init__(
        self, embed_dim: int, vision: VisionConfig, text: TextConfig, vocab_size: int
    ) -> None:
        """Build with weights that are to be replaced."""
        super().__init__()
        is_residual = not isinstance(vision.layers, int)
        self.visual = (ResidualTower if is_residual else PatchTower)(vision, embed_dim)
        self.transformer = Transformer(
            text.width, text.layers, text.heads, text.mlp_ratio
        )
        self.token_embedding = nn.Embedding(vocab_size, text.width)
        self.positional_embedding = _weights(text.context_length, text.width)
        self.ln_final = nn.LayerNorm(text.width)
        self.text_projection = _weights(text.width, embed_dim)
        self.logit_scale = _weights()

    def encode_image(self, image: Tensor) -> Tensor:
        """Return embeddings, [n, embed_dim], of images, [n, 3, size, size]."""
        embedding: Tensor = self.visual(image)
        return embedding

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Return embeddings, [n, embed_dim], of tokens, [n, context_length] int64.

        A text is read at its end, the largest token.
        """
        x = self.token_embedding(tokens) + self.positional_embedding
        length = tokens.shape[1]
        later = x.new_full((length, length), -torch.inf).triu(1)  # is not attended to
        x = self.ln_final(self.transformer(x, later))
        end = x[torch.arange(len(x), device=x.device), tokens.argmax(1)]
        embedding: Tensor = end @ self.text_projection
        return embedding


class Block(nn.Module):
    """Attention, then an MLP, each beside what it is given."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        """Build with random weights."""
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, hidden))
        self.mlp.add_module("gelu", nn.GELU())
        self.mlp.add_module("c_proj", nn.Linear(hidden, width))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return [n, length, width] of the same."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        mixed: Tensor = x + self.mlp(self.ln_2(x))
        return mixed


class Transformer(nn.Module):
    """Blocks in a row."""

    def __init__(self, width: int, layers: int, heads: int, mlp_ratio: float) -> None:
        """Build with random weights."""
        super().__init__()
        blocks = [Block(width, heads, mlp_ratio) for _ in range(layers)]
        self.resblocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return [n, length, width] of the same."""
        for block in self.resblocks:
            x = block(x, mask)
        return x


class PatchTower(nn.Module):
    """A vision transformer, read at its class token."""

    def __init__(self, config: VisionConfig, embed_dim: int) -> None:
        """Build with weights that are to be replaced."""
        super().__init__()
        assert isinstance(config.layers, int)
        width, patch = config.width, config.patch_size
        num_patches = (config.image_size // patch) ** 2
        self.image_size = config.image_size
        self.output_dim = embed_dim
        self.class_embedding = _weights(width)
        self.positional_embedding = _weights(num_patches + 1, width)
        self.proj = _weights(width, embed_dim)
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(
            width, config.layers, config.heads, config.mlp_ratio
        )
        self.ln_post = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        """Return [n, embed_dim] of [n, 3, size, size]."""
        patches = (
            self.conv1(image).flatten(2).transpose(1, 2)
        )  # [n, num_patches, width]
        first = self.class_embedding.expand(len(patches), 1, -1)
        x = torch.cat([first, patches], dim=1) + self.positional_embedding
        x = self.ln_post(self.transformer(self.ln_pre(x)))
        embedding: Tensor = x[:, 0] @ self.proj
        return embedding


class ResidualTower(nn.Module):
    """A residual network whose last feature map is pooled by attention."""

    def __init__(self, config: VisionConfig, embed_dim: int) -> None:
        """Build with random weights."""
        super().__init__()
        assert isinstance(config.layers, list)
        width = config.width
        self.image_size = config.image_size
        self.output_dim = embed_dim
        self.conv1 = _convolution(3, width // 2, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = _convolution(width // 2, width // 2, 3)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = _convolution(width // 2, width, 3)
        self.bn3 = nn.BatchNorm2d(width)
        channels = width
        for stage, num_blocks in enumerate(config.layers):
            inner = width * 2**stage
            blocks = nn.Sequential()
            for block in range(num_blocks):
                stride = 2 if stage and block == 0 else 1
                blocks.append(Bottleneck(channels, inner, stride))
                channels = inner * _EXPANSION
            self.add_module(f"layer{stage + 1}", blocks)
        size = config.image_size // 32
        self.attnpool = AttentionPool(size, channels, config.heads, embed_dim)

    def forward(self, image: Tensor) -> Tensor:
        """Return [n, embed_dim] of [n, 3, size, size]."""
        x = self.bn1(self.conv1(image)).relu()
        x = self.bn2(self.conv2(x)).relu()
        x = F.avg_pool2d(self.bn3(self.conv3(x)).relu(), 2)
        for stage in range(_STAGES):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        embedding: Tensor = self.attnpool(x)
        return embedding


class Bottleneck(nn.Module):
    """Three convolutions beside a shorter way; a stride is an average before one."""

    def __init__(self, channels: int, inner: int, stride: int) -> None:
        """Build with random weights."""
        super().__init__()
        outer = inner * _EXPANSION
        self.stride = stride
        self.conv1 = _convolution(channels, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = _convolution(inner, inner, 3)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = _convolution(inner, outer, 1)
        self.bn3 = nn.BatchNorm2d(outer)
        self.downsample: nn.Module | None = None
        if stride > 1 or channels != outer:
            parts = _convolution(channels, outer, 1), nn.BatchNorm2d(outer)
            self.downsample = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, 4 * inner, h / stride, w / stride] of [n, channels, h, w]."""
        out = self.bn1(self.conv1(x)).relu()
        out = self._shrink(self.bn2(self.conv2(out)).relu())
        out = self.bn3(self.conv3(out))
        beside = x if self.downsample is None else self.downsample(self._shrink(x))
        joined: Tensor = (out + beside).relu()
        return joined

    def _shrink(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.stride) if self.stride > 1 else x


class AttentionPool(nn.Module):
    """What the mean of a feature map finds in it by attention."""

    def __init__(self, size: int, width: int, heads: int, embed_dim: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.heads = heads
        self.positional_embedding = _weights(size**2 + 1, width)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, embed_dim] of [n, width, size, size]."""
        places = x.flatten(2).permute(2, 0, 1)  # [size * size, n, width]
        x = torch.cat([places.mean(0, keepdim=True), places])
        x = x + self.positional_embedding[:, None]
        projections = self.q_proj, self.k_proj, self.v_proj
        pooled, _ = F.multi_head_attention_forward(
            *(x, x, x, x.shape[2], self.heads),
            in_proj_weight=None,
            in_proj_bias=torch.cat([each.bias for each in projections]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.c_proj.weight,
            out_proj_bias=self.c_proj.bias,
            training=self.training,
            need_weights=False,
            use_separate_proj_weight=True,
            q_proj_weight=self.q_proj.weight,
            k_proj_weight=self.k_proj.weight,
            v_proj_weight=self.v_proj.weight,
        )
        return pooled[0]


def _weights(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


def _convolution(channels: int, out: int, size: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, size, stride=stride, padding=size // 2, bias=False)
