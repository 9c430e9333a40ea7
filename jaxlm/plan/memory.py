"""What a compiled program needs of each device's memory."""

from typing import Any, NamedTuple

import jax

from jaxlm.core import RunError
from jaxlm.parallel.peaks import memory_bytes


class Memory(NamedTuple):
    """Bytes of one device."""

    state: int
    """Parameters, optimizer state and the batch."""
    temporary: int
    """Activations, gradients, gathered parameters: what a step needs while it runs."""
    program: int
    device: int | None
    """What the device has; None: a CPU, or not in the table."""

    @property
    def needed(self) -> int:
        return self.state + self.temporary + self.program


def memory_of(compiled: jax.stages.Compiled, devices: list[Any]) -> Memory:
    """As the compiler laid it out; the state is donated, so the next one lies in its place."""
    stats = compiled.memory_analysis()
    assert stats is not None, "each compiler says what memory a program needs"
    beside = stats.output_size_in_bytes - stats.alias_size_in_bytes
    return Memory(
        stats.argument_size_in_bytes, stats.temp_size_in_bytes + beside, stats.generated_code_size_in_bytes, memory_bytes(devices)
    )


def require_room(memory: Memory, platform: str) -> None:
    """Raises RunError where a device has less than the program needs. A TPU's compiler judges that itself, and better."""
    if platform != "tpu" and memory.device is not None and memory.needed > memory.device:
        raise _no_room(f"{memory.needed / 2**30:,.2f} GiB of {memory.device / 2**30:,.2f} GiB")


def too_large(error: Exception) -> RunError | None:
    """What a compiler says that finds no room for a program, as one message; None: it says something else."""
    said = str(error)
    if "RESOURCE_EXHAUSTED" not in said:
        return None
    how = next((line.strip() for line in said.splitlines() if "Used" in line), said.splitlines()[0])
    return _no_room(how)


def _no_room(how: str) -> RunError:
    return RunError(
        f"the step does not fit the device's memory ({how}); cut more along mesh.fsdp or mesh.tensor, keep less "
        "(model.remat='full'), give train.num_microbatches, or lower train.batch_size"
    )
