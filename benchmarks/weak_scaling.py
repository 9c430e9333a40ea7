"""What each device sends as devices grow in number and the rows of each stay: compiled programs beside the closed form.

    python benchmarks/weak_scaling.py [--tpu] [--recipe pods/llama2_7b_v5e_256] [--devices 8 64 512]

Nothing is trained and no device but this machine's CPU is needed: `jaxlm train --dry-run` compiles the step for simulated CPU
devices or, with --tpu (and libtpu), for slices of TPU v5p. Three meshes: all devices on `fsdp`; eight on `fsdp` and copies of
them on `data`; two on `tensor` and the others on `fsdp`. Prints a table, and as its last line one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys

SLICES = {8: "2x2x2", 16: "2x2x4", 32: "2x4x4", 64: "4x4x4", 128: "4x4x8", 256: "4x8x8", 512: "8x8x8"}
MESHES = {
    "fsdp": ("--mesh.data", "1", "--mesh.fsdp", "-1"),
    "data x fsdp 8": ("--mesh.data", "-1", "--mesh.fsdp", "8"),
    "fsdp x tensor 2": ("--mesh.data", "1", "--mesh.fsdp", "-1", "--mesh.tensor", "2"),
}


def dry_run(recipe: str, where: tuple[str, str], mesh: tuple[str, ...], rows: int) -> dict:
    """What `jaxlm train --dry-run --json` says."""
    command = [
        sys.executable,
        "-m",
        "jaxlm",
        "train",
        recipe,
        "--dry-run",
        *where,
        *mesh,
        "--train.batch-size",
        str(rows),
        "--json",
    ]
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tpu", action="store_true")
    parser.add_argument("--recipe", default="pods/llama2_7b_v5e_256")
    parser.add_argument("--devices", type=int, nargs="+", choices=list(SLICES), default=list(SLICES))
    parser.add_argument("--meshes", nargs="+", choices=list(MESHES), default=list(MESHES))
    parser.add_argument("--rows", type=int, default=1, help="of each device")
    arguments = parser.parse_args()
    found = []
    print("| mesh | devices | what | over | closed form, GB | compiled, GB | ratio |\n|---|---|---|---|---|---|---|")
    for name in arguments.meshes:
        for number in arguments.devices:
            where = ("--topology", f"v5p:{SLICES[number]}") if arguments.tpu else ("--devices", str(number))
            said = dry_run(arguments.recipe, where, MESHES[name], arguments.rows * number)
            for line in said["collectives"]:
                formula, compiled = line["closed_form"], line["compiled"]
                found.append(
                    {"mesh": name, "devices": number, **{key: line[key] for key in ("kind", "axis", "closed_form", "compiled")}}
                )
                ratio = f"{compiled / formula:.3f}" if formula else "-"
                row = (name, number, line["kind"], line["axis"], f"{formula / 1e9:.3f}", f"{compiled / 1e9:.3f}", ratio)
                print("|", " | ".join(map(str, row)), "|", flush=True)
    print(json.dumps({"recipe": arguments.recipe, "platform": "TPU v5p" if arguments.tpu else "cpu", "lines": found}))


if __name__ == "__main__":
    main()
