"""Touchpoints in which the customer says how it was: in public, and when asked."""

from typing import Annotated, Final, Literal

from schemas.envelope import Touchpoint
from schemas.fields import Count, Data, FieldError, Id, Scale, Sentiment, Text, fill, says

Survey = Literal["nps", "csat", "ces"]
Scope = Literal["relational", "transactional"]

SCALES: Final[dict[str, tuple[float, float]]] = {"nps": (0.0, 10.0), "csat": (1.0, 5.0), "ces": (1.0, 7.0)}
RATING_SCALE: Final = (1.0, 5.0)


class SocialMentionedData(Data, frozen=True, kw_only=True):
    """A post."""

    post_id: Annotated[Id | None, says("The post.")] = None
    network: Annotated[Text | None, says("Where it was posted.")] = None
    sentiment: Annotated[Sentiment | None, says("Tone of the post, -1 (angry) to 1 (happy).")] = None
    reach: Annotated[Count | None, says("How many people may have read it.")] = None


class SocialMentioned(Touchpoint, frozen=True, kw_only=True, tag="cx.social.mentioned.v1"):
    """The customer spoke about the company in public."""

    data: SocialMentionedData = SocialMentionedData()


class ReviewPostedData(Data, frozen=True, kw_only=True):
    """A review: `sentiment` or `rating` must be there."""

    review_id: Annotated[Id | None, says("The review.")] = None
    sku: Annotated[Id | None, says("The article reviewed.")] = None
    sentiment: Annotated[Sentiment | None, says("Tone of the text, -1 (angry) to 1 (happy).")] = None
    rating: Annotated[Scale | None, says("Stars or points, within the scale.")] = None
    scale_min: Annotated[Scale | None, says("The worst rating there is; without it 1.")] = None
    scale_max: Annotated[Scale | None, says("The best rating there is; without it 5.")] = None
    reach: Annotated[Count | None, says("How many people may have read it.")] = None

    def __post_init__(self) -> None:
        """Hold the rating to its scale and fill in the scale's default."""
        if self.rating is None and self.sentiment is None:
            raise FieldError(
                field="rating", seen="nothing", mend="Send `rating` (with its scale) or `sentiment`."
            )
        low, high = _scale(self.scale_min, self.scale_max, RATING_SCALE)
        if self.rating is not None and not low <= self.rating <= high:
            mend = f"Send a number from {low:g} to {high:g}, or another scale_min and scale_max."
            raise FieldError(field="rating", seen="number", mend=mend)
        fill(self, scale_min=low, scale_max=high)

    @property
    def goodness(self) -> float | None:
        """The rating as a share of its scale, 0 (worst) to 1 (best); None without a rating."""
        if self.rating is None or self.scale_min is None or self.scale_max is None:
            return None
        return (self.rating - self.scale_min) / (self.scale_max - self.scale_min)


class ReviewPosted(Touchpoint, frozen=True, kw_only=True, tag="cx.review.posted.v1"):
    """The customer reviewed a product or the company in public."""

    data: ReviewPostedData


class SurveySentData(Data, frozen=True, kw_only=True):
    """A question to the customer."""

    survey_id: Annotated[Id | None, says("The survey sent to this customer.")] = None
    survey: Annotated[Survey | None, says("Its kind.")] = None


class SurveySent(Touchpoint, frozen=True, kw_only=True, tag="cx.survey.sent.v1"):
    """The customer was asked how it was."""

    data: SurveySentData = SurveySentData()


class SurveyAnsweredData(Data, frozen=True, kw_only=True):
    """An answer. Left out, the scale is the kind's own: nps 0..10, csat 1..5, ces 1..7."""

    survey: Annotated[Survey, says("Its kind: nps, csat or ces.")]
    score: Annotated[Scale, says("The answer, within the scale.")]
    survey_id: Annotated[Id | None, says("The survey sent to this customer.")] = None
    aspect: Annotated[
        Text | None,
        says("What was asked about, such as speed, people, product or price; without it, the whole."),
    ] = None
    scale_min: Annotated[Scale | None, says("The lowest answer; without it, the kind's.")] = None
    scale_max: Annotated[Scale | None, says("The highest answer; without it, the kind's.")] = None
    high_is_good: Annotated[
        bool | None, says("False where a low answer is the good one; without it, true.")
    ] = None
    scope: Annotated[
        Scope | None,
        says(
            "relational: about the company; transactional: about one contact. Without it, nps is relational."
        ),
    ] = None

    def __post_init__(self) -> None:
        """Hold the score to its scale and fill in the defaults of the survey's kind."""
        low, high = _scale(self.scale_min, self.scale_max, SCALES[self.survey])
        if not low <= self.score <= high:
            mend = f"Send a number from {low:g} to {high:g}, or another scale_min and scale_max."
            raise FieldError(field="score", seen="number", mend=mend)
        fill(
            self,
            scale_min=low,
            scale_max=high,
            high_is_good=self.high_is_good is not False,
            scope=self.scope or ("relational" if self.survey == "nps" else "transactional"),
        )

    @property
    def goodness(self) -> float:
        """The answer as a share of its scale, 0 (worst) to 1 (best), whichever end is the good one."""
        low, high = _scale(self.scale_min, self.scale_max, SCALES[self.survey])
        share = (self.score - low) / (high - low)
        return share if self.high_is_good else 1.0 - share


class SurveyAnswered(Touchpoint, frozen=True, kw_only=True, tag="cx.survey.answered.v1"):
    """The customer answered a survey."""

    data: SurveyAnsweredData


def _scale(low: float | None, high: float | None, default: tuple[float, float]) -> tuple[float, float]:
    """Return the scale with its defaults; FieldError where it is empty."""
    bottom = default[0] if low is None else low
    top = default[1] if high is None else high
    if bottom >= top:
        raise FieldError(field="scale_max", seen="number", mend="Send a scale_max above scale_min.")
    return bottom, top
