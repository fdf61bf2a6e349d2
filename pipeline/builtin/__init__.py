"""What is built in and needs no network: the digits in four styles, and the training of the small CLIP."""
