"""BLEU of a run of `multi30k_en_de` on the test set of 2016.

    python benchmarks/multi30k.py RUN DIR [--num-beams 4] [--length-penalty 0.6]

DIR holds `test_2016_flickr.en` and `test_2016_flickr.de`, plain, .gz or .bz2 (1,000 pairs). The texts are as published: their case
counts, and they are not cut into words before sacrebleu does so (13a). Three translations are shown. The last line of the output
is one JSON object.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import jaxlm
from jaxlm.core import UserError
from jaxlm.corpus import ParallelLines
from jaxlm.evaluate.translation import bleu, require_sacrebleu, translate
from jaxlm.train.waiting import waiting

SHOWN = 3


def measured(run: Path, folder: Path, num_beams: int, length_penalty: float) -> dict:
    require_sacrebleu()  # before anything is computed
    pairs = [document.streams for document in ParallelLines(folder / "test_2016_flickr", fields=("en", "de")).documents()]
    loaded, begun = jaxlm.load(run), time.monotonic()
    sources, references = ([pair[side] for pair in pairs] for side in ("en", "de"))
    settings = {"num_beams": num_beams, "length_penalty": length_penalty}
    with waiting(f"translating {len(sources):,} texts"):
        answers = translate(loaded.model, loaded.params, loaded.tokenizer, sources, **settings)
    seconds = round(time.monotonic() - begun, 1)
    score, signature = bleu(answers, references)
    for k in range(SHOWN):
        i = k * len(pairs) // SHOWN
        print(f"{sources[i]}\n  a person: {references[i]}\n  the model: {answers[i]}\n")
    return {
        "bleu": round(score, 2),
        "signature": signature,
        "step": loaded.step,
        **settings,
        "texts": len(pairs),
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num-beams", type=int, default=4)
    parser.add_argument("--length-penalty", type=float, default=0.6)
    given = parser.parse_args()
    try:
        result = measured(given.run, given.folder, given.num_beams, given.length_penalty)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
