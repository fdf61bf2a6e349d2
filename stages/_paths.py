"""Where stages read and write; the same paths stand in dvc.yaml, and a test compares them."""

from __future__ import annotations

from pathlib import Path

ARTIFACTS = Path("artifacts")
RUNS = ARTIFACTS / "runs"
MANIFEST = ARTIFACTS / "manifest.parquet"
REFUSED = ARTIFACTS / "refused.parquet"
VERDICT = ARTIFACTS / "validation" / "validation.json"
FAULTS = ARTIFACTS / "validation" / "faults.csv"
DATA_DOCS = ARTIFACTS / "validation" / "docs"
LEAKAGE = ARTIFACTS / "validation" / "leakage.json"
LEAKS = ARTIFACTS / "validation" / "leakage.csv"
SPLITS = ARTIFACTS / "splits.parquet"
FEATURES = ARTIFACTS / "features"
FITS = ARTIFACTS / "fits"
LEFT_OUT = ARTIFACTS / "left_out"
FIT_METRICS = ARTIFACTS / "fits.json"
SCORES = ARTIFACTS / "evaluation" / "scores.parquet"
METRICS = ARTIFACTS / "evaluation" / "metrics.json"
PROTOCOLS = ARTIFACTS / "evaluation" / "protocols.json"
CHOICE = ARTIFACTS / "evaluation" / "choice.json"
RANKING = ARTIFACTS / "evaluation" / "ranking.csv"
DETECTION = ARTIFACTS / "evaluation" / "detection.parquet"
PLOTS = ARTIFACTS / "evaluation" / "plots"
REPORT = ARTIFACTS / "evaluation" / "report.html"
MODEL = ARTIFACTS / "export" / "model.onnx"
EXTRAS = ARTIFACTS / "export" / "extras"
STATISTICS = ARTIFACTS / "export" / "score.safetensors"
PROTOCOL = ARTIFACTS / "export" / "protocol"
CARD = ARTIFACTS / "export" / "card.json"
PARITY = ARTIFACTS / "export" / "parity.json"
REGISTRATION = ARTIFACTS / "registration.json"
EMBEDDINGS = Path(".croft") / "embeddings"  # of the workspace; no output: it must survive a stage that starts again
READ = Path(".croft") / "read.sqlite"  # the same, for what was read of which image in this folder
