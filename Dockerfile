# The operator's image:  docker build -t tidegate:0.1.0 .
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY operator operator
# Exactly the locked versions, but only of what the operator itself needs: the lock holds the development tools too.
RUN sed -E '/^ +(--hash|#)/d; s/ *\\$//' requirements.lock > constraints.txt \
 && python -m venv /opt/tidegate \
 && /opt/tidegate/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt . \
 && /opt/tidegate/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
COPY --from=build /opt/tidegate /opt/tidegate
ENV PATH=/opt/tidegate/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that runAsNonRoot can be checked without reading the image's /etc/passwd.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["tidegate"]
CMD ["run"]
