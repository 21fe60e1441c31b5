"""The Python API of the original project: one object, from prompts to images."""

from clip2latent_kedro.api.clip2stylegan import Clip2StyleGAN

__all__ = ["Clip2StyleGAN"]
