"""What the API answers to a request: which verb it means, with what options, in which form."""
