# The operator's image:  docker build -t tidegate:0.1.0 .
# The tests build it with an engine of their own (tests/image/docker.py), for which nobody needs Docker.
FROM python:3.11-slim AS build
WORKDIR /src

# What the operator needs, as locked: each file is compared with its hash, and nothing is compiled.
COPY requirements.lock tools/image/build.lock tools/image/runtime_lock.py ./
RUN python runtime_lock.py requirements.lock > runtime.lock \
 && python -m venv --without-pip /opt/tidegate \
 && pip --python /opt/tidegate/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: -r runtime.lock \
 && pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r build.lock

COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN python -m hatchling build -t wheel -d dist \
 && pip --python /opt/tidegate/bin/python install --no-cache-dir --disable-pip-version-check \
      --no-index --no-deps dist/tidegate-*.whl \
 && /opt/tidegate/bin/tidegate version

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Tidegate" \
      org.opencontainers.image.description="Progressive delivery for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tidegate /opt/tidegate
ENV PATH=/opt/tidegate/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that runAsNonRoot can be checked without reading the image's /etc/passwd.
USER 65532:65532
EXPOSE 8080 8443
ENTRYPOINT ["tidegate"]
CMD ["run"]
