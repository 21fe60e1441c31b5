"""CLIP's byte-pair encoding: text -> token ids, from open_clip's own vocabulary.

Sources: Sennrich et al. 2016 (arXiv 1508.07909), on bytes as in GPT-2 (Radford et al.
2019), with the vocabulary of CLIP (Radford et al. 2021). open_clip's `SimpleTokenizer`
gives the same ids; importing it takes longer than torch, since it comes with all of
open_clip's models and torchvision's.
"""

import gzip
import html
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from math import inf
from pathlib import Path

import regex
import torch
from torch import Tensor

NUM_MERGES = 48_894  # so that there are 49,408 tokens in all
WORD_END = "</w>"
START, END = "<start_of_text>", "<end_of_text>"
_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
# A mark, an English ending, letters, one digit, or anything else but spaces.
_PIECES = regex.compile(
    rf"{START}|{END}|'(?:s|t|re|ve|m|ll|d)|\p{{L}}+|\p{{N}}|[^\s\p{{L}}\p{{N}}]+",
    regex.IGNORECASE,
)


class ClipTokenizer:
    """Texts to token ids.

    Attributes:
        context_length: Tokens of a text, start and end among them.
        vocab_size: Number of ids.
        sot_token_id: Start of a text.
        eot_token_id: End of a text, the largest id.
    """

    def __init__(self, context_length: int) -> None:
        """Read the vocabulary, which is kept for the next one."""
        self.context_length = context_length
        self._ids, self._ranks = _read_vocabulary()
        self.vocab_size = len(self._ids)
        self.sot_token_id = self._ids[START]
        self.eot_token_id = self._ids[END]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without start and end."""
        fixed = html.unescape(html.unescape(_mend(text)))
        pieces = _PIECES.findall(" ".join(fixed.split()).lower())
        return [self._ids[token] for piece in pieces for token in self._merge(piece)]

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return ids, [n, context_length] int64, 0 after the end of a text.

        Of a longer text the end is cut off.
        """
        tokens = torch.zeros(len(texts), self.context_length, dtype=torch.long)
        for row, text in zip(tokens, texts, strict=True):
            ids = [self.sot_token_id, *self.encode(text)][: self.context_length - 1]
            row[: len(ids) + 1] = torch.tensor([*ids, self.eot_token_id])
        return tokens

    def _merge(self, piece: str) -> list[str]:
        """Return the tokens of a piece: its bytes, the best pair joined at a time."""
        if piece in (START, END):
            return [piece]
        letters = _byte_letters()
        symbols = [letters[byte] for byte in piece.encode()]
        symbols[-1] += WORD_END
        while len(symbols) > 1:
            pairs = list(pairwise(symbols))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, inf))
            if best not in self._ranks:
                break
            symbols = list(_join(symbols, best))
        return symbols


def _mend(text: str) -> str:
    """Return a text without what went wrong with its characters, as ftfy does."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return text
    import ftfy  # not for the plain texts that most prompts are

    return ftfy.fix_text(text)


def _join(symbols: Sequence[str], pair: tuple[str, str]) -> Iterator[str]:
    """Yield symbols, every occurrence of a pair as one, from the left."""
    place = 0
    while place < len(symbols):
        if tuple(symbols[place : place + 2]) == pair:
            yield "".join(pair)
            place += 2
        else:
            yield symbols[place]
            place += 1


@cache
def _byte_letters() -> dict[int, str]:
    """Return a visible letter for each byte: Latin-1's own, or one from 256 on."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in visible]
    stand_ins = {byte: chr(256 + number) for number, byte in enumerate(others)}
    return {byte: chr(byte) for byte in visible} | stand_ins


@cache
def _read_vocabulary() -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Return ids by token, and ranks by pair of tokens that are joined.

    Raises:
        FileNotFoundError: If open_clip is not installed.
    """
    spec = find_spec("open_clip")  # the file alone, nothing is imported
    folders = (spec and spec.submodule_search_locations) or ()
    paths = [path for place in folders if (path := Path(place, _VOCABULARY)).is_file()]
    if not paths:
        msg = f"{_VOCABULARY} must come with open-clip-torch. Install that."
        raise FileNotFoundError(msg)
    lines = gzip.decompress(paths[0].read_bytes()).decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : NUM_MERGES + 1]]
    letters = list(_byte_letters().values())
    ends = [letter + WORD_END for letter in letters]
    tokens = [*letters, *ends, *map("".join, merges), START, END]
    ids = {token: number for number, token in enumerate(tokens)}
    return ids, {(a, b): rank for rank, (a, b) in enumerate(merges)}
