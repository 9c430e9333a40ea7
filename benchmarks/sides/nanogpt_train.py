"""nanoGPT's side of `benchmarks/cpu_step.py`: its model and optimizer, in the loop of its train.py, on a CPU in float32.

    python benchmarks/sides/nanogpt_train.py '{"num_layers": 4, ...}' CLONE eager|compiled

Needs torch, and nothing of jaxlm. Reads from stdin, a line each, how many steps to make, and answers `seconds S`; the
first answer is of the first 10, which compile.
"""

import contextlib
import json
import sys
import time

import numpy as np
import torch

NUM_TOKENS = 1_000_000


def main() -> None:
    shape, clone, kind = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
    sys.path.insert(0, clone)
    from model import GPT, GPTConfig

    torch.manual_seed(0)
    settings = GPTConfig(
        block_size=shape["context"],
        vocab_size=shape["vocab_size"],
        n_layer=shape["num_layers"],
        n_head=shape["num_heads"],
        n_embd=shape["embed_dim"],
        dropout=0.0,
        bias=False,  # the default of its train.py
    )
    with contextlib.redirect_stdout(sys.stderr):
        model = GPT(settings)
        optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.95), "cpu")
    if kind == "compiled":
        model = torch.compile(model)
    tokens = np.random.default_rng(0).integers(0, shape["vocab_size"], NUM_TOKENS).astype(np.uint16)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        length = shape["context"]
        starts = torch.randint(NUM_TOKENS - length, (shape["batch_size"],))
        x = torch.stack([torch.from_numpy(tokens[i : i + length].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(tokens[i + 1 : i + 1 + length].astype(np.int64)) for i in starts])
        return x, y

    def step() -> None:
        _, loss = model(*batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    steps = 10
    while True:
        begun = time.perf_counter()
        for _ in range(steps):
            step()
        print(f"seconds {time.perf_counter() - begun}", flush=True)
        steps = int(sys.stdin.readline() or sys.exit())


if __name__ == "__main__":
    main()
