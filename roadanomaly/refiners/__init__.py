"""What follows a score map and is part of the saved model."""
