"""The recipe of a Fishyscapes container: definition, run script, model, code and versions."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

import roadanomaly.model
from roadanomaly.errors import DataError
from roadanomaly.evaluation.submission import in_container
from roadanomaly.evaluation.submission.packages import distributions_of
from roadanomaly.files import replacing, write_text
from roadanomaly.model_folder import place_of
from roadanomaly.precision import Precision

FOLDER = "container"

PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "scipy": "scipy",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "safetensors": "safetensors",
    "jsonargparse": "jsonargparse[signatures]",
    "yaml": "pyyaml",
    "tqdm": "tqdm",
    "h5py": "h5py",
}
"""What scoring an image imports with any model, and what to install for each."""

_DEFINITION = """\
Bootstrap: docker
From: python:{python}-slim

%labels
    method {method}

%files
    roadanomaly /opt/submission/roadanomaly
    model /opt/submission/model
    run.py /opt/submission/run.py
    requirements.txt /opt/submission/requirements.txt

%post
    pip install --no-cache-dir -r /opt/submission/requirements.txt

%environment
    export PYTHONPATH=/opt/submission

%runscript
    exec python /opt/submission/run.py --input /input --output /output --precision {precision} "$@"
"""

_BUILD = """\
#!/bin/sh
# Builds {method}.simg beside this file; needs Apptainer (or Singularity) and the internet.
set -eu
cd "$(dirname "$0")"
tool=$(command -v apptainer || command -v singularity)
"$tool" build "{method}.simg" fishyscapes.def
"""

_TRY = """\
#!/bin/sh
# Runs the built container as the benchmark does: sh try.sh FOLDER_OF_IMAGES EMPTY_FOLDER
set -eu
tool=$(command -v apptainer || command -v singularity)
"$tool" run --nv --bind "$1:/input:ro,$2:/output" "$(dirname "$0")/{method}.simg"
"""

_README = """\
# Fishyscapes container of {method}

1. `sh build.sh` builds `{method}.simg`.
2. `sh try.sh IMAGES OUT` runs it: images `DDDD_*.png` from `IMAGES`, results to `OUT`, which are
   `DDDD_anomaly.npy` and `DDDD_segmentation.npy`. On the public validation images they must hold
   what `pairs/` of the export holds.
3. Open a pull request at https://github.com/hermannsblum/fishyscapes that puts the figures of
   `validation_performance.json` into the file of this name, and upload the container as
   https://fishyscapes.com/submission says.

`run.py` is the run script, `fishyscapes.def` the definition, `model/` the model, `roadanomaly/` the
code that wrote this export, `requirements.txt` the versions that it ran with.
"""


def write_container(folder: Path, model: Path, method: str, precision: Precision) -> None:
    """Write the recipe.

    Args:
        folder: where to; it is made.
        model: folder that holds `model.json`.
        method: name of the container.
        precision: what its network computes in.

    Raises:
        DataError: there is no model.
        UserError: a file cannot be written.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    _copy_model(model, folder / "model")
    _copy_code(folder / "roadanomaly")
    _copy(Path(in_container.__file__), folder / "run.py")
    write_text(folder / "requirements.txt", _requirements(folder / "model" / "model.json"))
    for name, template in (
        ("fishyscapes.def", _DEFINITION),
        ("build.sh", _BUILD),
        ("try.sh", _TRY),
        ("README.md", _README),
    ):
        filled = template.format(method=method, python=python, precision=precision)
        write_text(folder / name, filled)


def _copy_model(model: Path, target: Path) -> None:
    source = place_of(model)
    for name in roadanomaly.model.FILES:
        if not (source / name).is_file():
            msg = f"no model at {model}: {name} is missing. Give the folder that `train` wrote."
            raise DataError(msg)
        _copy(source / name, target / name)


def _copy_code(target: Path) -> None:
    package = Path(roadanomaly.model.__file__).parent
    for path in sorted(package.rglob("*")):
        inner = path.relative_to(package).parts
        if path.is_file() and "__pycache__" not in inner and not _is_of_a_model(inner):
            _copy(path, target / path.relative_to(package))


def _is_of_a_model(inner: tuple[str, ...]) -> bool:
    """Return whether a file of the package, by its parts, belongs to a model that comes with it."""
    return inner[0] == "models" and len(inner) > 2


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as partial:
        shutil.copyfile(source, partial)


def _requirements(description: Path) -> str:
    """Return a line a package with the version that is installed here, without its build tag."""
    needed = distributions_of(json.loads(description.read_text(encoding="utf-8")), PACKAGES)
    lines = []
    for name in dict.fromkeys([*PACKAGES.values(), *needed]):
        try:
            lines.append(f"{name}=={importlib.metadata.version(name.split('[')[0]).split('+')[0]}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(name)
    return "\n".join(lines) + "\n"
