"""Tokens a second of the input pipeline alone, per number of worker processes.

    python benchmarks/input.py [--json] [--seconds 4]

Synthetic documents of realistic lengths (log-normal, median 1,000 bytes, as web text has), a byte tokenizer, windows of
1024: shuffled, packed, with segments and positions, prepared for causal learning, stacked, in batches of 16, through
the very `iterate` that training reads. Aims: 10 million tokens/s without workers, 8 with one or two.
The last line of the output is one JSON object.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxlm.core import Document
from jaxlm.data import Batches, Examples, WindowReader, iterate, pack, write_store
from jaxlm.objectives import CausalLM
from jaxlm.tokenizer import Bytes

SEQ_LEN, BATCH_SIZE = 1024, 16
WORKERS = (0, 1, 2)
AIMS = {0: 10e6, 1: 8e6, 2: 8e6}


def documents(num_tokens: int) -> Iterator[tuple[Document, bool]]:
    rng = np.random.default_rng(0)
    text = "".join(map(chr, rng.integers(32, 127, size=2**20)))
    written = 0
    while written < num_tokens:
        length = int(min(rng.lognormal(np.log(1000), 1.1), 200_000))
        start = int(rng.integers(len(text) - length))
        yield Document.of(str(written), text[start : start + length], "synthetic"), False
        written += length + 2


def measure(examples: Examples, num_workers: int, seconds: float) -> float:
    """Tokens a second, from the second batch on, when the workers stand."""
    batches = Batches(examples, batch_size=BATCH_SIZE, start_position=0)
    with iterate(batches, num_workers=num_workers) as iterator:
        for _ in range(8 * max(1, num_workers)):  # what was made ahead while workers started
            next(iterator)
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            for _ in range(16):
                batch = next(iterator)
                count += batch["tokens"].size
        return count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON object on stdout")
    parser.add_argument("--seconds", type=float, default=4.0, help="measured for each number of workers")
    parser.add_argument("--tokens", type=int, default=2**25, help="tokens of the synthetic store")
    args = parser.parse_args()
    say = sys.stderr if args.json else sys.stdout
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = Bytes().train(list)
        store = write_store(Path(folder) / "store", documents(args.tokens), tokenizer)
        part = store.part("train", "synthetic")
        objective = CausalLM()
        raw_length = objective.raw_length(SEQ_LEN)
        reader = WindowReader(part, pack(part, "windows", raw_length, objective.overlap), raw_length)
        examples = Examples([reader], objective, tokenizer.vocab, seq_len=SEQ_LEN, seed=0)
        print(f"{part.num_tokens:,} tokens, {part.num_documents:,} documents, {os.cpu_count()} CPUs", file=say)
        for workers in WORKERS:
            rates[workers] = measure(examples, workers, args.seconds)
            print(f"{workers} workers: {rates[workers] / 1e6:6.1f} million tokens/s (aim {AIMS[workers] / 1e6:.0f})", file=say)
    result = {
        "seq_len": SEQ_LEN,
        "batch_size": BATCH_SIZE,
        "tokens_per_s": {str(workers): round(rate) for workers, rate in rates.items()},
        "aims_met": all(rates[workers] >= AIMS[workers] for workers in WORKERS),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
