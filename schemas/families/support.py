"""Touchpoints of the contact centre and of self-service."""

from typing import Annotated, Literal

from schemas.envelope import Touchpoint
from schemas.fields import Clocks, Count, Data, Id, Resolved, Seconds, Sentiment, Text, Time, says

Priority = Literal["low", "normal", "high", "urgent"]
Author = Literal["agent", "customer", "bot"]
IvrResult = Literal["contained", "abandoned", "to_agent"]


class TicketData(Data, frozen=True, kw_only=True):
    """The state of a ticket after the event."""

    ticket_id: Annotated[Id | None, says("The ticket.")] = None
    priority: Annotated[Priority | None, says("Its priority.")] = None
    reopens: Annotated[Count | None, says("How often it was reopened.")] = None
    replies: Annotated[Count | None, says("How often an agent replied.")] = None
    group_stations: Annotated[Count | None, says("How many groups have held it.")] = None
    assignee_stations: Annotated[Count | None, says("How many agents have held it.")] = None
    first_reply: Annotated[Clocks | None, says("Time to the first reply.")] = None
    full_resolution: Annotated[Clocks | None, says("Time to the last solution.")] = None
    sentiment: Annotated[Sentiment | None, says("Tone of the customer, -1 (angry) to 1 (happy).")] = None


class TicketCreated(Touchpoint, frozen=True, kw_only=True, tag="cx.ticket.created.v1"):
    """The customer opened a ticket."""

    data: TicketData = TicketData()


class TicketRepliedData(TicketData, frozen=True, kw_only=True):
    """A reply."""

    by: Annotated[Author | None, says("Who replied; without it, an agent.")] = None


class TicketReplied(Touchpoint, frozen=True, kw_only=True, tag="cx.ticket.replied.v1"):
    """Someone replied to a ticket."""

    data: TicketRepliedData = TicketRepliedData()


class TicketReopened(Touchpoint, frozen=True, kw_only=True, tag="cx.ticket.reopened.v1"):
    """A solved ticket was not solved after all."""

    data: TicketData = TicketData()


class TicketSolved(Touchpoint, frozen=True, kw_only=True, tag="cx.ticket.solved.v1"):
    """A ticket was solved."""

    data: TicketData = TicketData()


class TicketEscalatedData(TicketData, frozen=True, kw_only=True):
    """An escalation."""

    to: Annotated[Text | None, says("The group or level it went to.")] = None


class TicketEscalated(Touchpoint, frozen=True, kw_only=True, tag="cx.ticket.escalated.v1"):
    """A ticket went to a higher level."""

    data: TicketEscalatedData = TicketEscalatedData()


class CallEndedData(Data, frozen=True, kw_only=True):
    """A call."""

    call_id: Annotated[Id | None, says("The call.")] = None
    wait_s: Annotated[Seconds | None, says("Time in the queue before an agent answered.")] = None
    hold_s: Annotated[Seconds | None, says("Time on hold.")] = None
    talk_s: Annotated[Seconds | None, says("Time talking.")] = None
    acw_s: Annotated[Seconds | None, says("After-call work of the agent.")] = None
    transfers: Annotated[Count | None, says("How often the caller was passed on.")] = None
    abandoned: Annotated[bool | None, says("True if the caller hung up before an agent answered.")] = None
    resolved: Annotated[Resolved | None, says("Whether the matter was settled.")] = None
    sentiment: Annotated[Sentiment | None, says("Tone of the caller, -1 (angry) to 1 (happy).")] = None
    agent_id: Annotated[Id | None, says("Who took the call.")] = None


class CallEnded(Touchpoint, frozen=True, kw_only=True, tag="cx.call.ended.v1"):
    """A call with the contact centre ended."""

    data: CallEndedData = CallEndedData()


class ChatEndedData(Data, frozen=True, kw_only=True):
    """A chat with an agent."""

    chat_id: Annotated[Id | None, says("The chat.")] = None
    wait_s: Annotated[Seconds | None, says("Time before an agent answered.")] = None
    duration_s: Annotated[Seconds | None, says("How long it lasted.")] = None
    transfers: Annotated[Count | None, says("How often the customer was passed on.")] = None
    abandoned: Annotated[bool | None, says("True if the customer left before an agent answered.")] = None
    resolved: Annotated[Resolved | None, says("Whether the matter was settled.")] = None
    sentiment: Annotated[Sentiment | None, says("Tone of the customer, -1 (angry) to 1 (happy).")] = None
    agent_id: Annotated[Id | None, says("Who took the chat.")] = None


class ChatEnded(Touchpoint, frozen=True, kw_only=True, tag="cx.chat.ended.v1"):
    """A chat with an agent ended."""

    data: ChatEndedData = ChatEndedData()


class BotData(Data, frozen=True, kw_only=True):
    """A conversation with a bot."""

    conversation_id: Annotated[Id | None, says("The conversation.")] = None
    intent: Annotated[Text | None, says("What the bot understood.")] = None
    turns: Annotated[Count | None, says("Messages of the customer.")] = None


class BotResolved(Touchpoint, frozen=True, kw_only=True, tag="cx.bot.resolved.v1"):
    """A bot settled the matter."""

    data: BotData = BotData()


class BotHandedOff(Touchpoint, frozen=True, kw_only=True, tag="cx.bot.handed_off.v1"):
    """A bot could not settle the matter and handed over to a person."""

    data: BotData = BotData()


class IvrEndedData(Data, frozen=True, kw_only=True):
    """A call with the voice menu."""

    call_id: Annotated[Id | None, says("The call.")] = None
    result: Annotated[IvrResult | None, says("contained: settled in the menu; abandoned; to_agent.")] = None
    duration_s: Annotated[Seconds | None, says("Time in the menu.")] = None
    menus: Annotated[Count | None, says("Menus heard.")] = None


class IvrEnded(Touchpoint, frozen=True, kw_only=True, tag="cx.ivr.ended.v1"):
    """A call left the voice menu."""

    data: IvrEndedData = IvrEndedData()


class HelpSearchedData(Data, frozen=True, kw_only=True):
    """A search in the help centre."""

    results: Annotated[Count | None, says("Number of results; 0 is a dead end.")] = None
    query: Annotated[Text | None, says("What was searched for.")] = None
    opened_at: Annotated[Time | None, says("When an article was opened, if one was.")] = None


class HelpSearched(Touchpoint, frozen=True, kw_only=True, tag="cx.help.searched.v1"):
    """The customer searched the help centre."""

    data: HelpSearchedData = HelpSearchedData()
