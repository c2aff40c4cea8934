"""What a process that is forked must not find half done."""

import os
from contextlib import AbstractContextManager
from threading import RLock


def fork_safe_lock() -> AbstractContextManager[bool]:
    """A lock that no fork falls into: who forks waits for the thread that has it. The child has
    none of its parent's threads, and would wait for ever for one that was about to give it back.
    """
    lock = RLock()
    hooks = {"before": lock.acquire, "after_in_parent": lock.release}
    getattr(os, "register_at_fork", dict)(**hooks, after_in_child=lock.release)
    return lock
