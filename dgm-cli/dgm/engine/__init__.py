"""From a recipe to trials to results."""
