"""When a customer engages, and what silence says: MBG/NBD in days.

An occasion is a UTC day with an engagement, dated the start of that day. With x repeats, the last at tx and
an age of T days, the probability of no engagement in the next h days is (Batislam, Denizel and Filiztekin
2007; Wagner and Hoppe 2008) `P0(h) = 1 - pa (1 - ((al + T)/(al + T + h))**(r + x))`, `pa = 1/(1 + a/(b + x)
((al + T)/(al + tx))**(r + x))`. It is computed in logs, finite for x to a million.
"""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Final

from librt.vecs import vec

from streams.scoring.maths import exp2, expm1, log1p
from streams.scoring.policy import DAY_S, Policy, RhythmSection
from streams.scoring.state import CustomerState, Rhythm

MAP_DAYS: Final = 64
MAP_MASK: Final = (1 << MAP_DAYS) - 1
LOGIT_LIMIT: Final = 12.0
COUNT_HALF_LIFE_SHARE: Final = 1.4  # of the horizon: the half-life at which a decayed counter predicts best
QUIET: Final = 0.3
SEARCH_FROM_DAYS: Final = 32.0
SEARCH_TO_DAYS: Final = 8192.0
EXPECTED_WITHIN_DAYS: Final = 1e-3
EPOCH: Final = date(1970, 1, 1)
MOST_MONTHS: Final = 4096
MOST_WAITS: Final = 4096
_MONTHS: Final[dict[int, int]] = {}
"""Day number -> month, of the days asked for lately: a calendar is slow."""


