"""Python's small objects in memory pages of 2 MiB, where the kernel has them and `_hugepages` was compiled.

Rows of many customers lie all over the memory. With pages of 4 KiB a processor cannot keep in mind where they
all are: it has to look most of them up, which in a virtual machine means up to two dozen reads of memory
(decision 0027).
"""

from importlib import import_module


def use_huge_pages() -> bool:
    """Take memory in huge pages from now on, and tell whether that was compiled; call before much is made.

    Memory that is given back is kept for what comes next. With `never` in
    /sys/kernel/mm/transparent_hugepage/enabled pages stay small.
    """
    try:
        module = import_module("streams.engine._hugepages")
    except ImportError:
        return False
    module.install()
    return True
