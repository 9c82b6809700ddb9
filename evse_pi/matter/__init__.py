"""The device side of Matter: a node that knows no charger.

Wings, each importing only those before it: `wire`, `identity`, `channel`, `model`, `interaction`, `clusters`,
`discovery`, and `node`, which puts them together.
"""
