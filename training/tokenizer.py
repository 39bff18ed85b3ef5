"""A byte-level BPE of about 3,200 entries in CLIP's form, learnt from captions.

CLIP's own table has 49,408 entries, which would cost the two small text encoders 19 MB.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
MAX_LENGTH = 77
_WORDS = Regex(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


def train_tokenizer(corpus: Iterable[str], vocabulary: int = 3000) -> CLIPTokenizer:
    """Learn merges from `corpus`; any other text still encodes, byte by byte."""
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=END))
    learner.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_WORDS, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        end_of_word_suffix="</w>",
        initial_alphabet=alphabet,
        min_frequency=3,
        show_progress=False,
    )
    learner.train_from_iterator(corpus, trainer)
    return _in_clip_form(alphabet, _merges(learner))


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """Read what `save_pretrained` wrote."""
    return CLIPTokenizer.from_pretrained(folder)


def _merges(learner: Tokenizer) -> list[tuple[str, str]]:
    import json

    merges = json.loads(learner.to_str())["model"]["merges"]
    return [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in merges]


def _in_clip_form(alphabet: list[str], merges: list[tuple[str, str]]) -> CLIPTokenizer:
    """CLIP's order: bytes, bytes that end a word, merges, the two special tokens."""
    entries = alphabet + [f"{byte}</w>" for byte in alphabet] + ["".join(pair) for pair in merges]
    entries = [*dict.fromkeys(entries), START, END]
    return CLIPTokenizer(
        vocab={entry: index for index, entry in enumerate(entries)},
        merges=merges,
        model_max_length=MAX_LENGTH,
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=END,
    )
