"""Lightning Fabric on the devices that a config or torchrun names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from roadanomaly.errors import OptionError, UserError
from roadanomaly.locks import whole_number
from roadanomaly.training.fabric import Fabric, TorchElasticEnvironment
from roadanomaly.training.run_config import RunConfig

T = TypeVar("T")
Config = TypeVar("Config", bound=RunConfig)
PATIENCE = timedelta(days=7)
"""How long processes wait for the first one, whose validation may take longer than a step may."""


def uses_cuda(accelerator: str) -> bool:
    """Tell whether a run with that accelerator trains on CUDA here."""
    return accelerator.split(":")[0] in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def resolved(config: Config) -> Config:
    """Return the config with what `precision: auto` stands for on this machine in its place."""
    if config.precision != "auto":
        return config
    half = uses_cuda(config.accelerator) and torch.cuda.is_bf16_supported(including_emulation=False)
    return replace(config, precision="bf16-mixed" if half else "32-true")


def build_fabric(config: RunConfig) -> Fabric:
    """Return the engine; under torchrun, that says how many processes and machines there are.

    Args:
        config: with the precision that `auto` stood for.

    Raises:
        OptionError: a device that this machine lacks, or a number of them that makes no sense.
        UserError: a variable of torchrun's holds no number.
    """
    accelerator, _, number = config.accelerator.partition(":")
    devices: Any = config.devices
    machines = 1
    precision: Any = config.precision
    if TorchElasticEnvironment.detect():
        devices = whole_number("LOCAL_WORLD_SIZE", least=1)
        machines = whole_number("WORLD_SIZE", least=1) // devices
    if number and devices != 1:
        msg = (
            f"config: `accelerator: {config.accelerator}` (--device) names one device, and there "
            f"are {devices} to be used; leave out its number."
        )
        raise OptionError(msg)
    try:
        return Fabric(
            accelerator=accelerator,
            devices=[int(number)] if number else devices,
            num_nodes=machines,
            precision=precision,
        )
    except (ValueError, TypeError, RuntimeError, ImportError) as error:
        msg = (
            f"config: `accelerator: {config.accelerator}` (--device) with `devices: {devices}` "
            f"cannot be used here: {error} `accelerator: cpu` with `devices: 1` always can."
        )
        raise OptionError(msg) from error


class MeetingPoint:
    """Where the processes of a run meet, go on together, or end together.

    A wait for one that works alone has a limit of its own, `PATIENCE`. What the processes do
    together in a step keeps the backend's (30 minutes), so that a step that hangs is still found.
    The meetings are on the CPU, so a GPU does not stop for them.

    Args:
        fabric: launched; every process must build this at the same place.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.group: Any = None
        self.patient: Any = None
        self.processes = fabric.world_size
        if fabric.world_size > 1:
            self.group = dist.new_group(backend="gloo")
            self.patient = dist.new_group(backend="gloo", timeout=PATIENCE)

    def share(self, module: nn.Module) -> None:
        """Give every process all of the first one's state, to the last bit.

        What is kept as plain values lies on the CPU, where the group of a GPU does not reach.
        """
        if self.group is not None:
            self.agree(patient=True)
            state = {key: value.contiguous() for key, value in module.state_dict().items()}
            for tensor in state.values():
                dist.broadcast(tensor, 0, self.group if tensor.device.type == "cpu" else None)
            module.load_state_dict(state)

    def gather(self, value: T) -> list[T]:
        """Return every process's value, by rank."""
        if self.group is None:
            return [value]
        values: list[Any] = [None] * self.processes
        dist.all_gather_object(values, value, self.patient)
        return values

    @contextmanager
    def together(self, *, patient: bool = False) -> Iterator[None]:
        """Do something and meet: where it failed in one process, it fails in all.

        Inside, the processes must not wait for each other.

        Args:
            patient: one of them may take long.

        Raises:
            UserError: it failed elsewhere; says what went wrong there.
        """
        fault = None
        try:
            yield
        except Exception as error:
            fault = error
        self.agree(fault, patient=patient)

    def agree(
        self, fault: Exception | None = None, *, stop: bool = False, patient: bool = False
    ) -> bool:
        """Meet, and return whether any process was asked to stop.

        Args:
            fault: what went wrong in this process; it is raised again.
            stop: this process was asked to stop.
            patient: one of them may take long.

        Raises:
            UserError: another process has a fault, or has died.
        """
        told = "" if fault is None else _in_words(fault)
        try:
            stopping, faults = self._meet(told, stop, self.patient if patient else self.group)
        except RuntimeError as error:
            if fault is not None:
                raise fault from None
            msg = (
                "another process of this run has stopped: its own message says why (without one "
                "it was killed, hangs, or memory ran out). --resume continues from the last "
                "checkpoint."
            )
            raise UserError(msg) from error
        if fault is not None:
            raise fault
        for number, text in enumerate(faults):
            if text:
                msg = f"process {number} of this run could not go on: {text}"
                raise UserError(msg)
        return stopping

    def _meet(self, told: str, stop: bool, group: Any) -> tuple[bool, list[str]]:
        """Return whether any was asked to stop, and what each has to tell if any has."""
        if group is None:
            return stop, [told]
        flags = torch.tensor([bool(told), stop], dtype=torch.uint8)
        dist.all_reduce(flags, dist.ReduceOp.MAX, group)
        faults = [""] * self.processes
        if flags[0]:
            dist.all_gather_object(faults, told, group)
        return bool(flags[1]), faults


def _in_words(fault: Exception) -> str:
    """Return the message of a user's mistake, and the kind of anything else beside it."""
    return str(fault) if isinstance(fault, UserError) else f"{type(fault).__name__}: {fault}"
