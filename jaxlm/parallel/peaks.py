"""What a device can do and hold at best."""

import time

import jax
import jax.numpy as jnp

PEAK_TFLOPS = {  # dense bf16, by `device_kind`, from the makers' data sheets
    "TPU v4": 275,
    "TPU v5 lite": 197,
    "TPU v5e": 197,
    "TPU v5p": 459,
    "TPU v5": 459,
    "TPU v6 lite": 918,
    "TPU v6e": 918,
    "NVIDIA A100-SXM4-40GB": 312,
    "NVIDIA A100-SXM4-80GB": 312,
    "NVIDIA H100 80GB HBM3": 989,
    "NVIDIA H100 PCIe": 756,
    "NVIDIA H200": 989,
    "NVIDIA B200": 2250,
}

MEMORY_GIB = {  # by `device_kind`, from the makers' data sheets, whose GB are 2^30 bytes here
    "TPU v2": 8,
    "TPU v3": 16,
    "TPU v4": 32,
    "TPU v5 lite": 16,
    "TPU v5e": 16,
    "TPU v5p": 95,
    "TPU v5": 95,
    "TPU v6 lite": 32,
    "TPU v6e": 32,
    "NVIDIA A100-SXM4-40GB": 40,
    "NVIDIA A100-SXM4-80GB": 80,
    "NVIDIA H100 80GB HBM3": 80,
    "NVIDIA H100 PCIe": 80,
    "NVIDIA H200": 140,
    "NVIDIA B200": 180,
}


def memory_bytes(devices: list) -> int | None:
    """What each device holds; None: a CPU, or not in the table."""
    size = MEMORY_GIB.get(devices[0].device_kind)
    return None if size is None else size * 2**30


def peak_flops(devices: list) -> float | None:
    """FLOP/s of these devices together: from the table; on a CPU what a large fp32 product reaches here and now, for all
    its simulated devices together; None: the device is not in the table."""
    kind = devices[0].device_kind
    if kind in PEAK_TFLOPS:
        return PEAK_TFLOPS[kind] * 1e12 * len(devices)
    return measured_flops() if devices[0].platform == "cpu" else None


def measured_flops(size: int = 1024, repeats: int = 20) -> float:
    """FLOP/s of the fastest of some size x size products in float32."""
    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        product(a, a).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)
