"""`Clip2StyleGAN`, with the arguments of the original project's class."""

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.api.editing import Editor, as_floats
from clip2latent_kedro.api.inputs import as_queries, plain_config
from clip2latent_kedro.api.sources import LoadedModels, open_models, open_shared
from clip2latent_kedro.conditioning import RetrievalBank
from clip2latent_kedro.editing.mix_request import Rows
from clip2latent_kedro.editing.prepared import EditStep, PreparedEdit
from clip2latent_kedro.editing.request import Asked
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.published import Buffers
from clip2latent_kedro.prior.sampling import adapt_sampling
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.sharing import (
    PREPROCESS,
    find_folder,
    read_folder,
    upload_folder,
    write_folder,
)
from clip2latent_kedro.text_to_image import GeneratedImages, TextToImage


class Clip2StyleGAN:
    """Images of prompts.

    >>> model = Clip2StyleGAN(checkpoint="student")
    >>> images, clip_score = model(["an old man"], 4, clip_sort=True)

    Attributes:
        text_to_image: Generator, encoder and prior.
        sampling: How to draw, unless a call says otherwise.
    """

    def __init__(
        self,
        cfg: str | Path | Mapping[str, Any] | LoadedModels | None = None,
        device: str | torch.device = "auto",
        checkpoint: str | Path | None = None,
        *,
        env: str | None = None,
        published_buffers: Buffers = "as_stored",
        retrieval_bank: RetrievalBank | None = None,
        latent_batch_size: int = 1024,
        image_batch_size: int = 16,
    ) -> None:
        """Load the models.

        Args:
            cfg: Folder of a Kedro project, whose catalog and parameters say what to
                load; None for the working directory. Or, where there is no Kedro, a
                mapping or the path of a YAML file with `generator` and `encoder`
                (each `kind`, `filepath` and `options`) and `sampling`, and perhaps
                `data` with `embed_preprocess` and `score_preprocess`. Or a YAML of
                the original project, or its address. A mapping may be OmegaConf's.
                Models that are loaded already are taken as they are.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            checkpoint: The prior: an entry of the catalog, a file, or an address
                (`https://`, `file://`, `s3://` with fsspec), which is downloaded once.
                None for the entry `prior`. A `.ckpt` is read as the original project
                writes it, with the YAML beside it or that which `cfg` has as `config`.
            env: Kedro environment.
            published_buffers: Of a `.ckpt`, what is not learned: `as_stored`, which
                the original samples with, or `exact`, as it was before an average
                rounded it.
            retrieval_bank: Embeddings of images, [N, clip_dim], for sampling with
                `retrieval_share`; None for the training pairs of the project.
            latent_batch_size: Latents denoised at a time.
            image_batch_size: Images synthesised at a time.

        Raises:
            InputError: If something cannot be loaded, or does not belong together.
        """
        models = open_models(plain_config(cfg), checkpoint, env, published_buffers)
        encoder, scorer = map(models.encoder_for, PREPROCESS)
        self.text_to_image = TextToImage(
            models.generator,
            encoder,
            models.prior,
            models.checkpoint.settings["data"]["latent_repeats"],
            latent_batch_size=latent_batch_size,
            image_batch_size=image_batch_size,
            device=pick_device(str(device)),
            retrieval_bank=retrieval_bank,
            scorer=scorer,
        )
        self.sampling = adapt_sampling(models.prior, models.sampling)
        self._models = models
        self._find_parts = cache(models.find_editing)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | torch.device = "auto",
        *,
        revision: str | None = None,
        retrieval_bank: RetrievalBank | None = None,
        latent_batch_size: int = 1024,
        image_batch_size: int = 16,
    ) -> "Clip2StyleGAN":
        """Return the model of a folder, or of a repository of the Hugging Face Hub.

        Args:
            source: Folder that `save_pretrained` has written, or `owner/name`.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            revision: Branch, tag or commit of the repository.
            retrieval_bank: Embeddings of images, for sampling with `retrieval_share`.
            latent_batch_size: Latents denoised at a time.
            image_batch_size: Images synthesised at a time.

        Raises:
            InputError: If it cannot be had or loaded.
        """
        return cls(
            open_shared(read_folder(find_folder(source, revision=revision))),
            device,
            retrieval_bank=retrieval_bank,
            latent_batch_size=latent_batch_size,
            image_batch_size=image_batch_size,
        )

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        include: Collection[str] = (),
        licence: str = "other",
    ) -> None:
        """Store the model as a folder that `from_pretrained` loads.

        Args:
            folder: Made if need be; files of the same names are replaced.
            include: `generator`, `encoder` or both, to be copied into the folder
                rather than named by where they are. Mind their licences.
            licence: Of the prior, as Hugging Face abbreviates it, for the model card.

        Raises:
            InputError: If the catalog does not tell how a model is loaded, or one that
                is to be included has no file.
        """
        shared = self._models.to_shared(self.sampling)
        write_folder(Path(folder), shared, include=include, licence=licence)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        include: Collection[str] = (),
        licence: str = "other",
        private: bool = False,
        token: str | None = None,
    ) -> str:
        """Put the folder of `save_pretrained` into a repository; return its address.

        Args:
            repo_id: `owner/name`, made if need be.
            include: What is copied into it (see `save_pretrained`).
            licence: Licence of the prior (see `save_pretrained`).
            private: Whether a new repository is for its owner alone.
            token: Of the account; None for the one that is logged in.

        Raises:
            InputError: If it cannot be stored or uploaded.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, include=include, licence=licence)
            return upload_folder(Path(folder), repo_id, private=private, token=token)

    def __call__(
        self,
        prompts: Any = None,
        n_samples_per_txt: int = 1,
        cond_scale: float | None = None,
        truncation: float | None = None,
        skips: int | None = None,
        clip_sort: bool = False,
        edit: Asked = None,
        *,
        edit_strength: float | Sequence[float] | None = None,
        edit_method: str | None = None,
        mix: Any = None,
        mix_layers: Rows = "fine",
        text_samples: Any = None,
        seed: int = 0,
        negative: Any = None,
        return_w: bool = False,
        sampling: Mapping[str, Any] | None = None,
    ) -> tuple[Tensor, ...]:
        """Return images and their CLIP scores, and w if wanted, all on the CPU.

        Images are scored by their prompt. Where an edit was asked for by texts, they
        are scored by the prompt moved as the texts lead, unit(prompt) + unit(target) -
        unit(neutral): by the prompt alone the image that is edited least would be the
        best. An edit of the styles is in the images, not in the w that is returned.

        Args:
            prompts: A text, an image (path, PIL, or [3, h, w] of floats in [-1, 1]),
                a weighted list such as [("a man", 1.0), ("glasses", -0.5)], or a list
                of these.
            n_samples_per_txt: Images of each prompt.
            cond_scale: Guidance; 1 is none.
            truncation: psi of w; 1 is none and, as in the original, so is more. To go
                away from the mean, say `sampling={"psi": ...}`.
            skips: Timesteps from one step to the next, as in the original: ddpm with
                its variance and T / skips steps. None for the sampler as configured.
            clip_sort: Whether to put the best image of each prompt first.
            edit: What to change after truncation. A name: of a direction, of a mapper
                or of a target of the project. A text of what is to be seen, or a pair
                from one text to another, `("a person", "a smiling person")`. A vector
                to add to w, as a tensor, an array or the path of a `.pt` or `.npy`
                file: [w_dim], [1 or num_ws, w_dim], or for each image [1 or b, 1 or
                num_ws, w_dim]. A `Direction`, a `StyleMapper`, an `EditMethod`. Or a
                list of these, applied in turn, each perhaps with its strength, as
                `("smile", 2.0)`.
            edit_strength: Of all edits, or of each; None for the middle one of each way
                of editing, and for 1 of a vector. Its unit is the way's own; 0 changes
                nothing.
            edit_method: A key of `EDIT_METHODS`, by which names and texts are edited;
                None for what the name is of, and for the prior of texts.
            mix: Style mixing, before any edit: what the rows of w in `mix_layers` are
                taken from. A prompt; a whole number, which is another seed of the same
                prompts; or w, [num_ws, w_dim] or [b, num_ws, w_dim].
            mix_layers: `coarse`, `middle` or `fine`, rows of w by number, or a list.
            text_samples: The original's name of `prompts`.
            seed: Image j of prompt i depends on (seed, i, j) alone.
            negative: What guidance leads away from: a prompt, or one for each.
            return_w: Whether to return w as well.
            sampling: Any settings of `SamplingConfig`, by name, over all of these.

        Returns:
            images [b, 3, h, w] in [-1, 1], clip_score [b] and, if wanted, w
            [b, num_ws, w_dim]; prompt by prompt, b of them in all.

        Raises:
            InputError: If an argument cannot be used.
        """
        _check_edit(edit, edit_strength, edit_method)
        if n_samples_per_txt < 1:
            msg = f"n_samples_per_txt must be 1 or more, got {n_samples_per_txt}."
            raise InputError(msg)
        if (prompts is None) == (text_samples is None):
            got = "neither" if prompts is None else "both"
            msg = f"Either prompts or text_samples must be given, got {got}."
            raise InputError(msg)
        prompts = text_samples if prompts is None else prompts
        settings = self._settings(
            cond_scale, truncation, skips, plain_config(sampling or {})
        )
        if settings.retrieval_share and self.text_to_image.retrieval_bank is None:
            bank = self._models.find_bank()
            self.text_to_image = replace(self.text_to_image, retrieval_bank=bank)
        queries = as_queries(prompts)
        unwanted = None if negative is None else as_queries(negative)
        draws: dict[str, Any] = {"num_samples": n_samples_per_txt, "seed": seed}
        steps: list[EditStep] = []
        if mix is not None:
            steps += self._editor(settings).read_mix(
                mix, mix_layers, queries, **draws, negative=unwanted
            )
        if edit is not None:
            num_images = len(queries) * n_samples_per_txt
            steps += self._editor(settings).read_edit(
                edit, edit_strength, edit_method, num_images=num_images
            )
        prepared = PreparedEdit(steps)
        found = self.text_to_image(
            queries,
            settings,
            **draws,
            negative=unwanted,
            edit=prepared if steps else None,
            toward=prepared.toward(self.text_to_image.encoder),
            rank=clip_sort,
            keep=as_floats,
        )
        return _as_tensors(found, return_w=return_w)

    def edit(
        self,
        pictures: Any,
        edit: Asked = None,
        edit_strength: float | Sequence[float] | None = None,
        edit_method: str | None = None,
        *,
        mix: Any = None,
        mix_layers: Rows = "fine",
        inversion: Mapping[str, Any] | None = None,
        seed: int = 0,
        return_w: bool = False,
    ) -> tuple[Tensor, ...]:
        """Return edited images of pictures or of w that are there already.

        Args:
            pictures: A picture (path, PIL of any mode, or [3, h, w] of floats in
                [-1, 1]) or several, which are inverted. Or w, as `return_w` gives it:
                [num_ws, w_dim], [b, num_ws, w_dim]; or the path of a stored w (see
                `editing.inversion.latent_files`).
            edit: What to change (see `__call__`); None shows what is found.
            edit_strength: Of all edits, or of each (see `__call__`).
            edit_method: By which names and texts are edited (see `__call__`).
            mix: What rows of w are taken from before any edit: a prompt, w, or a seed,
                by which a variation of each picture is drawn.
            mix_layers: Which rows (see `__call__`).
            inversion: Any settings of `InversionConfig`, by name, such as
                `{"space": "w+"}`, over those of the project. Where there is no
                perceptual loss, pictures are compared by their pixels.
            seed: Of the inversion and of what is mixed in.
            return_w: Whether to return w as well.

        Returns:
            images [b, 3, h, w] in [-1, 1], clip_score [b] and, if wanted, w
            [b, num_ws, w_dim]. Images are scored by the unedited ones, moved as the
            texts of an edit lead.

        Raises:
            InputError: If an argument cannot be used.
        """
        _check_edit(edit, edit_strength, edit_method)
        editor = self._editor(self.sampling)
        source = editor.read_source(pictures, plain_config(inversion or {}), seed=seed)
        found = editor.edit_source(
            source, edit, edit_strength, edit_method, mix, mix_layers, seed=seed
        )
        return _as_tensors(found, return_w=return_w)

    @property
    def editor(self) -> Editor:
        """What reads edits and pictures, with all that the project has for them."""
        return self._editor(self.sampling)

    def _editor(self, sampling: SamplingConfig) -> Editor:
        """Return what reads edits; it keeps what the project has for them."""
        return Editor(self._models, self._find_parts, self.text_to_image, sampling)

    def _settings(
        self,
        cond_scale: float | None,
        truncation: float | None,
        skips: int | None,
        overrides: Mapping[str, Any],
    ) -> SamplingConfig:
        changes: dict[str, Any] = {}
        if skips is not None:
            num_timesteps = len(self.text_to_image.prior.alpha_bar)
            if skips < 1 or num_timesteps % skips:
                msg = f"skips must divide {num_timesteps}, got {skips}."
                raise InputError(msg)
            changes |= {"sampler": "ddpm", "variance": "upstream"}
            changes["num_steps"] = num_timesteps // skips
        if cond_scale is not None:
            changes["guidance_scale"] = cond_scale
        if truncation is not None:
            changes |= {"truncation": "fixed", "psi": min(truncation, 1.0)}
        known = [field.name for field in fields(SamplingConfig)]
        if unknown := sorted(set(overrides) - set(known)):
            msg = f"sampling must set {', '.join(known)}, got {unknown[0]!r}."
            raise InputError(msg)
        return replace(self.sampling, **{**changes, **overrides})


def _check_edit(edit: Asked, strength: object, method: str | None) -> None:
    """Refuse what says how to edit where there is nothing to edit."""
    given = {"edit_strength": strength, "edit_method": method}
    named = [name for name, value in given.items() if value is not None]
    if edit is None and named:
        msg = (
            f"edit must say what to change where {' and '.join(named)} "
            f"{'are' if named[1:] else 'is'} given, got none. Give edit, or leave "
            f"{'them' if named[1:] else 'it'} out."
        )
        raise InputError(msg)


def _as_tensors(found: GeneratedImages, *, return_w: bool) -> tuple[Tensor, ...]:
    """Return images, scores and perhaps w, prompt by prompt, on the CPU."""
    assert found.scores is not None
    images = torch.from_numpy(found.images).flatten(0, 1)
    clip_score = torch.from_numpy(found.scores).float().flatten()
    if return_w:
        return images, clip_score, found.w.flatten(0, 1).cpu()
    return images, clip_score
