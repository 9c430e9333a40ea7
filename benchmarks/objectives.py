"""Each objective on real text: its loss beside the entropy of its targets, and with the context shuffled.

    python benchmarks/objectives.py DATA [--texts books wikipedia wikitext-2] [--objectives causal masked ...]

DATA holds `gutenberg/*.txt.gz`, `wikipedia/enwiki*.xml.bz2` (a dump's beginning) and `wikitext-2/*.txt.gz`. One small model a
family of objectives. Runs are kept in `runs/objectives/TEXT-OBJECTIVE`, and a finished
one is not trained again. A line of JSON a run: what `benchmarks/context.py` finds, and the CPU minutes that the run took, its
evaluation and the making of tokenizer and store among them (null where it was there already).
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from context import measure

import jaxlm
from jaxlm.core import Source, Step, UserError
from jaxlm.corpus import DeduplicateParagraphs, LeadingSpace, Sections, TextFiles, WikipediaDump
from jaxlm.data.config import DataConfig
from jaxlm.models import modern
from jaxlm.objectives import (
    Blend,
    CausalLM,
    FillInMiddle,
    MaskedLM,
    NextSentence,
    Objective,
    PrefixLM,
    ReplacedTokenDetection,
    SentenceOrder,
    SpanCorruption,
    Spans,
    WholeWords,
    mixture_of_denoisers,
)
from jaxlm.optim import WSD, Muon
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import SentencePiece
from jaxlm.train.config import TrainConfig

TEXTS: dict[str, Callable[[Path], Source]] = {
    "books": lambda data: TextFiles(data / "gutenberg", label="books"),
    "wikipedia": lambda data: WikipediaDump(data / "wikipedia" / "enwiki-latest*.xml.bz2", label="wikipedia"),
    "wikitext-2": lambda data: TextFiles(data / "wikitext-2", label="wikitext-2"),
}
PARAGRAPHS: dict[str, Literal["blank lines", "line ends"]] = {"wikitext-2": "line ends"}
"""What ends one, where it is not a blank line."""


class Trial(NamedTuple):
    """What is trained, and how long."""

    objective: Objective
    model: Any
    steps: int
    batch_size: int = 16
    seq_len: int = 128
    learning_rate: float = 0.02
    max_chars: int = 20_000
    """Of a document; longer ones are cut between paragraphs."""
    then: tuple[Step, ...] = ()
    """What the documents go through last."""


DECODER = modern(num_layers=2, embed_dim=128, unroll=True)
BOTH_WAYS = modern(num_layers=2, embed_dim=128, causal=False, activation="gelu", output_bias=True, unroll=True)
ENCODER_DECODER = modern(num_layers=1, encoder_layers=1, embed_dim=128, unroll=True)
TRIALS = {
    "causal": Trial(CausalLM(), DECODER, 300),
    "prefix": Trial(PrefixLM(), DECODER, 300),
    "infill": Trial(Blend((CausalLM(), 0.5), (FillInMiddle(), 0.5)), DECODER, 300),
    "masked": Trial(MaskedLM(), BOTH_WAYS, 600),
    "masked-words": Trial(MaskedLM(masking=WholeWords()), BOTH_WAYS, 600),
    "masked-spans": Trial(MaskedLM(masking=Spans()), BOTH_WAYS, 600),
    "spans": Trial(SpanCorruption(), ENCODER_DECODER, 2000, 64, 32, 0.01),
    "denoisers": Trial(mixture_of_denoisers(target_length=20), ENCODER_DECODER, 2100, 64, 32, 0.014),
    "replaced": Trial(ReplacedTokenDetection(), jaxlm.recipe("nano/electra").model, 800),
    "next-sentence": Trial(NextSentence(), jaxlm.recipe("nano/next_sentence").model, 700, 32),
    "sentence-order": Trial(
        SentenceOrder(), jaxlm.recipe("nano/next_sentence").model, 1200, 32, max_chars=400, then=(LeadingSpace(),)
    ),
}


def recipe(text: Source, trial: Trial) -> RunConfig:
    sections = Sections(trial.max_chars, PARAGRAPHS.get(text.label, "blank lines"))
    return RunConfig(
        model=trial.model,
        objective=trial.objective,
        optimizer=Muon(learning_rate=trial.learning_rate, adam_learning_rate=0.007, schedule=WSD(decay=0.6), weight_decay=0.0),
        tokenizer=SentencePiece(vocab_size=2000, model_type="bpe", num_sentinels=40),
        data=DataConfig(
            sources=(text,),
            steps=(DeduplicateParagraphs(), sections, *trial.then),
            packing="documents" if trial.objective.num_token_types else "windows",
            validation_fraction=0.1,
            seq_len=trial.seq_len,
        ),
        train=TrainConfig(steps=trial.steps, batch_size=trial.batch_size),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--texts", nargs="+", choices=TEXTS, default=list(TEXTS))
    parser.add_argument("--objectives", nargs="+", choices=TRIALS, default=list(TRIALS))
    given = parser.parse_args()
    for text, name in itertools.product(given.texts, given.objectives):
        run, begun = Path("runs/objectives", f"{text}-{name}"), time.process_time()
        trained = (run / "summary.json").exists()
        try:
            jaxlm.fit(recipe(TEXTS[text](given.data), TRIALS[name]), run)
        except UserError as error:
            sys.exit(f"error: {error}")
        minutes = None if trained else round((time.process_time() - begun) / 60, 1)
        print(json.dumps({"run": str(run), "cpu_minutes": minutes, **measure(str(run), num_rows=10_000, trust=False)}), flush=True)


if __name__ == "__main__":
    main()
