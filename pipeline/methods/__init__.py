"""A catalogue: CRoFT and all that it is compared with, one file a method, one row of `catalogue.py` each.

A finished fit leaves a `pipeline.fits.Head`: a kind, named arrays and scalars. With these the kind's `logits` turn raw
image features into logits, in training, in evaluation and in the exported graph.
"""
