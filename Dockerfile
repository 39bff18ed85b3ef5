# CUDA: docker build -t writing-service .
#       docker run --gpus all -p 127.0.0.1:8600:8600 -v hub:/data/huggingface writing-service pipeline=sdxl \
#           api.serve_without_keys=true
# CPU:  docker build -t writing-service:cpu --build-arg BASE=ubuntu:24.04 --build-arg EXTRAS= \
#           --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .
#       docker run -p 127.0.0.1:8600:8600 writing-service:cpu api.serve_without_keys=true
# Inside a container the service listens to all, and so wants API keys, unless told that the port is guarded:
#       docker run -p 8600:8600 -e WRITING_SERVICE_API_KEYS=bot=... writing-service:cpu
# Ray:  docker build -t writing-service:ray --build-arg EXTRAS=[gpu,ray,redis] .     (deploy/kubernetes/rayservice.yaml)
# With Prometheus and Grafana: docker-compose.yml. A GPU needs NVIDIA's driver (580 or newer) and container toolkit.

# torch's wheels hold CUDA 13.0; the smallest of NVIDIA's images is enough around them.
ARG BASE=nvidia/cuda:13.0.1-base-ubuntu24.04

FROM ubuntu:24.04 AS wheel
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/build
WORKDIR /build
COPY . .
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${BASE}
# Empty: pip's own index, where torch for Linux comes with CUDA.
ARG TORCH_INDEX=
# Extras of pyproject.toml in brackets; postgres is always there.
ARG EXTRAS=[gpu]

# gcc and Python's headers: torch.compile builds small programs at run time.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/venv \
    && useradd --create-home writing \
    && mkdir -p /data/huggingface /data/logs /data/state && chown -R writing /data
ENV PATH=/opt/venv/bin:${PATH} PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HF_HOME=/data/huggingface

# One layer for each pace of change, so that a new version of the service moves only the last, a small one.
COPY constraints.txt /tmp/
RUN pip install ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}} -c /tmp/constraints.txt torch==2.13.0
COPY pyproject.toml /tmp/
RUN python -c "import pathlib, tomllib; p = tomllib.loads(pathlib.Path('/tmp/pyproject.toml').read_text())['project']; \
e = p['optional-dependencies']; n = '${EXTRAS}'.strip('[]').split(','); print(*p['dependencies'], *e['postgres'], *(r for x in n if x for r in e[x]), sep='\n')" > /tmp/requirements.txt \
    && pip install -c /tmp/constraints.txt -r /tmp/requirements.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-deps /wheels/*.whl

USER writing
WORKDIR /data
VOLUME /data/huggingface /data/state
EXPOSE 8600
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8600/health', timeout=4)"]

# Settings follow the image's name: docker run ... writing-service pipeline=sdxl
ENTRYPOINT ["writing-service", "serve", "api.host=0.0.0.0"]
