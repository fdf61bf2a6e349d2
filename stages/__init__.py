"""One thin script per DVC stage: read, one call, write, track."""
