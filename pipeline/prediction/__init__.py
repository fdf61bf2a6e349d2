"""Many images in, one answer each out, as they come: finding files, deciding ahead of the disk, writing, sorting."""
