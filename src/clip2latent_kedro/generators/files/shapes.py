"""The shape of every tensor of a generator, told by its architecture alone.

Files are checked against these before any network is built, so that one that claims
an architecture it does not hold costs nothing.
"""

from collections.abc import Iterable, Mapping

from torch import Tensor

from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.lafite import LafiteConfig
from clip2latent_kedro.generators.stylegan2 import StyleGAN2Config
from clip2latent_kedro.generators.stylegan2_layers import fir_filter
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config

Shapes = dict[str, list[int]]


def stylegan2_shapes(config: StyleGAN2Config) -> Shapes:
    """Return the shapes of a StyleGAN2's state dict, by name."""
    embed = config.embed_features or config.w_dim if config.c_dim else 0
    shapes = _mapping(
        [config.z_dim + embed, config.mapping_features or config.w_dim, config.w_dim],
        config.mapping_layers,
        (config.c_dim, embed),
    )
    filter_ = list(fir_filter(config.resample_filter).shape)
    before = 0
    for r in config.block_resolutions:
        block, channels = f"synthesis.b{r}", config.channels(r)
        shapes[f"{block}.resample_filter"] = filter_
        if r == 4:
            shapes[f"{block}.const"] = [channels, 4, 4]
        for name, dim_in in (("conv0", before), ("conv1", channels)):
            if dim_in:
                layer = f"{block}.{name}"
                shapes |= _modulated(layer, dim_in, channels, config.w_dim, 3)
                shapes[f"{layer}.resample_filter"] = filter_
                if config.use_noise:
                    shapes[f"{layer}.noise_const"] = [r, r]
                    shapes[f"{layer}.noise_strength"] = []
        if r == config.resolution or config.architecture == "skip":
            colours = config.img_channels
            shapes |= _modulated(f"{block}.torgb", channels, colours, config.w_dim, 1)
        if before and config.architecture == "resnet":
            shapes[f"{block}.skip.weight"] = [channels, before, 1, 1]
            shapes[f"{block}.skip.resample_filter"] = filter_
        before = channels
    return shapes


def lafite_shapes(config: LafiteConfig) -> Shapes:
    """Return the shapes of a LAFITE generator's state dict, by name."""
    shapes = stylegan2_shapes(config)
    dims = (config.text_dim, config.text_hidden, config.text_features)
    affines = [name for name in shapes if name.endswith(".affine.weight")]
    for name in affines:
        layer = name.removesuffix(".affine.weight")
        channels, w_dim = shapes[name]
        way = config.way(int(layer.split(".")[1].removeprefix("b")))
        if way == "concatenate":
            del shapes[name], shapes[f"{layer}.affine.bias"]
        if way in ("concatenate", "add"):
            num_in = dims[2] + (w_dim if way == "concatenate" else 0)
            shapes |= _dense(f"{layer}.affine_0", num_in, channels)
        hidden = {"none": (), "scale": ("scale_layer", "bias_layer")}.get(way, ("pre",))
        for part in hidden:
            shapes |= _dense(f"{layer}.{part}_0", dims[0], dims[1])
            shapes |= _dense(f"{layer}.{part}_1", dims[1], dims[2])
            if way == "scale":
                shapes |= _dense(f"{layer}.{part}_2", dims[2], channels)
    return shapes


def stylegan3_shapes(config: StyleGAN3Config) -> Shapes:
    """Return the shapes of a StyleGAN3's state dict, by name."""
    w_dim = config.w_dim
    embed = w_dim if config.c_dim else 0
    shapes = _mapping(
        [config.z_dim + embed, w_dim, w_dim],
        config.mapping_layers,
        (config.c_dim, embed),
    )
    signals = config.signals
    channels = signals[0].channels
    shapes |= {
        "synthesis.input.weight": [channels, channels],
        "synthesis.input.transform": [3, 3],
        "synthesis.input.freqs": [channels, 2],
        "synthesis.input.phases": [channels],
        **_dense("synthesis.input.affine", w_dim, 4),
    }
    for index, target in enumerate(signals):
        source = signals[max(index - 1, 0)]
        layer = f"synthesis.L{index}_{target.size}_{target.channels}"
        is_colour = index == config.num_layers
        kernel = 1 if is_colour else config.conv_kernel
        shapes |= _modulated(layer, source.channels, target.channels, w_dim, kernel)
        shapes[f"{layer}.magnitude_ema"] = []
        if is_colour:
            continue
        rate = max(source.rate, target.rate) * config.lrelu_upsampling
        up = config.filter_size * (rate // source.rate)
        down = config.filter_size * (rate // target.rate)
        is_critical = index >= config.num_layers - config.num_critical
        is_radial = config.use_radial_filters and not is_critical
        if rate > source.rate:
            shapes[f"{layer}.up_filter"] = [up]
        if rate > target.rate:
            shapes[f"{layer}.down_filter"] = [down, down] if is_radial else [down]
    return shapes


def check_shapes(expected: Shapes, tensors: Mapping[str, Tensor]) -> None:
    """Check that tensors have exactly these names and shapes.

    Raises:
        Refusal: If they do not; the message names the first few.
    """
    got = {name: list(value.shape) for name, value in tensors.items()}
    wrong = [
        f"{name[:80]!r} is {got.get(name, 'missing')} instead of "
        f"{expected.get(name, 'absent')}"
        for name in sorted(expected.keys() | got.keys())
        if expected.get(name) != got.get(name)
    ]
    if wrong:
        more = f"; {len(wrong) - 3} more" if len(wrong) > 3 else ""
        msg = f"holds no generator of a known layout: {'; '.join(wrong[:3])}{more}"
        raise Refusal(msg)


def _mapping(
    dims: Iterable[int], num_layers: int, label: tuple[int, int]
) -> dict[str, list[int]]:
    """Return the shapes of a mapping network.

    Args:
        dims: Of its input, between its layers, and of w.
        num_layers: How many fully connected layers.
        label: Channels of c and of its embedding; 0 for none.
    """
    first, hidden, w_dim = dims
    shapes = {"mapping.w_avg": [w_dim]}
    if label[0]:
        shapes |= _dense("mapping.embed", *label)
    ends = [first, *[hidden] * (num_layers - 1), w_dim]
    for index in range(num_layers):
        shapes |= _dense(f"mapping.fc{index}", ends[index], ends[index + 1])
    return shapes


def _dense(name: str, dim_in: int, dim_out: int) -> Shapes:
    return {f"{name}.weight": [dim_out, dim_in], f"{name}.bias": [dim_out]}


def _modulated(
    name: str, channels_in: int, channels_out: int, w_dim: int, kernel: int
) -> Shapes:
    return {
        f"{name}.weight": [channels_out, channels_in, kernel, kernel],
        f"{name}.bias": [channels_out],
        **_dense(f"{name}.affine", w_dim, channels_in),
    }
