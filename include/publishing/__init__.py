"""From a reconciled set of figures to reports in people's hands: draft, approval, release, delivery, correction.

A report is first written as a draft (``drafts.py``), outside the outbox. Once approved, it is released as a whole
(``releasing.py``) and sent edition by edition (``sending.py``). ``issues.py`` says which issue a set of figures is and
what it corrects. Each step leaves rows in ``intake`` and may be repeated after being killed at any point.
"""
