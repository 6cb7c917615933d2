"""Which provider an ONNX graph is given to, which one takes it, and what is said of it."""

import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from roadanomaly.errors import OptionError
from roadanomaly.runtimes.exported import export
from roadanomaly.runtimes.onnx_runtime import OnnxRuntime
from roadanomaly.runtimes.ready import Choice, Opened, prepare
from tests.runtimes.models import SIZE, street_frames, toy_model

TENSORRT, CUDA, OPENVINO, CPU = (
    f"{name}ExecutionProvider" for name in ("Tensorrt", "CUDA", "OpenVINO", "CPU")
)


class StandIn:
    """An ONNX Runtime that offers some providers, of which some cannot be loaded.

    Args:
        offered: what the build has.
        silent: those that are replaced by the next one without a word.
        loud: those that raise.
    """

    def __init__(self, *offered, silent=(), loud=()):
        self.offered, self.silent, self.loud = list(offered), silent, loud
        self.asked = []
        self.__spec__ = SimpleNamespace(name="onnxruntime")

    def get_available_providers(self):
        return self.offered

    class SessionOptions:
        intra_op_num_threads = 0

        def add_free_dimension_override_by_name(self, name, side):
            assert name
            assert side > 0

    def InferenceSession(self, graph, options, providers, enable_fallback):  # noqa: N802
        assert enable_fallback == 0
        names = [name for name, _ in providers]
        self.asked.append(dict(providers))
        if names[0] in self.loud:
            place = "/src/onnxruntime/pybind_state.cc:729 void onnxruntime::Register(Options&, int)"
            raise RuntimeError(f"{place} Please install TensorRT libraries\nand more")
        running = [name for name in names if name not in self.silent]
        return SimpleNamespace(get_providers=lambda: running)


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "graph.onnx"
    path.write_bytes(b"a graph")
    return path


@pytest.fixture
def stand_in(monkeypatch):
    def put(*offered, **faults):
        module = StandIn(*offered, **faults)
        monkeypatch.setitem(sys.modules, "onnxruntime", module)
        return module

    return put


@pytest.mark.parametrize(
    ("provider", "offered", "asked"),
    [
        ("auto", (TENSORRT, CUDA, CPU), [TENSORRT, CUDA, CPU]),
        ("auto", (CPU, CUDA), [CUDA, CPU]),
        ("auto", ("AzureExecutionProvider", OPENVINO, CPU), [OPENVINO, CPU]),
        ("auto", (CPU,), [CPU]),
        ("tensorrt", (TENSORRT, CUDA, CPU), [TENSORRT, CUDA, CPU]),
        ("cuda", (TENSORRT, CUDA, CPU), [CUDA, CPU]),
        ("openvino", (OPENVINO, CPU), [OPENVINO, CPU]),
        ("cpu", (TENSORRT, CUDA, CPU), [CPU]),
    ],
)
def test_what_is_asked_for_is_the_named_one_or_the_best(provider, offered, asked, stand_in, graph):
    module = stand_in(*offered)
    runtime = OnnxRuntime(graph, SIZE, provider=provider)
    assert [list(one) for one in module.asked] == [asked]
    short = {TENSORRT: "tensorrt", CUDA: "cuda", OPENVINO: "openvino", CPU: "cpu"}
    assert runtime.about == {"provider": short[asked[0]]}


def test_float32_stays_float32(stand_in, graph):
    module = stand_in(CUDA, OPENVINO, CPU)
    OnnxRuntime(graph, SIZE)
    assert module.asked[0][CUDA] == {"use_tf32": "0"}
    assert module.asked[0][OPENVINO]["precision"] == "FP32"


@pytest.mark.parametrize(
    ("provider", "package"),
    [
        ("tensorrt", "onnxruntime-gpu tensorrt"),
        ("cuda", "onnxruntime-gpu"),
        ("openvino", "onnxruntime-openvino"),
    ],
)
def test_a_missing_one_says_what_to_install(provider, package, stand_in, graph):
    stand_in("AzureExecutionProvider", CPU)
    with pytest.raises(OptionError, match=rf"offers cpu only; .*: pip install {package}$") as said:
        OnnxRuntime(graph, SIZE, provider=provider)
    assert "\n" not in str(said.value)


def test_an_unknown_one_names_the_nearest(graph):
    with pytest.raises(OptionError, match="did you mean `cuda`"):
        OnnxRuntime(graph, SIZE, provider="cudda")


