# CPU:  docker build -t writing-service .
#       docker run -p 8600:8600 writing-service
# CUDA: docker build -t writing-service:gpu --build-arg EXTRAS=[gpu] --build-arg TORCH_INDEX= .
#       docker run --gpus all -p 8600:8600 -v hub:/data/huggingface writing-service:gpu pipeline=sdxl
FROM python:3.11-slim

# Empty: pip's own index, where torch for Linux comes with CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 HF_HOME=/data/huggingface

WORKDIR /build
COPY constraints.txt ./
RUN pip install ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}} -c constraints.txt torch==2.13.0

COPY . .
RUN pip install -c constraints.txt ".${EXTRAS}"

RUN useradd --create-home writing && mkdir -p /data/huggingface /data/logs && chown -R writing /data
USER writing
WORKDIR /data
VOLUME /data/huggingface
EXPOSE 8600
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8600/health', timeout=4)"]

# Settings follow the image's name: docker run ... writing-service pipeline=sdxl
ENTRYPOINT ["writing-service", "serve", "api.host=0.0.0.0"]
