"""Many recipes, seeds and sets as one table under equal conditions."""
