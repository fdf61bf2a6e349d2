"""What made a model version, which versions saw which bytes, and whether a version can be made again."""
