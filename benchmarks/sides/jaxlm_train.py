"""Our side of `benchmarks/cpu_step.py`: `train` on random tokens, in stretches as long as the benchmark says.

    python benchmarks/sides/jaxlm_train.py '{"num_layers": 4, ...}'

Reads from stdin, a line each, how many steps to make (a multiple of 10), and answers `seconds S`; the first answer is
of the first 10, which compile.
"""

from jaxlm.cli.allocator import keep_pages

keep_pages()  # as `jaxlm train` does, before anything imports jax

# ruff: noqa: E402
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxlm.checkpoint.config import CheckpointConfig
from jaxlm.core import Document, Vocab
from jaxlm.data import Store, write_store
from jaxlm.data.config import DataConfig
from jaxlm.models import gpt2
from jaxlm.objectives import CausalLM
from jaxlm.optim import AdamW
from jaxlm.run.assemble import Materials, assemble
from jaxlm.run.config import RunConfig
from jaxlm.tokenizer import Bytes
from jaxlm.train.config import LogConfig, TrainConfig
from jaxlm.train.loop import train

NUM_STEPS = 10**6  # never reached
LOG_EVERY = 10


class RandomIds:
    """In a tokenizer's place: a text is a number, of random ids."""

    def __init__(self, vocab_size: int):
        self.vocab = Vocab(vocab_size, "random", pad=0, bos=1, eos=2)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [rng.integers(3, self.vocab.size, int(text)).astype(np.uint16) for text in texts]


class Pace:
    """A log that holds the loop after a stretch of steps, tells its seconds and waits for the length of the next."""

    def __init__(self) -> None:
        self._begun, self._stop = time.perf_counter(), LOG_EVERY

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        if step < self._stop:
            return
        print(f"seconds {time.perf_counter() - self._begun}", flush=True)
        self._stop = step + int(sys.stdin.readline() or sys.exit())
        self._begun = time.perf_counter()

    def close(self) -> None:
        pass


def config(shape: Mapping[str, int]) -> RunConfig:
    return RunConfig(
        model=gpt2(
            num_layers=shape["num_layers"],
            embed_dim=shape["embed_dim"],
            num_heads=shape["num_heads"],
            context=shape["context"],
            bias=False,  # as nanoGPT's train.py has it
            unroll=True,
        ),
        objective=CausalLM(),
        optimizer=AdamW(learning_rate=1e-3, warmup_steps=100, steps=NUM_STEPS),
        tokenizer=Bytes(),  # not used: the store is made of random ids
        data=DataConfig(sources=(), seq_len=shape["context"]),
        train=TrainConfig(steps=NUM_STEPS, batch_size=shape["batch_size"]),
        checkpoint=CheckpointConfig(every=None, every_seconds=None),
        log=LogConfig(every=LOG_EVERY),
    )


def random_store(folder: Path, tokenizer: Any) -> Store:
    documents = [(Document.of("train", "1000000"), False), (Document.of("validation", "10000"), True)]
    return write_store(folder, documents, tokenizer)


def main() -> None:
    shape = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        tokenizer: Any = RandomIds(shape["vocab_size"])
        run = assemble(config(shape), Materials(tokenizer, random_store(Path(folder) / "store", tokenizer)), Path(folder))
        train(replace(run, logs=lambda step: [*run.logs(step), Pace()]))


if __name__ == "__main__":
    main()
