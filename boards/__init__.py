"""What a wallbox is: boards as validated data, and how a board becomes drivers."""
