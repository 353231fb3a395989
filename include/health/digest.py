"""The digest: what is wrong, gravest first, in one letter; written down before it is sent, sent once a channel."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import psycopg

from include.health.problem import SEVERITIES, texts
from include.health.record import Known
from include.intake.calendar import SHANGHAI
from include.notify.letter import Letter, Section, Table, letter_html, letter_text
from include.notify.message import Message
from include.notify.notifier import Attempt, Notifier
from include.settings import Settings

log = logging.getLogger(__name__)

TOPIC = "health"
# What a channel that was down for longer gets when it is back is the newest state, not the history.
EXPIRES = timedelta(days=1)


def compose(known: Sequence[Known], ended: Sequence[Known], unchecked: Sequence[str], now: datetime) -> Letter:
    """The letter about problems that are there and problems that have ended.

    Args:
        known: open problems, gravest first.
        unchecked: checks that could not be made, by name.
    """
    words = texts()["digest"]
    by_severity = {name: [one for one in known if one.severity == name] for name in SEVERITIES}
    counts = words["joiner"].join(
        words["count"].format(severity=texts()["severities"][name]["zh"], number=len(found))
        for name, found in by_severity.items()
        if found
    )
    new, changed = sum(one.is_new for one in known), sum(one.is_changed for one in known)
    kind = "both" if new and changed else "new" if new else "changed" if changed else "none"
    news = words["news"][kind].format(new=new, changed=changed)
    english = words["english"].format(
        critical=len(by_severity["critical"]), warning=len(by_severity["warning"]), ended=len(ended)
    )
    state = "problems" if known else "well"
    sections = [
        Section(words["sections"][name], table=_table(found, now)) for name, found in by_severity.items() if found
    ]
    if ended:
        sections.append(Section(words["sections"]["ended"], table=_ended_table(ended, now)))
    facts = [(words["facts"]["checked"], f"{now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}")]
    if unchecked:
        facts.append((words["facts"]["unchecked"], words["joiner"].join(unchecked)))
    here = now.astimezone(SHANGHAI)
    return Letter(
        subject=words["subject"][state].format(counts=counts),
        salutation=words["salutation"],
        opening=(words["opening"][state].format(number=len(known), news=news), english),
        facts=tuple(facts),
        sections=tuple(sections),
        closing=tuple(words["closing"]),
        notes=(words["notes"]["page"],),
        signature=words["signature"],
        dated=words["dated"].format(year=here.year, month=here.month, day=here.day),
        is_urgent=bool(by_severity["critical"]),
    )


def _table(found: Sequence[Known], now: datetime) -> Table:
    words = texts()["digest"]
    columns = words["columns"]
    rows = []
    for one in found:
        kind = texts()["problems"][one.code]
        mark = words["new"] if one.is_new else words["changed"] if one.is_changed else ""
        rows.append(
            (
                f"{mark}{kind['name']['zh']} {kind['name']['en']}",
                words["since"].format(zh=one.message_zh, en=_sentence(one.message_en), since=_moment(one.started, now)),
                f"{kind['do']['zh']}。 {_sentence(kind['do']['en'])} docs/{kind['page']}",
            )
        )
    return Table((columns["what"], columns["message"], columns["todo"]), tuple(rows))


def _ended_table(ended: Sequence[Known], now: datetime) -> Table:
    words = texts()["digest"]
    rows = tuple(
        (
            f"{texts()['problems'][one.code]['name']['zh']} {texts()['problems'][one.code]['name']['en']}",
            words["lasted"].format(
                zh=one.message_zh,
                en=_sentence(one.message_en),
                since=_moment(one.started, now),
                ended=_moment(one.ended_at or now, now),
            ),
        )
        for one in ended
    )
    return Table((words["ended_columns"]["what"], words["ended_columns"]["message"]), rows)


def _sentence(text: str) -> str:
    """A capital in front, unless a name stands there; a full stop at the end."""
    first = text.split(" ", 1)[0]
    return (text if "_" in first else text[:1].upper() + text[1:]).rstrip(".") + "."


def _moment(moment: datetime, now: datetime) -> str:
    """``14:05``, of another day ``11-28 14:05``, of another year with it."""
    at, here = moment.astimezone(SHANGHAI), now.astimezone(SHANGHAI)
    if at.date() == here.date():
        return f"{at:%H:%M}"
    return f"{at:%m-%d %H:%M}" if at.year == here.year else f"{at:%Y-%m-%d %H:%M}"


def enter_digest(
    conn: psycopg.Connection[Any], letter: Letter, notifier: Notifier, settings: Settings, now: datetime
) -> None:
    """Write the letter down, with a row for every channel that reaches somebody; nothing is sent yet."""
    here = now.astimezone(SHANGHAI)
    row = conn.execute(
        """
        insert into intake.health_digest (message_id, composed_at, subject_zh, place, body_text, body_html)
        values (gen_random_uuid()::text, %s, %s, '', %s, %s) returning digest_no
        """,
        (now, letter.subject, letter_text(letter), letter_html(letter)),
    ).fetchone()
    assert row is not None
    number = row[0]
    # With the moment in it: a warehouse made anew counts from 1 again.
    message_id = f"health.{here:%Y%m%dT%H%M%S}.{number}"
    place = PurePosixPath(texts()["digest"]["folder"], f"{here:%Y-%m}", f"{here:%Y-%m-%d-%H%M}-{number}")
    conn.execute(
        "update intake.health_digest set message_id = %s, place = %s where digest_no = %s",
        (message_id, str(place), number),
    )
    message = _message(letter.subject, letter_text(letter), letter_html(letter), message_id, place, now, settings)
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into intake.health_delivery (digest_no, channel, state) values (%s, %s, 'pending')",
            [(number, channel.name) for channel in notifier.ways(message)],
        )


def _message(
    subject: str, text: str, html: str, message_id: str, place: PurePosixPath, now: datetime, settings: Settings
) -> Message:
    return Message(
        topic=TOPIC,
        recipient=texts()["digest"]["recipient"],
        address=settings.health_mail,
        subject=subject,
        body_text=text,
        body_html=html,
        message_id=message_id,
        place=place,
        written_at=now,
    )


def send_pending(conn: psycopg.Connection[Any], notifier: Notifier, settings: Settings, now: datetime) -> list[Attempt]:
    """Send every digest that a channel has not got, oldest first. Only one process at a time may do this.

    The connection is in autocommit. A process killed between sending and recording sends the same message a second
    time, under the same id, by which the receiver can drop it.
    """
    conn.execute(
        """
        update intake.health_delivery as waiting set state = 'expired'
        from intake.health_digest as digest
        where waiting.digest_no = digest.digest_no and waiting.state = 'pending' and digest.composed_at < %s
            and exists (select 1 from intake.health_digest as later where later.digest_no > digest.digest_no)
        """,
        (now - EXPIRES,),
    )
    by_name = {channel.name: channel for channel in notifier.channels}
    attempts = []
    rows = conn.execute(
        """
        select digest_no, channel, message_id, composed_at, subject_zh, place, body_text, body_html
        from intake.health_delivery inner join intake.health_digest using (digest_no)
        where state = 'pending' order by digest_no, channel
        """
    ).fetchall()
    for number, name, message_id, composed_at, subject, place, text, html in rows:
        message = _message(subject, text, html, message_id, PurePosixPath(place), composed_at, settings)
        channel = by_name.get(name)
        if channel is None or not channel.reaches(message):
            continue
        attempt = notifier.send(message, channel)
        state = "sent" if attempt.is_sent else "pending" if attempt.is_down else "refused"
        conn.execute(
            "update intake.health_delivery set state = %s, attempts = attempts + 1, result_zh = %s, tried_at = %s"
            " where digest_no = %s and channel = %s",
            (state, attempt.result_zh, now, number, name),
        )
        attempts.append(attempt)
    return attempts


def tell_without_database(notifier: Notifier, settings: Settings, error: str, now: datetime) -> list[Attempt]:
    """Say that the warehouse cannot be reached, once a day: the letter in the outbox is the record of it."""
    here = now.astimezone(SHANGHAI)
    kind = texts()["problems"]["warehouse_unreachable"]
    gone = Known(
        0, "warehouse_unreachable", "", "critical", kind["zh"].format(error=error), kind["en"].format(error=error),
        None, now, None, None, None,
    )  # fmt: skip
    letter = compose([gone], [], [], now)
    message = _message(
        texts()["down"]["subject"],
        letter_text(letter),
        letter_html(letter),
        texts()["down"]["id"].format(day=f"{here:%Y%m%d}"),
        PurePosixPath(texts()["digest"]["folder"], f"{here:%Y-%m}", f"{here:%Y-%m-%d}-{kind['name']['zh']}"),
        now,
        settings,
    )
    outbox = [channel for channel in notifier.channels if channel.name == "outbox"]
    if any((settings.outbox / message.place.parent / f"{message.place.name}.html").exists() for _ in outbox):
        log.info("the letter of today lies in the outbox: %s", message.place)
        return []
    # The outbox last: its file says that the others were tried.
    others = [channel for channel in notifier.channels if channel not in outbox and channel.reaches(message)]
    return [notifier.send(message, channel) for channel in (*others, *outbox)]
