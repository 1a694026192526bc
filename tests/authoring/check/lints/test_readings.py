"""What a function reads is used whole: a rule that goes by half of it is reported, and one that does not is not."""

import json

from tests.authoring.check.linting import codes, found, offering, rules
from tests.rows import each


@each(
    ("when", "expected"),
    [
        ("shell(args.text).commands[0].program == 'ls' && shell(args.text).simple", ["P702"]),
        ("sql(args.text, 'postgres').kinds[1] == 'select' && !sql(args.text, 'postgres').writes", ["P702"]),
        ("shell(args.text).programs.exists(p, p == 'ls') && shell(args.text).unknown == []", ["P702"]),
        ("shell(args.text).kinds.exists(k, k == 'reads')", ["P702"]),
        ("shell(args.text).kinds.all(k, k == 'reads')", []),
        ("shell(args.text).commands.all(c, c.program == 'ls') && shell(args.text).simple", []),
        ("shell(args.text).programs.all(p, p == 'ls')", ["P706"]),
        ("shell(args.text).commands.all(c, c.program == 'ls')", ["P706"]),
        ("!shell(args.text).substitutions", ["P706"]),
        ("shell(args.text).writes == [] && shell(args.text).programs == ['ls']", ["P706"]),
        ("shell(args.text).variables == []", ["P706"]),
        ("!shell(args.text).pipes && shell(args.text).simple && shell(args.text).outside == []", []),
        ("!shell(args.text).code", ["P706"]),
        ("shell(args.text).unknown == [] && shell(args.text).changes == []", []),
        ("shell(args.text).simple", ["P706"]),
        ("shell(args.text).simple && shell(args.text).secrets == []", []),
        ("'ls' in shell(args.text).programs && shell(args.text).simple", ["P702"]),
        ("!('rm' in shell(args.text).programs) && !shell(args.text).code", []),
        ("('ls' in shell(args.text).programs) && shell(args.text).simple", ["P702"]),
        ("args.name in shell(args.text).programs && !shell(args.text).code", []),
        ("'ls' in shell(args.text).commands[0].args && shell(args.text).simple", ["P702"]),
        ("'ls' in shell(args.text).commands.map(c, c.program) && shell(args.text).simple", []),
        ("!shell(args.text).programs.exists(p, p == 'rm') && !shell(args.text).code", []),
        ("sql(args.text, 'sqlite').tables.exists(t, t == 'a') && !sql(args.text, 'sqlite').writes", ["P702"]),
        ("'a' in sql(args.text, 'sqlite').tables && !sql(args.text, 'sqlite').writes", ["P702"]),
        ("pathWithin(args.paths[0], '/srv')", ["P702"]),
        ("args.urls.exists(u, hostIn(u, ['example.com']))", ["P702"]),
        ("!args.paths.exists(p, secretName(p))", []),
        ("args.paths.all(p, pathWithin(p, '/srv'))", []),
        ("args.names[0] == 'a'", []),
        ("args.ids.exists(i, i in ['a', 'b'])", ["P702"]),
        ("args.ids.exists_one(i, i == 'a')", ["P702"]),
        ("args.ids.exists(i, i == 'a') && args.ids.all(i, i in ['a', 'b'])", []),
        ("!args.ids.exists(i, i == 'a')", []),
        ("sql(args.text, 'postgres').kinds == ['select']", ["P707"]),
        ("sql(args.text, 'postgres').tables == ['a']", ["P707"]),
        ("sql(args.text, 'postgres').limit <= 10", ["P707"]),
        ("sql(args.text, 'postgres').tables == ['a'] && sql(args.text, 'postgres').pure", []),
        ("!sql(args.text, 'postgres').writes", []),
        ("args.commands[0] == 'a' || args['commands'] == []", []),
    ],
)
def test_a_reading_that_is_used_by_half_is_reported(when: str, expected: list[str]) -> None:
    assert codes(when) == expected


@each(
    ("when", "better"),
    [
        ('pathWithin("/srv", args.path)', 'pathWithin(args.path, "/srv")'),
        ('true && !pathWithin(["/srv", "/tmp"], args.a.b)', 'pathWithin(args.a.b, ["/srv", "/tmp"])'),
        ('hostIn("https://example.com/", args.urls)', 'hostIn(args.urls, "https://example.com/")'),
        ("glob(params.suffix, resource.uri)", "glob(resource.uri, params.suffix)"),
        ('"^https:".matches(args.url)', 'args.url.matches("^https:")'),
        ('"/srv/".startsWith(args.path)', 'args.path.startsWith("/srv/")'),
        ('pathWithin(args.path, "/srv")', None),
        ('args.path.startsWith("/srv/")', None),
        ('pathWithin("/srv", "/srv")', None),
        ("pathWithin(args.path, args.root)", None),
        ('["a"] == args.names && ["a", args.b].exists(one, one.contains("a"))', None),
    ],
)
def test_arguments_that_are_swapped_are_reported(when: str, better: str | None) -> None:
    params = "params: {suffix: {type: string, default: a}}" if "params" in when else ""
    text = rules(
        f"id: r, effect: allow, server: files, tools: [read], when: '{when}'", head=f"owner: o\n{params}"
    )
    said = [one.partition(": ")[2] for one in found("P711", text)]
    function = when.partition("(")[0].rpartition("!")[2].rpartition(".")[2]
    assert said == (
        [] if better is None else [f"the caller controls what {function}() looks for: write `{better}`"]
    )


def test_what_a_deny_beside_it_refuses_is_not_reported() -> None:
    beside = "  - {id: d, effect: deny, server: files, when: '!shell(args.text).simple'}\n"
    assert codes("shell(args.text).programs.all(p, p == 'ls')", beside=beside) == []
    elsewhere = beside.replace("server: files", "server: mail")
    assert codes("shell(args.text).programs.all(p, p == 'ls')", beside=elsewhere) == ["P706"]


