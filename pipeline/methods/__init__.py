"""What the method is compared with, and the contract that all methods share.

A method leaves a `Head` behind: a kind, named arrays and scalars. `heads.py` joins each kind with its formula, a pure
function from raw image features to logits, which training, evaluation and the exported graph all use. One method
a file, each after its paper.
"""