def day_of(at_s: float) -> int:
    """Return the UTC day of a time, in days since 1970-01-01."""
    return int(at_s // DAY_S)


def count_half_lives_s(policy: Policy) -> tuple[float, ...]:
    """Return the half-life of the decayed count of each horizon, seconds."""
    return tuple(COUNT_HALF_LIFE_SHARE * days * DAY_S for days in policy.churn.horizons_days)


def engage(state: CustomerState, at_s: float, half_lives_s: tuple[float, ...], spent: float = 0.0) -> None:
    """Count an engagement at `at_s`; a second one on the same UTC day is the same occasion.

    `spent` is its amount in minor units of the policy's currency; amounts of one day add up. A late event is
    exact while its day lies within 64 days of the last one; an older day counts as new.
    """
    day = day_of(at_s)
    rhythm = state.rhythm
    if rhythm is None:
        state.rhythm = rhythm = Rhythm(day, day, 0, 0, vec[float]([0.0] * len(half_lives_s)), 0)
        new = True
    else:
        new = _is_new(rhythm, day)
        rhythm.repeats += new
        rhythm.first_day = min(rhythm.first_day, day)
    if spent:
        rhythm.spend += spent * exp2((day * DAY_S - state.ref_s) / half_lives_s[-1])
    if not new:
        return
    rhythm.months |= 1 << month_of(day)
    age_s = day * DAY_S - state.ref_s
    counts = rhythm.counts
    for index, half_life_s in enumerate(half_lives_s):
        counts[index] += exp2(age_s / half_life_s)


def _is_new(rhythm: Rhythm, day: int) -> bool:
    """Enter `day` in the map of days; False if it is there already."""
    ahead = day - rhythm.last_day
    if ahead > 0:
        rhythm.days = ((rhythm.days << ahead) | 1 << (ahead - 1)) & MAP_MASK if ahead <= MAP_DAYS else 0
        rhythm.last_day = day
        return True
    if ahead == 0:
        return False
    if -ahead > MAP_DAYS:
        return True
    bit = 1 << (-ahead - 1)
    if rhythm.days & bit:
        return False
    rhythm.days |= bit
    return True


def month_of(day: int) -> int:
    """Return the calendar month of a day number, 0..11."""
    month = _MONTHS.get(day)
    if month is None:
        if len(_MONTHS) >= MOST_MONTHS:
            _MONTHS.clear()
        month = _MONTHS[day] = (EPOCH + timedelta(days=day)).month - 1
    return month


class Silence:
    """What the rhythm says of the time after the last engagement."""

    def __init__(self, section: RhythmSection) -> None:
        self.r = section.r
        self.alpha = section.alpha_days
        self.a = section.a
        self.b = section.b
        self._waits: dict[tuple[int, int, float, float], float] = {}
        """(repeats, days from the first to the last, horizon, share) -> days after the last one until silence
        reaches the share, infinity for never; of those asked for lately: a search is slow."""
        k = self.a / self.b
        self._quiet_floor = (1.0 + k) / (1.0 + k * math.exp(QUIET))

    def log_active(self, repeats: int, last: float, age: float, horizon: float) -> float:
        """Return log(1 - P0(horizon)); `last` and `age` in days from the first, `horizon` in days."""
        return self.log_alive(repeats, last, age) + self.log_buys(repeats, age, horizon)

    def log_alive(self, repeats: int, last: float, age: float) -> float:
        """Return the logarithm of the probability that the customer is not gone, whatever the horizon."""
        n = self.r + repeats
        z = math.log(self.a / (self.b + repeats)) + n * math.log((self.alpha + age) / (self.alpha + last))
        return -(z + log1p(math.exp(-z))) if z > 0 else -log1p(math.exp(z))

    def log_buys(self, repeats: int, age: float, horizon: float) -> float:
        """Return the logarithm of the probability that one who is not gone engages within `horizon` days."""
        return math.log(-expm1(-(self.r + repeats) * log1p(horizon / (self.alpha + age))))

    def logit_p0(self, rhythm: Rhythm, at_s: float, horizon: float) -> float:
        """Return the log-odds of no engagement in the next `horizon` days, clamped to +-12."""
        log_active = self.log_active(rhythm.repeats, self._last(rhythm), self._age(rhythm, at_s), horizon)
        return self._logit_of(log_active)

    def logits_p0(self, rhythm: Rhythm, at_s: float, horizons: tuple[float, ...]) -> list[float]:
        """Return `logit_p0` of several horizons."""
        repeats, age = rhythm.repeats, self._age(rhythm, at_s)
        log_alive = self.log_alive(repeats, self._last(rhythm), age)
        return [self._logit_of(log_alive + self.log_buys(repeats, age, horizon)) for horizon in horizons]

    @staticmethod
    def _logit_of(log_active: float) -> float:
        # log1p(-exp(x)) loses all digits where x is near 0; there log(-expm1(x)) is exact
        log_p0 = math.log(-expm1(log_active)) if log_active < 0.0 else -math.inf
        return max(-LOGIT_LIMIT, min(LOGIT_LIMIT, log_p0 - log_active))

    def most_logit_p0(self, rhythm: Rhythm, at_s: float, horizon: float) -> float:
        """Return in a few operations what `logit_p0` does not exceed, but for rounding.

        As in `surely_below`, the odds of being gone are at most g = k exp(n u), k = a/(b + x). The chance of
        buying within h, 1 - (1 + y)**-n with y = h/(al + T), is at least n y/(1 + n y) for n >= 1, as
        Bernoulli found. So 1 - P0 >= n y/((1 + n y)(1 + g)).
        """
        last, age = self._last(rhythm), self._age(rhythm, at_s)
        n = self.r + rhythm.repeats
        faded = n * (age - last) / (self.alpha + last)
        if n < 1.0 or faded > LOGIT_LIMIT:
            return LOGIT_LIMIT
        gone = self.a / (self.b + rhythm.repeats) * math.exp(faded)
        buys = n * horizon / (self.alpha + age)
        return max(-LOGIT_LIMIT, math.log((1.0 + gone + gone * buys) / buys))

    def lost(self, rhythm: Rhythm, at_s: float, horizon: float) -> float:
        """Return the share of the chance of engaging that silence has cost: 1 - (1-P0 now)/(1-P0 then)."""
        last = self._last(rhythm)
        age = self._age(rhythm, at_s)
        now = self.log_active(rhythm.repeats, last, age, horizon)
        return -expm1(now - self.log_active(rhythm.repeats, last, last, horizon))

    def surely_below(self, rhythm: Rhythm, at_s: float, lost: float) -> bool:
        """Tell in a few operations that the share lost is below `lost`; False says nothing.

        With u = (T - tx)/(al + tx) and n = r + x: the odds of being gone grow by (1 + u)**n <= exp(n u),
        and the chance of buying within h falls at most by 1 + u. So 1 - lost >= (1 + k)/(1 + k exp(n u))/(1
        + u), k = a/(b + x) <= a/b.
        """
        last = self._last(rhythm)
        u = (self._age(rhythm, at_s) - last) / (self.alpha + last)
        if (self.r + rhythm.repeats) * u > QUIET:
            return False
        return self._quiet_floor > (1.0 - lost) * (1.0 + u)

    def expected_by_s(self, rhythm: Rhythm, horizon: float, lost: float) -> float | None:
        """Return the time at which silence reaches `lost`, seconds; None if not within some 20 years."""
        span = rhythm.last_day - rhythm.first_day
        asked = (rhythm.repeats, span, horizon, lost)
        days = self._waits.get(asked)
        if days is None:
            if len(self._waits) >= MOST_WAITS:
                self._waits.clear()
            days = self._waits[asked] = self._search(rhythm.repeats, float(span), horizon, lost)
        return None if days == math.inf else (rhythm.last_day + days) * DAY_S

    def _search(self, repeats: int, last: float, horizon: float, lost: float) -> float:
        """Return the days after the last engagement at which silence reaches `lost`; infinity for never."""
        if lost >= 1.0:
            return math.inf
        target = self.log_active(repeats, last, last, horizon) + log1p(-lost)
        low, high = 0.0, SEARCH_FROM_DAYS
        above, below = -log1p(-lost), self.log_active(repeats, last, last + high, horizon) - target
        while below > 0.0:
            low, above, high = high, below, 2.0 * high
            if high > SEARCH_TO_DAYS:
                return math.inf
            below = self.log_active(repeats, last, last + high, horizon) - target
        # Regula falsi with halved weights (Illinois): ten steps do what fifty of a bisection would.
        while high - low > EXPECTED_WITHIN_DAYS:
            middle = low + (high - low) * above / (above - below)
            middle = min(max(middle, low + EXPECTED_WITHIN_DAYS / 2), high - EXPECTED_WITHIN_DAYS / 2)
            found = self.log_active(repeats, last, last + middle, horizon) - target
            if found > 0.0:
                low, above, below = middle, found, below / 2.0
            else:
                high, below, above = middle, found, above / 2.0
        return high

    @staticmethod
    def _last(rhythm: Rhythm) -> float:
        return float(rhythm.last_day - rhythm.first_day)

    @staticmethod
    def _age(rhythm: Rhythm, at_s: float) -> float:
        # A row is never evaluated before its newest event; the day's start is at most that.
        return max(at_s / DAY_S, float(rhythm.last_day)) - rhythm.first_day


def season_open(rhythm: Rhythm, at_s: float, *, span_days: float, months: int) -> bool:
    """Tell whether a seasonal customer's next month has not ended yet, so that silence says nothing.

    Seasonal: at least one repeat, first to last at least `span_days`, in at most `months` calendar months.
    """
    if rhythm.repeats < 1 or rhythm.last_day - rhythm.first_day < span_days:
        return False
    if rhythm.months.bit_count() > months:
        return False
    return at_s < _next_season_end_s(rhythm)


def _next_season_end_s(rhythm: Rhythm) -> float:
    last = EPOCH + timedelta(days=rhythm.last_day)
    ahead = next(step for step in range(1, 13) if rhythm.months >> ((last.month - 1 + step) % 12) & 1)
    after = last.month + ahead  # months since January of the last year, of the month after the season
    return datetime(last.year + after // 12, after % 12 + 1, 1, tzinfo=UTC).timestamp()
