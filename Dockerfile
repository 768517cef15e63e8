# The worker's image. `bash .ci/pin-images` pins the bases by digest. First stage: everything that needs a compiler or the network; the image that runs has neither.

FROM python:3.13.12-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /src

# Each locked package is checked against its hash. On linux/amd64 all of them are ready-made wheels; on linux/arm64
# Faust's is built here from its locked source. What builds it and the project is locked as well: pip, left to itself,
# would fetch these tools unchecked.
COPY requirements.lock requirements-run.lock ./
RUN awk '/^[a-z]/ { kept = /^(ast-serialize|cython|hatch-mypyc|hatchling|librt|mypy|packaging|pathspec|pluggy|setuptools|setuptools-scm|tomlkit|trove-classifiers|vcs-versioning|wheel)==/ } kept' \
        requirements.lock > build-tools.lock \
    && pip install --require-hashes --no-deps --requirement build-tools.lock \
    && pip wheel --require-hashes --no-deps --no-build-isolation --requirement build-tools.lock --wheel-dir /wheels \
    && pip wheel --require-hashes --no-build-isolation --requirement requirements-run.lock --wheel-dir /wheels

# --no-index: the project, its build backend and its dependencies come from the checked wheels alone. What builds is no
# dependency, so it stays behind; the lock for running has neither development tools nor Java. The extra sql is for the service `sink`. The hot modules are compiled.
COPY LICENSE README.md pyproject.toml ./
COPY models/ models/
COPY topics/ topics/
COPY streams/ streams/
COPY clients/python/ clients/python/
RUN python -m venv --without-pip /opt/consolidator \
    && HATCH_BUILD_HOOK_ENABLE_MYPYC=1 \
        pip --python /opt/consolidator/bin/python install --no-index --find-links /wheels '.[sql]'


FROM python:3.13.12-slim-bookworm

COPY --from=build /opt/consolidator /opt/consolidator

# A new volume takes its owner from this directory. The user is a number: orchestrators can see that it is not root.
RUN install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/consolidator

ENV PATH=/opt/consolidator/bin:$PATH \
    HOME=/var/lib/consolidator \
    CONSOLIDATOR_STATE_DIR=/var/lib/consolidator \
    PYTHONUNBUFFERED=1

USER 10001:10001
WORKDIR /var/lib/consolidator
VOLUME ["/var/lib/consolidator"]

ENTRYPOINT ["consolidator"]
CMD ["run"]
