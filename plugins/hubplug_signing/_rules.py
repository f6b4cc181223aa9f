"""What each rule of the profile ``signed`` means: for the documentation."""

from __future__ import annotations

RULES = {
    "altered": "Its files are not those that were signed: one was changed, added, taken away or renamed.",
    "by": "Who signed it (a note).",
    "damaged": "`model.sig` is not a signature that hubplug reads.",
    "foreign": "It is signed by somebody else than the configuration names.",
    "invalid": "The signature is not by whom it says.",
    "no-signer": "The configuration does not say who has to sign what lies there.",
    "not-checked": "The signature could not be checked: a file or a library is missing, or a server would have to be asked.",
    "not-covered": "It holds something that no signature covers.",
    "unsigned": "It has no `model.sig`.",
}
