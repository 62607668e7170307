"""How fast the product is: one file per measurement, each with the bar that it is held to."""
