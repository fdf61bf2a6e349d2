"""Prediction with numpy, Pillow and ONNX Runtime only; loading it needs no torch."""
