# The live page, or any command:
#
#   docker build -t roadanomaly .
#   docker run -p 8000:8000 -v /drives:/data:ro roadanomaly              # serves /data/drive.mp4
#   docker run -v /photos:/data roadanomaly predict /data --out /data/found
#   docker run --gpus all … roadanomaly video /data/drive.mp4 --device cuda
#
# The ordinary wheels of PyTorch hold their CUDA libraries, so one image serves both; another base
# with Python 3.11 or newer is `--build-arg BASE=…`.
ARG BASE=python:3.12-slim
FROM ${BASE}

WORKDIR /source
COPY setup.py pyproject.toml MANIFEST.in README.md LICENSE ./
COPY configs configs
COPY roadanomaly roadanomaly
RUN python -m pip install --no-cache-dir ".[serve]"

RUN useradd --create-home driver
USER driver
WORKDIR /home/driver
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["roadanomaly"]
CMD ["serve", "--source", "/data/drive.mp4", "--host", "0.0.0.0"]
