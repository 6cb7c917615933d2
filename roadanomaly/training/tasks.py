"""What a run can train, by the name that its config carries."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.training.task import Task

TASKS: Catalogue[Task] = Catalogue(
    "task",
    {
        "adapt": "roadanomaly.training.adapt_task:AdaptTask",
        "detector": "roadanomaly.training.detector_task:DetectorTask",
        "flow": "roadanomaly.training.flow_task:FlowTask",
        "generator": "roadanomaly.training.generator_task:GeneratorTask",
    },
    listed=False,
)