READ = "!sql(args.text, 'sqlite').writes && "


@each(
    ("effect", "when", "expected"),
    [
        ("allow", f"{READ}!('password' in sql(args.text, 'sqlite').columns)", ["P710"]),
        ("allow", f"{READ}sql(args.text, 'sqlite').columns.all(c, c != 'password')", ["P710"]),
        ("allow", f"{READ}sql(args.text, 'sqlite').columns.all(c, !(c in ['password']))", ["P710"]),
        ("allow", f"{READ}sql(args.text, 'sqlite').columns.all(c, c in ['id'])", []),
        ("allow", f"{READ}sql(args.text, 'sqlite').columns.all(c, !(c in ['*', 'password']))", []),
        ("deny", "'password' in sql(args.text, 'sqlite').columns", ["P710"]),
        ("deny", "sql(args.text, 'sqlite').columns.exists(c, c.matches('passw'))", ["P710"]),
        ("deny", "!sql(args.text, 'sqlite').columns.all(c, c in ['id'])", []),
        ("deny", "args.name in sql(args.text, 'sqlite').columns", []),
        ("deny", "'secrets' in sql(args.text, 'sqlite').tables", []),
        ("deny", "shell(args.text).writes != [] || args.columns == ['a']", []),
    ],
)
def test_a_column_that_is_excluded_without_the_whole_row_is_reported(
    effect: str, when: str, expected: list[str]
) -> None:
    assert codes(when, effect) == expected


def test_a_whole_row_that_another_rule_refuses_is_not_reported() -> None:
    beside = '  - {id: d, effect: deny, server: files, when: \'"*" in sql(args.text, "sqlite").columns\'}\n'
    assert codes("'password' in sql(args.text, 'sqlite').columns", "deny", beside=beside) == []


TWO = offering({"source": {}, "destination": {}, "url": {}, "callback_url": {}, "note": {}})


@each(
    ("when", "expected"),
    [
        ("pathWithin(args.source, '/srv')", ["P709"]),
        ("pathWithin(args.source, '/srv') && pathWithin(args.destination, '/srv')", []),
        ("pathWithin(texts(args, ['source', 'destination']), '/srv')", []),
        ("pathWithin(texts(args, ['source']), '/srv')", ["P709"]),
        ("size(args) < 3", []),
        ("args.note != ''", []),
        ("hostIn(args.url, ['example.com']) && size(args.source) < 9 && args.destination == 'a'", ["P709"]),
    ],
)
def test_a_path_that_no_rule_looks_at_is_reported(when: str, expected: list[str]) -> None:
    assert codes(when, snapshot=TWO) == expected


def test_a_path_that_another_rule_looks_at_is_not_reported() -> None:
    beside = "  - {id: d, effect: deny, server: '*', when: '!pathWithin(args.destination, \"/srv\")'}\n"
    assert codes("pathWithin(args.source, '/srv')", beside=beside, snapshot=TWO) == []


@each(
    ("effect", "when", "expected"),
    [
        ("allow", "args.table.matches('orders|customers')", ["P712"]),
        ("allow", "args.name.matches('[a-z]+')", ["P712"]),
        ("allow", "args.channel.matches('^team-')", ["P712"]),
        ("allow", "args.channel.matches('-team$')", ["P712"]),
        ("allow", "args.name.matches('^a|b$')", ["P712"]),
        ("allow", r"args.name.matches('^a\\\\$')", []),
        ("allow", r"args.name.matches(r'^a\$')", ["P712"]),
        ("allow", "args.name.matches('(?m)^a$')", ["P712"]),
        ("allow", "args.channel.matches('^team-.*$')", []),
        ("allow", "args.name.matches('(?i)^(?:a|b)$')", []),
        ("allow", "args.name.matches('(^a$|^b$)')", []),
        ("allow", "args.name.matches('^a$|^b$')", []),
        ("allow", "args.name.matches('^[|()]$')", []),
        ("allow", "!args.name.matches('a|b')", []),
        ("allow", "args.name.matches('(?i)^' + params.name + '$')", []),
        ("allow", "['a'].exists(n, n in args && args[n].matches('a'))", []),
        ("deny", "args.name.matches('a|b')", []),
        ("deny", "!args.name.matches('a|b')", ["P712"]),
        ("deny", "!args.name.matches('a')", []),
    ],
)
def test_a_pattern_of_a_part_that_allows_is_reported(effect: str, when: str, expected: list[str]) -> None:
    more = "\nparams: {name: {type: string, default: a}}" if "params" in when else ""
    rule = f"id: a, effect: {effect}, server: files, tools: [write], when: {json.dumps(when)}"
    assert ["P712"] * len(found("P712", rules(rule, head=f"owner: ada{more}"))) == expected


def test_the_pattern_that_is_proposed_is_whole_and_keeps_its_flags() -> None:
    text = rules(
        "id: a, effect: allow, server: files, tools: [write], when: \"args.name.matches('(?i)^a|b')\""
    )
    assert "write `(?i)^(?:a|b)$`" in found("P712", text)[0]


@each(
    ("effect", "when", "told"),
    [
        ("deny", 'result.content[0].text.contains("SECRET")', 1),
        ("deny", 'result.content.exists(part, part.text.contains("SECRET"))', 0),
        ("allow, label: [a]", 'result.content[0].text.contains("ok")', 0),
    ],
)
def test_a_deny_that_looks_at_one_part_of_a_result_is_reported(effect: str, when: str, told: int) -> None:
    rule = f"id: r, effect: {effect}, on: result, server: files, when: {json.dumps(when)}"
    assert len(found("P702", rules(rule))) == told
