"""Every open-set score, one row each; among equals the earlier row is the simpler one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.detection.scores import cosine, energy, gaussian, neighbours, softmax, subspace, words
from pipeline.detection.scores.contract import FeatureScore, LogitScore, Score
from pipeline.papers import Paper

if TYPE_CHECKING:
    from torch import Tensor


def _of_logits(compute: Callable[[Tensor], Tensor]) -> Callable[[Tensor, float], Tensor]:
    """A score that has no use for the scale."""
    return lambda logits, scale: compute(logits)


_MSP = Paper(
    "Hendrycks & Gimpel", "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks",
    "ICLR", 2017, "https://arxiv.org/abs/1610.02136",
)  # fmt: skip
_MAX_LOGIT = Paper(
    "Hendrycks et al.", "Scaling Out-of-Distribution Detection for Real-World Settings",
    "ICML", 2022, "https://arxiv.org/abs/1911.11132",
)  # fmt: skip
_ENERGY = Paper(
    "Liu et al.", "Energy-based Out-of-distribution Detection", "NeurIPS", 2020, "https://arxiv.org/abs/2010.03759"
)
_ENTROPY = Paper(
    "Chan et al.",
    "Entropy Maximization and Meta Classification for Out-of-Distribution Detection in Semantic Segmentation",
    "ICCV", 2021, "https://arxiv.org/abs/2012.06575",
)  # fmt: skip
_GEN = Paper(
    "Liu et al.", "GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection", "CVPR", 2023,
    "https://openaccess.thecvf.com/content/CVPR2023/html/Liu_GEN_Pushing_the_Limits_of_Softmax-Based_Out-of-Distribution_Detection_CVPR_2023_paper.html",
)  # fmt: skip
_MCM = Paper(
    "Ming et al.", "Delving into Out-of-Distribution Detection with Vision-Language Representations",
    "NeurIPS", 2022, "https://arxiv.org/abs/2211.13445",
)  # fmt: skip
_ENERGY_CHANGE = Paper(
    "Zhu et al.",
    "ΔEnergy: Optimizing Energy Change During Vision-Language Alignment Improves both OOD Detection and "
    "OOD Generalization",
    "NeurIPS", 2025, "https://arxiv.org/abs/2510.11296",
)  # fmt: skip
_KNN = Paper(
    "Sun et al.", "Out-of-Distribution Detection with Deep Nearest Neighbors",
    "ICML", 2022, "https://arxiv.org/abs/2204.06507",
)  # fmt: skip
_MAHALANOBIS = Paper(
    "Lee et al.", "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks",
    "NeurIPS", 2018, "https://arxiv.org/abs/1807.03888",
)  # fmt: skip
_RELATIVE = Paper(
    "Ren et al.", "A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection",
    "ICML workshop", 2021, "https://arxiv.org/abs/2106.09022",
)  # fmt: skip
_VIM = Paper(
    "Wang et al.", "ViM: Out-Of-Distribution with Virtual-logit Matching",
    "CVPR", 2022, "https://arxiv.org/abs/2203.10807",
)  # fmt: skip
_NEGLABEL = Paper(
    "Jiang et al.", "Negative Label Guided OOD Detection with Pretrained Vision-Language Models",
    "ICLR", 2024, "https://arxiv.org/abs/2403.20078",
)  # fmt: skip

_ROWS: tuple[Score, ...] = (
    LogitScore("msp", _of_logits(softmax.max_softmax), _MSP),
    LogitScore("max-logit", _of_logits(softmax.max_logit), _MAX_LOGIT),
    LogitScore("energy", _of_logits(energy.energy), _ENERGY),
    LogitScore("mcm", cosine.max_concept_matching, _MCM),
    LogitScore("max-cosine", cosine.max_cosine, _MCM),
    LogitScore("entropy", _of_logits(softmax.entropy), _ENTROPY),
    LogitScore("gen", _of_logits(softmax.generalised_entropy), _GEN),
    LogitScore("energy-change", _of_logits(energy.energy_change), _ENERGY_CHANGE),
    FeatureScore("knn", neighbours.bank, neighbours.neighbour_distance, _KNN),
    FeatureScore("mahalanobis", gaussian.class_gaussians, gaussian.mahalanobis, _MAHALANOBIS),
    FeatureScore("relative-mahalanobis", gaussian.with_background, gaussian.relative_mahalanobis, _RELATIVE),
    FeatureScore("vim", subspace.principal_subspace, subspace.virtual_logit, _VIM),
    FeatureScore("neglabel", words.negative_words, words.negative_label, _NEGLABEL, words=True),
)
SCORES: dict[str, Score] = {score.name: score for score in _ROWS}
