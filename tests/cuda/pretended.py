"""A CUDA device that is pretended: what is left on the CPU raises, and so does a wait for it.

Its tensors are ordinary ones that say they lie on `cuda`; their numbers are computed on the CPU.
So a mixture of devices is found without a GPU, and so is every place in which the host would wait
for one: where Python asks for a value, where a shape depends on values, where something is copied
from device to device in step. A wait raises `HostWait`, unless `ALLOWED` names the function.
Backward passes run as on the CPU; what they would do with a mask was found on the way forward.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from roadanomaly.model import Model
from roadanomaly.types import IGNORE, NEGATIVE, Batch

TRIED = ("2.14",)
"""Versions of PyTorch that this was tried with."""

tried = pytest.mark.skipif(
    not torch.__version__.startswith(TRIED),
    reason=f"the pretended device was tried with PyTorch {', '.join(TRIED)}",
)

LIBRARY = "transformers.models"
MASK2FORMER = f"{LIBRARY}.mask2former.modeling_mask2former:Mask2Former"
EOMT = f"{LIBRARY}.eomt.modeling_eomt:Eomt"
ALLOWED = {
    "roadanomaly.detectors.density.layered:LayeredDensity.drawn": "the seed draws "
    "alike on every device, since it draws on the CPU",
    "roadanomaly.detectors.masks.queries:queries_of_any": "all queries would cost more",
    "roadanomaly.detectors.road.road_embedding:places_of": "triplets are of what there is",
    "roadanomaly.segmenters.matching:matching_loss": "the matching is done on the CPU",
    f"{MASK2FORMER}HungarianMatcher.forward": "by SciPy",
    f"{MASK2FORMER}PixelDecoderEncoderLayer.forward": "the library looks for what is not finite",
    f"{EOMT}HungarianMatcher.forward": "by SciPy",
    f"{EOMT}ForUniversalSegmentation.forward": "the library asks a buffer, block by block",
    f"{EOMT}ForUniversalSegmentation._disable_attention_mask": "the same buffer",
}
"""Functions in which the host waits, and why; ten at most."""

OWN = ("roadanomaly.", "tests.")
"""Modules whose uploads count: libraries lay small tables on the device as they like."""

DEVICE = torch.device("cuda", 0)

aten = torch.ops.aten


class HostWait(AssertionError):
    """The host waits for the device."""


class Mixed(AssertionError):
    """One operation is given tensors of both devices."""


class OnDevice(Tensor):
    """A tensor that says it lies on `cuda`."""

    device = DEVICE  # type: ignore[assignment]
    is_cuda, is_cpu = True, False  # type: ignore[assignment]

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {})


class _Pretend(TorchFunctionMode):
    """Takes every call of PyTorch's functions."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {})


class _Values(TorchDispatchMode):
    """Notes whether an operation's answer or its shape depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags)
        if func is aten.index.Tensor:
            tags = _masks(args[1])
        elif func in (aten.index_put_.default, aten.index_put.default):
            filled = args[2].numel() == 1 and len(args) < 4
            tags = set() if filled else _masks(args[1])
        self.asked = self.asked or bool(tags)
        return func(*args, **(kwargs or {}))


def _masks(indices: Any) -> set[torch.dtype]:
    kinds = {one.dtype for one in indices if one is not None}
    return kinds & {torch.bool, torch.uint8}


MOVES = (Tensor.to, Tensor.cpu, Tensor.cuda, Tensor.type_as)
UPLOADS = (torch.tensor, torch.as_tensor, torch.asarray)
INDEXED = (Tensor.__getitem__, Tensor.__setitem__, Tensor.copy_)
JOINED = (torch.cat, torch.stack)
ASKING = (Tensor.tolist, Tensor.__bool__)
"""What asks for a value in one operation, whose parts are not seen."""


def _call(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a function as it would be called with the device."""
    if func in MOVES:
        return _move(func, args, kwargs)
    given = list(_tensors((args, kwargs)))
    there = any(isinstance(one, OnDevice) for one in given)
    if _on_device(kwargs.get("device")):
        kwargs = {**kwargs, "device": "cpu"}
        if func in UPLOADS and not there:
            _wait("a table is made on the CPU and copied to it", upload=True)
        there = True
    elif there and func in INDEXED:
        there = _index(func, *args)
    elif there:
        _require_one_device(func, given)
    if there and func in (Tensor.numpy, Tensor.__array__):
        raise TypeError("a tensor of the device has no array: copy it to the CPU first.")
    values = _Values()
    with torch._C.DisableTorchFunctionSubclass(), values:
        result = func(*args, **kwargs)
    if there and (values.asked or func in ASKING):
        _wait("a value is asked of it, or how many there are")
    return _marked(result) if there else result


