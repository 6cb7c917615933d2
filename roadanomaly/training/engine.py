"""Lightning Fabric on the devices that a config or torchrun names."""

from __future__ import annotations

import os

from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import TorchElasticEnvironment

from roadanomaly.errors import OptionError
from roadanomaly.training.run_config import RunConfig


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
