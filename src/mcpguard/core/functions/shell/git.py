"""git: its subcommands, with the options of each -> what it reads, writes, changes and sends.

Law of this file: a subcommand, a form of one or an option that is not in the table counts as code. Any run of
git obeys the configuration, attributes and hooks of its repository. Source: the manual of git.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from mcpguard.core.functions.shell.arguments import read_arguments
from mcpguard.core.functions.shell.notation import Usage, lines, parse
from mcpguard.core.functions.shell.reading import Reading
from mcpguard.core.functions.shell.words import Word

_DIFFS = """
    -pusRawbzBM?C?DU:G:S:W --patch --no-patch --raw --stat? --numstat --shortstat --dirstat? --summary
    --name-only --name-status --color? --no-color --color-words? --word-diff? --word-diff-regex= --unified=
    --minimal --patience --histogram --diff-algorithm= --anchored= --no-renames --find-renames?
    --find-copies? --find-copies-harder --diff-filter= --pickaxe-all --pickaxe-regex --relative? --text
    --ignore-space-at-eol --ignore-space-change --ignore-all-space --ignore-blank-lines --ignore-cr-at-eol
    --function-context --full-index --abbrev? --binary --check --exit-code --quiet --no-ext-diff
    --no-textconv --inter-hunk-context= --ignore-submodules? --submodule? --src-prefix= --dst-prefix=
    --no-prefix --patch-with-stat --compact-summary --color-moved? --merge-base --ws-error-highlight=
    --break-rewrites? --ita-invisible-in-index --line-prefix= --irreversible-delete --patch-with-raw
"""
_COMMITS = """
    -n:L:iEFPcmgqt# --max-count= --skip= --since= --after= --until= --before= --author= --committer= --grep=
    --all-match --invert-grep --regexp-ignore-case --extended-regexp --fixed-strings --perl-regexp --merges
    --no-merges --min-parents= --max-parents= --first-parent --not --all --branches? --tags? --remotes?
    --glob= --exclude= --ignore-missing --cherry --cherry-mark --cherry-pick --left-only --right-only
    --left-right --walk-reflogs --merge --boundary --simplify-by-decoration --simplify-merges --full-history
    --dense --sparse --ancestry-path? --topo-order --date-order --author-date-order --reverse --no-walk?
    --pretty? --format= --oneline --abbrev-commit --no-abbrev-commit --encoding= --notes? --no-notes --date=
    --parents --children --graph --no-graph --decorate? --no-decorate --decorate-refs=
    --decorate-refs-exclude= --source --mailmap --use-mailmap --no-mailmap --log-size --follow --full-diff
    --cc --remerge-diff --no-diff-merges --diff-merges= --show-pulls --reflog --relative-date
    --no-expand-tabs --expand-tabs? --count --bisect --objects --no-commit-header --clear-decorations --root
"""

_SUBCOMMANDS = f"""
log,whatchanged g {_COMMITS} {_DIFFS}
show g {_COMMITS} {_DIFFS}
diff g -012 --cached --staged --no-index --base --ours --theirs {_DIFFS}
diff-tree,diff-index,diff-files g -rtmc --cached --stdin& --no-commit-id --root {_DIFFS}
shortlog g {_COMMITS} -nsecw? --numbered --summary --email --committer --group=
rev-list g {_COMMITS} --disk-usage? --max-age= --min-age=
status g -sbu?vzM? --short --branch --show-stash --porcelain? --long --verbose --untracked-files? --ignored?
    --ignore-submodules? --column? --no-column --ahead-behind --no-ahead-behind --renames --no-renames
    --find-renames?
blame,annotate g -cbtfnslewM?C?pL:h# --root --show-stats --porcelain --line-porcelain --incremental
    --score-debug --show-name --show-number --show-email --since= --first-parent --abbrev= --date= --reverse
    --color-lines --color-by-age --ignore-rev= --ignore-revs-file=< --contents=< --minimal --follow
ls-files g -cdmoisuktvfzx:X< --cached --deleted --modified --others --ignored --stage --unmerged --killed
    --exclude= --exclude-from=< --exclude-per-directory= --exclude-standard --error-unmatch --full-name
    --abbrev? --directory --no-empty-directory --eol --deduplicate --recurse-submodules --format=
ls-tree g -drtlz --long --name-only --name-status --object-only --full-name --full-tree --abbrev? --format=
rev-parse g -q --verify --quiet --short? --abbrev-ref? --symbolic --symbolic-full-name --all --branches?
    --tags? --remotes? --glob= --show-toplevel --show-superproject-working-tree --show-prefix --show-cdup
    --git-dir --absolute-git-dir --git-common-dir --is-inside-git-dir --is-inside-work-tree
    --is-bare-repository --is-shallow-repository --show-object-format? --git-path= --path-format= --since=
    --until= --revs-only --no-revs --flags --no-flags --default= --local-env-vars --not --show-ref-format
