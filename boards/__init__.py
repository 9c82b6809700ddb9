"""What a wallbox is made of, as data: one file a board, and the two builders that turn it into drivers."""
