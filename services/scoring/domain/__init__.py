"""What makes a lead good and warm, and where it goes next: pure, with time and ids as arguments."""
