"""What a dynamic graph costs beside one of a fixed size, in OpenVINO and ONNX Runtime.

    python benchmarks/dynamic.py MODEL --sizes 360x640,512x1024

OpenVINO runs the dynamic graph in two ways: reshaped to the frame's size before it is compiled, as
`roadanomaly` does it, and left dynamic. All take turns in one process on one thread; times are of
the process (CPU), so that a busy machine slows none of them. Ratios are to the fixed graph.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import openvino

from roadanomaly.cli.parsing import frame_size
from roadanomaly.model import load
from roadanomaly.runtimes.export import write_onnx
from roadanomaly.runtimes.onnx_runtime import OnnxRuntime
from roadanomaly.runtimes.open_vino import OpenVino
from roadanomaly.training.record import machine


def left_dynamic(graph: Path):
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    return lambda image: compiled([image[None]])


def measure(runs, image, repeats: int) -> dict[str, float]:
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            run(image)
            start = time.process_time()
            run(image)
            times[name].append(1000 * (time.process_time() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def table(model, size: tuple[int, int], dynamic: Path, repeats: int) -> None:
    fixed = dynamic.with_name("fixed.onnx")
    write_onnx(model, size, fixed)
    runs = {
        "openvino fixed": OpenVino(fixed, size, threads=1),
        "openvino dynamic, reshaped": OpenVino(dynamic, size, threads=1),
        "openvino left dynamic": left_dynamic(dynamic),
        "onnxruntime fixed": OnnxRuntime(fixed, size, threads=1),
        "onnxruntime dynamic": OnnxRuntime(dynamic, size, threads=1),
    }
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    found = measure(runs, image, repeats)
    for name, value in found.items():
        ratio = value / found[f"{name.split()[0]} fixed"]
        print(f"{size[0]}x{size[1]:<6} {name:<28} {value:>8.1f} ms {ratio:>6.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--sizes", default="360x640,512x1024", help="HxW, comma-separated")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    print(f"machine  {machine()}")
    sizes = [frame_size(size) for size in given.sizes.split(",")]
    model = load(given.model)
    with tempfile.TemporaryDirectory() as folder:
        dynamic = Path(folder) / "dynamic.onnx"
        write_onnx(model, sizes[0], dynamic, dynamic=True)
        for size in sizes:
            table(model, size, dynamic, given.repeats)


if __name__ == "__main__":
    main()
