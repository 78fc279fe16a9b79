"""How good a painter is: `compare` scores it beside the optimiser by `judge`; `report` writes down what came out."""
