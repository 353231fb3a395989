"""Identity codes: are their check characters right, and how are personal ones shown without giving them away.

Sources: GB 32100-2015 (unified social credit code, 18 characters, modulus 31) and GB 11643-1999 (citizen identification
number, 18 characters, modulus 11). The arithmetic is python-stdnum's; its unified code accepts digits only in the first
two places, while rural collective economic organisations (农村集体经济组织) carry ``N`` there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Literal

from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

Fault = Literal["length", "characters", "check"]

_LETTER_AUTHORITIES = "ANY"
"""Registering authorities written as letters: ``A`` military reform office, ``N`` agriculture, ``Y`` other."""

_USCC_SHAPE = re.compile(rf"[0-9{_LETTER_AUTHORITIES}][0-9A-HJ-NPQRTUWXY][0-9]{{6}}[0-9A-HJ-NPQRTUWXY]{{10}}")
_PERSON_ID_SHAPE = re.compile(r"[0-9]{17}[0-9X]")
_EARLIEST_BIRTH = date(1900, 1, 1)


def uscc_fault(code: str) -> Fault | None:
    """What is wrong with a unified social credit code; ``None`` when nothing is.

    Blanks and hyphens between the characters and lower case are forgiven. ``length``: not 18 characters;
    ``characters``: a character that the standard does not use at that place (``I O S V Z`` never occur);
    ``check``: the last character does not follow from the first seventeen.
    """
    compact = uscc.compact(code)
    if len(compact) != 18:
        return "length"
    if not _USCC_SHAPE.fullmatch(compact):
        return "characters"
    return None if compact[-1] == uscc.calc_check_digit(compact[:17]) else "check"


def is_valid_uscc(code: str) -> bool:
    """Whether the code is a unified social credit code with a right check character."""
    return uscc_fault(code) is None


def uscc_check_character(first_seventeen: str) -> str:
    """Check character of the first 17 characters; raises ``ValueError`` when they cannot begin a code."""
    if len(first_seventeen) != 17 or not _USCC_SHAPE.fullmatch(first_seventeen + "0"):
        raise ValueError("a unified social credit code begins with 17 characters of its alphabet, digits in places 3-8")
    return uscc.calc_check_digit(first_seventeen)


def is_valid_person_id(number: str) -> bool:
    """Whether the text is an 18-character citizen identification number: check character right, birth date a real day
    from 1900 on. The six-digit region is not looked up: numbers keep the code of a county long dissolved."""
    compact = ric.compact(number)
    if not _PERSON_ID_SHAPE.fullmatch(compact) or compact[-1] != ric.calc_check_digit(compact):
        return False
    try:
        return ric.get_birth_date(compact) >= _EARLIEST_BIRTH
    except ValidationError:
        return False


def person_id_check_character(first_seventeen: str) -> str:
    """Check character (``0``-``9`` or ``X``) of the first 17 digits; raises ``ValueError`` when they are not digits."""
    if len(first_seventeen) != 17 or not first_seventeen.isascii() or not first_seventeen.isdigit():
        raise ValueError("a citizen identification number begins with 17 digits")
    return ric.calc_check_digit(first_seventeen + "0")


def mask_name(name: str) -> str:
    """``张三丰`` becomes ``张**``."""
    text = name.strip()
    return text[:1] + "*" * (len(text) - 1) if len(text) > 1 else "*" * len(text)


def mask_person_id(number: str) -> str:
    """Keeps the province and city (4) and the last 2: ``4507**************1X`` hides birth date, place and sequence."""
    return _keep_ends(number, 4, 2)


def mask_phone(number: str) -> str:
    """Keeps 3 in front and 4 behind: ``138****5678``. Several numbers in one cell are masked one by one."""
    return re.sub(r"[0-9][0-9-]{5,}", lambda match: _keep_ends(match.group(), 3, 4), number)


def mask_account(number: str) -> str:
    """Keeps the last 4 only."""
    return _keep_ends(number, 0, 4)


def _keep_ends(text: str, front: int, back: int) -> str:
    text = text.strip()
    if len(text) <= front + back:
        return "*" * len(text)
    return text[:front] + "*" * (len(text) - front - back) + text[len(text) - back :]


def mask_payee(name: str) -> str:
    """Some subsidies are paid to a person: what reads like a person's name is masked, an organisation's stays."""
    text = name.strip()
    is_person = "·" in text or (len(text) <= _LONGEST_NAME and not (len(text) > 2 and text[-1] in _ORGANISATION_ENDS))
    return mask_name(text) if is_person else text


def mask_numbers(text: str) -> str:
    """Free text in which the numbers long enough for a telephone or an identity card keep 3 in front and 2 behind."""
    return _LONG_NUMBER.sub(lambda match: _keep_ends(match.group(), 3, 2), text)


_LONGEST_NAME = 4
_ORGANISATION_ENDS = frozenset("厂店局所站司")
_LONG_NUMBER = re.compile(r"1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}(?![0-9])|[0-9](?: ?[0-9]){6,}[Xx]?")

MASKS: Mapping[str, Callable[[str], str]] = {
    "person_name": mask_name,
    "person_id": mask_person_id,
    "account": mask_account,
    "contact": mask_name,
    "phone": mask_phone,
    "payee_name": mask_payee,
    "certificate_no": mask_account,
    "remark": mask_numbers,
}
"""Masks by column name: of the personal columns of every form, and of columns that may name a person all the same."""


def masked(column: str, text: str) -> str:
    """The text as it may be shown: masked when the column may carry personal data, unchanged otherwise."""
    mask = MASKS.get(column)
    return mask(text) if mask else text