def _move(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Copy a tensor to a device, or change its type."""
    source, *others = args
    named = {Tensor.cpu: "cpu", Tensor.cuda: DEVICE}.get(func)
    targets = [one for one in (*others, *kwargs.values(), named) if _names_device(one)]
    before = isinstance(source, OnDevice)
    after = any(_on_device(one) for one in targets) if targets else before
    if before and not after:
        _wait("it is copied to the CPU")
    if after and not before and not kwargs.get("non_blocking"):
        _wait("something is copied to it in step; `non_blocking=True` does not", upload=True)
    here = ["cpu" if isinstance(one, torch.device | str) else one for one in others]
    wanted = {key: "cpu" if key == "device" else one for key, one in kwargs.items()}
    with torch._C.DisableTorchFunctionSubclass():
        result = source.view_as(source) if named else func(source, *here, **wanted)
        if after:
            return _marked(result)
        return result.as_subclass(Tensor) if isinstance(result, OnDevice) else result


def _index(func: Callable[..., Any], whole: Tensor, index: Any, value: Any = None) -> bool:
    """Check what is read from a tensor or written to it; return whether it is the device's."""
    if isinstance(whole, OnDevice):
        lists = any(isinstance(one, list) for one in _flat(index))
        if lists or any(one.dim() and type(one) is Tensor for one in _tensors((index, value))):
            _wait("an index or a value is copied to it", upload=True)
        return True
    if func is not Tensor.copy_ and any(isinstance(one, OnDevice) for one in _tensors(index)):
        msg = f"{_site()}: a tensor of the CPU is indexed by one of the device"
        raise Mixed(msg)
    _wait("it is copied to the CPU")
    return False


def _flat(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _require_one_device(func: Callable[..., Any], given: list[Tensor]) -> None:
    """Refuse tensors of the CPU beside those of the device, but for single numbers.

    Raises:
        Mixed: names the operation and where it is.
    """
    for one in given:
        if not isinstance(one, OnDevice) and (one.dim() or func in JOINED):
            name = getattr(func, "__name__", func)
            msg = f"{_site()}: {name} is given a tensor {tuple(one.shape)} of the CPU beside others"
            raise Mixed(msg)


def _tensors(given: Any) -> Iterator[Tensor]:
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, list | tuple):
        for one in given:
            yield from _tensors(one)
    elif isinstance(given, dict):
        yield from _tensors(tuple(given.values()))


def _names_device(one: Any) -> bool:
    return isinstance(one, torch.device | str | Tensor)


def _on_device(one: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(one, OnDevice)
    return isinstance(one, torch.device | str) and torch.device(one).type == "cuda"


def _marked(result: Any) -> Any:
    """Return what a function answered, its tensors on the device."""
    if isinstance(result, OnDevice):
        return result
    if isinstance(result, Tensor):
        with torch._C.DisableTorchFunction():
            leaf = result.requires_grad and result.is_leaf
            found = (result.detach() if leaf else result).as_subclass(OnDevice)
            return found.requires_grad_() if leaf else found
    if not isinstance(result, list | tuple) or isinstance(result, torch.Size):
        return result
    found = [_marked(one) for one in result]
    return type(result)(*found) if hasattr(result, "_fields") else type(result)(found)


def _wait(what: str, *, upload: bool = False) -> None:
    """Fail unless the function that is running may wait.

    Raises:
        HostWait: names it.
    """
    place = _site()
    if not _may_wait[-1] and place not in ALLOWED and (place.startswith(OWN) or not upload):
        raise HostWait(f"{place} waits for the device: {what}")


def _site() -> str:
    """Return `module:function` of what runs, without PyTorch's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module = frame.f_globals["__name__"]
        if module != __name__ and module.split(".")[0] != "torch":
            return f"{module}:{frame.f_code.co_qualname.split('.<locals>')[0]}"
        frame = frame.f_back
    return "nothing"


_may_wait = [False]


@contextmanager
def device(*, waits: bool = False) -> Iterator[None]:
    """Let there be a device `cuda`; what is pinned stays where it is, in every thread.

    Args:
        waits: whether the host may wait for it everywhere, as in passes over frames.
    """
    _may_wait.append(waits)
    try:
        unpinned = mock.patch.object(Tensor, "pin_memory", lambda tensor: tensor)
        with warnings.catch_warnings(), unpinned, _Pretend():
            warnings.filterwarnings("ignore", "User provided device_type of 'cuda'")
            yield
    finally:
        _may_wait.pop()


Part = TypeVar("Part", nn.Module, Model)


def on_device(part: Part) -> Part:
    """Return a copy of networks as they are after `.to("cuda")`.

    Parameters and buffers are replaced; any other tensor that a module holds stays on the CPU, as
    it would.
    """
    networks = part.networks if isinstance(part, Model) else part
    tensors = [*networks.parameters(), *networks.buffers()]
    moved = {id(one): _moved(one) for one in tensors}
    with torch._C.DisableTorchFunction():
        return copy.deepcopy(part, moved)


def _moved(tensor: Tensor) -> Tensor:
    moved = tensor.detach().clone().as_subclass(OnDevice)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(moved, requires_grad=tensor.requires_grad)
    return moved


def batch(height: int = 64, width: int = 96, classes: int = 5) -> Batch:
    """Return two crops of noise with labels on the device, void and negatives among them."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, height, width, generator=generator)
    label = torch.randint(0, classes, (2, height, width), generator=generator).to(torch.uint8)
    label[:, :4], label[:, 4:20] = IGNORE, NEGATIVE
    return Batch(image.as_subclass(OnDevice), label.as_subclass(OnDevice), ("a", "b"))
