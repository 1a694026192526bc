"""A secret is found in the tables of markup, below the name of its column or beside that of its row."""

from __future__ import annotations

from typing import Any

from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

HUMAN = "river.Stone47!"
TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"


def cleaned(value: Any) -> Any:
    return Redactor(b"key").inspect(value).value


TABLES = [
    "|===\n|User |{label}\n\n|ada |{{}}\n|bob |none\n|===\n",
    "|===\n| User\n| {label}\n\n| ada\n| {{}}\n\n| bob\n| x\n|===\n",
    "|===\n|User |{label}\n\n|ada\n|{{}}\n|bob\n|x\n|===",
    "|===\n|Field |Value\n\n|{label}\n|{{}}\n|===\n",
    '{{{{| class="wikitable"\n|-\n! User !! {label}\n|-\n| ada || {{}}\n|}}}}\n',
    '{{{{|\n! scope="col" | User\n! scope="col" | {label}\n|-\n| style="a" | ada\n| style="b" | {{}}\n|}}}}\n',
    "{{{{|\n|-\n| '''{label}'''\n| <code>{{}}</code>\n|}}}}\n",
    "{{{{|\n|-\n| Host || db1 || {label} || {{}}\n|}}}}\n",
    "||Key||Value||\n|{label}|{{}}|\n",
    "||User||*{label}*||\n|ada|{{{{{{{{{{}}}}}}}}}}|\n|bob|-|\n",
    "||User|ada|\n||{label}|{{}}|\n",
    "\\begin{{{{tabular}}}}{{{{ll}}}}\n\\textbf{{{{User}}}} & \\textbf{{{{{label}}}}} \\\\ \\hline\nada & \\texttt{{{{{{}}}}}} \\\\\n",
    "\\toprule\nHost & User & {label} \\\\\n\\midrule\ndb1 & ada & {{}} \\\\\n\\bottomrule\n",
    "User & ada \\\\\n{label} & {{}} \\\\\n",
    "| User | {label} |\n| ada | {{}} |\n",
    "| Host | {label} | {{}} |\n",
    ".. list-table::\n   :header-rows: 1\n\n   * - User\n     - {label}\n   * - ada\n     - {{}}\n",
    "|_. User |_. {label} |\n| ada | {{}} |\n",
    "|=User|={label}|\n|ada|{{}}|\n",
    "^ User ^ {label} ^\n| ada | {{}} |\n",
    "^ User | ada |\n^ {label} | {{}} |\n",
    "<table><tr><td>User</td><td>{label}</td></tr><tr><td>ada</td><td>{{}}</td></tr></table>",
]


@each("form", TABLES)
def test_a_table_in_markup_names_what_is_in_it(form: str) -> None:
    for label, value, kind in (
        ("Password", HUMAN, "password"),
        ("API key", TOKEN, "secret-value"),
        ("Access token", TOKEN, "secret-value"),
    ):
        text = form.format(label=label)
        made = cleaned(text.format(value))
        assert f"[REDACTED:{kind}#1]" in made, label
        assert value not in made, label
        lines = [line for line in text.format(value).split("\n") if value not in line]
        assert [line for line in made.split("\n") if "REDACTED" not in line] == lines, label


@each(
    "form",
    [
        "===========  ====================\nUser         {label}\n===========  ====================\nada          {{}}\n",
        "User  {label}\n====  ====================\nada   {{}}\n",
        "User,{label}\nada,{{}}\n",
        "User\t{label}\nada\t{{}}\n",
    ],
)
def test_a_column_may_have_two_words_for_its_name(form: str) -> None:
    for label in ("Token", "API key", "Access key"):
        text = form.format(label=f"{label:20}".rstrip() if "=" in form else label)
        assert cleaned(text.format(TOKEN)) == text.format("[REDACTED:secret-value#1]"), label


@each(
    "text",
    [
        "|===\n|Setting |Token\n\n|Kind |Bearer\n|Length |32\n|===\n",
        "{|\n! Field !! Password\n|-\n| Type || string\n| Since || v2.4.1\n|}\n",
        "|===\n|Token |Part\n\n\n\n\n|a |" + TOKEN + "\n|===",
        "| Password | see the wiki |\n| User | " + TOKEN + " |\n",
        f"| a | b |\n| x | token |\n| y | {TOKEN} |\n",
        f"||Token||Name||\n|short|{TOKEN}|\n",
        f"||Token||Name||\n|1|2|3|\n|{TOKEN}|x|\n",
        f"Key & Token count \\\\\n{TOKEN} & {TOKEN} \\\\\n",
        f"- User\n- Token\n\n- ada\n- see {TOKEN}\n",
        f"|Token|\n|{'x' * 2100}|\n|{'|'.join('ab')}|\nThe end of {TOKEN}",
        f"a | token\nb | c\n\n{TOKEN}",
        f"|a\n|b\n|Token\n|c|d|\n|e|{TOKEN}|x|",
        "* - User\n  - Token\n* - ada\n",
        "<tr><td>Token</td><td>Kind</td></tr><tr><td>bearer</td><td>x</td></tr>",
        f"|Name|Key|\n|ada|{TOKEN}|\n",
        "\n".join(["|Token"] + ["|w"] * 70),
        "||Token||Name||\n" + "|x|y|\n" * 2100,
    ],
)
def test_a_table_of_words_or_of_other_things_stays(text: str) -> None:
    assert cleaned(text) == text
