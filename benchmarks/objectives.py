"""Each objective on real text: its loss beside the entropy of its targets, and with the context shuffled.

    python benchmarks/objectives.py DATA [--texts books wikipedia wikitext-2] [--objectives causal masked ...]

DATA holds `gutenberg/*.txt.gz`, `wikipedia/enwiki*.xml.bz2` (a dump's beginning) and `wikitext-2/*.txt.gz`. One small model a
family of objectives, one tokenizer a text; rows of 128 tokens. Runs are kept in `runs/objectives/TEXT-OBJECTIVE`, and a finished
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
from typing import Any

from context import measure

import jaxlm
from jaxlm.core import Source, UserError
from jaxlm.corpus import DeduplicateParagraphs, Sections, TextFiles, WikipediaDump
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

SEQ_LEN = 128
TEXTS: dict[str, Callable[[Path], Source]] = {
    "books": lambda data: TextFiles(data / "gutenberg", label="books"),
    "wikipedia": lambda data: WikipediaDump(data / "wikipedia" / "enwiki-latest*.xml.bz2", label="wikipedia"),
    "wikitext-2": lambda data: TextFiles(data / "wikitext-2"),
}


DECODER = modern(num_layers=2, embed_dim=128, unroll=True)
BOTH_WAYS = modern(num_layers=2, embed_dim=128, causal=False, activation="gelu", output_bias=True, unroll=True)
ENCODER_DECODER = jaxlm.recipe("nano/ul2").model
OBJECTIVES: dict[str, tuple[Objective, Any, int, int]] = {  # with the model, the number of steps and the rows of each
    "causal": (CausalLM(), DECODER, 300, 16),
    "prefix": (PrefixLM(), DECODER, 300, 16),
    "infill": (Blend((CausalLM(), 0.5), (FillInMiddle(), 0.5)), DECODER, 300, 16),
    "masked": (MaskedLM(), BOTH_WAYS, 600, 16),
    "masked-words": (MaskedLM(masking=WholeWords()), BOTH_WAYS, 600, 16),
    "masked-spans": (MaskedLM(masking=Spans()), BOTH_WAYS, 600, 16),
    "spans": (SpanCorruption(), ENCODER_DECODER, 800, 16),
    "denoisers": (mixture_of_denoisers(target_length=SEQ_LEN), ENCODER_DECODER, 800, 16),
    "replaced": (ReplacedTokenDetection(), jaxlm.recipe("nano/electra").model, 800, 16),
    "next-sentence": (NextSentence(), jaxlm.recipe("nano/next_sentence").model, 700, 32),
    "sentence-order": (SentenceOrder(), jaxlm.recipe("nano/sentence_order").model, 700, 32),
}


def recipe(text: Source, objective: Objective, model: Any, steps: int, batch_size: int) -> RunConfig:
    return RunConfig(
        model=model,
        objective=objective,
        optimizer=Muon(learning_rate=0.02, adam_learning_rate=0.007, schedule=WSD(decay=0.6), weight_decay=0.0),
        tokenizer=SentencePiece(vocab_size=2000, model_type="bpe", num_sentinels=40),
        data=DataConfig(
            sources=(text,),
            steps=(DeduplicateParagraphs(), Sections()),
            packing="documents" if objective.num_token_types else "windows",
            validation_fraction=0.1,
            seq_len=SEQ_LEN,
        ),
        train=TrainConfig(steps=steps, batch_size=batch_size),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--texts", nargs="+", choices=TEXTS, default=list(TEXTS))
    parser.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=list(OBJECTIVES))
    given = parser.parse_args()
    for text, name in itertools.product(given.texts, given.objectives):
        run, begun = Path("runs/objectives", f"{text}-{name}"), time.process_time()
        trained = (run / "summary.json").exists()
        try:
            jaxlm.fit(recipe(TEXTS[text](given.data), *OBJECTIVES[name]), run)
        except UserError as error:
            sys.exit(f"error: {error}")
        minutes = None if trained else round((time.process_time() - begun) / 60, 1)
        print(json.dumps({"run": str(run), "cpu_minutes": minutes, **measure(str(run), num_rows=10_000, trust=False)}), flush=True)


if __name__ == "__main__":
    main()
