"""What the page says: examples, what the model is and cannot do, licences."""

from pathlib import Path

from clip2latent_kedro.api.sources import LoadedModels
from clip2latent_kedro.demo.service import Service
from clip2latent_kedro.sharing import ModelReference

TITLE = "clip2latent"
SUBTITLE = (
    "Text to image from an image generator that has never seen a text: a small prior "
    "turns CLIP's embedding of your words into the generator's own latent."
)
PROMPT_HELP = "Several parts, weighted: a man | glasses: -0.5"

PORTRAIT_EXAMPLES = (
    "a photograph of an old man with a grey beard smiling at the beach",
    "a young woman with long red hair and green eyes",
    "a bald man wearing sunglasses at night",
    "a lady with a brown afro looking to the left in the forest",
    "a pirate at sea",
    "a person with pink hair | glasses: 0.6",
)
FACE_EXAMPLES = (
    "a photograph of an old man with a grey beard",
    "a young woman with long red hair",
    "a smiling man with glasses",
    "a child with curly hair",
)

_PORTRAITS = (
    "These models know one small drawn world: portraits of 64 x 64 pixels with named "
    "attributes (age, hair, eyes, glasses, beard, hat, expression, pose, background, "
    "shirt). No photograph and no real person is in them. They are for trying the "
    "method out and for teaching.",
    "A text outside that world is read as far as its words are known. The CLIP score "
    "is the encoder's own opinion: it tells which of two pictures fits the words "
    "better, not how well they are drawn.",
)
_OTHERS = (
    "The pictures are what the generator can draw, and no more: a text about something "
    "else is answered by the nearest thing that it knows. The CLIP score is the "
    "encoder's own opinion, and no measure of truth or quality.",
    "Generator and encoder have the prejudices of the pictures and texts that they "
    "were trained on. People in these pictures do not exist; do not use them to "
    "deceive, nor upload pictures of others without their consent.",
)

OURS = "MIT, as the project that it comes with"
UNKNOWN_LICENCE = "under the licence of its owners: see where it was published"


def is_portraits(loaded: LoadedModels) -> bool:
    """Return whether the encoder is that of the drawn portraits."""
    reference = loaded.references[1]
    return reference is not None and reference.kind == "compact_clip"


def find_examples(loaded: LoadedModels) -> tuple[str, ...]:
    """Return prompts that suit the models."""
    return PORTRAIT_EXAMPLES if is_portraits(loaded) else FACE_EXAMPLES


def describe_model(loaded: LoadedModels) -> tuple[str, ...]:
    """Return what the model is and cannot do, in short paragraphs."""
    return _PORTRAITS if is_portraits(loaded) else _OTHERS


def list_facts(loaded: LoadedModels, service: Service) -> dict[str, str]:
    """Return what is loaded, and by which licence; folders here are not told."""
    number = service.defaults.num_steps
    steps = "one step" if service.is_one_step else f"{number} steps"
    facts = {"Prior": f"{steps} by default; it carries the licence of its owner"}
    identities = (loaded.generator.identity, loaded.encoder.identity)
    for role, identity, reference in zip(
        ("Generator", "Encoder"), identities, loaded.references, strict=True
    ):
        words = str(identity)
        terms = None if reference is None else licence_of(reference)
        words += f", licence: {terms}" if terms else f", {UNKNOWN_LICENCE}"
        facts[role] = words
    if is_portraits(loaded):
        facts["Prior"] = f"{steps} by default; MIT licence if the project trained it"
    facts["Pictures"] = f"{service.resolution} x {service.resolution} pixels"
    facts["Method"] = "clip2latent, Pinkney and Li 2022, arXiv 2210.02347"
    facts["Your data"] = (
        "Prompts, pictures and settings stay in this program's memory and are gone "
        "when you leave; nothing is sent elsewhere"
    )
    return facts


def licence_of(reference: ModelReference) -> str | None:
    """Return the licence of a model in words; None where it is not known here."""
    return OURS if is_ours(reference) else reference.licence


def is_ours(reference: ModelReference) -> bool:
    """Return whether a file comes with the package."""
    if reference.filepath is None:
        return False
    package = Path(__file__).resolve().parents[1]
    return Path(reference.filepath).resolve().is_relative_to(package / "worlds")
