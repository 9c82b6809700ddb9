"""What a simulator keeps in its folder."""

CONTROL_SOCKET = "simulator.sock"
NODE_SOCKET = "nodes.sock"
TREE = "simulator-tree"
