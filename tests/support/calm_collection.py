"""A pytest plugin: no garbage is collected until the tests are.

Assertions are rewritten by `ast.parse`. When a collection of garbage in the midst of that makes
something parse, too, Python before 3.11.8 and 3.12.2 ends it with "AST constructor recursion depth
mismatch" (python/cpython#106905): rarely, and then the whole run.
"""

import gc

gc.disable()


def pytest_collection_finish() -> None:
    """All are read: what is known now stays, no collection need look at it again."""
    gc.freeze()
    gc.enable()
