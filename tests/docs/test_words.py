"""Plain English: phrases that a native engineer would not write do not come back."""

from __future__ import annotations

import re
from functools import cache

import re2

from tests.docs.pages import ROOT

ODD = {
    r"(?:cannot|could not|not to|nowhere to) be had\b": "is unavailable",
    r"\bcan be had\b": "is available",
    r"\bwhere there is none\b": "if there is none",
    r"\bnot had within\b": "timed out, not available within",
    r"\bis not to be had\b": "is unavailable",
    r"\bvalue is none\b": "is not one",
    r"\bfor a (?:file|value) that is none\b": "that is not one",
    r"\b(?:[Tt]ells?|telling|told) of\b": "reports, mentions, announces",
    r"\b(?:[Ss]peaks?|spoke|spoken|speaking) of\b": "applies to, matches, mentions",
    r"\blest\b": "so that ... not",
    r"\bin place of that\b": "instead",
    r"\banswers for (?:it|time|\{)": "is responsible for",
    r"\btakes? notice\b": "notices",
    r"\b(?:say|says|said) of (?:itself|themselves|himself)\b": "declares, says about itself",
    r"\bwhose is\b": "whose ... it is",
    r"\bmay be meant\b|\bmeant so\b": "may be intended",
    r"\bgo(?:es)? around mcpguard\b": "bypasses",
    r"\bhelp=\"for programs\"": "print JSON",
    r"\btypings? mistakes?\b": "typo",
    r"\bby somebody else meanwhile\b": "in the meantime",
    r"\bdid not come to (?:its|an) end\b": "did not finish",
    r"\btake the right to (?:read|write) away\b": "remove the permission",
    r"\b(?:is|was) asked anew\b|\b(?:[Ll]ist|lists|listed) anew\b": "again",
    r"\bcannot be told\b(?! apart)": "cannot be determined",
    r"\ball of it is as it was\b": "unchanged",
    r"\bone (?:entry|server) a line\b": "one per line",
    r"\b(?:policies|rules|limits) of then\b": "in force then",
    r"\b(?:made?|making|written) anew\b": "created, written again",
    r"\bgo(?:es)? on with what\b": "keeps ..., continues with",
    r"\bare no (?:records|lines|secrets)\b": "are not",
    r"(?<![Tt]here )(?<!where )\b(?:is|are|was|were) no "
    r"(?!\w+er\b|more\b|less\b|one\b|end\b|problem\b|accident\b|reason\b|use\b|further\b)\w": "is not a",
    r"\b(?:of|for|to) who (?:asks|asked|makes|made|starts?|started|approved|runs|reads|watches|writes)\b": "whoever",
    r"\bpersons\b": "people",
    r"\b[Ff]rom when on\b": "the time from which",
    r"; known are\b": "the known ones are",
    r"\bsa(?:ys?|id) nothing of\b": "says nothing about",
    r"\(\) (?:reads|knows) no\b": "does not read",
    r'"""So many\b|description="So many\b': "How many",
    r"\b(?:most|least|[Aa]fter|[Ww]ithin?) so many\b": "this many",
    r"\baccepts? no record any more\b": "no longer accepts",
    r"\b(?:something|nothing|everything) is in order\b|\bis in order \(": "passes, is well configured",
    r"\b(?:closed|ended|shut down) in order\b": "closed properly, shut down cleanly",
    r"\bfor want of\b": "for lack of",
    r"\bused last first\b": "the most recently used first",
    r"\b(?:is|are) called so\b": "has this name, unknown",
    r"\btaken for a chain\b": "mistaken for",
    r"\brecorded and goes on\b": "recorded and let through",
    r"\bfrom then on: ": "since then",
    r"\bwithout saying why\b": "without a message, without a reason",
    r"\bwhat became of\b": "the outcome",
    r"\bc[ao]me to what\b|\bwhat (?:its|each) \w* ?c[ao]mes? to\b": "evaluates to",
    r"\bthose of then\b": "of the recorded call",
    r"\bknows no passkeys\b": "does not support",
    r"\bcannot (?:both )?stand (?:beside|here)\b": "cannot be combined with",
    r": take (?:it|one|one of the two) out\b|, or take it out\b": "remove",
    r"\bmistakes (?:are )?told\b|\bis said once\b|\bis told by itself\b": "reported",
    r"\bmay be told (?:it|this)\b": "may receive",
    r"\b(?:what|that|why it|they) (?:is|are) none\b(?! that)": "is not one",
    r"\bhas not got\b": "has not received, does not have",
    r"\bin the place of\b": "in place of",
    r"\b(?:hears?|heard|hearing) of\b": "is notified of, learns of, knows about",
    r"\banew\b": "again, on its own, from the beginning",
    r"\b(?:is|are|was|were|not been) held up\b": "is blocked, delayed",
    r"\bdisk (?:that )?(?:does|did|has|had) not answer": "does not respond",
    r"\b(?:[Ww]hat|and what) (?:came|comes|becomes) of\b": "the outcome, the result, the verdict",
    r"\bDefault: none (?:is|are)\.": "none are removed, no limit",
    r"\b(?:may|must|can) (?:not )?stand (?:in|before|there)\b": "be in, precede, contain",
    r'"""(?:And |By |From |For |Within |After )?[Ss]o (?:much|many|long|often|few)\b': "how much, how long; this many",
    r"\b(?:for|[Aa]fter|[Ww]ithin|at most|at least) so (?:many|long)\b": "for this many, after this long",
    r"\brecorded,? and goes on\b": "recorded and let through",
    r"\bgo(?:es)? on \w+ing\b": "keeps ...ing, still ...s",
    r"\bhears? `": "gets",
    r"\bmended\b": "fixed",
    r"\b[Ww]hat is said of\b|\bis said of where\b": "the sentence, the error about",
    r"\bnothing for none\b": "if there is none",
    r"\b(?:by|to|from) who (?!they|it\b|he\b|she\b|is\b|the\b|a\b)\w": "whoever",
    r"\bthe brain\b": "the session",
    r"\b[Ll]et(?:ting)? go of\b": "close, release, drop",
    r"\b(?:is|are) let be\b": "left alone",
    r"\b(?:state|health|configuration|`[a-z_]+`) (?:of [\w ]+ )?is another one\b": "changes, has changed",
    r"\b[Pp]olicies are others\b": "the policies have changed",
    r"\b(?:is|are) what (?:it was|they were)\b(?! (?:\w+ for|in))": "unchanged",
    r'"""How (?:it|an? [\w ]+) is(?: now| then)?\b[,.]': "its present state",
    r"\b(?:condition|node|whole) comes to\b": "has the value, evaluates to",
    r"; blocks so long\b": "blocks for this long at most",
    r"\bmakes? place for\b": "gives way to",
    r"\bhas had its time\b(?! of)": "has timed out",
    r"\b(?:this|that) takes the administrator\b": "needs an administrator",
    r"\b(?:[Bb]egins?|accepts?|[Ss]tarts?) nothing any more\b": "begins nothing new",
    r"\bwaits? no more\b": "no longer waits",
    r"\bo'clock\b": "between 07:00 and 19:00",
    r"\bperson has to agree\b": "has to approve",
    r"\bis written SOURCE\b|\bis written YYYY": "write ... as",
}
"""A phrase -> what to write instead."""

PLACES = ("src", "docs", "policies", "configs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
SUFFIXES = (".py", ".md", ".yaml")


@cache
def texts() -> dict[str, str]:
    """Every file with prose in it, each run of white space (and the seam of a split string) as one space."""
    found = {}
    for place in PLACES:
        path = ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.suffix in SUFFIXES:
                text = re.sub(r'"\s*\n\s*f?"|\s*\n\s*#\s', " ", file.read_text("utf-8"))
                found[str(file.relative_to(ROOT))] = re.sub(r"\s+", " ", text)
    return found


def test_a_phrase_that_no_native_engineer_would_write_is_not_written() -> None:
    # In most texts re2 finds none of them at once; it does not know what looks around.
    around = [phrase for phrase in ODD if "(?!" in phrase or "(?<" in phrase]
    others = re2.compile("|".join(f"(?:{phrase})" for phrase in ODD if phrase not in around))
    found = [
        f"{name}: ...{text[max(0, hit.start() - 40) : hit.end() + 30]}... (write: {ODD[phrase]})"
        for name, text in texts().items()
        for phrase in (ODD if others.search(text) else around)
        for hit in re.finditer(phrase, text)
    ]
    assert not found, "\n".join(found)
