# An image for the users of a JupyterHub (DockerSpawner, KubeSpawner): Debian's Python, JupyterLab, and the kernel.
#
#   ./install.sh --wheel --python 3.13      # writes the wheels into dist
#   docker build --tag diaphane-hub .
#
# Its own check, without a container engine: tests/support/image_root.sh (docs/where-it-runs.md).

FROM debian:trixie-slim

RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3-venv && rm -rf /var/lib/apt/lists/*

# The hub's version must fit the hub that spawns it.
RUN python3 -m venv /opt/jupyter && /opt/jupyter/bin/pip install --no-cache-dir jupyterhub==5.* jupyterlab

COPY dist /opt/dist
RUN /opt/jupyter/bin/pip install --no-cache-dir /opt/dist/diaphane-*-cp313-*.whl && rm -rf /opt/dist

RUN useradd --create-home jovyan
ENV PATH=/opt/jupyter/bin:/usr/local/bin:/usr/bin:/bin
USER jovyan
WORKDIR /home/jovyan
CMD ["jupyterhub-singleuser", "--ip=0.0.0.0"]
