"""How good the fits are on domains they have not seen: scores, intervals, curves, figures and the report."""
