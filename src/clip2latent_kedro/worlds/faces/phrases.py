"""The words of the captions of faces: how each value of an attribute can be said."""

from collections.abc import Iterator

from clip2latent_kedro.worlds.grammar import Phrases, list_fragments, pose_phrases

PHRASES: dict[str, dict[str, Phrases]] = {
    "expression": {
        "smiling": {
            "mood": ("smiling", "happy", "cheerful", "laughing"),
            "action": ("smiling", "grinning", "laughing", "looking happy"),
            "feature": ("a smile", "a big smile", "a happy face"),
        },
        "serious": {
            "mood": ("serious", "unsmiling"),
            "action": ("not smiling", "looking serious"),
            "feature": ("a serious expression", "a serious face", "no smile"),
        },
        "surprised": {
            "mood": ("surprised", "astonished", "shocked"),
            "action": ("looking surprised", "looking astonished", "looking shocked"),
            "feature": ("a surprised face", "a surprised expression", "an open mouth"),
        },
    },
    "pose": pose_phrases(),
    "light": {
        "dim": {"place": ("in the dark", "in dim light", "in the shade", "in shadow")},
        "bright": {"place": ("in bright light", "in the light", "in daylight")},
    },
    "tone": {
        "cold": {"feature": ("pale skin", "cold colours", "bluish skin")},
        "warm": {"feature": ("warm skin", "warm colours", "tanned skin")},
    },
    "background": {
        "dark": {
            "place": (
                "against a dark background",
                "in front of a black wall",
                "in front of a dark background",
            )
        },
        "light": {
            "place": (
                "against a light background",
                "in front of a white wall",
                "in front of a bright background",
            )
        },
        "blue": {
            "place": (
                "against a blue background",
                "in front of a blue sky",
                "under a blue sky",
            )
        },
    },
}


def grammar_fragments() -> Iterator[str]:
    """Yield pieces of text that hold every word which a caption can use."""
    yield from list_fragments(PHRASES)
