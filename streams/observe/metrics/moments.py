"""Metrics of what the customers live through, by channel, of accepted events."""

from typing import Final

from streams.observe.metrics.metric import WORKER, Metric, counter, histogram

MOMENTS: Final[tuple[Metric, ...]] = (
    counter(
        "cx_moment_points_total",
        WORKER,
        "driver channel feeling",
        "Weight times distance from the prior of every moment, before decay and saturation: good or bad.",
        "points",
    ),
    counter(
        "cx_survey_answers_total",
        WORKER,
        "survey channel answer",
        "Answers: good is CSAT's top two boxes of five, NPS 9 or 10, CES 5 to 7 of 7; bad is CSAT's bottom "
        "two, NPS 0 to 6, CES 1 to 3.",
        "answers",
    ),
    counter(
        "cx_contacts_total",
        WORKER,
        "channel after",
        "Inbound contacts (calls, chats, tickets); after: failure where the customer's last experience was a "
        "bad one of weight 1 or more within 14 days, else other.",
        "contacts",
    ),
    counter(
        "cx_first_contacts_total",
        WORKER,
        "channel result",
        "Contacts judged: repeated by another on the same issue within 7 days of event time, or resolved.",
        "contacts",
    ),
    counter(
        "cx_offered_contacts_total",
        WORKER,
        "channel result",
        "Contacts that waited for a person: answered, or abandoned.",
        "contacts",
    ),
    counter(
        "cx_promises_total",
        WORKER,
        "channel result",
        "Promises that ended: kept, broken (late or failed deliveries), withdrawn.",
        "promises",
    ),
    counter("cx_orders_total", WORKER, "channel", "Orders placed.", "orders"),
    histogram("cx_contact_wait_seconds", WORKER, "channel", "Time in a queue before a person answered."),
    histogram(
        "cx_contact_handling_seconds",
        WORKER,
        "channel",
        "Talk, hold and after-call time of calls; duration of chats.",
    ),
    histogram(
        "cx_first_reply_seconds",
        WORKER,
        "channel",
        "Time to the first reply on the wall clock, taken when a ticket is first solved.",
    ),
)
