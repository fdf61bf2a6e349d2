"""One engine that trains runs of any method as one stacked tensor program, on cached features."""
