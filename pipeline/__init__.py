"""Fine-tune, calibrate, gate and serve a CLIP classifier that knows what it does not know."""