cat-file g -tespZ --batch?& --batch-check?& --batch-all-objects --unordered --buffer --allow-unknown-type
grep tg -airwvhHElLFGPpncoqWe:~f<~zIm:A:B:C:# --cached --untracked --no-index --no-exclude-standard
    --exclude-standard --text --ignore-case --word-regexp --invert-match --full-name --extended-regexp
    --basic-regexp --perl-regexp --fixed-strings --line-number --column --files-with-matches --name-only
    --files-without-match --null --only-matching --count --color? --no-color --break --heading
    --show-function --function-context --context= --after-context= --before-context= --max-count=
    --max-depth= --threads= --all-match --and --or --not --quiet --recursive --no-recursive
    --recurse-submodules
describe t --dirty? --broken? --all --tags --contains --abbrev= --candidates= --exact-match --debug --long
    --match= --exclude= --always --first-parent
name-rev t --tags --refs= --exclude= --all --name-only --always --undefined --no-undefined
merge-base t -a --all --octopus --independent --is-ancestor --fork-point
show-ref t -qshd# --head --heads --branches --tags --dereference --hash? --verify --quiet --abbrev? --exists
for-each-ref t -spt --count= --sort= --format= --color? --points-at= --merged? --no-merged? --contains?
    --no-contains? --ignore-case --omit-empty --exclude=
symbolic-ref tx -q --short --quiet
show-branch t -argq --all --remotes --more= --list --no-name --sha1-name --current --topo-order
count-objects -vH --verbose --human-readable
cherry t -v --abbrev?
check-ignore r -qvnz --quiet --verbose --non-matching --no-index
check-attr t -az --all --cached
version --build-options
ls-remote sends t -hbtq --heads --branches --tags --refs --quiet --exit-code --get-url --sort= --symref
branch t -avrlqtiu:^d^D^m^M^c^C^f^ --all --verbose --remotes --list+ --show-current --contains=+
    --no-contains=+ --merged?+ --no-merged?+ --points-at=+ --sort= --format= --column? --no-column --color?
    --no-color --abbrev? --no-abbrev --ignore-case --quiet --delete^ --move^ --copy^ --force^
    --set-upstream-to=^ --unset-upstream^ --track?^ --no-track^ --create-reflog^
tag t -l+n?afm:F<i#d^ --list+ --contains=+ --no-contains=+ --merged?+ --no-merged?+ --points-at=+ --sort=
    --format= --column? --no-column --color? --ignore-case --annotate --message= --file=< --force --delete^
    --cleanup= --create-reflog^
remote t -v --verbose
stash t -pukqaSm: --include-untracked --all --keep-index --no-keep-index --quiet --message= --staged --index
    {_DIFFS}
reflog t {_COMMITS} {_DIFFS} --expire= --dry-run
worktree t -vz --porcelain --verbose
notes t
submodule t -q --quiet --cached --recursive --summary-limit=
bisect t
config t -lz --get --get-all --get-regexp --list --global --local --system --worktree --show-origin
    --show-scope --name-only --null --type= --bool --int --path --includes --default=
add changes r -nvfuAN --verbose --dry-run --force --sparse --update --all --no-all --ignore-removal
    --intent-to-add --refresh --ignore-errors --ignore-missing --renormalize --chmod= --pathspec-from-file=@
rm changes w -frnq --force --dry-run --cached --ignore-unmatch --quiet --sparse --pathspec-from-file=@
mv changes w -fknv --force --dry-run --verbose --sparse
commit changes r -aC:m:F<nvqsiou?zt< --all --reuse-message= --fixup= --squash= --reset-author --short
    --branch --porcelain --long --null --file=< --author= --date= --message= --template=< --signoff
    --no-signoff --trailer= --no-verify --allow-empty --allow-empty-message --cleanup= --no-edit --amend
    --no-post-rewrite --include --only --untracked-files? --verbose --quiet --dry-run --status --no-status
    --no-gpg-sign --pathspec-from-file=@
checkout changes w -qfb:B:tdlm --quiet --force --ours --theirs --track? --no-track --guess --no-guess
    --detach --orphan= --merge --conflict= --overlay --no-overlay --ignore-skip-worktree-bits --progress
    --no-progress --pathspec-from-file=@
switch changes t -c:C:dmfqt --create= --force-create= --detach --guess --no-guess --force --discard-changes
    --merge --conflict= --quiet --track? --no-track --orphan= --ignore-other-worktrees
restore changes w -s:SWqm --source= --staged --worktree --quiet --ours --theirs --merge --conflict=
    --ignore-unmerged --overlay --no-overlay --pathspec-from-file=@
reset changes t -qN --soft --mixed --hard --merge --keep --quiet --no-quiet --refresh --no-refresh
    --intent-to-add --pathspec-from-file=@
