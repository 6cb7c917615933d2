"""Lightning Fabric on the devices that a config or torchrun names."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from torch import nn

from roadanomaly.errors import OptionError, UserError
from roadanomaly.training.run_config import RunConfig

PATIENCE = timedelta(days=7)
"""How long processes wait for the first one, whose validation may take longer than a step may."""


def build_fabric(config: RunConfig) -> Fabric:
    """Return the engine; under torchrun, that says how many processes and machines there are.

    Raises:
        OptionError: a device that this machine lacks, or a number of them that makes no sense.
    """
    devices, machines = config.devices, 1
    if TorchElasticEnvironment.detect():
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        machines = int(os.environ["WORLD_SIZE"]) // devices
    try:
        return Fabric(
            accelerator=config.accelerator,
            devices=devices,
            num_nodes=machines,
            precision=config.precision,
        )
    except (ValueError, TypeError, RuntimeError, ImportError) as error:
        msg = (
            f"config: `accelerator: {config.accelerator}` with `devices: {devices}` cannot be "
            f"used here: {error} `accelerator: cpu` with `devices: 1` always can."
        )
        raise OptionError(msg) from error


class MeetingPoint:
    """Where the other processes wait while the first one works alone.

    The wait has its own limit, `PATIENCE`. What the processes do together in a step keeps the
    backend's (30 minutes), so that a step that hangs is still found.

    Args:
        fabric: launched; every process must build this at the same place.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.group: Any = None
        if fabric.world_size > 1:
            self.group = dist.new_group(backend="gloo", timeout=PATIENCE)

    def share(self, module: nn.Module) -> None:
        """Give every process the first one's parameters and buffers, to the last bit."""
        if self.group is not None:
            self.wait()
            for tensor in module.state_dict().values():
                sent = tensor.contiguous()
                dist.broadcast(sent, 0)
                tensor.copy_(sent)

    def wait(self) -> None:
        """Return when every process has come here.

        Raises:
            UserError: one of them has died.
        """
        if self.group is None:
            return
        try:
            dist.barrier(self.group)
        except RuntimeError as error:
            msg = (
                "another process of this run has stopped: its own message says why (without one "
                "it was killed, or memory ran out). --resume continues from the last checkpoint."
            )
            raise UserError(msg) from error
