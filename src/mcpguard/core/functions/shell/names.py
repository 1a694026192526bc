"""Lists of names that mean something to a shell, or to who reads its commands. To add one: a word in a list.

Law of this file: lists only. What a list is good for stands below it.
"""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


RESERVED = names("""
    if then else elif fi do done case esac while until for in select function coproc { } ! [[ ]] ]
    repeat foreach end always
""")
"""Words that begin or end something other than a command, in some shell."""

ZSH_VARIABLES = names("""
    path fpath cdpath mailpath manpath module_path fignore psvar argv status prompt watch aliases
    functions commands options parameters precmd_functions preexec_functions chpwd_functions
""")
"""Variables in lower case that zsh obeys: zshparam(1)."""

DECLARING = names("""
    export declare typeset local readonly unset read integer float private
""")
"""Builtins that set the variables that their arguments name."""

SHELLS = names("""
    sh bash dash ash zsh ksh mksh rbash rzsh lksh
""")
"""Programs that read the language that is read here."""

INTERPRETERS = names("""
    csh tcsh fish pwsh powershell cmd nu elvish xonsh python pypy ipython perl ruby irb node nodejs deno
    bun php lua luajit tclsh wish expect osascript r rscript julia ghc runghc guile racket sbcl clojure
    scala groovy jshell java erl elixir iex gdb lldb dc bc ed ex vi vim nvim view vimdiff emacs nano
    pico joe m4 ld.so
""")
"""Interpreters, shells of other languages, and programs with a language of their own."""

BUILTINS = names("""
    . source trap alias unalias hash enable bind complete compgen mapfile readarray let fc history set
    shopt autoload zmodload emulate sched zle zcompile zparseopts bindkey vared setopt unsetopt disable
    functions zstyle print compdef getopts wait
""")
"""Builtins that take code, or change what names mean."""

STARTERS = names("""
    ssh slogin scp sftp rsync parallel script flock strace ltrace perf valgrind chroot unshare nsenter
    su runuser pkexec gosu su-exec run0 systemd-run start-stop-daemon at batch crontab screen tmux dtach
    entr fswatch watchexec inotifywait docker podman nerdctl kubectl lxc machinectl vagrant
    firejail bwrap proot fakeroot sg newgrp setpriv capsh prlimit chrt taskset numactl setarch linux32
    linux64 i386 x86_64 rlwrap socat nc ncat netcat telnet openssl ld tar bsdtar gtar cpio zip pax less
    more man most info pg run-parts dpkg rpm apt apt-get yum dnf snap flatpak brew tcpdump logrotate
    split csplit install wget psql mysql sqlite3 mongo redis-cli launchctl open xdg-open dbus-send
    dbus-run-session gio torify torsocks proxychains tsocks genv gnohup gnice gstdbuf gxargs ip
    systemctl journalctl systemd-inhibit systemd-cat ssh-agent xvfb-run xterm chpst choom cgexec
    chronic ifne pee sem direnv mise asdf pyenv rbenv nodenv nix nix-shell guix conda mamba hyperfine
    nodemon tini dumb-init eatmydata faketime hg svn ftp lftp mail mailx mutt nmap latex pdflatex
    xelatex lualatex tex pdftex gnuplot octave srun mpirun mpiexec singularity apptainer distrobox
    toolbox diff3 sdiff
""")
"""Programs that start others in ways that are not looked through."""

BUILDERS = names("""
    make gmake ninja cmake bazel rake gradle mvn ant npm npx pnpm yarn pip pipx uv uvx poetry cargo go
    gcc g++ cc clang tox nox pytest just task invoke bundle gem composer dotnet msbuild jest tsc ts-node
    mix rebar3
""")
"""Programs that run the code of a project."""

GIT_PLAIN = names("""
    status log diff show branch tag remote add rm mv commit checkout switch restore stash reset merge
    fetch pull push clone init rev-parse rev-list ls-files ls-tree ls-remote cat-file blame annotate
    grep describe shortlog reflog name-rev merge-base show-ref for-each-ref symbolic-ref count-objects
    version whatchanged cherry
""")
"""Subcommands of git that run nothing but git, and the hooks of the repository."""

GIT_OPTIONS = names("""
    --upload-pack --receive-pack --exec --config --config-env --template --open-files-in-pager
    --ext-diff --textconv --output --separate-git-dir --edit-description --edit --editor --interactive
    --patch --strategy --gpg-sign --sign --show-signature --verify-signatures --recurse-submodules
    --server-option --filters
""")
"""Options of git that name a program, a configuration or a file to write."""