def test_one_that_falls_back_in_silence_is_told_or_refused(stand_in, graph, caplog):
    stand_in(CUDA, CPU, silent=(CUDA,))
    with caplog.at_level(logging.WARNING):
        assert OnnxRuntime(graph, SIZE).about == {"provider": "cpu"}
    assert "could not load it, and fell back to cpu: it needs an NVIDIA driver" in caplog.text
    with pytest.raises(OptionError, match=r"fell back to cpu.*--provider cpu runs here"):
        OnnxRuntime(graph, SIZE, provider="cuda")


def test_one_that_raises_is_left_out_or_refused(stand_in, graph, caplog, capsys):
    module = stand_in(TENSORRT, CUDA, CPU, loud=(TENSORRT,))
    with caplog.at_level(logging.WARNING):
        assert OnnxRuntime(graph, SIZE).provider == "cuda"
    assert "TensorrtExecutionProvider is left out: Please install TensorRT" in caplog.text
    assert module.asked[-1] == {CUDA: {"use_tf32": "0"}, CPU: {}}
    with pytest.raises(OptionError, match=r"by its Tensorrt\w+: Please install TensorRT"):
        OnnxRuntime(graph, SIZE, provider="tensorrt")
    assert capsys.readouterr().out == ""


def test_engines_are_kept_for_the_content_of_a_graph(stand_in, graph, tmp_path, caplog):
    """Equal names of other weights must not find the engine of the first ones."""
    module = stand_in(TENSORRT, CUDA, CPU)
    for content in (b"a graph", b"other weights", b"a graph"):
        graph.write_bytes(content)
        OnnxRuntime(graph, SIZE, provider="tensorrt", engines=tmp_path / "engines")
    first, other, again = (asked[TENSORRT] for asked in module.asked)
    assert first == again != other
    assert first["trt_engine_cache_enable"] == "1"
    folder = Path(first["trt_engine_cache_path"])
    assert folder.parent == tmp_path / "engines"
    assert folder.is_dir()
    assert f"and keeps it in {folder}" in caplog.text
    (folder / "TensorrtExecutionProvider_TRTKernel_graph.engine").touch()
    caplog.clear()
    OnnxRuntime(graph, SIZE, provider="tensorrt", engines=tmp_path / "engines")
    assert not caplog.text


def test_without_a_folder_none_are_kept(stand_in, graph, caplog):
    module = stand_in(TENSORRT, CPU)
    OnnxRuntime(graph, SIZE)
    OnnxRuntime(graph, SIZE, engines=Path("/dev/null/engines"))
    assert [asked[TENSORRT] for asked in module.asked] == [{}, {}]
    assert "keeps none; an export's is kept" in caplog.text
    assert "engine is not kept: /dev/null/engines cannot be written" in caplog.text


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("exported") / "x"
    export(toy_model("energy"), "onnx", SIZE, folder, street_frames, "streets")
    return folder


@pytest.mark.slow
def test_the_real_processor_takes_an_export(exported):
    image = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    named = Opened(exported, Choice(provider="cpu")).runtime(SIZE)
    assert named.about == {"provider": "cpu"}
    best = Opened(exported).runtime(SIZE)
    np.testing.assert_allclose(named(image).score, best(image).score, atol=1e-4)


@pytest.mark.slow
def test_an_export_keeps_its_engines_beside_its_graph(exported, stand_in):
    module = stand_in(TENSORRT, CUDA, CPU)
    Opened(exported, Choice(provider="tensorrt")).runtime(SIZE)
    kept = Path(module.asked[0][TENSORRT]["trt_engine_cache_path"])
    assert kept.parent == exported / "engines"


@pytest.mark.slow
def test_an_export_can_be_written_again_over_one_with_engines(exported, stand_in, monkeypatch):
    stand_in(TENSORRT, CUDA, CPU)
    Opened(exported, Choice(provider="tensorrt")).runtime(SIZE)
    monkeypatch.undo()
    export(toy_model("msp"), "onnx", SIZE, exported, street_frames, "streets")
    assert Opened(exported).runtime(SIZE).about["provider"]


def test_a_provider_needs_onnx_runtime(tmp_path):
    model = toy_model("energy")
    prepare(model, SIZE, Choice("torch"))
    export(model, "torchscript", SIZE, tmp_path / "pt", street_frames, "streets")
    with pytest.raises(OptionError, match="is run by torch: add --backend onnxruntime"):
        Opened(tmp_path / "pt", Choice(provider="cpu"))


@pytest.mark.slow
def test_an_unknown_provider_of_an_export_names_the_nearest(exported):
    with pytest.raises(OptionError, match="did you mean `cuda`"):
        Opened(exported, Choice(provider="coda"))
