"""Whether one version may replace another, by what both say of the same images."""
