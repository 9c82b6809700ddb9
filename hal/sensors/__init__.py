"""Chips on the I2C bus, one a file, over smbus2."""
