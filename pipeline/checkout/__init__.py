"""A clean checkout of a stated revision of the project, in a folder of its own, with the project's cache and stores."""
