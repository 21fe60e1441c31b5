"""The words of the captions: how each value of an attribute can be said."""

from collections.abc import Iterator

from clip2latent_kedro.worlds.grammar import Phrases, list_fragments, pose_phrases
from clip2latent_kedro.worlds.portraits.attributes import ATTRIBUTES

HAIR_COLOURS = {
    "black": ("black",),
    "brown": ("brown", "chestnut"),
    "blonde": ("blonde", "blond", "golden"),
    "red": ("red", "ginger"),
    "grey": ("grey", "gray", "silver"),
    "pink": ("pink",),
    "blue": ("blue",),
}
_TOPS = ("shirt", "shirt", "top", "t-shirt", "sweater")
PHRASES: dict[str, dict[str, Phrases]] = {
    "skin": {
        "light": {
            "look": ("light-skinned", "fair-skinned", "pale"),
            "feature": ("light skin", "fair skin", "pale skin"),
        },
        "tan": {"look": ("tan", "tanned"), "feature": ("tan skin", "tanned skin")},
        "dark": {"look": ("dark-skinned",), "feature": ("dark skin",)},
    },
    "hair_style": {
        "bald": {"look": ("bald",), "feature": ("a bald head", "no hair")},
        "short": {"look": ("short-haired",), "feature": ("short hair",)},
        "long": {"look": ("long-haired",), "feature": ("long hair",)},
        "afro": {"feature": ("an afro", "curly hair", "curls")},
    },
    "hair_colour": {
        value: {
            "look": tuple(f"{word}-haired" for word in words),
            "feature": tuple(f"{word} hair" for word in words),
        }
        for value, words in HAIR_COLOURS.items()
    },
    "eye_colour": {
        value: {"look": (f"{value}-eyed",), "feature": (f"{value} eyes",)}
        for value in ATTRIBUTES["eye_colour"]
    },
    "eyewear": {
        "none": {"feature": ("no glasses",)},
        "glasses": {
            "feature": ("glasses", "spectacles"),
            "item": ("glasses", "eyeglasses", "spectacles"),
        },
        "sunglasses": {
            "feature": ("sunglasses",),
            "item": ("sunglasses", "shades", "dark glasses"),
        },
    },
    "beard": {
        "none": {"look": ("clean-shaven",), "feature": ("no beard",)},
        "moustache": {"feature": ("a moustache", "a mustache")},
        "beard": {"look": ("bearded",), "feature": ("a beard", "a full beard")},
    },
    "hat": {
        "none": {"feature": ("no hat",)},
        "beanie": {
            "feature": ("a beanie",),
            "item": ("a beanie", "a knit cap", "a wool cap"),
        },
        "fedora": {
            "feature": ("a fedora", "a hat"),
            "item": ("a fedora", "a hat", "a brimmed hat"),
        },
    },
    "expression": {
        "smiling": {
            "mood": ("smiling", "happy", "cheerful", "laughing"),
            "action": ("smiling", "grinning", "laughing", "looking happy"),
            "feature": ("a smile", "a big smile"),
        },
        "neutral": {
            "mood": ("serious",),
            "action": ("not smiling", "looking serious"),
            "feature": ("a neutral expression", "a neutral face", "a calm face"),
        },
        "sad": {
            "mood": ("sad", "unhappy", "gloomy"),
            "action": ("frowning", "looking sad"),
            "feature": ("a sad face", "a sad expression", "a frown"),
        },
        "surprised": {
            "mood": ("surprised", "astonished", "shocked"),
            "action": ("looking surprised", "looking astonished", "looking shocked"),
            "feature": ("a surprised face", "a surprised expression", "an open mouth"),
        },
    },
    "pose": pose_phrases(),
    "background": {
        "studio": {
            "place": (
                "in a studio",
                "in front of a plain wall",
                "against a plain background",
            )
        },
        "beach": {
            "place": ("at the beach", "on the beach", "by the sea", "by the ocean")
        },
        "forest": {
            "place": ("in the forest", "in a forest", "in the woods", "among trees")
        },
        "night": {
            "place": ("at night", "under the moon", "under the stars", "at midnight")
        },
        "sunset": {"place": ("at sunset", "at dusk", "in the evening")},
    },
    "shirt": {
        value: {
            "feature": (f"a {value} shirt",),
            "item": tuple(f"a {value} {kind}" for kind in _TOPS),
        }
        for value in ATTRIBUTES["shirt"]
    },
}


def grammar_fragments() -> Iterator[str]:
    """Yield pieces of text that hold every word which a caption can use."""
    yield from list_fragments(PHRASES)
