"""Customers with a known truth: how each kind of customer lives, chapter by chapter."""

from collections.abc import Callable, Generator
from datetime import UTC, datetime

from streams.demo.scenes import DAY, HOUR, MINUTE, Chapter, Customer, Journey, Scenes


class Storyteller(Scenes):
    """Writes the journeys of all kinds of customers."""

    def regular(self, who: Customer, at: int) -> Journey:
        """Buy at a steady rhythm and go on doing so."""
        while True:
            gap = self._gap(who)
            yield Chapter(self._cycle(who, at, gap), at + gap)
            at += gap

    def fading(self, who: Customer, at: int) -> Journey:
        """Buy ever more rarely, without a word, until the last time."""
        rng = self.rng
        at = yield from self._steady(who, at, rng.randint(3, 9))
        for _ in range(rng.randint(1, 3)):
            who.gap_days *= rng.uniform(1.5, 2.2)
            who.sessions *= 0.5
            gap = self._gap(who)
            who.churned_at = at
            yield Chapter(self._cycle(who, at, gap), at + gap)
            at += gap
        yield Chapter(self._session(who, at), at)

    def hit(self, who: Customer, at: int) -> Journey:
        """Be let down twice, by a failed delivery and a bad call about it; most leave."""
        rng = self.rng
        who.gap_days = min(who.gap_days, 14.0)
        at = yield from self._steady(who, at, rng.randint(2, 6))
        order = self._place(who, at, "app" if who.channel == "app" else "web")
        failed = at + 3 * DAY + rng.randrange(HOUR, 9 * HOUR)
        issue = self._issue(who)
        moments = [order, self._delivery_failed(order, failed)]
        bad = failed + rng.randrange(2 * HOUR, DAY)
        moments.append(self._bad_call(issue, order, bad))
        if self._chance(0.6):
            bad += rng.randrange(2 * HOUR, 20 * HOUR)
            moments.append(self._bad_call(issue, order, bad))
        if self._chance(0.3):
            moments.append(self._complaint(issue, order, bad + HOUR, "phone"))
        leaves = self._chance(0.75)
        if leaves:
            who.churned_at = bad
            if self._chance(0.5):
                moments.append(
                    self._moment(
                        bad + rng.randrange(DAY, 4 * DAY), "cancel_page.viewed", "web", {}, planted=True
                    )
                )
        yield Chapter(moments, bad + 5 * DAY)
        if not leaves:
            yield from self.regular(who, bad + 10 * DAY)

    def saved(self, who: Customer, at: int) -> Journey:
        """Be let down once and then served so well as to stay."""
        rng = self.rng
        who.gap_days = min(who.gap_days, 21.0)
        at = yield from self._steady(who, at, rng.randint(2, 6))
        order = self._place(who, at, "app" if who.channel == "app" else "web")
        failed = at + 3 * DAY + rng.randrange(HOUR, 9 * HOUR)
        issue = self._issue(who)
        about = {"issue_id": issue, "order_id": order.data["order_id"]}
        opened = failed + rng.randrange(HOUR, 6 * HOUR)
        ticket = {"ticket_id": f"t-{issue}", **about}
        moments = [
            order,
            self._delivery_failed(order, failed),
            self._moment(opened, "ticket.created", "email", {**ticket, "priority": "high"}, planted=True),
            self._good_call(issue, order, opened + 40 * MINUTE),
            self._moment(opened + 4 * HOUR, "ticket.solved", "email", dict(ticket), planted=True),
            self._moment(
                opened + DAY, "delivery.delivered", order.channel, {"order_id": order.data["order_id"]}
            ),
            self._csat(opened + DAY + 2 * HOUR, 5, issue, planted=True),
        ]
        yield Chapter(moments, opened + 4 * DAY)
        yield from self.regular(who, opened + 8 * DAY)

    def one_time(self, who: Customer, at: int) -> Journey:
        """Buy once, perhaps look in again, never buy again."""
        who.churned_at = at
        order = self._place(who, at, who.channel)
        moments = [order, *self._delivery(order)]
        for _ in range(self.rng.randint(0, 3)):
            moments += self._session(who, at + self.rng.randrange(DAY, 60 * DAY))
        yield Chapter(moments, at + 60 * DAY)

    def december(self, who: Customer, at: int) -> Journey:
        """Buy each December and at no other time."""
        rng = self.rng
        while True:
            year = datetime.fromtimestamp(at, UTC).year
            shopping = int(datetime(year, 12, 1, tzinfo=UTC).timestamp()) + rng.randrange(20 * DAY)
            if shopping >= at:
                yield Chapter(self._session(who, shopping - min(shopping - at, 5 * DAY)), shopping)
                order = self._place(who, shopping, who.channel)
                yield Chapter([order, *self._delivery(order)], shopping)
            at = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())

    def support_only(self, who: Customer, at: int) -> Journey:
        """Never buy by any channel seen here, only ask for help, and be helped well."""
        rng = self.rng
        while True:
            issue = self._issue(who)
            ticket = {"ticket_id": f"t-{issue}", "issue_id": issue}
            solved = at + rng.randrange(HOUR, 8 * HOUR)
            yield Chapter(
                [
                    self._moment(at, "ticket.created", "email", {**ticket, "priority": "normal"}),
                    self._moment(solved, "ticket.solved", "email", dict(ticket)),
                    self._csat(solved + HOUR, 5, issue),
                ],
                at := at + rng.randrange(15 * DAY, 50 * DAY),
            )

    def public(self, who: Customer, at: int) -> Journey:
        """Receive a parcel late and say so where others read it; half leave."""
        rng = self.rng
        at = yield from self._steady(who, at, rng.randint(2, 8))
        order = self._place(who, at, "app" if who.channel == "app" else "web")
        late = at + 3 * DAY + rng.randrange(2 * DAY, 6 * DAY)
        posted = late + rng.randrange(HOUR, DAY)
        reach = int(min(2e6, 200 * rng.paretovariate(0.9)))
        moments = [
            order,
            self._moment(late, "delivery.delivered", order.channel, self._promise_of(order), planted=True),
            self._moment(
                posted, "social.mentioned", "social", {"sentiment": -0.9, "reach": reach}, planted=True
            ),
            self._complaint(self._issue(who), order, posted + 2 * HOUR, "social"),
        ]
        leaves = self._chance(0.5)
        if leaves:
            who.churned_at = posted
        yield Chapter(moments, posted + 5 * DAY)
        if not leaves:
            yield from self.regular(who, posted + 15 * DAY)

    def _steady(self, who: Customer, at: int, purchases: int) -> Generator[Chapter, None, int]:
        for _ in range(purchases):
            gap = self._gap(who)
            yield Chapter(self._cycle(who, at, gap), at + gap)
            at += gap
        return at


Life = Callable[[Storyteller, Customer, int], Journey]

PERSONAS: dict[str, tuple[Life, int]] = {
    "regular": (Storyteller.regular, 16),
    "hit": (Storyteller.hit, 6),
    "fading": (Storyteller.fading, 10),
    "saved": (Storyteller.saved, 5),
    "one_time": (Storyteller.one_time, 6),
    "december": (Storyteller.december, 3),
    "support_only": (Storyteller.support_only, 2),
    "public": (Storyteller.public, 2),
}
"""Each persona's life and its share of fifty customers."""
