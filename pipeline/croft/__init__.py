"""The method: linear adapters, covariate-shift generator, energy-gradient penalty, objective; tensors in, tensors out.

Zhu et al., "CRoFT: Robust Fine-Tuning with Concurrent Optimization for OOD Generalization and Open-Set OOD
Detection", ICML 2024 (arXiv 2405.16417). Every function takes an optional leading run axis R, so that many runs are
one tensor program. The two readings of the method are `objective.py` (paper) and `released.py` (authors' code).
"""
