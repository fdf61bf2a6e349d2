"""Types of flow parameters, from which Prefect's page makes forms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Policy = Literal["first", "auto", "ask", "never"]
"""What a new version becomes: champion only where there is none (first); champion if it passes the gate (auto), or if
a person says so (ask); or the challenger, with its verdict (never)."""

Superiority = Literal["accuracy", "auroc", "none"]
Version = Annotated[int, Field(ge=1)]
DataVersions = dict[str, Literal["latest"] | Version]
"""Data sets by name, each at its last version or a stated one."""

OnBadImage = Literal["", "fail", "skip"]
"""What becomes of an image that cannot be used; "" for what params.yaml says."""

Retries = Annotated[int, Field(ge=0, le=10)]
Hours = Annotated[float, Field(gt=0.0, le=24.0 * 30)]
