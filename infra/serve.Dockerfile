# croft serve on a CPU, from a folder with model.onnx and card.json that is mounted at /model.
#   docker build -f infra/serve.Dockerfile -t croft-serve .
#   docker run --read-only --tmpfs /tmp -p 8080:8080 -e CROFT_TOKEN -v "$PWD/artifacts/export:/model:ro" croft-serve
FROM python:3.11-slim

WORKDIR /app
COPY requirements.lock ./
# Only what serving imports, in the locked versions; the CPU build of ONNX Runtime, of the same version as the lock's.
RUN sed -nE 's/ \\$//; /^[a-z0-9].*==/p' requirements.lock > constraints.txt \
    && pip install --no-cache-dir -c constraints.txt fastapi uvicorn httptools uvloop python-multipart prometheus-client \
        numpy pillow pyarrow pydantic pyyaml typer \
        "onnxruntime==$(sed -nE 's/^onnxruntime-gpu==([^ ]+).*/\1/p' requirements.lock)"
COPY pipeline ./pipeline

RUN useradd --system --no-create-home croft
USER croft
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["python", "-m", "pipeline.cli", "serve", "--host", "0.0.0.0", "--model", "/model", "--device", "cpu"]