merge changes t -nqm:vF< --commit --no-commit --no-edit --cleanup= --ff --no-ff --ff-only --log? --no-log
    --signoff --stat --no-stat --squash --no-squash --no-verify --quiet --verbose --autostash --no-autostash
    --allow-unrelated-histories --abort --quit --continue --no-gpg-sign --file=<
fetch changes sends t -afkpPtnqvj:u46 --all --append --atomic --depth= --deepen= --shallow-since=
    --unshallow --dry-run --force --keep --multiple --prune --prune-tags --no-tags --tags --jobs= --quiet
    --verbose --progress --no-auto-maintenance --set-upstream --no-recurse-submodules --ipv4 --ipv6
    --update-head-ok --write-fetch-head
pull changes sends t -qvnapftr46 --quiet --verbose --commit --no-commit --no-edit --ff --no-ff --ff-only
    --rebase? --no-rebase --autostash --no-autostash --squash --all --prune --tags --no-tags --depth=
    --force --allow-unrelated-histories --stat --no-stat --no-verify --progress --no-recurse-submodules
push changes sends t -qvundfo:46 --all --branches --prune --mirror --dry-run --porcelain --delete --tags
    --follow-tags --atomic --no-atomic --push-option= --force --force-with-lease? --no-force-with-lease
    --force-if-includes --set-upstream --thin --no-thin --quiet --verbose --progress --no-verify
    --no-recurse-submodules --no-signed
clone changes sends tw -lsqvnb:o:j:46 --local --shared --no-hardlinks --quiet --verbose --progress
    --no-checkout --bare --mirror --origin= --branch= --depth= --shallow-since= --single-branch
    --no-single-branch --tags --no-tags --filter= --sparse --jobs= --no-recurse-submodules
init changes w -qb: --quiet --bare --initial-branch= --object-format= --shared?
"""

_READING_FORMS = {
    "remote": ("", "get-url"),
    "stash": ("list", "show"),
    "reflog": ("", "show", "exists", "list", "HEAD"),
    "worktree": ("list",),
    "notes": ("", "list", "show"),
    "submodule": ("", "status", "summary"),
    "bisect": ("log",),
}
"""What the first operand is where a subcommand reads."""

_CHANGING_FORMS = {
    "remote": ("add", "remove", "rm", "rename", "set-url", "set-head", "set-branches"),
    "stash": ("", "push", "save", "pop", "apply", "drop", "clear", "store", "create", "branch"),
}
"""And where it changes something; `git remote update`, `show` and `prune` use the network as well."""

_ADDRESS = re.compile(r"(?:ext|fd)::|.*[a-z]::", re.IGNORECASE)


@cache
def subcommands() -> dict[str, Usage]:
    """Each subcommand by its name."""
    found: dict[str, Usage] = {}
    for line in lines(_SUBCOMMANDS):
        names, program = parse(line)
        found.update(dict.fromkeys(names, program))
    return found


def read_git(reading: Reading, args: Sequence[Word]) -> None:
    """Note what a command line of git does. Never raises."""
    reading.obey("git")
    rest = list(args)
    while rest and rest[0].fixed and rest[0].text.startswith("-"):
        option = rest.pop(0).text
        if option == "-C":
            _elsewhere(reading, rest.pop(0) if rest else Word(""))
        elif option not in ("--no-pager", "-P", "--version", "--no-optional-locks", "--no-replace-objects"):
            reading.code = True
            return
    if not rest:
        return
    command = rest.pop(0)
    program = subcommands().get(command.text) if command.literal else None
    if program is None or any(_ADDRESS.match(word.text) for word in rest):
        reading.code = True
        return
    _subcommand(reading, command.text, program, rest)


def _elsewhere(reading: Reading, folder: Word) -> None:
    """`-C`: git runs in another folder, unless that is the first one again."""
    reading.read(folder)
    if not folder.literal or reading.places.elsewhere(folder.text):
        reading.code = True


def _subcommand(reading: Reading, name: str, program: Usage, rest: list[Word]) -> None:
    if "sends" in program.traits:
        reading.sends.add("git")
    if "changes" in program.traits:
        reading.changes.add("git")
    texts = read_arguments(reading, "git", program, rest)
    operands = texts.words
    if name in ("branch", "tag") and operands and not texts.lists:
        reading.changes.add("git")
    if name in _READING_FORMS:
        _form(reading, name, operands)
    if name == "config" and len(operands) > (2 if operands[:1] in ([Word("get")], [Word("list")]) else 1):
        reading.code = True


def _form(reading: Reading, name: str, operands: Sequence[Word]) -> None:
    """A subcommand whose first operand says what it does."""
    form = operands[0].text if operands else ""
    if form in _READING_FORMS[name]:
        return
    reading.changes.add("git")
    if name == "remote" and form in ("update", "show", "prune"):
        reading.sends.add("git")
    elif form not in _CHANGING_FORMS.get(name, ()):
        reading.code = True
