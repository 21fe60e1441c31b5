"""What every method that reads training pairs must make sure of."""

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.pairs import TrainingPairs


def check_models(generator: Generator, encoder: Encoder, pairs: TrainingPairs) -> None:
    """Check that pairs were made with these models.

    Raises:
        InputError: If not.
    """
    check_made_with(pairs, generator=generator, encoder=encoder)


def check_made_with(pairs: TrainingPairs, **models: Generator | Encoder) -> None:
    """Check that pairs were made with some models, each named as in their recipe.

    Raises:
        InputError: If not.
    """
    for role, model in models.items():
        identity = model.identity
        if pairs.recipe[role] != f"{identity.name}@{identity.digest}":
            msg = (
                f"training_pairs must be made with the {role} {identity}, got pairs of "
                f"{pairs.recipe[role]}. Run data_generation for {identity}."
            )
            raise InputError(msg)
