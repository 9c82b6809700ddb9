"""The local web page: what the box says, for a browser on the same network. It knows neither box nor sockets."""
