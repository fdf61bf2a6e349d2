"""Numbers from fits and features: accuracy, open-set detection, intervals, comparisons, agreement of Hessians.

What people look at is made from these numbers by `pipeline.report`, which nothing here imports.
"""
