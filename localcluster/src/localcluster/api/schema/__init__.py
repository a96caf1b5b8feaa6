"""What kinds there are, which fields they have, and how the API says so."""
