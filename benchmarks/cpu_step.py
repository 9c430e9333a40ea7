"""Tokens a second of training on a CPU, beside nanoGPT's.

    python benchmarks/cpu_step.py [--json] [--nanogpt CLONE [--torch-python PYTHON]] [--rounds 5] [--seconds 5]

Two shapes of GPT-2 in float32, without dropout and (the default of nanoGPT's train.py) without biases; AdamW, gradients
clipped. Ours is `jaxlm.train.loop.train` as `jaxlm train` runs it, host batches, metrics and all, under its settings of
the allocator. nanoGPT (https://github.com/karpathy/nanoGPT) is its model and optimizer in the loop of its train.py, on
torch, eager and compiled. Each side is a process of its own that is silent while another measures; they take turns for
some rounds, and medians are told. Ratios are ours / theirs, null where not measured. Measure on a quiet machine.
The last line of the output is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Shape:
    num_layers: int
    num_heads: int
    embed_dim: int
    context: int
    batch_size: int
    vocab_size: int


UNIT = 10
"""Steps are made in multiples of this: as often, a line of metrics is due."""

SHAPES = {
    "small": Shape(num_layers=4, num_heads=4, embed_dim=128, context=64, batch_size=12, vocab_size=65),
    "medium": Shape(num_layers=4, num_heads=4, embed_dim=256, context=256, batch_size=8, vocab_size=8192),
}


class Side:
    """A process that trains; `measure` lets it go on for one block."""

    def __init__(self, command: Sequence[str], log: Path):
        self.log = log.open("w")
        env = {**os.environ, "TMPDIR": str(log.parent)}  # it is killed: what it leaves goes with our folder
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=env)
        self._answer()  # compiled and warm

    def measure(self, steps: int) -> float:
        """Seconds a step, the mean over this many."""
        assert self.process.stdin is not None, "the process was started with a pipe"
        print(steps, file=self.process.stdin, flush=True)
        return float(self._answer()) / steps

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()

    def _answer(self) -> str:
        assert self.process.stdout is not None, "the process was started with a pipe"
        for line in self.process.stdout:
            if line.startswith("seconds "):
                return line.split()[1]
        sys.exit(f"a process of the benchmark ended:\n{Path(self.log.name).read_text()[-4000:]}")


def commands(shape: Shape, nanogpt: Path | None, torch_python: str) -> dict[str, list[str]]:
    """What starts each side."""
    settings = json.dumps(asdict(shape))
    found = {"ours": [sys.executable, str(HERE / "sides" / "jaxlm_train.py"), settings]}
    if nanogpt is not None:
        for kind in ("eager", "compiled"):
            found[kind] = [torch_python, str(HERE / "sides" / "nanogpt_train.py"), settings, str(nanogpt), kind]
    return found


def measure(shape: Shape, starts: Mapping[str, Sequence[str]], rounds: int, seconds: float, folder: Path) -> dict[str, list[float]]:
    """Tokens a second of each side in each round."""
    sides: dict[str, Side] = {}
    try:
        for name, command in starts.items():
            sides[name] = Side(command, folder / f"{name}.log")
        steps = {name: UNIT * max(1, round(seconds / UNIT / side.measure(UNIT))) for name, side in sides.items()}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                rates[name].append(shape.batch_size * shape.context / side.measure(steps[name]))
        return rates
    finally:
        for side in sides.values():
            side.close()


def report(shape: Shape, rates: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """A line a side."""
    for side, values in rates.items():
        milliseconds = shape.batch_size * shape.context / median(values) * 1e3
        rounds = " ".join(f"{value:,.0f}" for value in values)
        yield f"  {side:<9}{median(values):>9,.0f} tokens/s  {milliseconds:6.1f} ms a step  rounds {rounds}"


def result(rates: Mapping[str, Sequence[float]]) -> dict[str, float | None]:
    ours = median(rates["ours"])
    ratio = {kind: round(ours / median(rates[kind]), 3) if kind in rates else None for kind in ("eager", "compiled")}
    return {"tokens_per_s": round(ours), **{f"ratio_to_{kind}": value for kind, value in ratio.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON object on stdout")
    parser.add_argument("--nanogpt", type=Path, help="a clone of nanoGPT; without it only ours is measured")
    parser.add_argument("--torch-python", default=sys.executable, help="the Python that has torch (default: this one)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one turn")
    args = parser.parse_args()
    if args.nanogpt is not None and not (args.nanogpt / "model.py").is_file():
        parser.error(f"--nanogpt {args.nanogpt}: there is no model.py; give a clone of https://github.com/karpathy/nanoGPT")
    say = sys.stderr if args.json else sys.stdout
    results = {}
    for name, shape in SHAPES.items():
        print(f"{name}: load {os.getloadavg()[0]:.2f} on {os.cpu_count()} CPUs", file=say, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            starts = commands(shape, args.nanogpt, args.torch_python)
            rates = measure(shape, starts, args.rounds, args.seconds, Path(folder))
        print(*report(shape, rates), sep="\n", file=say, flush=True)
        results[name] = result(rates)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
