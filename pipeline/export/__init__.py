"""The deployed graph: adapted CLIP with its threshold as one ONNX file, its parity with torch, and its card."""
