"""When a failed attempt is tried again, and how long after."""

import random
from collections.abc import Callable

from windlass.model import Retry

# A delay beyond this is a mistake in the cascade rather than a wish; it is also what `cap` may be at most.
DELAY_S_MAX = 6 * 3600.0


def delay_s(
    retry: Retry, attempt: int, *, uniform: Callable[[float, float], float] = random.uniform
) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1) before the next.

    Args:
        uniform: draws the jitter from [low, high]; given by tests.
    """
    base = {
        "none": 0.0,
        "constant": retry.base_s,
        "linear": retry.base_s * attempt,
        "exponential": retry.base_s * retry.factor ** min(attempt - 1, 64),
    }[retry.backoff]
    capped = min(base, retry.cap_s if retry.cap_s is not None else DELAY_S_MAX, DELAY_S_MAX)
    spread = capped * retry.jitter
    return max(0.0, uniform(capped - spread, capped + spread)) if spread else capped
